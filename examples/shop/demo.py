"""The shop under gunicorn, with shoppers who look and buy over HTTP; every few seconds, what was answered and counted.

    python examples/shop/demo.py [--port 8000] [--duration SECONDS]

Several workers serve it, and nothing is set up for that: whichever of them answers /metrics, it has the totals of all.
At the end each is asked. Kill some with -9, or have gunicorn replace all of them by HUP: no total goes back.

Ctrl-C (or SIGTERM, or the end of --duration) closes it: the shoppers first, then gunicorn. The exit status is 0, or 1
when the shop could not open, or when /metrics has fewer views or sales than the shoppers were given.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import queue
import random
import re
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Event, Lock, Thread
from typing import NamedTuple

from store import CATALOGUE

HOST = "127.0.0.1"
SHOPPERS = 8
RATE = 40.0  # requests in a second, of all shoppers together
EVERY = 3.0  # seconds between two lines
PATIENCE = 20.0  # seconds that gunicorn may take to answer, or to stop
GATHERING = 5.0  # seconds for which pages are asked for until every worker has given one
ATTEMPTS = 5  # a worker that is killed while it answers /metrics is no reason to close
CONFIG = Path(__file__).with_name("gunicorn.conf.py")
WORKERS: int = runpy.run_path(str(CONFIG))["workers"]

Counts = Counter[tuple[str, str]]  # ("view" or "buy", product) -> how many


class ShopGone(Exception):
    """The shop does not answer; the text says how that was noticed."""


class Page(NamedTuple):
    """A page of metrics, and the id of the process that gave it."""

    worker: int
    text: str


class Shopper(Thread):
    """Somebody who looks and buys on one connection until `closing` is set.

    `answered` and `sold_out` count what the shop answered with 200 and with 409, `failed` everything else; `workers`
    says which process gave how many of the answers. They change only under `busy`, which is held for as long as a
    request is under way.
    """

    def __init__(self, port: int, closing: Event, seed: int) -> None:
        super().__init__(name=f"shopper {seed}")
        self.busy = Lock()
        self.answered: Counts = Counter()
        self.sold_out = 0
        self.failed = 0
        self.workers: Counter[int] = Counter()
        self._connection = HTTPConnection(HOST, port, timeout=PATIENCE)
        self._closing = closing
        self._random = random.Random(seed)

    def run(self) -> None:
        while not self._closing.wait(self._random.expovariate(RATE / SHOPPERS)):
            with self.busy:
                try:
                    self._visit()
                except (OSError, HTTPException):
                    self.failed += 1
                    self._connection.close()
        self._connection.close()

    def _visit(self) -> None:
        """One request. Buyers are fewer than lookers, and what stands first on the shelf goes best."""
        (product,) = self._random.choices(CATALOGUE, weights=range(len(CATALOGUE), 0, -1))
        (event,) = self._random.choices(["view", "buy"], weights=[3, 1])
        self._connection.request("POST" if event == "buy" else "GET", f"/{event}/{product[0]}")
        response = self._connection.getresponse()
        response.read()
        self.workers[int(response.headers.get("X-Worker", 0))] += 1
        if response.status == 200:
            self.answered[event, product[0]] += 1
        elif response.status == 409:
            self.sold_out += 1
        else:
            self.failed += 1


class Totals:
    """What the shoppers were answered and what /metrics says, at one moment between requests."""

    def __init__(self, port: int, shoppers: list[Shopper]) -> None:
        with ExitStack() as everybody:
            for shopper in shoppers:
                everybody.enter_context(shopper.busy)
            self.answered = sum((shopper.answered for shopper in shoppers), Counts())
            self.sold_out = sum(shopper.sold_out for shopper in shoppers)
            self.failed = sum(shopper.failed for shopper in shoppers)
            self.workers = sum((shopper.workers for shopper in shoppers), Counter[int]())
            self.worker, page = scrape(port)
        found = re.findall(r'^(view|buy)_total\{product="([^"]*)"\} (\S+)$', page, re.MULTILINE)
        self.metrics = Counts({(event, product): int(float(value)) for event, product, value in found})
        (refusals,) = re.findall(r"^compute_exception_total (\S+)$", page, re.MULTILINE)
        self.refusals = int(float(refusals))

    def row(self, product: str = "") -> str:
        """Views answered and in /metrics, sales answered and in /metrics: of `product`, or of all."""
        cells = []
        for event in ("view", "buy"):
            for counts in (self.answered, self.metrics):
                wanted = (n for (e, p), n in counts.items() if e == event and product in ("", p))
                cells.append(f"{sum(wanted):10,}")
        return "".join(cells)

    @property
    def requests(self) -> int:
        return self.answered.total() + self.sold_out + self.failed

    @property
    def lost(self) -> int:
        """Requests that were answered and are not in /metrics. Visits by others make up for none of them."""
        return (self.answered - self.metrics).total() + max(self.sold_out - self.refusals, 0)


def scrape(port: int) -> Page:
    """The page of metrics, from whichever worker. Raises ShopGone when there is none."""
    for _ in range(ATTEMPTS - 1):
        with suppress(ShopGone):
            return ask(port)
    return ask(port)


def ask(port: int) -> Page:
    """One attempt at the page of metrics."""
    connection = HTTPConnection(HOST, port, timeout=PATIENCE)
    try:
        connection.request("GET", "/metrics", headers={"Accept": "text/plain; version=0.0.4"})
        response = connection.getresponse()
        text = response.read().decode()
    except (OSError, HTTPException) as error:
        raise ShopGone(repr(error)) from error
    finally:
        connection.close()
    if response.status != 200:
        raise ShopGone(f"/metrics answered with status {response.status}")
    return Page(int(response.headers["X-Worker"]), text)


def workers_of(port: int) -> list[int]:
    """The processes that serve, by their answers: all of them, or those that could be met within GATHERING seconds."""
    met: set[int] = set()
    end = time.monotonic() + GATHERING
    while len(met) < WORKERS and time.monotonic() < end:
        met.add(scrape(port).worker)
    return sorted(met)


def totals_by_worker(port: int, shoppers: list[Shopper]) -> list[Totals]:
    """What each worker says that can be met within GATHERING seconds, in the order of their ids."""
    said: dict[int, Totals] = {}
    end = time.monotonic() + GATHERING
    while len(said) < WORKERS and time.monotonic() < end:
        totals = Totals(port, shoppers)
        said[totals.worker] = totals
    return [said[worker] for worker in sorted(said)]


def listen(port: int) -> socket.socket:
    """The socket that gunicorn will serve. Bound here, so that a port that is taken is known before anything starts."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        other = port + 1 if 1024 <= port < 65535 else 8000
        raise SystemExit(
            f"demo: cannot use port {port} on {HOST}: {error.strerror}."
            f" Choose another: make demo PORT={other} (or --port {other})"
        ) from None
    listener.listen()
    return listener


