"""One line where the user stops a command with Ctrl-C, also while it imports.

The packages that commands lie in import this module first. Python's own answer while
modules are imported is a traceback, or an error of the module that was interrupted.
"""

import contextlib
import os
import signal
import sys
import threading
from pathlib import Path

STOPPED = 130  # the exit code of a command that was stopped, as shells have it
ROOT = Path(__file__).parent
_state = {"guards": False, "stream": 2}


def command_name() -> str | None:
    """Returns the command of this process, or None if it is none of the project."""
    arguments = sys.orig_argv[1:]
    if "-m" in arguments[:-1]:
        module = arguments[arguments.index("-m") + 1]
        path = ROOT.joinpath(*module.split("."))
        return module if path.is_dir() or path.with_suffix(".py").is_file() else None
    script = Path(sys.argv[0]) if sys.argv and sys.argv[0] else None
    if script is None or script.resolve().parent != ROOT:
        return None
    return script.name


def _end(number, frame) -> None:
    said = (
        f"{command_name()}: stopped before it began. The same command begins anew; "
        "with --resume it goes on where it was begun before.\n"
    )
    os.write(_state["stream"], said.encode())
    os._exit(STOPPED)


def guard_imports() -> None:
    """Lets Ctrl-C end a command of the project at once, until `begin`."""
    is_main = threading.current_thread() is threading.main_thread()
    is_free = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_main and is_free and command_name() is not None:
        signal.signal(signal.SIGINT, _end)
        _state["guards"] = True
        with contextlib.suppress(OSError):  # there is no such stream
            _state["stream"] = os.dup(2)  # which leads nowhere while Keras is imported


def begin() -> None:
    """Lets Ctrl-C raise KeyboardInterrupt, which the command answers."""
    if _state["guards"]:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def end() -> None:
    """Leaves Ctrl-C without an effect on what Python does at its end."""
    if _state["guards"]:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


guard_imports()
