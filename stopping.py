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
_state = {"guards": False, "stream": 2, "stopped": False}


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
    if _is_free() and command_name() is not None:
        signal.signal(signal.SIGINT, _end)
        _state["guards"] = True
        with contextlib.suppress(OSError):  # there is no such stream
            _state["stream"] = os.dup(2)  # which leads nowhere while Keras is imported


def begin() -> None:
    """Lets Ctrl-C raise KeyboardInterrupt, which the command answers."""
    _state["stopped"] = False
    if _state["guards"] or _is_free():
        signal.signal(signal.SIGINT, _interrupt)


def was_stopped() -> bool:
    """Tells whether the user pressed Ctrl-C since `begin`.

    A library that is interrupted may answer with an error of its own.
    """
    return _state["stopped"]


def end() -> None:
    """Leaves Ctrl-C without an effect on what Python does at its end."""
    if signal.getsignal(signal.SIGINT) is _interrupt:
        is_command = _state["guards"]
        answer = signal.SIG_IGN if is_command else signal.default_int_handler
        signal.signal(signal.SIGINT, answer)


def _interrupt(number, frame) -> None:
    _state["stopped"] = True
    signal.default_int_handler(number, frame)


def _is_free() -> bool:
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler


guard_imports()
