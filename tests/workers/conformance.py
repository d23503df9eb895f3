"""Scenarios: what workers do, and the pages that every one of them has to show then, however many processes they are.

A scenario's script has a line for each step: the number of a worker (or `*` for each of them) and a Python statement,
which finds the names of `pyrometer`, the classes below, and whatever the worker assigned before. The words `exits` and
`is killed` end the worker's process, where it has one of its own.
"""

from __future__ import annotations

import functools
import os
import re
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.connection import Pipe as make_pipe
from typing import Any, NamedTuple, Protocol

import pyrometer
from pyrometer.exposition import OpenMetrics, Text, render
from pyrometer.families import Metric

WORKERS = 3
REGISTRY_NAME = "scenario"
EXITS, KILLED = "exits", "is killed"


class Scenario(NamedTuple):
    """A script, and the pages expected at its end, with `T` for every time; lines of a page in the order of names."""

    name: str
    script: str
    text: str
    openmetrics: str
    created: bool = False
    names: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return self.name

    def steps(self) -> Iterator[tuple[int, str]]:
        """(worker, statement) of every step."""
        for line in self.script.strip().splitlines():
            who, _, statement = line.strip().partition(" ")
            for worker in range(WORKERS) if who == "*" else [int(who)]:
                yield worker, statement.strip()

    def ended(self) -> set[int]:
        """The workers that no longer run at the end."""
        return {worker for worker, statement in self.steps() if statement in (EXITS, KILLED)}


class Giving:
    """A collector that gives these families."""

    def __init__(self, *families: Metric) -> None:
        self.families = families

    def collect(self) -> Iterable[Metric]:
        return self.families


class Failing:
    """A collector that fails so many times, and then gives nothing."""

    def __init__(self, times: int) -> None:
        self.times = times

    def collect(self) -> Iterable[Metric]:
        if self.times:
            self.times -= 1
            raise RuntimeError("not yet")
        return ()


class Worker:
    """Does the steps of one worker, on a registry that it shares with the others."""

    def __init__(self, created: bool, registry: pyrometer.CollectorRegistry | None = None) -> None:
        policy = pyrometer.Policy(created_series=created)
        self.registry = registry or pyrometer.CollectorRegistry(name=REGISTRY_NAME, policy=policy)
        kinds = ("Counter", "Gauge", "Summary", "Histogram", "Info", "Enum")
        self.known: dict[str, Any] = {
            **{name: functools.partial(getattr(pyrometer, name), registry=self.registry) for name in kinds},
            **{name: getattr(pyrometer.families, name) for name in ("GaugeMetricFamily", "CounterMetricFamily")},
            "Giving": Giving,
            "Failing": Failing,
            "registry": self.registry,
            "scrape": lambda: render(self.registry, Text()),
        }

    def do(self, statement: str) -> None:
        """Do a step; raises what it raises."""
        exec(statement, self.known)

    def page(self, names: tuple[str, ...] | None, openmetrics: bool) -> str:
        """The page of the registry, restricted to the series of these names where some are given."""
        registry = self.registry if names is None else self.registry.restricted_registry(names)
        return render(registry, OpenMetrics() if openmetrics else Text()).decode()


class Cast(Protocol):
    """Several workers."""

    def do(self, worker: int, statement: str) -> None: ...

    def end(self, worker: int, how: str) -> None: ...

    def page(self, worker: int, names: tuple[str, ...] | None, openmetrics: bool) -> str: ...


class OneProcess:
    """All workers in this process."""

    def __init__(self, created: bool) -> None:
        registry = pyrometer.CollectorRegistry(policy=pyrometer.Policy(created_series=created))
        self.workers = [Worker(created, registry) for _ in range(WORKERS)]

    def do(self, worker: int, statement: str) -> None:
        self.workers[worker].do(statement)

    def end(self, worker: int, how: str) -> None:
        """There is no process to end."""

    def page(self, worker: int, names: tuple[str, ...] | None, openmetrics: bool) -> str:
        return self.workers[worker].page(names, openmetrics)


