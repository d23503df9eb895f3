"""Several flights at once: begun together, awaited side by side, and none left without an end."""

from __future__ import annotations

from pyrometer._flight import begun_here

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine
    from typing import Any

    from pyrometer._flight import Flight, Run


def land(flights: list[Flight]) -> list[Any]:
    """Run flights outside a scrape; returns their results, or raises the first failure."""
    runs = begin_all(flights)
    run_apart(runs)
    outcomes = [run.outcome() for run in runs]
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return outcomes


def begin_all(flights: list[Flight]) -> list[Run]:
    """Begin or join a run of each."""
    runs: list[Run] = []
    token = begun_here.set(begun_here.get())
    try:
        for flight in flights:
            run = flight.begin()
            runs.append(run)
            if run.coroutine is not None:
                begun_here.set((*begun_here.get(), flight))
    except BaseException:  # the program is ending in one of them
        abandon(runs)
        raise
    finally:
        begun_here.reset(token)
    return runs


def abandon(runs: list[Run]) -> None:
    """Nobody will await these any more."""
    for run in runs:
        run.abandon()


def abandon_begun(begun: asyncio.Future[list[Run]]) -> None:
    """A scrape was cancelled while it began its runs."""
    if not begun.cancelled() and begun.exception() is None:
        abandon(begun.result())


def run_apart(runs: list[Run]) -> None:
    """Await what runs have to await, side by side on a private loop: in a thread of its own."""
    coroutines = [run.coroutine for run in runs if run.coroutine is not None]
    if coroutines:
        try:
            _await_apart(coroutines)
        finally:
            abandon(runs)


def _await_apart(coroutines: list[Coroutine[Any, Any, None]]) -> None:
    import asyncio
    import contextvars
    import threading

    async def together() -> None:
        await asyncio.gather(*coroutines)

    def run() -> None:
        asyncio.run(together())

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), name="pyrometer-collectors")
    thread.start()
    thread.join()
