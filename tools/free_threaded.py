"""For a free-threaded interpreter: importing Pyrometer leaves the interpreter lock off, and threads lose no count."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

THREADS = 8
ROUNDS = 250_000
PRODUCTS = ("product1", "product2", "product3")


def main() -> int:
    """Check it all; return the exit status."""
    if locked():
        print("this interpreter has its lock on from the start")
        return 1
    from pyrometer import CollectorRegistry, Counter, Histogram, _core, generate_latest

    registry = CollectorRegistry()
    plain = Counter("plain", "One cell.", registry=registry)
    view = Counter("view", "One family.", ["product"], registry=registry)
    seconds = Histogram("seconds", "One histogram.", registry=registry)
    started = time.perf_counter()

    def work() -> None:
        for number in range(ROUNDS):
            plain.inc()
            view.labels(PRODUCTS[number % len(PRODUCTS)]).inc()
            view.labels(product="new" + str(number % 1000)).inc()
            seconds.observe(number % 20)
            if number % 50_000 == 0:
                generate_latest(registry)

    together(work)
    took = time.perf_counter() - started
    page = generate_latest(registry).decode()
    expected = THREADS * ROUNDS
    counted = {
        "plain": sample(page, "plain_total"),
        "view": sum(sample(page, f'view_total{{product="{name}"}}') for name in PRODUCTS),
        "view, new label values": sum(sample(page, f'view_total{{product="new{n}"}}') for n in range(1000)),
        "seconds": sample(page, "seconds_count"),
    }
    wrong = {name: count for name, count in counted.items() if count != expected}
    print(f"{THREADS} threads, {expected} times each: {wrong or 'every count exact'} ({took:.1f} s)")
    if not _core.COMPILED:
        print("the compiled core is not in use")
    if locked():
        print("the interpreter lock was switched on: a compiled module does not say freethreading_compatible")
    return int(bool(wrong) or not _core.COMPILED or locked())


def locked() -> bool:
    """Whether the interpreter lock is on; always so where it cannot be off."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def together(work: Callable[[], None]) -> None:
    """Run `work` in all threads at once."""
    barrier = threading.Barrier(THREADS)

    def start() -> None:
        barrier.wait()
        work()

    threads = [threading.Thread(target=start) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def sample(page: str, series: str) -> float:
    """The value of `series` on a page in the text format."""
    (value,) = [line.rpartition(" ")[2] for line in page.splitlines() if line.rpartition(" ")[0] == series]
    return float(value)


if __name__ == "__main__":
    sys.exit(main())
