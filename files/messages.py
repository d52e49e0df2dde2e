"""Short words for long values, and plain ones for errors of the system."""

import errno
import re
import reprlib
import tokenize
from pathlib import Path

LONGEST = 60  # characters of a value that a message shows

DAMAGE = (  # what libraries raise while they read a damaged file
    *(OSError, LookupError, RuntimeError, TypeError, ValueError, AttributeError),
    *(ArithmeticError, MemoryError, AssertionError, EOFError, SyntaxError),
    tokenize.TokenError,  # of the head of an array
)
_REASONS = {
    errno.ENOSPC: "no space is left on the disk. Free some, or name another folder",
    errno.EDQUOT: "the quota of the disk is used up. Free some, or name another folder",
    errno.EROFS: "the disk is read-only. Name a folder on another one",
    errno.EACCES: "permission is denied. Allow it, or name another folder",
    errno.EPERM: "permission is denied. Allow it, or name another folder",
    errno.ENOENT: "there is no such file or folder. Check the name",
    errno.ENOTDIR: "a part of its path is no folder. Name another folder",
    errno.EEXIST: "a file of this name is in the way. Name another folder",
    errno.EISDIR: "it is a folder. Name a file",
    errno.ENOTEMPTY: "its folder has come to hold other files. Name another folder",
    errno.ENAMETOOLONG: "its name is too long. Name a shorter one",
    errno.EIO: "the disk failed. Check it, and try again",
}


_NUMBER = re.compile(r"\[Errno -?\d+\] ")  # of the system, in texts of libraries
_UNSEEN = re.compile(  # controls, and what ends a line or turns its direction
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
    "|\n(?!  )"  # our own lines are indented
)


class FileError(ValueError):
    """A file that cannot be used: the message has its name, the fault, the way out."""


class WriteError(OSError):
    """A file that cannot be written: the message has its name and the way out."""


def shortened(value: object, longest: int = LONGEST) -> str:
    """Returns how a message shows a value: a text in quotes, and nothing long."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = longest
    try:
        text = short.repr(value)
    except ValueError:  # a whole number of thousands of digits
        text = f"a {type(value).__name__} with too many digits"
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def printable(text: str) -> str:
    """Returns a message in which names hold no controls and end no lines.

    They are written as in Python; indented lines of a message stay lines.
    """
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


def reason_of(error: Exception, writes: bool = False) -> str:
    """Returns in one line why something failed, without numbers of the system.

    Args:
        error: What was raised.
        writes: Whether something was to be written: folders were made first.
    """
    if isinstance(error, OSError) and error.errno in _REASONS:
        if writes and error.errno == errno.ENOENT:
            return "nothing can be made in this place. Name another folder"
        return _REASONS[error.errno]
    if isinstance(error, UnicodeError):
        return "it is not UTF-8 text. Save it as UTF-8"
    text = error.strerror if isinstance(error, OSError) else None
    text = " ".join((text or str(error) or type(error).__name__).split())
    text = _NUMBER.sub("", text)
    return text if len(text) <= 5 * LONGEST else f"{text[: 5 * LONGEST]}..."


def describe(error: Exception) -> str:
    """Returns the message of an error, with the file that the system names."""
    if isinstance(error, OSError) and error.errno is not None:
        name = "" if error.filename is None else f"{Path(str(error.filename))}: "
        return f"{name}{reason_of(error)}."
    return str(error)
