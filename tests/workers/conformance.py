"""Scenarios: what workers do, and the pages that every one of them has to show then, however many processes they are.

A scenario's script has a line for each step: the number of a worker (or `*` for each of them) and a Python statement,
which finds the names of `pyrometer`, the classes below, and whatever the worker assigned before. The words `exits` and
`is killed` end the worker's process, where it has one of its own.
"""

from __future__ import annotations

import difflib
import functools
import os
import re
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.connection import Pipe as make_pipe
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pyrometer
from pyrometer.exposition import OpenMetrics, Text, render
from pyrometer.families import Metric

if TYPE_CHECKING:
    from workers.puppets import Puppet

WORKERS = 3
REGISTRY_NAME = "scenario"
EXITS, KILLED = "exits", "is killed"
EXEMPLAR = re.compile(r"( # \{.*\} \S+) (?:T|\d+(?:\.\d+)?)$", re.MULTILINE)


class Scenario(NamedTuple):
    """A script, and what pages have to say at its end.

    page: families in the order of their names, `T` for every time. Lines after `text|` are those of the text format
    alone, after `open|` those of OpenMetrics; exemplars are OpenMetrics' alone.
    names: the series asked for, if not all.
    """

    name: str
    script: str
    page: str
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

    def remaining(self) -> list[int]:
        """The workers that run at the end."""
        ended = {worker for worker, statement in self.steps() if statement in (EXITS, KILLED)}
        return [worker for worker in range(WORKERS) if worker not in ended]

    def expected(self, openmetrics: bool) -> str:
        """The page in one of the formats."""
        own, other = ("open| ", "text| ") if openmetrics else ("text| ", "open| ")
        lines = [line.removeprefix(own) for line in self.page.strip().splitlines() if not line.startswith(other)]
        return "\n".join([*lines, "# EOF"] if openmetrics else [EXEMPLAR.sub("", line) for line in lines])


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

    def get(self, expression: str) -> Any:
        """What an expression gives, a literal."""
        return eval(expression, self.known)

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

    def get(self, worker: int, expression: str) -> Any:
        """What an expression gives in that worker, a literal."""
        return self._ask(worker, "get", expression)

    def end(self, worker: int, how: str) -> None:
        if how == KILLED:
            os.kill(self.pids[worker], signal.SIGKILL)
        self.pipes[worker].close()
        os.waitpid(self.pids[worker], 0)

    def page(self, worker: int, names: tuple[str, ...] | None, openmetrics: bool) -> str:
        page: str = self._ask(worker, "page", names, openmetrics)
        return page


class InForks:
    """Each worker in a fork of a program."""

    def __init__(self, puppet: Callable[..., Puppet], created: bool, registry_first: bool = True) -> None:
        make = f"cast = Forks({created}, {registry_first})"
        self.program = puppet(f"from workers.conformance import Forks\n{make}")

    def do(self, worker: int, statement: str) -> None:
        self.program.ask(f"cast.do({worker}, {statement!r})")

    def get(self, worker: int, expression: str) -> Any:
        """What an expression gives in that worker, a literal."""
        return self.program.ask(f"cast.get({worker}, {expression!r})")

    def end(self, worker: int, how: str) -> None:
        self.program.ask(f"cast.end({worker}, {how!r})")

    def page(self, worker: int, names: tuple[str, ...] | None, openmetrics: bool) -> str:
        page: str = self.program.ask(f"cast.page({worker}, {names!r}, {openmetrics!r})")
        return page


class InPrograms:
    """Each worker a program of its own; they share nothing but a place."""

    def __init__(self, puppet: Callable[..., Puppet], created: bool, place: Path) -> None:
        make = f"from workers.conformance import Worker\nworker = Worker({created})"
        self.programs = [puppet(make, PYROMETER_ARENA=str(place)) for _ in range(WORKERS)]

    def do(self, worker: int, statement: str) -> None:
        self.programs[worker].ask(f"worker.do({statement!r})")

    def end(self, worker: int, how: str) -> None:
        if how == KILLED:
            self.programs[worker].process.kill()
        self.programs[worker].end()

    def page(self, worker: int, names: tuple[str, ...] | None, openmetrics: bool) -> str:
        page: str = self.programs[worker].ask(f"worker.page({names!r}, {openmetrics!r})")
        return page


