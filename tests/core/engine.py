"""Families of cells without a registry, what they show, and threads and processes that work on them."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pyrometer
from pyrometer._core import COMPILED, header_cy
from pyrometer._core.arena_cy import Arena
from pyrometer._core.children_cy import CounterBase, GaugeBase, HistogramBase, SummaryBase
from pyrometer._core.family_cy import Family
from pyrometer._core.layout import HEAD, packed
from pyrometer._core.metric_cy import MetricBase
from pyrometer._core.news import refresh
from pyrometer._core.render_cy import BUCKET, COUNT, CREATED, STATE, VALUE, Page
from pyrometer._core.snapshot_cy import Snapshot, read_cell

__all__ = ["BUCKET", "COMPILED", "COUNT", "CREATED", "STATE", "VALUE", "Arena", "CounterBase", "Family", "GaugeBase"]
__all__ += ["HEAD", "HistogramBase", "MetricBase", "Page", "Snapshot", "SummaryBase", "read_cell", "refresh"]

T = TypeVar("T", bound=MetricBase)

prepare: Any = header_cy.prepare
"""Makes a file an arena; the compiled core alone has it."""

TIMEOUT = 60.0
"""Seconds after which a process of a test hangs."""
NAMES = tuple(f"l{number}" for number in range(12))
BOUNDS = (1.0, 2.0, 5.0)

COUNTER = (("_total", None, VALUE, 0),)
GAUGE = (("", None, VALUE, 0),)
SUMMARY = (("_count", None, VALUE, 0), ("_sum", None, VALUE, 1))


def counter(
    *labelnames: str, arena: Arena | None = None, max_series: int | None = None, loose: bool = False
) -> CounterBase:
    """A counter `c`, known to the processes forked later unless it is loose."""
    family = Family(arena or Arena(), "counter", "c", "", "", labelnames, COUNTER, 1, "", (), max_series)
    return _attached(CounterBase(), family, loose)


def gauge(*labelnames: str, max_series: int | None = None) -> GaugeBase:
    """A gauge `g`."""
    family = Family(Arena(), "gauge", "g", "", "", labelnames, GAUGE, 1, "", (), max_series)
    return _attached(GaugeBase(), family)


def summary(*labelnames: str) -> SummaryBase:
    """A summary `s`."""
    return _attached(SummaryBase(), Family(Arena(), "summary", "s", "", "", labelnames, SUMMARY, 2))


def histogram(*labelnames: str, bounds: Sequence[float] = BOUNDS) -> HistogramBase:
    """A histogram `h` with these upper bounds, and +Inf."""
    texts = [*map(str, bounds), "+Inf"]
    lines = [("_bucket", text, BUCKET, place + 1) for place, text in enumerate(texts)]
    lines += [("_count", None, COUNT, 0), ("_sum", None, VALUE, 0)]  # type: ignore[list-item]
    cells = len(bounds) + 2
    family = Family(Arena(), "histogram", "h", "", "", labelnames, tuple(lines), cells, "le", tuple(bounds))
    return _attached(HistogramBase(), family)


_definitions = count()


def _attached(handle: T, family: Family, loose: bool = False) -> T:
    definition = [family.name, f"{next(_definitions)}"]
    if not loose:
        family.enroll(packed(definition), lambda others: bool(others == definition))
    handle._attach(family, not family.labelnames)
    return handle


def child(metric: MetricBase, *values: object, **named: object) -> CounterBase:
    """The child of a counter for these label values."""
    found = metric.labels(*values, **named)
    assert isinstance(found, CounterBase)
    return found


def counted(metric: MetricBase) -> dict[tuple[str, ...], float]:
    """The first cell of every series a page would show, by label values, in order."""
    family = metric._family
    refresh(family.arena)
    return {family.values(text): read_cell(cell) for cell, text, _ in Snapshot(family).records()}


def cells(metric: CounterBase) -> dict[tuple[str, ...], int]:
    """The addresses of the cells of all series that a page would show."""
    family = metric._family
    refresh(family.arena)
    return {family.values(text): cell for cell, text, _ in Snapshot(family).records()}


def makings(metric: CounterBase) -> list[int]:
    """The numbers of the events by which the series were made, in the order of a page."""
    arena: Any = metric._family.arena
    return [arena.record(cell - HEAD - arena.at)[2] for cell in cells(metric).values()]


def check_apart(metric: CounterBase) -> None:
    """No series is there twice, no two share a cell, and they are in the order of their making."""
    records = Snapshot(metric._family).records()
    assert len(records) == len({text for _, text, _ in records}) == len({cell for cell, _, _ in records})
    made = makings(metric)
    assert made == sorted(set(made))


def page_of(metric: MetricBase, *, go: bool = False) -> str:
    """The lines a page has of a family."""
    family: Family = metric._family
    lines = []
    for suffix, extra, source, cell in family.lines:
        braces = bool(family.labelnames or extra is not None)
        comma = "," if family.labelnames else ""
        before = bool(family.labelnames) and extra is not None and family.extra_label < min(family.labelnames)
        label = "" if extra is None else f'{family.extra_label}="{extra}"'
        if label:
            label = f"{label}{comma}" if before else f"{comma}{label}"
        head = f"{family.name}{suffix}{'{' if braces else ''}"
        lines.append((head.encode(), label.encode(), b"} " if braces else b" ", source, cell))
    page = Page(go)
    refresh(family.arena)
    page.rows(Snapshot(family), lines)
    return page.finish().decode()


def together(work: Callable[[int], None], threads: int = 8) -> None:
    """Run `work(number)` in all threads at once; raises what the first of them raised."""
    barrier = threading.Barrier(threads)
    errors: list[BaseException] = []

    def start(number: int) -> None:
        try:
            barrier.wait()
            work(number)
        except BaseException as error:
            errors.append(error)

    started = [threading.Thread(target=start, args=(number,)) for number in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    if errors:
        raise errors[0]


class Forked:
    """A process forked from this one that runs `work` and ends."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._ended, ours = os.pipe()
        self.running = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads at a fork are what some tests are about
            self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                work()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        os.close(ours)

    def join(self) -> None:
        """Wait for its end; AssertionError unless it ended well, and in time."""
        ended, _, _ = select.select([self._ended], [], [], TIMEOUT)
        if not ended:
            os.kill(self.pid, signal.SIGKILL)
        os.close(self._ended)
        self.running = False
        _, status = os.waitpid(self.pid, 0)
        assert ended, "the forked process hangs"
        assert status == 0, f"the forked process ended with status {status}"

    def kill(self) -> None:
        """End it by SIGKILL, wherever it is."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._ended)
        self.running = False

    def stop(self) -> None:
        """Stop it by SIGSTOP, wherever it is, and wait until it is."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)

    def go_on(self) -> None:
        """End a stop."""
        os.kill(self.pid, signal.SIGCONT)


