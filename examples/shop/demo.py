"""The shop under gunicorn, with shoppers who look and buy over HTTP; every few seconds, what was answered and counted.

    python examples/shop/demo.py [--port 8000] [--duration SECONDS]

Ctrl-C (or SIGTERM, or the end of --duration) closes it: the shoppers first, then gunicorn. The exit status is 0, or 1
when the shop could not open, or when /metrics has fewer views or sales than the shoppers were given.
"""

import argparse
import importlib.util
import os
import queue
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Event, Lock, Thread

from store import CATALOGUE

HOST = "127.0.0.1"
SHOPPERS = 8
RATE = 40.0  # requests in a second, of all shoppers together
EVERY = 3.0  # seconds between two lines
PATIENCE = 20.0  # seconds that gunicorn may take to answer, or to stop

Counts = Counter[tuple[str, str]]  # ("view" or "buy", product) -> how many


class ShopGone(Exception):
    """The shop does not answer; the text says how that was noticed."""


class Shopper(Thread):
    """Somebody who looks and buys on one connection until `closing` is set.

    `answered` and `sold_out` count what the shop answered with 200 and with 409, `failed` everything else. They change
    only under `busy`, which is held for as long as a request is under way.
    """

    def __init__(self, port: int, closing: Event, seed: int) -> None:
        super().__init__(name=f"shopper {seed}")
        self.busy = Lock()
        self.answered: Counts = Counter()
        self.sold_out = 0
        self.failed = 0
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
            page = scrape(port)
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


def scrape(port: int) -> str:
    """The text of /metrics. Raises ShopGone when the answer is not that."""
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
    return text


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
def gunicorn(listener: socket.socket) -> Iterator["subprocess.Popen[bytes]"]:
    """The shop under gunicorn on `listener`, with a database of its own, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="shop-") as directory:
        config = Path(__file__).with_name("gunicorn.conf.py")
        command = [sys.executable, "-m", "gunicorn", "--config", str(config), "--log-level", "warning"]
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


def watch(port: int, shoppers: list[Shopper], duration: float | None, signals: "queue.SimpleQueue[int]") -> None:
    """A line every few seconds, until a signal comes or `duration` seconds are over."""
    print(f"{'viewed':>25}{'bought':>20}")
    print(f"{'':8}{'answered':>10}{'/metrics':>10}{'answered':>10}{'/metrics':>10}{'requests/s':>13}")
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
            print(f"{now - begin:6.0f} s{totals.row()}{rate:13.0f}")
            before, requests = now, totals.requests


def report(totals: Totals) -> None:
    """The final table: a line for each product, and whether anything was lost."""
    print(f"\n{'':18}{'viewed':>15}{'bought':>20}")
    print(f"{'':16}{'answered':>10}{'/metrics':>10}{'answered':>10}{'/metrics':>10}")
    for product, name, *_ in CATALOGUE:
        print(f"{name:16}{totals.row(product)}")
    print(f"{'all':16}{totals.row()}")
    print(f"{'sold out':16}{'':20}{totals.sold_out:10,}{totals.refusals:10,}")
    if totals.failed:
        print(f"{totals.failed:,} requests failed.")
    if totals.lost:
        print(f"{totals.lost:,} answered requests are missing from /metrics.")
    else:
        print(f"Every one of {totals.requests - totals.failed:,} answered requests is in /metrics.")


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
            scrape(port)  # waits in the queue of the socket until gunicorn has started
            print(f"The shop is open: http://{HOST}:{port}/")
            print(f"What it counts:   http://{HOST}:{port}/metrics")
            closes = f"It closes in {chosen.duration:g} seconds" if chosen.duration else "It stays open"
            print(f"{SHOPPERS} shoppers send {RATE:g} requests a second. {closes}; Ctrl-C closes it.\n")
            with shoppers_in(port) as shoppers:
                watch(port, shoppers, chosen.duration, signals)
            totals = Totals(port, shoppers)
        except ShopGone as error:
            ended = f"; gunicorn ended with status {shop.returncode}" if shop.poll() is not None else ""
            raise SystemExit(f"demo: the shop does not answer: {error}{ended}") from None
    report(totals)
    print("stopped")
    return 1 if totals.lost else 0


if __name__ == "__main__":
    try:
        status = main()
    except BrokenPipeError:  # nobody reads on, as in `python examples/shop/demo.py | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)
