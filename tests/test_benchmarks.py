"""The benchmarks: the unit of memory, and what a failing child says."""

import resource
import subprocess
from types import SimpleNamespace

import pytest

from benchmarks import cold_start, peak_memory


@pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
def test_memory_in_gigabytes(monkeypatch, platform, unit):
    used = SimpleNamespace(ru_maxrss=3 * 1024**3 // unit)
    monkeypatch.setattr("resource.getrusage", lambda who: used)
    monkeypatch.setattr("sys.platform", platform)
    assert peak_memory(resource.RUSAGE_SELF) == 3


def test_the_error_of_the_timed_process_is_shown(monkeypatch, capsys):
    def run(command, **_):
        return subprocess.CompletedProcess(command, 2, "", "explain_image.py: no\n")

    monkeypatch.setattr("subprocess.run", run)
    assert cold_start.main([]) == 2
    assert capsys.readouterr() == ("", "explain_image.py: no\n")
