"""One computation at a time, first come, first served; who waits is told so."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

from files.messages import describe

MOST_WAITING = 16
FAULT = "The computation failed. The server's terminal says why."
MEMORY = "The memory is used up. Take a smaller photograph or captioner."
Event = dict[str, object]
Say = Callable[[Event], None]
Work = Callable[[Say], object]


class BusyError(RuntimeError):
    """Too many computations wait."""


class _LeftError(Exception):
    """Nobody waits for the result."""


class Turns:
    """The computations that run and wait.

    All methods are called from one event loop; the work runs in one thread.

    Args:
        most: Computations that may wait.
    """

    def __init__(self, most: int = MOST_WAITING):
        self._most = most
        self._pool = ThreadPoolExecutor(1, "computation")
        self._tickets: list[_Ticket] = []

    def enter(self, work: Work) -> AsyncIterator[Event]:
        """Lets work wait for its turn.

        Args:
            work: Is given a function that reports events, and returns the result.

        Returns:
            Events: {"waiting": N} whenever the number of computations that come first
            changes; those that the work reports; at last {"done": result}, or
            {"error": sentence}. Who stops reading gives the turn back.

        Raises:
            BusyError: Too many wait already.
        """
        if len(self._tickets) > self._most:
            raise BusyError(
                f"{self._most} computations wait already. Try again in a minute."
            )
        ticket = _Ticket(work)
        ticket.events.put_nowait({"waiting": len(self._tickets)})
        self._tickets.append(ticket)
        ticket.future = self._pool.submit(ticket.run)
        ticket.future.add_done_callback(lambda _: ticket.call(self._remove, ticket))
        return ticket.read()

    def _remove(self, ticket: "_Ticket") -> None:
        place = self._tickets.index(ticket)
        self._tickets.remove(ticket)
        for number, other in enumerate(self._tickets[place:], start=place):
            other.events.put_nowait({"waiting": number})


class _Ticket:
    """A computation, from its arrival to its result.

    Args:
        work: See `Turns.enter`.
    """

    def __init__(self, work: Work):
        self._work, self._has_left = work, False
        self._loop = asyncio.get_running_loop()
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.future = None

    async def read(self) -> AsyncIterator[Event]:
        """Yields the events up to the last one."""
        try:
            is_over = False
            while not is_over:
                event = await self.events.get()
                is_over = bool({"done", "error"} & set(event))
                yield event
        finally:
            self._has_left = True
            self.future.cancel()

    def run(self) -> None:
        """Does the work, in the thread of computations."""
        try:
            self._post({"done": self._work(self._say)})
        except _LeftError:
            pass
        except (ValueError, OSError) as error:
            self._post({"error": describe(error)})
        except MemoryError:
            self._post({"error": MEMORY})
        except Exception:
            logging.exception("A computation of the live page failed:")
            self._post({"error": FAULT})

    def call(self, function: Callable, *arguments) -> None:
        """Calls a function in the event loop, if that still runs."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    def _say(self, event: Event) -> None:
        if self._has_left:
            raise _LeftError
        self._post(event)

    def _post(self, event: Event) -> None:
        self.call(self.events.put_nowait, event)
