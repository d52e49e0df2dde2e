"""The Java that some of the official tools run on."""

import functools
import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

_RELEASE = re.compile(r'version "(?:1\.)?(\d+)')  # Java 8 calls itself 1.8


@functools.cache
def java_version() -> int | None:
    """Returns the release of the `java` on PATH, such as 8, 11 or 17.

    Returns:
        The release, 0 where Java does not say it, or None where no Java runs: on
        macOS there is a `java` that only asks for one.
    """
    try:
        found = subprocess.run(
            ["java", "-version"],
            timeout=60,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if found.returncode:
        return None
    release = _RELEASE.search(found.stdout or "")
    return int(release[1]) if release else 0


def hear_java(work: Callable[[], Result]) -> tuple[Result, str]:
    """Does work whose Java process writes about itself to our error stream.

    Args:
        work: Starts and ends the process.

    Returns:
        What the work returned, and what was written, which is shown nowhere.
    """
    try:
        kept = os.dup(2)
    except OSError:  # there is no such stream
        return work(), ""
    with tempfile.TemporaryFile() as heard:
        try:
            os.dup2(heard.fileno(), 2)
            result = work()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        heard.seek(0)
        return result, heard.read().decode(errors="replace").strip()


def has_java() -> bool:
    """Tells whether Java runs."""
    return java_version() is not None
