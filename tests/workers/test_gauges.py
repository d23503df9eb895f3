"""Gauges of several processes: one value for all, or one for each that a mode combines as prometheus_client does."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import wait_until
from workers.needs import need_permission
from workers.puppets import Puppet

from pyrometer._core import layout

Run = Callable[..., Any]
Puppets = Callable[..., Puppet]

MODES = ["all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum", "mostrecent", "livemostrecent"]
COMBINED = MODES[2:]

START = """
import os, signal, sys, threading, time
from pyrometer import REGISTRY, CollectorRegistry, Gauge, generate_latest
from workers.conformance import Forks

def samples(name):
    return [(one.labels, one.value) for family in REGISTRY.collect() if family.name == name for one in family.samples]

def values(name):
    return sorted(value for _, value in samples(name))

def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)

def fork(work):
    # a child that does `work`, says so, and waits for its end
    here, there = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os.write(there, b"1")
            signal.pause()
        finally:
            os._exit(1)
    os.close(there)
    assert os.read(here, 1) == b"1"
    os.close(here)
    return pid

def kill(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
"""


# ---- one value


def test_one_value_by_default(run: Run) -> None:
    """Without a mode all processes set, add to and take from one value, which outlives them."""
    program = (
        START
        + """
level, tank = Gauge("level", "Level"), Gauge("tank", "Tanks", ["tank"])
level.set(10)
pids = [fork(lambda: (level.inc(5), tank.labels("a").set(7))), fork(lambda: (level.dec(2), tank.labels("a").inc()))]
seen = samples("level") + samples("tank")
[kill(pid) for pid in pids]
level.inc()
print((seen, samples("level") + samples("tank")))
"""
    )
    assert run(program) == ([({}, 13.0), ({"tank": "a"}, 8.0)], [({}, 14.0), ({"tank": "a"}, 8.0)])


# ---- modes

MODES_PROGRAM = """
import multiprocessing, os, signal, sys
module, ended = sys.argv[1], eval(sys.argv[2])
library = __import__(module)
MODES = "all liveall min livemin max livemax sum livesum mostrecent livemostrecent".split()
STEPS = [
    (0, "", "set", 5), (1, "", "set", 3), (2, "", "set", -4), (0, "", "inc", 2), (1, "", "dec", 1.5),
    (1, "a", "set", 10), (2, "a", "set", 20), (0, "b", "set", -1), (2, "a", "inc", 0.5), (2, "", "set", 4),
    (1, "b", "set", -7), (1, "", "set", 2.5), (3, "a", "set", 15), (3, "", "set", 3.25), (3, "c", "set", 1),
]

def worker(number, pipe):
    gauges = {}
    for mode in MODES:
        gauges[mode, False] = library.Gauge("plain_" + mode, "Help", multiprocess_mode=mode)
        gauges[mode, True] = library.Gauge("labelled_" + mode, "Help", ["of"], multiprocess_mode=mode)
    pipe.send(os.getpid())
    while True:
        label, method, amount = pipe.recv()
        for (mode, labelled), gauge in gauges.items():
            if labelled == bool(label) and (method == "set" or not mode.endswith("mostrecent")):
                getattr(gauge.labels(label) if label else gauge, method)(amount)
        pipe.send(None)

def collected():
    registry = library.REGISTRY
    if module == "prometheus_client":
        from prometheus_client.multiprocess import MultiProcessCollector
        registry = library.CollectorRegistry()
        MultiProcessCollector(registry)
    found = {}
    for family in registry.collect():
        for sample in family.samples:
            if family.name.startswith(("plain_", "labelled_")):
                labels = dict(sample.labels)
                if "pid" in labels:
                    labels["pid"] = pids.index(int(labels["pid"]))
                found.setdefault(family.name, []).append((sorted(labels.items()), sample.value))
    return {name: sorted(each) for name, each in found.items()}

pipes, pids = [], []
for number in range(4):
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=worker, args=(number, there), daemon=True)
    process.start()
    pipes.append(here)
    pids.append(here.recv())
