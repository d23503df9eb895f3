"""Load on servers, scrapes meanwhile, and what disturbs them."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from servers import wait_until
from workers.pages import NO_ANSWER, Connection, value

if TYPE_CHECKING:
    from workers.running import Workers

PRODUCTS = 5


class Load:
    """Views of products by several threads at once, within a `with` block; each request counts as one view.

    Ends by itself when `requests` have been answered, where given. An answer is one with status 200.
    """

    def __init__(
        self, port: int, requests: int | None = None, *, threads: int = 8, path: str | None = None, keep: bool = False
    ) -> None:
        self.workers: set[int] = set()
        self._port = port
        self._path = path
        self._keep = keep
        self._over = threading.Event()
        self._asked = [0] * threads
        self._answered = [0] * threads
        self._threads = []
        for number in range(threads):
            # as evenly as can be
            share = None if requests is None else (requests + number) // threads
            self._threads.append(threading.Thread(target=self._run, args=(number, share)))

    @property
    def asked(self) -> int:
        """Requests begun so far."""
        return sum(self._asked)

    @property
    def answered(self) -> int:
        """Requests answered so far."""
        return sum(self._answered)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self.join()

    def join(self) -> None:
        """Wait until all threads have ended."""
        for thread in self._threads:
            thread.join()

    def _run(self, number: int, requests: int | None) -> None:
        connection = Connection(self._port)
        try:
            self._ask(connection, number, requests)
        finally:
            connection.close()

    def _ask(self, connection: Connection, number: int, requests: int | None) -> None:
        while not self._over.is_set() and (requests is None or self._answered[number] < requests):
            path = self._path or f"/view/p{self._asked[number] % PRODUCTS}"
            self._asked[number] += 1
            try:
                answer = connection.get(path, last=not self._keep)
            except NO_ANSWER:
                self._over.wait(0.01)  # nobody listens for a moment
                continue
            if answer.status == 200:
                self._answered[number] += 1
                self.workers.add(answer.worker)


def view(server: Workers, requests: int, *, threads: int = 8, keep: bool = False) -> Load:
    """Have that many views answered; the load that did it."""
    with Load(server.port, requests, threads=threads, keep=keep) as load:
        load.join()
    return load


class Watch:
    """Scrapes without end while a load runs, within a `with` block; `wrong` says which pages cannot be right.

    A page must show every view answered before it was asked for, none that was not yet begun when it came, and never
    fewer than the page before.
    """

    def __init__(self, server: Workers, load: Load) -> None:
        self.pages = 0
        self.workers: set[int] = set()
        self.wrong: list[str] = []
        self._server = server
        self._load = load
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        before = 0.0
        while not self._over.is_set():
            least = max(before, self._load.answered)
            try:
                answer = self._server.get("/metrics")
            except NO_ANSWER:  # the worker was killed, or there is none
                self._over.wait(0.01)
                continue
            most = self._load.asked
            if answer.status != 200:
                self.wrong.append(f"status {answer.status}: {answer.body[-300:]}")
                continue
            total = value(answer.body)
            if not least <= total <= most:
                self.wrong.append(f"page {self.pages} of {answer.worker}: {total:g}, not in {least:g} ... {most}")
            before = max(before, total)
            self.pages += 1
            self.workers.add(answer.worker)


class Outcome(NamedTuple):
    """How a time under load ended."""

    asked: int
    answered: int
    counted: float
    pages: int
    replaced: int
    disturbances: int
    wrong: list[str]

    def check(self) -> None:
        """Raise AssertionError unless every page was right and, at the end, all that was answered is counted.

        A request that was not answered may have been counted before its worker died. Workers that came later have
        answered as well.
        """
        assert not self.wrong, f"{len(self.wrong)} of {self.pages} pages: " + "; ".join(self.wrong[:5])
        assert self.answered <= self.counted <= self.asked, self
        assert self.pages > 0 and self.answered > 0 and self.disturbances > 0 and self.replaced > 0, self


def disturb(
    server: Workers,
    disturbance: Callable[[], object],
    seconds: float,
    *,
    pauses: tuple[float, float] = (0.05, 0.4),
    threads: int = 4,
    seed: int | None = None,
) -> Outcome:
    """Load and scrape a server on which nothing was counted for so long, calling `disturbance` at random instants.

    Then until a worker has answered that was not there at first.
    """
    chance = random.Random(seed)
    times = 0
    first = set(server.workers())
    end = time.monotonic() + seconds
    with Load(server.port, threads=threads) as load, Watch(server, load) as watch:
        while time.monotonic() < end:
            time.sleep(chance.uniform(*pauses))  # how far apart the disturbances are, nothing is waited for
            disturbance()
            times += 1
        wait_until(lambda: watch.pages > 0, "a scrape is answered")
        wait_until(lambda: not load.workers <= first, "a new worker answers")
    return Outcome(
        load.asked, load.answered, server.total(10), watch.pages, len(load.workers - first), times, watch.wrong
    )


def kill_one(server: Workers) -> None:
    """Kill one of the workers, whatever it does, with signal 9."""
    pids = server.workers()
    if pids:
        try:
            os.kill(random.choice(pids), signal.SIGKILL)
        except ProcessLookupError:
            pass  # it ended by itself


def kill_scraping(server: Workers) -> None:
    """Kill one of the workers in the middle of a scrape."""
    try:
        server.get("/metrics/fatal")
    except NO_ANSWER:
        return
    raise AssertionError("the worker answered although it was to die")
