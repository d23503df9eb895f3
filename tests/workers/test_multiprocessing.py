"""Processes that a program starts itself: every one of them counts with all others, however it was started."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

METHODS = ["fork", "spawn", "forkserver"]
METHOD = pytest.mark.parametrize("method", METHODS)

START = """
import concurrent.futures, multiprocessing, os, signal, sys, threading, time
from pyrometer import Counter, Histogram, generate_latest
from workers.pages import value

done = Counter("done", "Jobs done", ["kind"])
took = Histogram("took", "How long they took")

def total(**labels):
    return value(generate_latest().decode(), "done_total", **labels)

def work(times):
    for _ in range(times):
        done.labels("a").inc()
    took.observe(times)
    return os.getpid()

def work_and_tell(times, pipe):
    work(times)
    pipe.send(total())

def reap(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""
MAIN = """
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1] if sys.argv[1:] else None)
"""


@METHOD
def test_processes(method: str, run: Run) -> None:
    """What four processes count, one after another, each of them sees with all before it, and so does their parent."""
    program = (
        START
        + MAIN
        + """
    work(1)
    seen = []
    for _ in range(4):
        here, there = context.Pipe()
        process = context.Process(target=work_and_tell, args=(250, there))
        process.start()
        seen.append(here.recv())
        process.join()
    page = generate_latest().decode()
    print((seen, total(), value(page, "took_count"), value(page, "took_sum")))
"""
    )
    assert run(program, method) == ([251, 501, 751, 1_001], 1_001, 5, 1_001)


@METHOD
def test_processes_at_once(method: str, run: Run) -> None:
    """What four processes count at the same time, four threads in each, is exact, with no update lost."""
    program = (
        START
        + """
def threads(times):
    several = [threading.Thread(target=work, args=(times,)) for _ in range(4)]
    [thread.start() for thread in several]
    [thread.join() for thread in several]
"""
        + MAIN
        + """
    processes = [context.Process(target=threads, args=(5_000,)) for _ in range(4)]
    [process.start() for process in processes]
    [process.join() for process in processes]
    print(total())
"""
    )
    assert run(program, method) == 80_000


@pytest.mark.parametrize("inner", METHODS)
@pytest.mark.parametrize("outer", METHODS)
def test_nested(outer: str, inner: str, run: Run) -> None:
    """A child's child counts with its grandparent, whatever way each of them was started."""
    program = (
        START
        + """
def nest(method, pipe):
    work(10)
    process = multiprocessing.get_context(method).Process(target=work_and_tell, args=(100, pipe))
    process.start()
    process.join()
"""
        + MAIN
        + """
    work(1)
    here, there = context.Pipe()
    process = context.Process(target=nest, args=(sys.argv[2], there))
    process.start()
    seen = here.recv()
    process.join()
    print((seen, total()))
"""
    )
    assert run(program, outer, inner) == (111, 111)


@METHOD
def test_pool_executor(method: str, run: Run) -> None:
    """What a ProcessPoolExecutor's workers count is there while they live, and when they have ended."""
    program = (
        START
        + MAIN
        + """
    with concurrent.futures.ProcessPoolExecutor(4, mp_context=context) as pool:
        pids = list(pool.map(work, [5] * 40))
        during = total()
        inside = pool.submit(total).result()
    print((os.getpid() in pids, during, inside, total()))
"""
    )
    assert run(program, method) == (False, 200, 200, 200)


@METHOD
def test_pool_of_short_lives(method: str, run: Run) -> None:
    """A pool whose workers end after two tasks each loses nothing."""
    program = (
        START
        + MAIN
        + """
    with context.Pool(2, maxtasksperchild=2) as pool:
        pids = set(pool.map(work, [5] * 16, chunksize=1))
        during = total()
    print((len(pids) > 4, during, total()))
"""
    )
    assert run(program, method) == (True, 80, 80)


@METHOD
def test_killed(method: str, run: Run) -> None:
    """What a process counted before it was killed with -9 stays."""
    program = (
        START
        + """
def work_and_die(times):
    work(times)
    os.kill(os.getpid(), signal.SIGKILL)
"""
        + MAIN
        + """
    work(1)
    process = context.Process(target=work_and_die, args=(50,))
    process.start()
    process.join()
    print((process.exitcode, total()))
"""
    )
    assert run(program, method) == (-9, 51)


@METHOD
def test_parent_that_does_not_count(method: str, run: Run) -> None:
    """Children of a program that never imports Pyrometer, as a supervisor of workers is, count together."""
    program = """
import multiprocessing, sys

def work(pipe):
    import pyrometer
    from apps import views
    from workers.pages import value
    views.labels("p").inc(10)
    pipe.send(value(pyrometer.generate_latest().decode()))
    pipe.recv()

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    pipes = []
    for _ in range(3):
        here, there = context.Pipe()
        context.Process(target=work, args=(there,), daemon=True).start()
        pipes.append(here)
        here.poll(20)
        seen = here.recv()
    assert "pyrometer" not in sys.modules
    print(seen)
"""
    assert run(program, method) == 30


@METHOD
def test_parent_that_counts_later(method: str, run: Run) -> None:
    """A program that imports Pyrometer only when its children already count counts with them."""
    program = """
import multiprocessing, sys

def work(pipe):
    from apps import views
    views.labels("p").inc(10)
    pipe.send(True)
    pipe.recv()

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    here, there = context.Pipe()
    context.Process(target=work, args=(there,), daemon=True).start()
    here.recv()
    import pyrometer
    from apps import views
    from workers.pages import value
    views.labels("p").inc(1)
    print(value(pyrometer.generate_latest().decode()))
"""
    assert run(program, method) == 11


def test_forkserver_that_has_the_metrics(run: Run) -> None:
    """A fork server told to import the metrics beforehand hands its children what the program has."""
    program = """
import multiprocessing, sys
import pyrometer
from apps import views
from workers.pages import value

def total():
    return value(pyrometer.generate_latest().decode())

def work(pipe):
    views.labels("p").inc(10)
    pipe.send(total())

if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["apps"])
    views.labels("p").inc(1)
    seen = []
    for _ in range(2):
        here, there = context.Pipe()
        process = context.Process(target=work, args=(there,))
        process.start()
        seen.append(here.recv())
        process.join()
    print((seen, total()))
"""
    assert run(program) == ([11, 21], 21)


def test_os_fork(run: Run) -> None:
    """A child made by os.fork, and its own child, count with the parent; so does one forked in a thread."""
    program = (
        START
        + """
def forked(job):
    pid = os.fork()
    if pid == 0:
        job()
        os._exit(0)
    assert reap(pid) == 0

def nested():
    work(10)
    forked(lambda: work(100))

work(1)
forked(nested)
first = total()
thread = threading.Thread(target=forked, args=(lambda: work(1_000),))
thread.start()
thread.join()
print((first, total()))
"""
    )
    assert run(program) == (111, 1_111)


def test_daemon(run: Run) -> None:
    """A daemon, whose first process ended at once and normally, has what was counted before, and goes on."""
    program = """
import os, subprocess, sys

DAEMON = '''
import os, sys
import pyrometer
from apps import views
from workers.pages import value
views.labels("p").inc(5)
first = os.getpid()
if os.fork():
    sys.exit()  # as programs end, with all that is done at exit
os.setsid()
while os.getppid() == first:
    pass
views.labels("p").inc(10)
pid = os.fork()
if pid == 0:
    views.labels("p").inc(100)
    os._exit(0)
os.waitpid(pid, 0)
print(value(pyrometer.generate_latest().decode()), flush=True)
'''
done = subprocess.run([sys.executable, "-c", DAEMON], stdout=subprocess.PIPE, text=True)
print(done.stdout, end="")
"""
    assert run(program) == 115