@contextmanager
def forked(work: Callable[[], object]) -> Iterator[Forked]:
    """A process forked from this one, which is killed at the end unless it has been waited for."""
    process = Forked(work)
    try:
        yield process
    finally:
        if process.running:
            process.kill()


class Gate:
    """Where processes wait for one another: who takes waits for who gives."""

    def __init__(self) -> None:
        self._out, self._in = os.pipe()

    def give(self, times: int = 1) -> None:
        os.write(self._in, b"x" * times)

    def take(self, times: int = 1) -> None:
        """AssertionError where nobody gives in time."""
        for _ in range(times):
            ready, _, _ = select.select([self._out], [], [], TIMEOUT)
            assert ready, "nobody opened the gate"
            os.read(self._out, 1)

    def sleep(self) -> None:
        """Wait as long as it takes; for ever where nobody gives."""
        os.read(self._out, 1)

    def __del__(self) -> None:
        os.close(self._out)
        os.close(self._in)


def remade(metric: MetricBase, value: str) -> int:
    """The address of a new series, which is removed at once."""
    address: int = child(metric, value)._address
    metric._family.remove((value,))
    return address


def until_used_again(metric: MetricBase) -> None:
    """Make and remove series until one has the address of one before; AssertionError where none has in time."""
    deadline = time.monotonic() + TIMEOUT / 6
    addresses: set[int] = set()
    while (address := remade(metric, "again")) not in addresses:
        addresses.add(address)
        assert time.monotonic() < deadline, "nothing is used again"


def calm() -> None:
    """Wait until this process uses again what is removed: not before a second has passed since it forked."""
    until_used_again(counter("l"))


def run(code: str, *, interpreted: bool | None = None) -> str:
    """Run a program in a new interpreter, by default with the core under test; returns what it printed.

    AssertionError if it did not end well, or said anything on its standard error.
    """
    variables = {**os.environ, "PYTHONPATH": str(Path(pyrometer.__file__).parent.parent)}
    variables["PYROMETER_NO_EXT"] = "1" if interpreted or (interpreted is None and not COMPILED) else "0"
    command = [sys.executable, "-X", "faulthandler", "-c", code]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, f"status {done.returncode}: {done.stderr}"
    assert done.stderr == "", done.stderr
    return done.stdout