@contextmanager
def gunicorn(listener: socket.socket) -> Iterator[subprocess.Popen[bytes]]:
    """The shop under gunicorn on `listener`, with a database of its own, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="shop-") as directory:
        command = [sys.executable, "-m", "gunicorn", "--config", str(CONFIG), "--log-level", "warning"]
        shop = subprocess.Popen(
            [*command, "--bind", f"fd://{listener.fileno()}"],
            env=os.environ | {"SHOP_DATABASE": str(Path(directory, "shop.db"))},
            pass_fds=[listener.fileno()],
            start_new_session=True,  # Ctrl-C reaches the demo alone, which lets the shoppers finish first
        )
        listener.close()
        try:
            yield shop
        finally:
            shop.terminate()
            try:
                shop.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(shop.pid, signal.SIGKILL)
                shop.wait()


@contextmanager
def shoppers_in(port: int) -> Iterator[list[Shopper]]:
    """Shoppers at work; when the block ends each has finished the request it was at."""
    closing = Event()
    shoppers = [Shopper(port, closing, seed) for seed in range(SHOPPERS)]
    for shopper in shoppers:
        shopper.start()
    try:
        yield shoppers
    finally:
        closing.set()
        for shopper in shoppers:
            shopper.join()


def watch(port: int, shoppers: list[Shopper], duration: float | None, signals: queue.SimpleQueue[int]) -> None:
    """A line every few seconds, until a signal comes or `duration` seconds are over."""
    print(f"{'viewed':>25}{'bought':>20}")
    print(f"{'':8}{'answered':>10}{'/metrics':>10}{'answered':>10}{'/metrics':>10}{'requests/s':>13}   /metrics by")
    begin = before = time.monotonic()
    requests = 0
    end = begin + duration if duration else float("inf")
    while before < end:
        try:
            signals.get(timeout=max(min(before + EVERY, end) - time.monotonic(), 0))
            return
        except queue.Empty:
            totals = Totals(port, shoppers)
            now = time.monotonic()
            rate = (totals.requests - requests) / (now - before)
            print(f"{now - begin:6.0f} s{totals.row()}{rate:13.0f}   worker {totals.worker}")
            before, requests = now, totals.requests


def report(said: list[Totals]) -> None:
    """The final tables: a line for each product, one for each worker, and whether anything was lost."""
    totals = said[-1]
    print(f"\n{'':18}{'viewed':>15}{'bought':>20}")
    print(f"{'':16}{'answered':>10}{'/metrics':>10}{'answered':>10}{'/metrics':>10}")
    for product, name, *_ in CATALOGUE:
        print(f"{name:16}{totals.row(product)}")
    print(f"{'all':16}{totals.row()}")
    print(f"{'sold out':16}{'':20}{totals.sold_out:10,}{totals.refusals:10,}")
    print(f"\n{'':16}{'it answered':>12}{'its /metrics: viewed':>23}{'bought':>10}")
    for each in said:
        viewed, bought = (sum(n for (e, _), n in each.metrics.items() if e == event) for event in ("view", "buy"))
        print(f"worker {each.worker:<9}{totals.workers[each.worker]:12,}{viewed:23,}{bought:10,}")
    ended = totals.workers.total() - sum(totals.workers[each.worker] for each in said)
    if ended:
        print(f"{'other workers':16}{ended:12,}")
    if totals.failed:
        print(f"{totals.failed:,} requests failed.")
    lost = max(each.lost for each in said)
    if lost:
        print(f"{lost:,} answered requests are missing from /metrics.")
    else:
        print(f"Every one of {totals.requests - totals.failed:,} answered requests is in /metrics of every worker.")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The shop under gunicorn, with shoppers.")
    parser.add_argument("--port", type=int, default=8000, help="where the shop listens; 0 means any free port")
    parser.add_argument("--duration", type=float, metavar="SECONDS", help="close by itself after so many seconds")
    found = parser.parse_args()
    if not 0 <= found.port <= 65535:
        parser.error(f"--port is a number from 0 to 65535, got {found.port}")
    if found.duration is not None and not found.duration > 0:
        parser.error(f"--duration is a number of seconds above 0, got {found.duration:g}")
    return found


def main() -> int:
    chosen = arguments()
    if importlib.util.find_spec("gunicorn") is None:
        raise SystemExit("demo: gunicorn is not installed: pip install gunicorn")
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a pipe shows the lines as they come, too
    # A SimpleQueue is the one queue that a signal handler may put into whatever the main thread is doing.
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # ignored is what nohup asks for
            signal.signal(number, lambda number, _: signals.put(number))

    listener = listen(chosen.port)
    port = listener.getsockname()[1]
    with gunicorn(listener) as shop:
        try:
            workers = workers_of(port)  # the first request waits in the queue of the socket until gunicorn has started
            print(f"The shop is open: http://{HOST}:{port}/")
            print(f"What it counts:   http://{HOST}:{port}/metrics")
            names = ", ".join(map(str, workers))
            print(f"{len(workers)} workers serve it:  {names} (kill -9 one, and no total goes back)")
            closes = f"It closes in {chosen.duration:g} seconds" if chosen.duration else "It stays open"
            print(f"{SHOPPERS} shoppers send {RATE:g} requests a second. {closes}; Ctrl-C closes it.\n")
            with shoppers_in(port) as shoppers:
                watch(port, shoppers, chosen.duration, signals)
            said = totals_by_worker(port, shoppers)
        except ShopGone as error:
            ended = f"; gunicorn ended with status {shop.returncode}" if shop.poll() is not None else ""
            raise SystemExit(f"demo: the shop does not answer: {error}{ended}") from None
    report(said)
    print("stopped")
    return 1 if any(each.lost for each in said) else 0


if __name__ == "__main__":
    try:
        status = main()
    except BrokenPipeError:  # nobody reads on, as in `python examples/shop/demo.py | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)
