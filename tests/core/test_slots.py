"""Who is attached to an arena: every live process once, none that has ended, and nothing of theirs mixed up."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from core.engine import Arena, Forked, Gate, child, counter, forked, prepare, remade, run

from pyrometer._core import layout

pytestmark = pytest.mark.compiled


def pids(arena: Any) -> list[int]:
    found: list[tuple[int, int]] = arena.processes()
    return [pid for _, pid in found]


def test_processes_come_and_go() -> None:
    """A forked process is attached before its code runs, and is not any more once it has ended, however it did."""
    arena: Any = Arena()
    assert pids(arena) == [os.getpid()]
    up, go = Gate(), Gate()

    def work() -> None:
        assert sorted(pids(arena)) == sorted([os.getpid(), os.getppid()])
        up.give()
        go.take()

    process = Forked(work)
    up.take()
    assert sorted(pids(arena)) == sorted([os.getpid(), process.pid])
    process.stop()
    assert sorted(pids(arena)) == sorted([os.getpid(), process.pid])
    process.go_on()
    go.give()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, and not waited for: a zombie
    assert pids(arena) == [os.getpid()]
    process.join()

    def sleep() -> None:
        up.give()
        Gate().sleep()

    with forked(sleep) as process:
        up.take()
        assert process.pid in pids(arena)
        process.kill()
        assert pids(arena) == [os.getpid()]
    assert arena.attached() == 1


def test_a_thousand_processes() -> None:
    """Processes that come and go, seen by nobody, leave no slots, lose no counts, and crowd nobody out."""
    code = """
import os, time
from pyrometer import CollectorRegistry, Counter
registry = CollectorRegistry()
metric = Counter("c", "", ["l"], registry=registry)
arena = registry._arena
metric.labels("a")
for number in range(1000):
    pid = os.fork()
    if pid == 0:
        metric.labels("a").inc()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, number
assert arena.processes() == [(0, os.getpid())]
seen, again = set(), False
deadline = time.monotonic() + 4
while time.monotonic() < deadline and not again:
    address = metric.labels("b")._address
    metric.remove("b")
    again = address in seen
    seen.add(address)
print(arena.attached(), metric.labels("a")._read(), again)
"""
    assert run(code) == "1 1000.0 True\n"


def test_killed_before_it_began() -> None:
    """A process that is killed while it takes its slot is not there for ever."""
    code = """
import os, signal, time
from pyrometer._core.arena_cy import Arena
for _ in range(4):
    arena = Arena()
    for number in range(500):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        instant = time.perf_counter() + number * 4e-7
        while time.perf_counter() < instant:
            pass
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    arena.processes()
    print(arena.attached(), end=" ")
