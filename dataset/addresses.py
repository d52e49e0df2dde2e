"""Files that lie at an address of the web, fetched within bounds."""

import string
import time
from http.client import HTTPException, HTTPResponse
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import quote

from keras_lrp import __version__

SECONDS = 20.0  # until the whole file must be there
MAX_BYTES = 50_000_000
_CHUNK = 65_536
_HANDLERS = (  # no others: an answer may not lead to a file of this machine
    request.ProxyHandler,
    request.HTTPHandler,
    request.HTTPSHandler,
    request.HTTPDefaultErrorHandler,
    request.HTTPRedirectHandler,
    request.HTTPErrorProcessor,
    request.UnknownHandler,
)


class AddressError(ValueError):
    """An address that gives no file; the message says why, without the address."""


def is_address(text: str) -> bool:
    """Tells whether a text begins with http:// or https://."""
    return text.lower().startswith(("http://", "https://"))


def fetch(address: str, seconds: float = SECONDS, max_bytes: int = MAX_BYTES) -> bytes:
    """Returns the file at an address.

    Args:
        address: Begins with http:// or https://; redirections to such are followed.
        seconds: Until the whole file must be there.
        max_bytes: That it may have.

    Raises:
        AddressError: There is no such file, or it is out of these bounds.
    """
    asked = quote(address, safe=string.punctuation)
    headers = {"User-Agent": f"LRP-ImageCaptioning/{__version__}"}
    opener = request.OpenerDirector()
    for handler in _HANDLERS:
        opener.add_handler(handler())
    deadline = time.monotonic() + seconds
    try:
        asking = request.Request(asked, headers=headers)
        with opener.open(asking, timeout=seconds) as answer:
            return _read(answer, deadline, max_bytes)
    except HTTPError as error:
        raise AddressError(
            f"the server answers {error.code} ({error.reason}). Check the address."
        ) from error
    except (OSError, HTTPException, ValueError) as error:
        raise AddressError(_reason(error, seconds)) from error


def _read(answer: HTTPResponse, deadline: float, max_bytes: int) -> bytes:
    """Reads an answer until it ends, and no longer than it may take."""
    parts, size = [], 0
    while part := answer.read1(_CHUNK):
        size += len(part)
        if size > max_bytes:
            raise AddressError(
                f"the file has more than {max_bytes:,} bytes. Download it, and scale "
                "it down."
            )
        if time.monotonic() > deadline:
            raise TimeoutError
        parts.append(part)
    if answer.length:  # bytes that were announced and did not come
        raise AddressError("the connection ended before the file did. Try again.")
    return b"".join(parts)


def _reason(error: Exception, seconds: float) -> str:
    if isinstance(error, AddressError):
        return str(error)
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, TimeoutError):
        return f"the file was not there within {seconds:g} seconds. Try again."
    text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return f"the address cannot be reached ({' '.join(text.split())}). Check it."
