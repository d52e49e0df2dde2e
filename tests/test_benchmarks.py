"""The benchmarks: the unit of memory, and what a failing child says."""

import resource
import subprocess
from types import SimpleNamespace

import pytest
from PIL import Image

from benchmarks import cold_start, image_reading, peak_memory


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


def test_reading_of_images_is_timed(tmp_path, capsys):
    assert image_reading.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"image_reading: no images in {tmp_path}\n"
    (tmp_path / "val2017").mkdir()
    for number in range(3):
        path = tmp_path / "val2017" / f"{number}.jpg"
        Image.new("RGB", (40, 30)).save(path)
    assert image_reading.main([str(tmp_path), "--workers", "1", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:20] for line in lines] == [
        f"3 images, {n} workers:"[:20] for n in "12"
    ]
    path.write_bytes(b"broken")
    assert image_reading.main([str(tmp_path)]) == 2
    assert "2.jpg: not an image" in capsys.readouterr().err