for number, *step in STEPS:
    pipes[number].send(step)
    pipes[number].recv()
for number in ended:
    os.kill(pids[number], signal.SIGKILL)
    os.waitpid(pids[number], 0)
    if module == "prometheus_client":
        from prometheus_client.multiprocess import mark_process_dead
        mark_process_dead(pids[number])
    collected()
print(collected())
os._exit(0)
"""


@pytest.mark.parametrize("ended", [[], [1], [2, 0], [3, 1, 2], [0, 1, 2, 3]], ids=str)
def test_modes_as_prometheus_client(ended: list[int], run: Run, tmp_path: Path) -> None:
    """Every mode gives the values of prometheus_client's, which has to be told of ends; `pid` tells processes apart in
    "all" and "liveall" alone."""
    (tmp_path / "reference").mkdir()
    own = run(MODES_PROGRAM, "pyrometer", str(ended))
    reference = run(
        MODES_PROGRAM, "prometheus_client", str(ended), PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "reference")
    )
    if len(ended) == 4:  # a gauge without labels has a value as long as it is defined: with nobody left to say it, 0
        own = {name: each for name, each in own.items() if name in reference or each != [([], 0.0)]}
    assert {name: own.get(name) for name in reference} == reference
    assert not own.keys() - reference.keys()
    assert all(("pid" in dict(labels)) == name.endswith("all") for name, each in own.items() for labels, _ in each)


@pytest.mark.parametrize("mode", COMBINED)
@pytest.mark.parametrize("labels", [[], ["a"]], ids=["plain", "labelled"])
def test_no_silent_zero(mode: str, labels: list[str], run: Run) -> None:
    """A process that has a gauge and never sets it has no say in what processes that set it say together."""
    program = (
        START
        + """
mode, labels = sys.argv[1], eval(sys.argv[2])
level = Gauge("level", "Level", labels, multiprocess_mode=mode)
child = level.labels("x") if labels else level
define = lambda: Gauge("level", "Level", labels, multiprocess_mode=mode)
pids = [fork(lambda: None), fork(lambda: child.set(5)), fork(define)]
seen = values("level")
child.set(-3)
both = values("level")
[kill(pid) for pid in pids]
print((seen, both, values("level")))
"""
    )
    both = {"min": -3.0, "max": 5.0, "sum": 2.0, "mostrecent": -3.0}[mode.removeprefix("live")]
    after = -3.0 if mode.startswith("live") else both
    assert run(program, mode, str(labels)) == ([5.0], [both], [after])


@pytest.mark.parametrize("mode", ["all", "liveall"])
def test_no_silent_zero_of_its_own(mode: str, run: Run) -> None:
    """With "all" and "liveall", a process that never sets the gauge has no series in it."""
    program = (
        START
        + """
level = Gauge("level", "Level", multiprocess_mode=sys.argv[1])
pid = fork(lambda: level.set(5))
print([(labels["pid"] == str(pid), value) for labels, value in samples("level")])
"""
    )
    assert run(program, mode) == [(True, 5.0)]


@pytest.mark.parametrize("labels", [[], ["a"]], ids=["plain", "labelled"])
def test_fork_has_a_part_of_its_own(labels: list[str], run: Run) -> None:
    """A fork's child neither writes into its parent's part nor begins with its value, whatever it holds of it."""
    program = (
        START
        + """
labels = eval(sys.argv[1])
level = Gauge("level", "Level", labels, multiprocess_mode="liveall")
total = Gauge("total", "Total", labels, multiprocess_mode="livesum")
held = [each.labels("x") if labels else each for each in (level, total)]
[each.set(1) for each in held]
idle = fork(lambda: None)
adds = fork(lambda: [each.inc(2) for each in held])
sets = fork(lambda: [(each.labels("x") if labels else each).set(7) for each in (level, total)])
names = {str(os.getpid()): "parent", str(idle): "idle", str(adds): "adds", str(sets): "sets"}
def of_each():
    return {names[labels["pid"]]: value for labels, value in samples("level")}
