"""The metrics of processes and of garbage collection, of several processes that are one program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from workers.running import environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")

# the fixture has these tests left out where processes cannot share
TOGETHER = pytest.mark.usefixtures("run")

BEGINNING = """
import gc, json, multiprocessing, os, signal, sys, threading
gc.disable()
from pyrometer import REGISTRY, Counter
from pyrometer.collectors import ProcessCollector

Counter("work", "What makes this process one of a program.").inc()
METRICS = ("virtual_memory_bytes", "resident_memory_bytes", "start_time_seconds", "cpu_seconds_total")
METRICS += ("open_fds", "max_fds")

def page(collector=REGISTRY):
    samples = {sample.name: sample.value for family in collector.collect() for sample in family.samples}
    return {name: samples[f"process_{name}"] for name in METRICS}

def runs(generation):
    return REGISTRY.get_sample_value("python_gc_collections_total", {"generation": str(generation)})

def burn(seconds):
    while sum(os.times()[:2]) < seconds:
        sum(range(1000))

class Child:
    # A fork that does its work and waits to be let go, or killed.
    def __init__(self, work):
        ready, self.tell = os.pipe()
        wait, self.go = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.go)
            os.write(self.tell, json.dumps(work()).encode() + b"\\n")
            os.read(wait, 1)
            sys.exit()
        os.close(self.tell)
        with open(ready) as told:
            self.result = json.loads(told.readline())

    def end(self, by_signal=0):
        os.kill(self.pid, by_signal) if by_signal else os.close(self.go)
        os.waitpid(self.pid, 0)
"""


def answers(tmp_path: Path, program: str, **variables: str) -> Any:
    """What a program says, as JSON, at its end; it has an arena of its own."""
    script = tmp_path / "program.py"
    script.write_text(BEGINNING + program)
    done = subprocess.run(
        [sys.executable, str(script)],
        env=environment(**{"PYROMETER_ARENA": str(tmp_path / "arena"), **variables}),
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)


LIVING = """
one = Child(lambda: burn(0.2))
two = Child(page)
apart = [page(ProcessCollector(pid=lambda: pid, registry=None)) for pid in (os.getpid(), one.pid, two.pid)]
together = page()
one.end(signal.SIGKILL)
two.end()
print(json.dumps([apart, two.result, together, page()]))
"""


@TOGETHER
def test_processes_are_one(tmp_path: Path) -> None:
    """Whichever process is asked: memory and descriptors are sums over the living, the start is the first one's."""
    apart, of_a_child, together, afterwards = answers(tmp_path, LIVING)
    for name in ("open_fds", "max_fds"):
        assert together[name] == sum(one[name] for one in apart)
    assert together["virtual_memory_bytes"] == pytest.approx(sum(one["virtual_memory_bytes"] for one in apart), rel=0.1)
    assert together["resident_memory_bytes"] > max(one["resident_memory_bytes"] for one in apart)
    assert together["cpu_seconds_total"] >= sum(one["cpu_seconds_total"] for one in apart) >= 0.2
    assert together["start_time_seconds"] == of_a_child["start_time_seconds"] == apart[0]["start_time_seconds"]
    assert of_a_child["max_fds"] == together["max_fds"]
    assert of_a_child["cpu_seconds_total"] <= together["cpu_seconds_total"] <= afterwards["cpu_seconds_total"]
    assert afterwards["max_fds"] == apart[0]["max_fds"]
    assert afterwards["virtual_memory_bytes"] < together["virtual_memory_bytes"]


def test_processes_kept_apart(tmp_path: Path) -> None:
    """With PYROMETER_ARENA=off each process tells of itself alone."""
    apart, of_a_child, together, afterwards = answers(tmp_path, LIVING, PYROMETER_ARENA="off")
    assert together["max_fds"] == apart[0]["max_fds"] == of_a_child["max_fds"] == afterwards["max_fds"]
    assert together["start_time_seconds"] == apart[0]["start_time_seconds"]
    assert together["cpu_seconds_total"] <= afterwards["cpu_seconds_total"] < apart[1]["cpu_seconds_total"] + 0.2


ENDING = """
def work():
    gc.disable()
    burn(0.1)
    for _ in range(7):
        gc.collect(0)

if __name__ == "__main__":
    way = os.environ["WAY"]
    before, cpu = runs(0), page()["cpu_seconds_total"]
    if way == "os.fork":
        for _ in range(3):
            Child(work).end()
    else:
        context = multiprocessing.get_context(way)
        processes = [context.Process(target=work) for _ in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
    print(json.dumps([runs(0) - before, page()["cpu_seconds_total"] - cpu]))
"""


@TOGETHER
@pytest.mark.parametrize("way", ["os.fork", "fork", "forkserver", "spawn"])
def test_what_an_ending_process_had(way: str, tmp_path: Path) -> None:
    """A process that ends of itself leaves what it had of processor time and garbage collection, though never asked."""
    collections, cpu_seconds = answers(tmp_path, ENDING, WAY=way)
    assert cpu_seconds >= 0.3
    if way in ("os.fork", "fork"):
        assert collections == 21
    else:  # a fresh interpreter has some runs of its own while it starts
        assert collections >= 21


SCRAPED_AND_KILLED = """
def scraped():
    for _ in range(4):
        gc.collect(1)
    return runs(1)

before = runs(1)
counted = [before]
for _ in range(3):
    child = Child(scraped)
    counted += [child.result, runs(1)]
    child.end(signal.SIGKILL)
    counted.append(runs(1))
print(json.dumps([count - before for count in counted]))
"""


@TOGETHER
def test_gc_of_the_killed(tmp_path: Path) -> None:
    """What a killed process had, as it was when it was last asked, stays; no scrape says less than one before it."""
    assert answers(tmp_path, SCRAPED_AND_KILLED) == [0, 4, 4, 4, 8, 8, 8, 12, 12, 12]