def play(scenario: Scenario, cast: Cast) -> None:
    """Do every step, and check the pages of every worker that runs at the end. AssertionError where one is wrong."""
    for worker, statement in scenario.steps():
        if statement in (EXITS, KILLED):
            cast.end(worker, statement)
        else:
            cast.do(worker, statement)
    for openmetrics in (False, True):
        pages = {worker: cast.page(worker, scenario.names, openmetrics) for worker in scenario.remaining()}
        for worker, page in pages.items():
            found, expected = normal(page).splitlines(), scenario.expected(openmetrics).splitlines()
            differences = difflib.unified_diff(expected, found, "expected", f"worker {worker}", n=99, lineterm="")
            assert found == expected, "\n".join(["", *differences])
        assert len({tuple(blocks(page)) for page in pages.values()}) == 1, pages  # times included


def blocks(page: str) -> list[str]:
    """The families of a page, which workers list as they came to know of them, by name."""
    return sorted(re.split(r"^(?=# HELP )", page.removesuffix("# EOF\n"), flags=re.MULTILINE)[1:])


def normal(page: str) -> str:
    """A page with its families in the order of their names, and `T` for every time."""
    text = "".join(blocks(page)) + "# EOF" * page.endswith("# EOF\n")
    text = re.sub(r"^(\w+_created(?:\{.*\})?) \d+(?:\.\d+)?$", r"\1 T", text, flags=re.MULTILINE)
    return EXEMPLAR.sub(r"\1 T", text).strip()


DEFINITIONS = {
    "hits": "Counter('hits', 'Hits', ['of'])",
    "plain": "Counter('plain', 'Plain')",
    "capped": "Counter('capped', 'Capped', ['of'], max_series=3)",
    "level": "Gauge('level', 'Level', ['of'])",
    "took": "Histogram('took', 'Took', ['of'], buckets=[1, 2])",
    "size": "Summary('size', 'Size', ['of'])",
    "build": "Info('build', 'Build', ['of'])",
    "task": "Enum('task', 'Task', ['of'], states=['a', 'b', 'c'])",
}


def random_script(seed: int, length: int = 80) -> str:
    """A script of any steps: each worker defines what it needs when it needs it, counts, holds children, removes."""
    random = Random(seed)
    defined: list[set[str]] = [set() for _ in range(WORKERS)]
    held: list[dict[str, str]] = [{} for _ in range(WORKERS)]
    lines = []
    for number in range(length):
        worker, metric = random.randrange(WORKERS), random.choice(list(DEFINITIONS))
        if metric not in defined[worker]:
            defined[worker].add(metric)
            lines.append(f"{worker} {metric} = {DEFINITIONS[metric]}")
        value = random.choice(["a", "b", 'say "hi"', "two\nlines", "\u00fc"])
        child = metric if metric == "plain" else f"{metric}.labels({value!r})"
        chance = random.random()
        if chance < 0.15 and metric != "plain":
            lines.append(f"{worker} {metric}." + (f"remove({value!r})" if chance < 0.1 else "clear()"))
        elif chance < 0.2:
            lines.append(f"{worker} scrape()")
        elif chance < 0.3:
            held[worker][f"held{number}"] = metric
            lines.append(f"{worker} held{number} = {child}")
        else:
            if chance < 0.5 and held[worker]:
                child, metric = random.choice(list(held[worker].items()))
            lines.append(f"{worker} {child}.{_change(metric, number, random)}")
    return "\n".join(lines)


def _change(metric: str, number: int, random: Random) -> str:
    exemplar = f", exemplar={{'step': '{number}'}}" if random.random() < 0.3 else ""
    return {
        "level": random.choice([f"set({number})", f"inc({number})"]),
        "took": f"observe({random.randrange(4)}{exemplar})",
        "size": f"observe({random.randrange(4)})",
        "build": f"info({{'step': '{number}', 'text': '{'x' * random.randrange(200)}'}})",
        "task": f"state({random.choice('abc')!r})",
    }.get(metric, f"inc({random.randrange(5)}{exemplar})")
