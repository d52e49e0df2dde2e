"""The server of the live page: its socket, its captioners, its end."""

import socket
from collections.abc import Sequence

import uvicorn

from models.run_files import find_run, shipped_captioners
from web.app import make_app
from web.captioners import Captioners

MOST_CONNECTIONS = 256
SECONDS_TO_FINISH = 2  # of answers, after Ctrl-C
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def offered_names(chosen: Sequence[str], default: str) -> list[str]:
    """Returns the captioners of the page: those chosen, and then the shipped ones.

    Raises:
        CaptionerError: One of those chosen does not exist.
    """
    for name in chosen:
        find_run(name)
    shipped = sorted(shipped_captioners())
    return list(dict.fromkeys([*chosen, default, *shipped]))


def open_socket(host: str, port: int) -> socket.socket:
    """Listens on an address.

    Raises:
        ValueError: It is taken, or none of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, UnicodeError) as error:
        raise ValueError(
            f"The server cannot listen on {host}, port {port}: "
            f"{getattr(error, 'strerror', None) or error}. Choose another --port or "
            "--host."
        ) from error


def address_of(listening: socket.socket, host: str) -> str:
    """Returns what is typed into a browser."""
    port = listening.getsockname()[1]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def make_server(captioners: Captioners, host: str) -> uvicorn.Server:
    """Makes a server that writes no log of its visitors."""
    return uvicorn.Server(
        uvicorn.Config(
            make_app(captioners, host),
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=SECONDS_TO_FINISH,
        )
    )
