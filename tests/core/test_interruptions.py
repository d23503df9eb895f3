"""Signal handlers and finalizers that use a family while it is being used: nothing is lost, doubled or broken."""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from core.engine import TIMEOUT, MetricBase, child, counted, counter, page_of


class Finalized:
    """Garbage that only the collector finds, and that uses a metric when it does."""

    def __init__(self, use: Callable[[], None]) -> None:
        self.use = use
        self.itself = self

    def __del__(self) -> None:
        self.use()


def use(metric: MetricBase, turn: int) -> None:
    """Everything a program does with a family."""
    child(metric, f"{turn % 50}").inc()
    child(metric, f"new{turn}").inc()
    if turn > 10:
        metric._family.remove((f"new{turn - 10}",))
    if turn % 20 == 0:
        page = page_of(metric)
        assert page.count("\n") == len(set(page.splitlines()))


@pytest.fixture
def alarm() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Run a function from a signal handler, every 0.2 ms until the end of the test."""
    before = signal.getsignal(signal.SIGALRM)

    def begin(function: Callable[[], None]) -> None:
        signal.signal(signal.SIGALRM, lambda *_: function())
        signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)

    yield begin
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_signal_handler(alarm: Callable[[Callable[[], None]], None]) -> None:
    """A handler that counts in the middle of counting, making, removing and showing series is counted exactly."""
    metric, handled = counter("l"), 0

    def handle() -> None:
        nonlocal handled
        handled += 1
        child(metric, "0").inc()
        child(metric, f"handler{handled}").inc()
        metric._family.remove((f"handler{handled - 5}",))

    alarm(handle)
    turn = 0
    deadline = time.monotonic() + TIMEOUT
    while handled < 500:
        use(metric, turn)
        turn += 1
        assert time.monotonic() < deadline
    signal.setitimer(signal.ITIMER_REAL, 0)
    shown = counted(metric)
    assert shown[("0",)] == len(range(0, turn, 50)) + handled
    assert sum(shown[(f"{number}",)] for number in range(50)) == turn + handled


def test_signal_handler_makes_the_same_series(alarm: Callable[[Callable[[], None]], None]) -> None:
    """A series that a handler makes while it is being made is one series, with both counts."""
    metric, handled, turn = counter("l"), 0, 0
    counts: dict[str, int] = {}

    def count() -> None:
        value = f"{turn}"
        child(metric, value).inc()
        counts[value] = counts.get(value, 0) + 1

    def handle() -> None:
        nonlocal handled
        handled += 1
        child(metric, f"{turn}").inc()

    alarm(handle)
    deadline = time.monotonic() + TIMEOUT
    while handled < 300:
        count()
        turn += 1
        assert time.monotonic() < deadline
    signal.setitimer(signal.ITIMER_REAL, 0)
    shown = counted(metric)
    lines = page_of(metric).splitlines()
    assert len(lines) == len({line.partition(" ")[0] for line in lines})
    assert sum(shown.values()) == turn + handled


def test_finalizers(often: None) -> None:
    """Finalizers that the collector runs in the middle of anything may use the same family."""
    metric, finalized = counter("l"), 0

    def finalize() -> None:
        nonlocal finalized
        finalized += 1
        child(metric, "0").inc()
        use(metric, finalized)

    for turn in range(3000):
        Finalized(finalize)
        use(metric, turn)
    gc.collect()
    shown = counted(metric)
    assert finalized == 3000
    assert sum(shown[(f"{number}",)] for number in range(50)) == 3000 + 2 * finalized


def test_finalizer_while_holes_are_closed() -> None:
    """A finalizer that makes many series, the very one that is being made among them, while rows are moved."""
    metric = counter("l")
    for turn in range(60):
        metric._family.remove_where(None)
        for number in range(200):
            child(metric, f"old{number}")
        metric._family.remove_where(None)
        made = [0]

        def finalize(made: list[int] = made) -> None:
            for number in range(2000):
                child(metric, f"new{number}").inc()
            made[0] += 1

        Finalized(finalize)
        gc.disable()
        kept: list[list[int]] = [[] for _ in range(turn)]
        threshold = gc.get_threshold()
        gc.set_threshold(gc.get_count()[0] + 1 + turn % 10, 1000, 1000)
        gc.enable()
        child(metric, "new0").inc()
        gc.set_threshold(*threshold)
        del kept
        gc.collect()
        child(metric, "new1").inc()
        assert counted(metric)[("new0",)] == 1 + made[0]
        assert page_of(metric).count('l="new0"') == 1
