"""Sections about several processes: crews of each library that can share, told in turns to count or to scrape."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bench.crew import NAMES, Crew
from bench.measure import Contender, Measurement, interleave

if TYPE_CHECKING:
    from bench.sections import Bench
    from bench.targets import Key

PROCESSES = 8
LIVE = 4
ROUTES = 50
_STATEMENTS = {"inc": ("c.inc()", "`c.inc()`"), "labels": ("f.labels(p).inc()", "`c.labels(p).inc()`")}
_MEGABYTE = 1e6


def inc(bench: Bench) -> None:
    """What counting costs with others attached: one of two processes counts, or both at once, each in its series."""
    for row, (source, title) in _STATEMENTS.items():
        for at_once in (False, True):
            who = "two processes at once, each its series" if at_once else "one process, another is there"
            contenders: dict[Key, Contender] = {}
            with _Crews(bench) as crews:
                for together in (False, True):
                    key = _row(row, together, at_once)
                    bench.titles[key] = f"{title}, {who}, {'one program' if together else 'apart'}"
                    for name in crews.names:
                        crew = crews.add(name, 2, together=together)
                        contenders[key, name] = crew.counting(source, at_once=at_once)
                bench.results.update(interleave(contenders, bench.sizes.worker_rounds, bench.sizes.seconds))


def _row(statement: str, together: bool, at_once: bool) -> str:
    return f"{statement}_{'shared' if together else 'apart'}{'_both' if at_once else ''}"


def scrape(bench: Bench) -> None:
    """A page of many series that all processes count in, with one process and with several."""
    counters, histograms = bench.sizes.worker_counters, bench.sizes.worker_histograms
    contenders: dict[Key, Contender] = {}
    with _Crews(bench) as crews:
        for registry, more in (("named", ""), ("default", ", the processes' own metrics too")):
            for size in (1, PROCESSES):
                key = f"workers_{size}{'_default' if registry == 'default' else ''}"
                processes = f"{size} process{'es' if size > 1 else ''}"
                series = f"{counters:,} counters + {histograms:,} histograms"
                bench.titles[key] = f"scrape, {processes} x ({series}){more}"
                for name in crews.names if registry == "named" else ["pyrometer"]:
                    crew = crews.add(name, size, registry=registry)
                    crew.all("fill", counters, histograms)
                    crew.check(size * counters)
                    contenders[key, name] = crew.scrape()
        bench.results.update(interleave(contenders, bench.sizes.page_rounds, bench.sizes.page_seconds))


def dead(bench: Bench) -> None:
    """A page, and the files behind it, after many workers have come and gone."""
    numbers = {"pyrometer": bench.sizes.dead_workers, "prometheus_client": bench.sizes.dead_workers_reference}
    bench.titles["live"] = f"scrape, {LIVE} workers, {ROUTES} routes"
    bench.titles["dead"] = f"the same after {numbers['pyrometer']:,} more have died"
    bench.titles["live_files"] = f"files of {LIVE} workers, {ROUTES} routes"
    bench.titles["dead_files"] = bench.titles["dead"]
    contenders: dict[Key, Contender] = {}
    with _Crews(bench) as crews:
        for name in crews.names:
            live, left = crews.add(name, LIVE), crews.add(name, LIVE)
            for crew in (live, left):
                crew.all("serve", ROUTES)
                crew.check(LIVE * ROUTES)
            bench.results["live_files", name] = Measurement((left.files() / _MEGABYTE,), "MB")
            left.processes[0].ask("employ", numbers[name], ROUTES)
            left.check((LIVE + numbers[name]) * ROUTES)
            contenders["live", name] = live.scrape()
            contenders["dead", name] = left.scrape()
            note = f"of {numbers[name]:,}" if numbers[name] != numbers["pyrometer"] else ""
            taken = left.files() / _MEGABYTE
            bench.results["dead_files", name] = Measurement((taken,), "MB", note=note)
        for (row, name), found in interleave(contenders, bench.sizes.page_rounds, bench.sizes.page_seconds).items():
            note = bench.results["dead_files", name].note if row == "dead" else ""
            bench.results[row, name] = Measurement(found.rounds, found.unit, found.group, note)


def churn(bench: Bench) -> None:
    """Memory before many series were made and removed, and after: one process does it, one is idle, one is stopped."""
    numbers = {"pyrometer": bench.sizes.churned, "prometheus_client": bench.sizes.churned_reference}
    bench.titles["churn_before"] = "memory of three processes and their files"
    bench.titles["churn_after"] = f"the same after {numbers['pyrometer']:,} series were made and removed"
    bench.titles["churn_grown"] = "the difference"
    with _Crews(bench) as crews:
        for name in crews.names:
            crew = crews.add(name, 3)
            crew.all("serve", ROUTES)
            busy, idle, stopped = crew.processes
            busy.ask("churn", 1_000)
            busy.ask("scrape")
            before = [crew.files(), *crew.all("private")]
            os.kill(stopped.pid, signal.SIGSTOP)
            try:
                busy.ask("churn", numbers[name])
                busy.ask("scrape")
                after = [crew.files(), busy.ask("private"), idle.ask("private")]
            finally:
                os.kill(stopped.pid, signal.SIGCONT)
            after.append(stopped.ask("private"))
            note = f"of {numbers[name]:,}" if numbers[name] != numbers["pyrometer"] else ""
            for row, size in (("before", sum(before)), ("after", sum(after)), ("grown", sum(after) - sum(before))):
                taken = Measurement((size / _MEGABYTE,), "MB", note="" if row == "before" else note)
                bench.results[f"churn_{row}", name] = taken
            parts = zip(("files", "busy", "idle", "stopped"), before, after, strict=True)
            grown = ", ".join(f"{part} {a / _MEGABYTE:.2f} -> {b / _MEGABYTE:.2f}" for part, a, b in parts)
            bench.notes.append(f"series made and removed, {name}, MB: {grown}")


class _Crews(ExitStack):
    """Crews of those libraries that are there and can share, until the block ends."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.names = [name for name in NAMES if name in bench.libraries]

    def add(self, library: str, size: int, *, together: bool = True, registry: str = "named") -> Crew:
        return self.enter_context(Crew(library, size, together=together, registry=registry))
