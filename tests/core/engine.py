"""Families of cells without a registry, what they show, and threads and processes that work on them."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pyrometer
from pyrometer._core import COMPILED
from pyrometer._core.arena_cy import Arena
from pyrometer._core.children_cy import CounterBase, GaugeBase, HistogramBase, SummaryBase
from pyrometer._core.render_cy import BUCKET, COUNT, CREATED, STATE, VALUE, Page
from pyrometer._core.series_cy import Family, MetricBase
from pyrometer._core.snapshot_cy import Snapshot, read_cell

__all__ = ["BUCKET", "COMPILED", "COUNT", "CREATED", "STATE", "VALUE", "Arena", "CounterBase", "Family", "GaugeBase"]
__all__ += ["HistogramBase", "MetricBase", "Page", "Snapshot", "SummaryBase", "read_cell"]

T = TypeVar("T", bound=MetricBase)

TIMEOUT = 60.0
"""Seconds after which a process of a test hangs."""
NAMES = tuple(f"l{number}" for number in range(12))
BOUNDS = (1.0, 2.0, 5.0)

COUNTER = (("_total", None, VALUE, 0),)
GAUGE = (("", None, VALUE, 0),)
SUMMARY = (("_count", None, VALUE, 0), ("_sum", None, VALUE, 1))


def counter(*labelnames: str, arena: Arena | None = None, max_series: int | None = None) -> CounterBase:
    """A counter `c`."""
    family = Family(arena or Arena(), "counter", "c", "", "", labelnames, COUNTER, 1, "", (), max_series)
    return _attached(CounterBase(), family)


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


def _attached(handle: T, family: Family) -> T:
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
    return {family.values(text): read_cell(cell) for cell, text, _ in Snapshot(family).records()}


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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads at a fork are what some tests are about
            self._pid = os.fork()
        if self._pid == 0:
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
            os.kill(self._pid, signal.SIGKILL)
        os.close(self._ended)
        _, status = os.waitpid(self._pid, 0)
        assert ended, "the forked process hangs"
        assert status == 0, f"the forked process ended with status {status}"


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
