"""One run of something that several scrapes want at once: the first runs it, the others take its result."""

from __future__ import annotations

import contextvars
import inspect
from os import getpid

from pyrometer._core.lock import ForkSafeLock

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future
    from typing import Any

PATIENCE = 30.0
"""Seconds that a scrape waits for a run which another scrape began; then it goes on without."""

# What this thread or task is inside of, and what it has begun and has yet to await.
_inside: contextvars.ContextVar[tuple[object, ...]] = contextvars.ContextVar("pyrometer_inside", default=())
begun_here: contextvars.ContextVar[tuple[object, ...]] = contextvars.ContextVar("pyrometer_begun", default=())


class Interrupted(RuntimeError):
    """The run that was waited for ended with the scrape that had begun it; it says nothing about what it ran."""


class Flight:
    """What is run: `call` begins it, and its result (awaited where it is awaitable) goes through `finish`.

    Scrapes on any threads and loops may want it at the same time. Whoever finds no run under way begins one; whoever
    finds one waits for that, for PATIENCE seconds at most. Where waiting would keep the run from ending (it is on this
    very loop, or begun and not yet awaited by this very thread), it is run once more, for this scrape alone. A run that
    wants itself (a collector that renders its own registry) is a RuntimeError. `fail` is called when a run did not end
    well, before anyone learns of it.
    """

    __slots__ = ("_call", "_fail", "_finish", "_lock", "_loop", "_pid", "_running", "_succeeded", "label")

    def __init__(
        self,
        label: str,
        call: Callable[[], Any],
        finish: Callable[[Any], Any],
        fail: Callable[[], None] | None = None,
    ) -> None:
        self.label = label
        self._call = call
        self._finish = finish
        self._fail = fail
        self._lock = ForkSafeLock()
        self._pid = getpid()
        self._loop: Any = None
        self._succeeded = False
        self._running: Future[Any] | None = None

    def begin(self) -> Run:
        """Begin a run, or join the one under way."""
        from concurrent.futures import Future

        if self in _inside.get():
            failed: Future[Any] = Future()
            failed.set_exception(RuntimeError(f"{self.label} scrapes the registry that is scraping it"))
            return Run(self, failed, None, mine=True)
        with self._lock:
            if self._pid != getpid():  # a run that was under way when this process was forked goes on elsewhere
                self._pid = getpid()
                self._running = None
            if self._running is None:
                future = self._running = Future()
            elif self in begun_here.get() or (self._loop is not None and self._loop is _running_loop()):
                future = Future()  # this thread has to go on for the run under way to end: one of its own
            else:
                return Run(self, self._running, None, mine=False)
        token = _inside.set((*_inside.get(), self))
        try:
            result = self._call()
            if inspect.isawaitable(result) or hasattr(result, "__aiter__"):
                return Run(self, future, self._await(future, result), mine=True, begun=result)
            self._land(future, self._finish(result), None)
        except BaseException as error:
            self._land(future, None, error)
            if not isinstance(error, Exception):
                raise
        finally:
            _inside.reset(token)
        return Run(self, future, None, mine=True)

    async def _await(self, future: Future[Any], result: Any) -> None:
        import asyncio

        _inside.set((*_inside.get(), self))  # of this task alone
        if self._running is future:
            self._loop = asyncio.get_running_loop()
        work = asyncio.ensure_future(_result_of(result))
        try:
            try:
                await asyncio.wait((work,))
            finally:
                if not work.done():
                    work.cancel()
                    await asyncio.wait((work,))
            if work.cancelled():
                raise RuntimeError(f"{self.label} was cancelled by what it awaited")
            self._land(future, self._finish(work.result()), None)
        except BaseException as error:
            self._land(future, None, error)
            if not isinstance(error, Exception):
                raise

    def _land(self, future: Future[Any], result: Any, error: BaseException | None) -> None:
        try:
            if error is None:
                self._succeeded = True
            elif self._fail is not None and (isinstance(error, Exception) or not self._succeeded):
                # An interruption says nothing about what was run: what it gave before stays.
                self._fail()
        finally:
            with self._lock:
                if self._running is future:
                    self._running = self._loop = None
        if error is None:
            future.set_result(result)
        elif isinstance(error, Exception):
            future.set_exception(error)
        else:
            future.set_exception(Interrupted(f"{self.label} was interrupted by {type(error).__name__}"))


async def _result_of(result: Any) -> Any:
    return [item async for item in result] if hasattr(result, "__aiter__") else await result


def _running_loop() -> Any:
    import sys

    events = sys.modules.get("asyncio.events")
    return events and events._get_running_loop()


class Run:
    """One run of a flight, as one scrape sees it.

    `coroutine` has to be awaited by the scrape that got it; `mine` says that this scrape began the run.
    """

    __slots__ = ("_begun", "_future", "_given_up", "coroutine", "flight", "mine")

    def __init__(
        self,
        flight: Flight,
        future: Future[Any],
        coroutine: Coroutine[Any, Any, None] | None,
        *,
        mine: bool,
        begun: Any = None,
    ) -> None:
        self._begun = begun
        self._given_up = False
        self.flight = flight
        self.coroutine = coroutine
        self.mine = mine
        self._future = future

    def outcome(self) -> Any:
        """The result, or the Exception itself; waits for it, for PATIENCE seconds at most."""
        from concurrent.futures import TimeoutError as NoResult

        try:
            error = self._future.exception(0 if self._given_up else PATIENCE)
        except NoResult:
            return TimeoutError(f"{self.flight.label}: no result of another scrape's run after {PATIENCE} s")
        return self._future.result() if error is None else error

    async def landed(self) -> None:
        """Wait for the outcome without blocking the running loop."""
        import asyncio

        waiter = asyncio.wrap_future(self._future)
        await asyncio.wait([waiter], timeout=PATIENCE)
        self._given_up = not waiter.done()
        if waiter.done():
            waiter.exception()  # asked for here, else the loop reports it as never retrieved

    def __del__(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        """End a run whose coroutine will not be awaited any more; nothing for one that has an outcome.

        A task that is cancelled before its first step never enters its coroutine, which then cannot say so itself.
        """
        if self.coroutine is None or self._future.done():
            return
        self.coroutine.close()
        if hasattr(self._begun, "close"):  # a coroutine; an async generator that was not begun holds nothing
            self._begun.close()
        if not self._future.done():
            self.flight._land(self._future, None, GeneratorExit())