"""
    assert run(code) == "1 1 1 1 "


def test_who_forks_for_ever() -> None:
    """A process that forks again and again, more often than once a second, uses again what is removed all the same."""
    metric = counter("l")
    seen: set[int] = set()
    deadline = time.monotonic() + 4
    forks = again = 0
    while time.monotonic() < deadline and not again:
        Forked(lambda: None).join()
        forks += 1
        due = time.monotonic() + 0.3
        while time.monotonic() < due:
            address = remade(metric, "a")
            again += address in seen
            seen.add(address)
    assert again, f"nothing was used again over {forks} forks"


def test_newborn_is_not_taken_for_dead() -> None:
    """A process is never cleared away as dead while it takes the slot of one that has ended."""
    arena: Any = Arena()
    deadline = time.monotonic() + 1.5

    def watch() -> None:
        while time.monotonic() < deadline:
            arena.processes()

    def live() -> None:
        assert pids(arena).count(os.getpid()) == 1

    watchers = [Forked(watch) for _ in range(2)]
    while time.monotonic() < deadline:
        Forked(live).join()
    for watcher in watchers:
        watcher.join()


def test_crowd() -> None:
    """With more processes than slots all of them count, and what those without a slot hold is not used again."""
    metric = counter("l")
    arena: Any = metric._family.arena
    up, end = Gate(), Gate()
    held = child(metric, "held")

    def work() -> None:
        child(metric, "all").inc()
        up.give()
        end.sleep()
        child(metric, "all").inc()
        held.inc()

    number = layout.SLOT_COUNT + 20
    processes = [Forked(work) for _ in range(number)]
    up.take(number)
    assert len(pids(arena)) == layout.SLOT_COUNT
    metric._family.remove(("held",))
    fresh = [child(metric, f"{number}") for number in range(500)]
    end.give(number)
    for process in processes:
        process.join()
    assert {series._read() for series in fresh} == {0.0}
    assert child(metric, "all")._read() == 2.0 * number
    assert pids(arena) == [os.getpid()]


def test_what_processes_keep() -> None:
    """A value that processes keep is summed over all of them, and what ended ones kept stays, once."""
    arena: Any = Arena()
    arena.keep(3, 1.0)
    up, end = Gate(), Gate()

    def work() -> None:
        arena.keep(3, 10.0)
        up.give()
        end.sleep()

    processes = [Forked(work) for _ in range(5)]
    up.take(5)
    assert arena.total(3) == 51
    end.give(5)
    for process in processes:
        process.join()
    assert arena.total(3) == 51
    arena.processes()
    arena.processes()
    assert arena.total(3) == 51
    Forked(lambda: arena.keep(3, 100.0)).join()
    assert arena.total(3) == 151
    assert arena.total(4) == 0


def test_ports() -> None:
    """A port is served while the process that says so lives, and by another than who asks."""
    arena: Any = Arena()
    up, end = Gate(), Gate()

    def work() -> None:
        arena.serve([8000, 9000])
        assert not arena.serving(8000)
        up.give()
        end.sleep()

    with forked(work) as process:
        up.take()
        assert arena.serving(8000) and arena.serving(9000) and not arena.serving(8001)
        process.kill()
        assert not arena.serving(8000)


@pytest.fixture
def file() -> Iterator[int]:
    """A file that is a complete arena."""
    made = os.memfd_create("arena", 0)
    prepare(made, (os.getpid(), 1, 2), 123.5, 7)
    yield made
    os.close(made)


def test_file(file: int) -> None:
    """An arena in a file is one for every process that maps it, forked or not, and for one that maps it twice."""
    arena: Any = Arena(file)
    metric = counter("l", arena=arena)
    child(metric, "a").inc(2)
    again: Any = Arena(file)
    again.sync()
    assert arena.started == again.started == 123.5
    assert arena.slot != again.slot
    code = f"""
from pyrometer._core.arena_cy import Arena
import os
arena = Arena({file})
assert [pid for _, pid in arena.processes()].count(os.getpid()) == 1
arena.keep(1, 5.0)
print(len(arena.processes()))
"""
    os.set_inheritable(file, True)
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert arena.total(1) == again.total(1) == 5


def test_program_begun_by_a_forked_process(file: int) -> None:
    """A process that forks, and begins another program that maps the same arena, is attached once."""
    arena: Any = Arena(file)
    os.set_inheritable(file, True)
    up, out = os.pipe()
    os.set_inheritable(out, True)
    code = f"""
from pyrometer._core.arena_cy import Arena
import os
arena = Arena({file})
os.write({out}, bytes([[pid for _, pid in arena.processes()].count(os.getpid())]))
"""
    Forked(lambda: os.execv(sys.executable, [sys.executable, "-c", code])).join()
    assert os.read(up, 1) == b"\x01"
    assert pids(arena) == [os.getpid()]
    os.close(up)
    os.close(out)


def test_arena_off() -> None:
    """An arena private to a process is copied by a fork: either goes on by itself, and neither hangs."""
    code = """
import os
from pyrometer import CollectorRegistry, Counter
from pyrometer._core.arena_cy import Arena
arena = Arena(-1, True)
arena.keep(0, 1.0)
assert not arena.shared
pid = os.fork()
arena.keep(0, 3.0 if pid else 2.0)
assert arena.processes() == [(0, os.getpid())], arena.processes()
if pid == 0:
    os._exit(0 if arena.total(0) == 2 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), arena.total(0))
"""
    assert run(code) == "0 3.0\n"
