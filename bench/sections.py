"""The sections of a run: each measures some rows of the table for every contender there is."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench import fresh, hot, lock, memory, startup, threads, workers
from bench.golang import NAME as GO
from bench.golang import Program
from bench.libraries import Library
from bench.measure import Contender, Measurement, interleave
from bench.pages import Page
from bench.targets import Key


@dataclass(frozen=True)
class Sizes:
    """How much is measured: all of it, or with ``--quick`` a part whose ratios are rough."""

    rounds: int = 101
    seconds: float = 0.006
    counters: int = 100_000
    histograms: int = 10_000
    page_rounds: int = 7
    page_seconds: float = 0.25
    thread_rounds: int = 7
    thread_seconds: float = 0.06
    lock_series: int = 1_000_000
    lock_processes: int = 5
    lock_scrapes: int = 5
    memory_series: int = 100_000
    memory_processes: int = 3
    starts: int = 21
    worker_rounds: int = 31
    worker_counters: int = 10_000
    worker_histograms: int = 1_000
    dead_workers: int = 1_000
    dead_workers_reference: int = 200
    churned: int = 1_000_000
    churned_reference: int = 100_000


FULL = Sizes()
QUICK = Sizes(
    rounds=21,
    seconds=0.003,
    counters=10_000,
    histograms=1_000,
    page_rounds=3,
    page_seconds=0.02,
    thread_rounds=3,
    thread_seconds=0.03,
    lock_series=100_000,
    lock_processes=1,
    lock_scrapes=3,
    memory_series=50_000,
    memory_processes=1,
    starts=5,
    worker_rounds=9,
    worker_counters=5_000,
    worker_histograms=500,
    dead_workers=100,
    dead_workers_reference=50,
    churned=50_000,
    churned_reference=10_000,
)


@dataclass
class Bench:
    """Everything a section needs, and what the sections found so far."""

    libraries: Mapping[str, Library]
    go: Program | None
    empty: Contender
    sizes: Sizes
    titles: dict[str, str] = field(default_factory=dict)
    results: dict[Key, Measurement] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def hot_group(self, group: str) -> None:
        subjects = {name: hot.Subject(library) for name, library in self.libraries.items()}
        contenders: dict[Key, Contender] = {}
        self.titles["loop"] = "an empty Python loop (part of every Python figure of one statement)"
        for row in hot.GROUPS[group]:
            self.titles[row.key] = row.title
            contenders[row.key, "empty"] = self.empty
            for name, subject in subjects.items():
                contenders[row.key, name] = subject.contender(row)
            if self.go is not None:
                contenders[row.key, GO] = self.go.contender(row.key)
        taken = interleave(contenders, self.sizes.rounds, self.sizes.seconds)
        self.results.update(taken)
        empty = taken[hot.GROUPS[group][0].key, "empty"]
        self.results["loop", "empty"] = Measurement(empty.loop)

    def scrape(self, kind: str) -> None:
        series = getattr(self.sizes, kind)
        self.titles[kind] = f"scrape, {series:,} {'labelled counters' if kind == 'counters' else 'histograms'}"
        self.titles[f"{kind}_line"] = "the same, per line"
        pages = {name: Page(library, kind, series) for name, library in self.libraries.items()}
        contenders: dict[Key, Contender] = {(kind, name): page.contender() for name, page in pages.items()}
        lines = {name: page.lines for name, page in pages.items()}
        if self.go is not None:
            self.go.do(kind, 1)
            lines[GO] = self.go.lines[kind]
            contenders[kind, GO] = self.go.contender(kind)
        taken = interleave(contenders, self.sizes.page_rounds, self.sizes.page_seconds)
        for (_, name), measurement in taken.items():
            self.results[kind, name] = measurement
            self.results[f"{kind}_line", name] = measurement.per(lines[name], f"of {lines[name]:,}")

    def threads(self) -> None:
        hammered = {name: threads.Hammered(library) for name, library in self.libraries.items()}
        for source, title in (("inc", "`c.inc()`"), ("labels", '`c.labels("p1").inc()`')):
            contenders: dict[Key, Contender] = {}
            for number in threads.NUMBERS:
                row = f"threads_{source}_{number}"
                self.titles[row] = f"{title}, {number} thread{'s' if number > 1 else ''}, wall time"
                for name, library in hammered.items():
                    contenders[row, name] = library.contender(source, number)
                if self.go is not None:
                    contenders[row, GO] = self.go.contender(row, threads.LEAST)
            self.results.update(interleave(contenders, self.sizes.thread_rounds, self.sizes.thread_seconds))
        for name, library in hammered.items():
            self.notes.append(f"increments lost by {name} under threads: {library.lost()}")

    def lock(self) -> None:
        self.titles["lock"] = f"longest hold of the lock, scrape of {self.sizes.lock_series:,} series"
        self.titles["lock_wall"] = "the same on the wall (other programs and wake-ups included)"
        for name in self.libraries:
            # An interpreted renderer takes half a minute a scrape and hands the lock over by itself.
            slow = name == "prometheus_client"
            processes = 1 if slow else self.sizes.lock_processes
            scrapes = 1 if slow else self.sizes.lock_scrapes
            answers = [fresh.answer(lock.__name__, name, self.sizes.lock_series, scrapes) for _ in range(processes)]
            for row, clock in (("lock", "held"), ("lock_wall", "wall")):
                first = [answer[clock][0] for answer in answers]
                later = [gap for answer in answers for gap in answer[clock][1:]]
                self.results[row, name] = Measurement((lock.recurring(first, later),), "ms")
            self.notes.append(f"lock, {name}, milliseconds per scrape: {_summary(answers)}")

    def memory(self) -> None:
        self.titles["memory"] = f"resident memory per labelled counter ({self.sizes.memory_series:,} series)"
        self.titles["memory_scraped"] = "the same after one scrape"
        for name in self.libraries:
            answers = [
                fresh.answer(memory.__name__, name, self.sizes.memory_series)
                for _ in range(self.sizes.memory_processes)
            ]
            self.results["memory", name] = Measurement(tuple(made for made, _ in answers), "B")
            self.results["memory_scraped", name] = Measurement(tuple(scraped for _, scraped in answers), "B")
        if self.go is not None:
            program = self.go.again()
            grown = program.do("memory", self.sizes.memory_series) / self.sizes.memory_series
            program.close()
            self.results["memory", GO] = Measurement((grown,), "B")

    def startup(self) -> None:
        self.titles["import"] = "import, in a fresh process"
        self.titles["import_counter"] = "the same, a first counter included"
        taken: dict[Key, list[float]] = {}
        for number in range(self.sizes.starts + 1):
            for row in startup.STATEMENTS:
                for name in self.libraries:
                    milliseconds = fresh.answer(startup.__name__, row, name)
                    if number:  # the first one may compile bytecode and read the disk
                        taken.setdefault((row, name), []).append(milliseconds)
        self.results.update({key: Measurement(tuple(values), "ms") for key, values in taken.items()})


def _summary(answers: list[dict[str, list[float]]]) -> str:
    words = {"duration": "duration", "held": "longest hold", "wall": "on the wall", "baseline": "without a scrape"}
    parts = []
    for name, text in words.items():
        values = [value for answer in answers for value in answer[name]]
        parts.append(f"{text} median {statistics.median(values):,.1f}, worst {max(values):,.1f}")
    return "; ".join(parts)


def _hot(group: str) -> Callable[[Bench], None]:
    return lambda bench: bench.hot_group(group)


SECTIONS: dict[str, Callable[[Bench], None]] = {
    **{group: _hot(group) for group in hot.GROUPS},
    "counters": lambda bench: bench.scrape("counters"),
    "histograms": lambda bench: bench.scrape("histograms"),
    "threads": Bench.threads,
    "lock": Bench.lock,
    "memory": Bench.memory,
    "import": Bench.startup,
    "workers_inc": workers.inc,
    "workers_scrape": workers.scrape,
    "workers_dead": workers.dead,
    "workers_churn": workers.churn,
}