class Forks:
    """Each worker in a fork of this process; with `registry_first` the registry is made before they are forked."""

    def __init__(self, created: bool, registry_first: bool = True) -> None:
        shared = Worker(created) if registry_first else None
        self.pipes: list[Connection] = []
        self.pids: list[int] = []
        for _ in range(WORKERS):
            here, there = make_pipe()
            pid = os.fork()
            if pid == 0:
                for pipe in [here, *self.pipes]:
                    pipe.close()
                self._serve(shared or Worker(created), there)
            there.close()
            self.pipes.append(here)
            self.pids.append(pid)

    @staticmethod
    def _serve(worker: Worker, pipe: Connection) -> None:
        while True:
            try:
                method, arguments = pipe.recv()
            except EOFError:
                os._exit(0)
            try:
                pipe.send((getattr(worker, method)(*arguments), ""))
            except Exception:
                pipe.send((None, traceback.format_exc()))

    def _ask(self, worker: int, method: str, *arguments: Any) -> Any:
        self.pipes[worker].send((method, arguments))
        answer, error = self.pipes[worker].recv()
        assert not error, f"worker {worker}, {arguments}: {error}"
        return answer

    def do(self, worker: int, statement: str) -> None:
        self._ask(worker, "do", statement)

    def end(self, worker: int, how: str) -> None:
        if how == KILLED:
            os.kill(self.pids[worker], signal.SIGKILL)
        self.pipes[worker].close()
        os.waitpid(self.pids[worker], 0)

    def page(self, worker: int, names: tuple[str, ...] | None, openmetrics: bool) -> str:
        page: str = self._ask(worker, "page", names, openmetrics)
        return page


class Asked:
    """Workers that are programs of their own: `asks` has, for each, the function that makes it evaluate a line."""

    def __init__(self, asks: list[Callable[[str], Any]], ends: list[Callable[[], None]], pids: list[int]) -> None:
        self.asks = asks
        self.ends = ends
        self.pids = pids

    def do(self, worker: int, statement: str) -> None:
        self.asks[worker](f"worker.do({statement!r})")

    def end(self, worker: int, how: str) -> None:
        if how == KILLED:
            os.kill(self.pids[worker], signal.SIGKILL)
        self.ends[worker]()

    def page(self, worker: int, names: tuple[str, ...] | None, openmetrics: bool) -> str:
        page: str = self.asks[worker](f"worker.page({names!r}, {openmetrics!r})")
        return page


def play(scenario: Scenario, cast: Cast) -> None:
    """Do every step."""
    for worker, statement in scenario.steps():
        if statement in (EXITS, KILLED):
            cast.end(worker, statement)
        else:
            cast.do(worker, statement)


def differences(scenario: Scenario, pages: list[tuple[str, str]]) -> str:
    """What is wrong with the pages (text, OpenMetrics) of the workers at the end; nothing where all is right."""
    wrong = []
    for number, (text, openmetrics) in enumerate(pages):
        for page, expected in ((text, scenario.text), (openmetrics, scenario.openmetrics)):
            if normal(page) != expected.strip():
                wrong.append(f"page {number} is\n{normal(page)}\nexpected\n{expected.strip()}\n")
        for page, first in zip((text, openmetrics), pages[0]):
            if blocks(page) != blocks(first):  # times included
                wrong.append(f"page {number} is\n{page}\npage 0\n{first}\n")
    return "\n".join(wrong)


def blocks(page: str) -> list[str]:
    """The families of a page, which workers list as they came to know of them, by name."""
    return sorted(re.split(r"^(?=# HELP )", page.removesuffix("# EOF\n"), flags=re.MULTILINE)[1:])


def normal(page: str) -> str:
    """A page with its families in the order of their names, and `T` for every time."""
    text = "".join(blocks(page)) + "# EOF" * page.endswith("# EOF\n")
    text = re.sub(r"^(\w+_created(?:\{.*\})?) \d+(?:\.\d+)?$", r"\1 T", text, flags=re.MULTILINE)
    return re.sub(r"( # \{.*\} \S+) \d+(?:\.\d+)?$", r"\1 T", text, flags=re.MULTILINE).strip()