before = of_each(), values("total")
[each.inc(100) for each in held]
after = of_each(), values("total")
[kill(pid) for pid in (idle, adds, sets)]
print((before, after, of_each(), values("total")))
"""
    )
    before = ({"parent": 1.0, "adds": 2.0, "sets": 7.0}, [10.0])
    after = ({"parent": 101.0, "adds": 2.0, "sets": 7.0}, [110.0])
    assert run(program, str(labels)) == (before, after, {"parent": 101.0}, [101.0])


def test_child_of_a_fork_has_a_part_of_its_own(run: Run) -> None:
    """A grandchild has a part of its own, too, and what the dead of each generation had is gone."""
    program = (
        START
        + """
total = Gauge("total", "Total", multiprocess_mode="livesum")
total.set(1)
here, there = os.pipe()
def nest():
    total.inc(10)
    os.write(there, b"%d\\n" % fork(lambda: total.inc(100)))
pid = fork(nest)
grandchild = int(os.read(here, 20))
seen = [values("total")]
kill(pid)
seen.append(values("total"))
os.kill(grandchild, signal.SIGKILL)
until(lambda: values("total") == [1.0])
print(seen)
"""
    )
    assert run(program) == [[111.0], [101.0]]


@pytest.mark.parametrize("mode", ["livesum", "sum", "liveall"])
def test_removed_for_every_process(mode: str, run: Run) -> None:
    """remove() and clear() take away what every process has of a series; it begins anew with the first who sets it."""
    program = (
        START
        + """
level = Gauge("level", "Level", ["a"], multiprocess_mode=sys.argv[1])
level.labels("x").set(1)
level.labels("y").set(2)
cast = Forks(True)
for number in range(3):
    cast.do(number, "import pyrometer, sys")
    cast.do(number, "level = pyrometer.Gauge('level', 'Level', ['a'], multiprocess_mode=sys.argv[1])")
    cast.do(number, "held = level.labels('x'); held.set(10)")
seen = [values("level")]
cast.do(0, "level.remove('x')")
seen.append(values("level"))
cast.do(1, "level.labels('x').set(4)")
seen.append(values("level"))
level.clear()
seen.append(values("level"))
cast.do(2, "level.labels('y').set(5)")
print(seen + [values("level")])
"""
    )
    first = [1.0, 2.0, 10.0, 10.0, 10.0] if mode == "liveall" else [2.0, 31.0]
    assert run(program, mode) == [first, [2.0], [2.0, 4.0], [], [5.0]]


# ---- live means alive


def test_killed_stopped_and_zombie(run: Run) -> None:
    """A process that is stopped lives; one that was killed does not, even before its parent has taken notice."""
    program = (
        START
        + """
total = Gauge("total", "Total", multiprocess_mode="livesum")
total.set(1)
pids = [fork(lambda: total.set(10)), fork(lambda: total.set(100))]
os.kill(pids[0], signal.SIGSTOP)
until(lambda: open(f"/proc/{pids[0]}/stat").read().rpartition(")")[2].split()[0] == "T")
seen = [values("total")]
os.kill(pids[1], signal.SIGKILL)
until(lambda: open(f"/proc/{pids[1]}/stat").read().rpartition(")")[2].split()[0] == "Z")
seen.append(values("total"))
kill(pids[0])
print(seen + [values("total")])
"""
    )
    assert run(program) == [[111.0], [11.0], [1.0]]


REUSED = (
    START
    + """
total, modes = Gauge("total", "Total", multiprocess_mode="livesum"), Gauge("every", "Each", multiprocess_mode="liveall")
total.set(1)
pid = fork(lambda: (total.set(100), modes.set(5)))
seen = [values("total")]
started = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[19]
kill(pid)
def again():  # a process with the id of the dead one, that started later
    open("/proc/sys/kernel/ns_last_pid", "w").write(str(pid - 1))
    new = fork(lambda: sys.argv[1:] and total.set(20))
    if new == pid and open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[19] != started:
        return True
    kill(new)
    return False
