"""Serves a page that captions photographs and explains the words asked for.

python -m web
"""

import argparse
import importlib.util
import logging
import sys
from dataclasses import dataclass

from command_line import (
    ANEW,
    DEFAULT_MODEL,
    MODEL_HELP,
    fill_options,
    make_parser,
    run_script,
)

REQUIREMENTS = "requirements-web.txt"
PACKAGES = ("starlette", "uvicorn")
LAST_PORT = 65535


@dataclass(frozen=True)
class ServerOptions:
    """What is served, and where.

    Attributes:
        model: Captioners to offer besides the shipped ones, see `load_captioner`; the
            page begins with the first.
        host: The address or name to listen on.
        port: 0 for any that is free.
    """

    model: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8000


def parse(argv: list[str] | None) -> ServerOptions:
    """Reads the command line."""
    parser = make_parser(__doc__, "python -m web")
    add = parser.add_argument
    add(
        "--model",
        action="append",
        default=[],
        help=f"offered besides the shipped ones: {MODEL_HELP}; may be given again",
    )
    add(
        "--host",
        default="127.0.0.1",
        help="address to listen on; any other than this one lets others in, too",
    )
    add("--port", type=port, default=8000, metavar="N", help="port; 0: any free one")
    return fill_options(ServerOptions, parser.parse_args(argv))


def port(text: str) -> int:
    """Reads the number of a port."""
    if not (text.isdecimal() and len(text) <= 5 and int(text) <= LAST_PORT):
        raise argparse.ArgumentTypeError(
            f"expected 0 to {LAST_PORT}; received {text!r}"
        )
    return int(text)


def check_packages() -> None:
    """Refuses to go on without the packages of the server.

    Raises:
        ValueError: Which are missing, and where they are listed.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"The live page needs {' and '.join(missing)}. Install them: "
            f"{sys.executable} -m pip install -r {REQUIREMENTS}"
        )


def run(options: ServerOptions) -> None:
    """Loads the first captioner, and serves until the user stops it."""
    check_packages()
    from web import serving  # only now: it needs the packages, and takes seconds
    from web.captioners import Captioners

    names = serving.offered_names(options.model, DEFAULT_MODEL)
    with serving.open_socket(options.host, options.port) as listening:
        captioners = Captioners(names)
        captioners.get(captioners.names[0])
        server = serving.make_server(captioners, options.host)
        if options.host not in serving.LOOPBACK:
            logging.warning("Everyone who reaches this machine can use the page.")
        print(serving.address_of(listening, options.host), flush=True)
        server.run(sockets=[listening])


def main(argv: list[str] | None = None) -> int:
    """Runs the server; returns its exit code."""
    return run_script("web", lambda: run(parse(argv)), f"nothing is kept; {ANEW}")


if __name__ == "__main__":
    sys.exit(main())
