"""Output streams that a closed pipe or a full disk does not break."""

import contextlib
import os
import sys
from collections.abc import Iterator

from files.messages import reason_of


class LastingStream:
    """Writes to a stream as long as it takes anything, and then to nowhere.

    What the stream cannot spell is written with backslashes.

    Args:
        stream: A text stream.

    Attributes:
        fault: Why it takes nothing any more, unless its reader has gone.
    """

    def __init__(self, stream):
        self._stream, self.fault = stream, None
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """Writes, if that is possible; returns the number of characters."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._close(error)
            return len(text)

    def flush(self) -> None:
        """Hands on what is kept, if that is possible."""
        try:
            self._stream.flush()
        except OSError as error:
            self._close(error)

    def _close(self, error: OSError) -> None:
        """Lets the stream lead nowhere, so that its end does not fail either."""
        if not isinstance(error, BrokenPipeError):  # there, nobody listens any more
            self.fault = error
        with contextlib.suppress(AttributeError, ValueError, OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str):
        return getattr(self._stream, name)


@contextlib.contextmanager
def lasting_streams() -> Iterator[None]:
    """Makes both output streams last for a while; a stream that is None stays so."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (
        stream and LastingStream(stream) for stream in (sys.stdout, sys.stderr)
    )
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        sys.stdout, sys.stderr = before


def lost_output() -> list[str]:
    """Hands on what is printed; returns why some of it is lost, if it is."""
    if sys.stdout is None:
        return []
    sys.stdout.flush()
    fault = getattr(sys.stdout, "fault", None)
    return [f"standard output: {reason_of(fault)}."] if fault else []