until(again)
print(seen + [values("total"), values("every")])
"""
)


@pytest.mark.parametrize("counts", [False, True])
def test_reused_process_id(counts: bool, run: Run, tmp_path: Path) -> None:
    """A process that has the id of a dead one is not that one, whether it uses metrics itself or not."""
    isolation = ["unshare", "--user", "--map-root-user", "--fork", "--pid", "--mount-proc"]
    need_permission(*isolation)
    script = tmp_path / "reused.py"
    script.write_text(REUSED)
    command = [*isolation, sys.executable, str(script), *["x"] * counts]
    assert run(f"import os\nos.execvp('unshare', {command})") == [[101.0], [21.0 if counts else 1.0], []]


def test_slot_of_another_start(puppet: Puppets, tmp_path: Path) -> None:
    """A process whose id is in a slot with another time of start is not the one that the slot is about."""
    place = tmp_path / "arena"
    define = "loads = pyrometer.Gauge('load', 'Load', multiprocess_mode='livesum')"
    here, other = puppet(define, PYROMETER_ARENA=str(place)), puppet(define, PYROMETER_ARENA=str(place))
    here.ask("loads.set(1)")
    other.ask("loads.set(10)")
    assert here.ask("total('load')") == 11.0
    [file] = place.glob("*.arena")
    pid = other.process.pid
    with file.open("r+b") as arena:
        data = os.pread(arena.fileno(), 8 << 20, 0)
        slots = range(layout.SLOTS, layout.RING, layout.SLOT)
        [slot] = [at for at in slots if struct.unpack_from("=Q", data, at + layout.AT_PID)[0] == pid]
        started, namespace = struct.unpack_from("=QQ", data, slot + layout.AT_START)
        part = data.index(struct.pack("=ddd", pid, started, namespace))
        os.pwrite(arena.fileno(), struct.pack("=Q", started - 1), slot + layout.AT_START)
        os.pwrite(arena.fileno(), struct.pack("=d", started - 1), part + 8)
    assert here.ask("total('load')") == 1.0
    assert other.ask("total('load')") == 1.0


# ---- in progress


@pytest.mark.parametrize("mode", [None, "livesum"], ids=["one value", "livesum"])
def test_in_progress_forgets_the_dead(mode: str | None, run: Run) -> None:
    """A worker that is killed in the middle of 20 requests leaves none of them behind; those of others go on."""
    program = (
        START
        + """
busy = Gauge("busy", "Requests", multiprocess_mode=eval(sys.argv[1]))
paths = Gauge("busy_by_path", "Requests", ["path"], multiprocess_mode=eval(sys.argv[1]))
tracked = paths.labels("/").track_inprogress()
over, answered = os.pipe(), os.pipe()
@busy.track_inprogress()
def answer(entered):
    with tracked:
        entered.release()
        os.read(over[0], 1)

def serve():
    entered = threading.Semaphore(0)
    threads = [threading.Thread(target=answer, args=(entered,)) for _ in range(20)]
    [thread.start() for thread in threads]
    [entered.acquire() for _ in threads]
    def wait():
        [thread.join() for thread in threads]
        os.write(answered[1], b"1")
    threading.Thread(target=wait).start()
pids = [fork(serve), fork(serve)]
seen = [values("busy") + values("busy_by_path")]
kill(pids[0])
seen.append(values("busy") + values("busy_by_path"))
os.write(over[1], b"1" * 20)
os.read(answered[0], 1)
seen.append(values("busy") + values("busy_by_path"))
kill(pids[1])
print(seen + [values("busy") + values("busy_by_path")])
"""
    )
    assert run(program, repr(mode)) == [[40.0, 40.0], [20.0, 20.0], [0.0, 0.0], [0.0, 0.0]]


def test_in_progress_beside_a_value(run: Run) -> None:
    """What is in progress is added to what was set; set() by another process, or the death of one, changes neither."""
    program = (
        START
        + """
