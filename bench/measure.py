"""Measurements: timed loops that take turns, and what came of their rounds.

The clock is the CPU time of the process with all its threads: what is timed waits for nothing, so that is what it
costs, and what else the machine does meanwhile is not in it. Slices are short and many, so that what the machine's
load does to caches and to the clock rate falls on all contenders of a round.
"""

from __future__ import annotations

import gc
import itertools
import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

Run = Callable[[int], float]
"""Does something so many times and returns how many nanoseconds that took in all."""

Key = TypeVar("Key", bound=Hashable)
_groups = itertools.count(1)


@dataclass(frozen=True)
class Measurement:
    """What one contender did, once per round.

    ``rounds`` are in ``unit``. Measurements of the same ``group`` were taken in turns: their rounds of the same index
    lie next to each other in time. ``loop`` is what an empty Python loop cost in each round; it is contained in
    ``rounds``, and empty where there is no such loop.
    """

    rounds: tuple[float, ...]
    unit: str = "ns"
    group: int = 0
    note: str = ""
    loop: tuple[float, ...] = ()

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles, as a fraction of the median."""
        if len(self.rounds) < 2 or not self.median:
            return 0.0
        lower, _, upper = statistics.quantiles(self.rounds, n=4, method="inclusive")
        return (upper - lower) / 2 / self.median

    def over(self, other: Measurement) -> float:
        """How many times ``other`` this is: the median of the rounds' ratios, or the ratio of the medians where the
        two were not measured in turns."""
        if self.unit != other.unit:
            raise ValueError(f"a ratio needs one unit, got {self.unit} and {other.unit}")
        if self.group and self.group == other.group and len(self.rounds) == len(other.rounds):
            return statistics.median(_ratio(a, b) for a, b in zip(self.rounds, other.rounds, strict=True))
        return _ratio(self.median, other.median)

    def net(self) -> Measurement:
        """The same measurement without the empty loop."""
        if not self.loop:
            return self
        rounds = tuple(max(each - loop, 0.0) for each, loop in zip(self.rounds, self.loop, strict=True))
        return Measurement(rounds, self.unit, self.group, self.note)

    def per(self, count: int, note: str = "") -> Measurement:
        """The same measurement for each of ``count`` parts."""
        return Measurement(tuple(value / count for value in self.rounds), self.unit, self.group, note)


def _ratio(value: float, reference: float) -> float:
    return value / reference if reference > 0 else float("inf")


@dataclass(frozen=True)
class Contender:
    """Something to time.

    ``loop`` is the same loop with nothing in it, where the loop is Python's. ``least`` is the smallest number of
    executions worth timing, where something else is done once per run.
    """

    run: Run
    loop: Run | None = None
    least: int = 1


def statement(source: str, names: Mapping[str, Any] | None = None, values: Sequence[Any] = (None,)) -> Contender:
    """A contender that executes ``source`` in a Python loop.

    ``names`` are local variables of the loop, and ``value`` runs through ``values`` over and over.
    """
    return Contender(_loop(source, names or {}, values), _loop("pass", {}, values))


def _loop(source: str, names: Mapping[str, Any], values: Sequence[Any]) -> Run:
    parameters = "".join(f", {name}={name}" for name in names)
    code = (
        f"def run(count{parameters}):\n"
        "    values = islice(cycle(pool), count)\n"
        "    start = clock()\n"
        "    for value in values:\n"
        f"        {source}\n"
        "    return clock() - start\n"
    )
    namespace = {
        "islice": itertools.islice,
        "cycle": itertools.cycle,
        "clock": time.process_time_ns,
        "pool": values,
        **names,
    }
    exec(compile(code, f"<{source}>", "exec"), namespace)
    run: Run = namespace["run"]
    return run


def interleave(contenders: Mapping[Key, Contender], rounds: int, seconds: float) -> dict[Key, Measurement]:
    """Measures all ``contenders`` in turns.

    Each round runs every contender once, for about ``seconds`` (at least one time, however long that takes), starting
    with another one each round. The garbage collector is off while a contender is timed and runs before it. Returns
    nanoseconds per execution, Python's loop included and measured beside it.
    """
    counts = {key: _count_for(contender, seconds) for key, contender in contenders.items()}
    taken: dict[Key, list[float]] = {key: [] for key in contenders}
    loops: dict[Key, list[float]] = {key: [] for key in contenders}
    keys = list(contenders)
    for number in range(rounds):
        start = number % len(keys)
        for key in keys[start:] + keys[:start]:
            contender, count = contenders[key], counts[key]
            taken[key].append(timed(contender.run, count))
            if contender.loop is not None:
                loops[key].append(timed(contender.loop, count))
    group = next(_groups)
    return {key: Measurement(tuple(taken[key]), group=group, loop=tuple(loops[key])) for key in keys}


def timed(run: Run, count: int) -> float:
    """Nanoseconds per execution of one run of ``count``, with the garbage collector off."""
    was_enabled = gc.isenabled()
    gc.collect(0)
    gc.disable()
    try:
        return run(count) / count
    finally:
        if was_enabled:
            gc.enable()


def _count_for(contender: Contender, seconds: float) -> int:
    """How many executions take about ``seconds``; the search for it warms the contender up."""
    wanted = seconds * 1e9
    count = contender.least
    while True:
        elapsed = timed(contender.run, count) * count
        if elapsed >= wanted / 4:
            return max(contender.least, round(count * wanted / max(elapsed, 1.0)))
        count = count * 10 if elapsed < wanted / 40 else count * 3