busy = Gauge("busy", "Requests")
busy.set(3)
pid = fork(lambda: busy.track_inprogress().__enter__())
seen = [values("busy")]
busy.inc(4)
seen.append(values("busy"))
with busy.track_inprogress():
    child = fork(lambda: None)
    seen.append(values("busy"))
kill(pid)
print(seen + [values("busy")])
"""
    )
    assert run(program) == [[4.0], [8.0], [9.0], [7.0]]


def test_in_progress_of_a_family_nobody_else_has(puppet: Puppets, tmp_path: Path) -> None:
    """A worker that never defined the gauge shows what others have in progress, as long as they live."""
    place = str(tmp_path / "arena")
    other = puppet("", PYROMETER_ARENA=place)
    here = puppet("busy = pyrometer.Gauge('busy', 'Requests')", PYROMETER_ARENA=place)
    here.ask("busy.track_inprogress().__enter__()")
    assert other.ask("total('busy')") == 1.0
    here.process.kill()
    here.process.wait()
    assert other.ask("total('busy')") == 0.0


# ---- a callback about a worker's own state


def test_refreshed_by_each_worker(run: Run) -> None:
    """A function about a worker's own state is called in every worker; a scrape by any of them combines the results."""
    program = (
        START
        + """
state = [1.0]
total = Gauge("total", "Total", multiprocess_mode="livesum")
lowest = Gauge("lowest", "Lowest", multiprocess_mode="livemin")
total.set_function(lambda: state[0], refresh=0.02)
lowest.set_function(lambda: state[0], refresh=0.02)
def become(value):
    state[0] = value
pids = [fork(lambda: become(10.0)), fork(lambda: become(100.0))]
until(lambda: values("total") == [111.0] and values("lowest") == [1.0])
state[0] = 1000.0
until(lambda: values("total") == [1110.0] and values("lowest") == [10.0])
kill(pids[0])
print((values("total"), values("lowest")))
"""
    )
    assert run(program) == ([1100.0], [100.0])


def test_refreshed_by_workers_alone(puppet: Puppets, tmp_path: Path) -> None:
    """A worker that has no such function shows what those say that have one, whoever was asked for a page so far."""
    place = str(tmp_path / "arena")
    asked = puppet("", PYROMETER_ARENA=place)
    setup = "state = [5]\ntotal_of = pyrometer.Gauge('queued', 'Queued', multiprocess_mode='livesum')"
    workers = [puppet(setup, PYROMETER_ARENA=place) for _ in range(2)]
    for worker in workers:
        worker.ask("total_of.set_function(lambda: state[0], refresh=0.02)")
    wait_until(lambda: asked.ask("total('queued')") == 10.0, "both have said so")
    workers[0].ask("state.__setitem__(0, 7)")
    wait_until(lambda: asked.ask("total('queued')") == 12.0, "the change is seen")


def test_refresh_that_fails(run: Run) -> None:
    """A worker whose function fails has no part in the value, never a 0, until it succeeds; failures are counted."""
    program = (
        START
        + """
import logging
logging.disable()
state = [5.0]
def read():
    return 1 / state[0]
lowest = Gauge("lowest", "Lowest", multiprocess_mode="livemin")
lowest.set_function(read, refresh=0.02)
def fail():
    state[0] = 0.0
    until(lambda: REGISTRY.get_sample_value("pyrometer_scrape_errors_total", {"collector": "lowest"}))
state[0] = 0.25
pid = fork(fail)
until(lambda: values("lowest") == [4.0])
print(REGISTRY.get_sample_value("pyrometer_scrape_errors_total", {"collector": "lowest"}) >= 1)
"""
    )
    assert run(program) is True
