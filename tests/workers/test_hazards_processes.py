"""Processes that fork, are stopped or killed at the worst instant, close everything, or have another's process id."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from servers import wait_until
from workers.hazards import Begin, Program, in_container

COUNT_IN_FORK = "status_of(fork(lambda: [views.labels('p').inc(), views.labels('fork').inc(), page()]))"
PROMPT = 0.09
"""Seconds that nothing takes which does not wait for the lock: who waits does so for a tenth of a second."""
PATIENT = 1.0
"""Seconds that something takes at most which waits for the lock once, on a busy machine; never a hundred times."""


@pytest.fixture
def shared(tmp_path: Path) -> str:
    """A directory where programs meet."""
    return str(tmp_path / "shared")


# ---- containers


def test_two_containers_over_one_volume(begin: Begin, shared: str) -> None:
    """Containers whose processes have the same ids count together; one is killed, the other goes on, and it returns."""
    one, other = (begin(around=in_container(), PYROMETER_ARENA=shared) for _ in range(2))
    assert [one.ask("os.getpid()"), other.ask("os.getpid()")] == [1, 1]
    assert [one.count(1), other.count(2)] == [1, 3]
    assert [each.ask(COUNT_IN_FORK) for each in (one, other)] == [0, 0]
    assert [one.ask("total()"), other.ask("total()")] == [7, 7]
    one.kill()
    assert other.count(10, "new") == 17
    again = begin(around=in_container(), PYROMETER_ARENA=shared)
    assert again.count(20, "newer") == 37
    assert other.ask("total()") == 37
    other.kill()
    outside = begin(PYROMETER_ARENA=shared)
    assert outside.count(100) == again.ask("total()") == 137
    assert [again.end(), outside.end()] == [0, 0]
    assert one.logged == other.logged == again.logged == outside.logged == []


# ---- at any moment

COUNTING = """
over = threading.Event()
counted = [0] * 4
errors = []
def work(number):
    try:
        while not over.is_set():
            views.labels("p").inc()
            views.labels(f"{number} {counted[number] % 3000}").inc()
            counted[number] += 1
    except BaseException:
        errors.append(traceback.format_exc())
threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
def start():
    for thread in threads:
        thread.start()
def stop():
    over.set()
    for thread in threads:
        thread.join()
    return errors
"""


def test_forks_while_threads_count(begin: Begin, shared: str) -> None:
    """Forked while four threads count and make series, children count, make series and scrape; all of it is exact."""
    program = begin(COUNTING, PYROMETER_ARENA=shared)
    program.ask("start()")
    forked = "[status_of(fork(lambda: [views.labels('p').inc(), views.labels(f'fork{n}').inc(), page()]))"
    assert program.ask(f"{forked} for n in range(20)]") == [0] * 20
    assert program.ask("stop()") == []
    counted = program.ask("sum(counted)")
    assert counted > 100
    other = begin(PYROMETER_ARENA=shared)
    assert program.ask("total()") == other.ask("total()") == 2 * counted + 40
    assert program.ask("total(product='p')") == counted + 20


INTERRUPTED = """
handled = [0]
dropped = [0]
def handle(*_):
    handled[0] += 1
    views.labels("p").inc()
    views.labels(f"handled {handled[0]}").inc()
class Garbage:
    def __init__(self):
        self.itself = self
    def __del__(self):
        dropped[0] += 1
        views.labels("p").inc()
        views.labels(f"dropped {dropped[0]}").inc()
def work(seconds):
    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    gc.set_threshold(20)
    end = time.monotonic() + seconds
    made = 0
    while time.monotonic() < end:
        Garbage()
        made += 1
        views.labels("p").inc()
        views.labels(f"{os.getpid()} {made}").inc()
        if made % 100 == 0:
            page()
            views.remove(f"{os.getpid()} {made}")
            made_again[0] += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    gc.collect()
    return made
made_again = [0]
views = pyrometer.Counter("many", "Many", ["product"], max_series=None)
"""


def test_signal_handlers_and_finalizers(begin: Begin, shared: str) -> None:
    """They count and make series whatever is being done, while another process does the same; all of it is exact."""
    several = [begin(INTERRUPTED, PYROMETER_ARENA=shared) for _ in range(2)]
    for each in several:
        each.tell("work(0.5)")
    made = sum(each.answer("work(0.5)") for each in several)
    handled = [each.ask("handled[0]") for each in several]
    dropped = [each.ask("dropped[0]") for each in several]
    assert min(*handled, *dropped) > 10 and sum(dropped) == made
    everything = made + sum(handled) + sum(dropped)
    removed = sum(each.ask("made_again[0]") for each in several)
    for each in several:
        assert each.ask("total('many_total', product='p')") == everything
        assert each.ask("total('many_total')") == 2 * everything - removed
        assert each.logged == []


DAEMON = """
views.labels("p").inc(5)
if os.fork():
    sys.exit()
os.setsid()
if os.fork():
    os._exit(0)
os.closerange(3, 65536)
files = [open({precious!r}, "r+b", buffering=0) for _ in range(20)]
"""


@pytest.mark.parametrize("named", [False, True])
def test_a_daemon_that_closes_everything(begin: Begin, shared: str, tmp_path: Path, named: bool) -> None:
    """It counts on with its forks, and writes nothing to files that have the numbers of descriptors it closed."""
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious" * 1000)
    variables = {"PYROMETER_ARENA": shared} if named else {}
    daemon = begin(DAEMON.format(precious=str(precious)), **variables)
    assert daemon.count(2) == 7
    daemon.ask("[views.labels(f'{n}').inc() for n in range(5000)] and None")
    assert daemon.ask(COUNT_IN_FORK) == 0
    assert daemon.ask("total()") == 5009
    if named:
        assert begin(PYROMETER_ARENA=shared).count(1) == 5010
    else:
        assert daemon.ask("os.path.exists(arena().path)")
    kept = daemon.ask("arena().path")
    daemon.end()
    assert daemon.logged == []
    assert precious.read_bytes() == b"precious" * 1000
    if not named:
        assert not os.path.exists(kept)


# ---- the lock

HOLD = "arena().hold() and None"


def stopped(program: Program) -> None:
    """Stop a program that has taken the lock."""
    program.ask(HOLD)
    os.kill(program.pid, signal.SIGSTOP)
    stat = Path(f"/proc/{program.pid}/stat")
    wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", "it is stopped")


def test_scrapes_and_known_series_while_a_process_holds_the_lock(begin: Begin, shared: str) -> None:
    """They are not delayed by a process that is stopped with the lock, not even where another has died meanwhile."""
    holder, program, dead = (begin(PYROMETER_ARENA=shared) for _ in range(3))
    for each in (holder, program, dead):
        each.count(1)
    stopped(holder)
    dead.kill()
    assert max(program.ask("[seconds(page) for _ in range(20)]")) < PROMPT
    assert max(program.ask("[seconds(lambda: views.labels('p').inc()) for _ in range(1000)]")) < PROMPT
    assert program.ask("total()") == 1003
    os.kill(holder.pid, signal.SIGCONT)
    holder.ask("arena().let_go()")
    assert holder.ask("total()") == 1003


@pytest.mark.parametrize("then", ["goes on", "is killed"])
def test_new_series_while_a_process_holds_the_lock(begin: Begin, shared: str, then: str) -> None:
    """One waits a tenth of a second, the next not; they count apart, say so once, and are merged when it is free."""
    holder, program, other = (begin(PYROMETER_ARENA=shared) for _ in range(3))
    for each in (holder, program, other):
        each.count(1)
    stopped(holder)
    for each in (program, other):
        assert each.ask("seconds(lambda: views.labels('new').inc(10))") < PATIENT
        assert each.ask("seconds(lambda: [views.labels(f'new{n}').inc() for n in range(100)])") < PATIENT
        assert each.ask("views.labels('new').inc(10) or total(product='p')") == 3
    began = time.monotonic()
    late = begin(PYROMETER_ARENA=shared)
    assert late.count(1) == 4
    late.ask("views.labels('new').inc(10)")
    assert time.monotonic() - began < 5
    if then == "goes on":
        os.kill(holder.pid, signal.SIGCONT)
        holder.ask("arena().let_go()")
    else:
        holder.kill()
    everything = 4 + 50 + 200
    for each in (program, other, late):
        each.ask("total()")  # who counted apart brings it
    assert [each.ask("total()") for each in (program, other, late)] == [everything] * 3
    assert [each.ask("total(product='new')") for each in (program, other, late)] == [50] * 3
    for each in (program, other):
        each.ask("views.labels('new').inc() or views.labels('newer').inc()")
    assert late.ask("total()") == everything + 4
    assert [len(each.logged) for each in (program, other, late)] == [1, 1, 1]


@pytest.mark.parametrize("first", ["the parent", "the child"])
def test_a_fork_while_series_count_apart(begin: Begin, shared: str, first: str) -> None:
    """What a process counts apart is merged once, not by its forks again; what those count is merged as well."""
    holder = begin(PYROMETER_ARENA=shared)
    program = begin(
        """
there, here = os.pipe(), os.pipe()
def child():
    views.labels("new").inc(3)
    os.write(here[1], b"x")
    os.read(there[0], 1)
    page()
    views.labels("new").inc(100)
    page()
""",
        PYROMETER_ARENA=shared,
    )
    holder.count(1)
    program.count(1)
    stopped(holder)
    program.ask("views.labels('new').inc(10)")
    program.ask("globals().__setitem__('pid', fork(child))")
    program.ask("os.read(here[0], 1)")
    os.kill(holder.pid, signal.SIGCONT)
    holder.ask("arena().let_go()")
    if first == "the parent":
        program.ask("page() and None")
    assert program.ask("os.write(there[1], b'x') and status_of(pid)") == 0
    program.ask("page() and None")
    assert program.ask("total(product='new')") == 113
    assert holder.ask("total(product='new')") == 113


def test_a_family_defined_while_a_process_holds_the_lock(begin: Begin, shared: str) -> None:
    """It counts apart, is shown and merged as series are; a program that ends meanwhile ends well."""
    holder, program, short = (begin(PYROMETER_ARENA=shared) for _ in range(3))
    for each in (holder, program, short):
        each.count(1)
    stopped(holder)
    for each in (program, short):
        each.ask("more = pyrometer.Counter('more', 'More', ['l'])")
        each.ask("plain = pyrometer.Gauge('plain', 'Plain')")
        each.ask("plain.set(3) or more.labels('a').inc(2) or page()")
    assert short.end() == 0
    assert "rror" not in short.stderr
    os.kill(holder.pid, signal.SIGCONT)
    holder.ask("arena().let_go()")
    program.ask("page() and None")
    assert program.ask("total('more_total')") == 2
    assert holder.ask("[total('more_total'), total('plain')]") == [2, 3]


def test_a_program_that_ends_with_what_it_counted_apart(begin: Begin, shared: str) -> None:
    """Where the lock is free by then, what a program counted apart is there after its end, and it ends well."""
    holder, program = (begin(PYROMETER_ARENA=shared) for _ in range(2))
    holder.count(1)
    program.count(1)
    stopped(holder)
    program.ask("more = pyrometer.Counter('more', 'More', ['l'])")
    program.ask("more.labels('a').inc(2) or views.labels('new').inc(2)")
    os.kill(holder.pid, signal.SIGCONT)
    holder.ask("arena().let_go()")
    assert program.end() == 0
    assert "rror" not in program.stderr
    assert holder.ask("[total(), total('more_total')]") == [4, 2]


def test_the_holder_of_the_lock_is_killed(begin: Begin, shared: str) -> None:
    """The next who wants it has it at once; nothing is lost that was counted, and nothing is said."""
    program, other = (begin(PYROMETER_ARENA=shared) for _ in range(2))
    program.count(1)
    for number in range(5):
        holder = begin(PYROMETER_ARENA=shared)
        holder.ask("[views.labels(f'{n}').inc() for n in range(100)] and views.remove('7')")
        holder.ask(HOLD)
        holder.kill()
        assert program.ask(f"seconds(lambda: views.labels('new{number}').inc())") < PROMPT
        assert program.ask("total()") == other.ask("total()")
    assert other.ask("total()") == program.ask("total()") == 1 + 5 + 99 * 5
    assert program.logged == other.logged == []


# ---- a storm

STORM = """
import mmap, random
counted = mmap.mmap(-1, 8 * 4096)
many = pyrometer.Counter("many", "Many", ["l"], max_series=None)
seconds_of = pyrometer.Histogram("seconds", "Seconds", ["l"])
inside = pyrometer.Gauge("inside", "Inside", ["l"], multiprocess_mode="livesum")
def victim(number):
    place = 0
    random.seed(number)
    while True:
        views.labels("victims").inc()
        place += 1
        counted[8 * number : 8 * number + 8] = place.to_bytes(8, "little")
        name = f"{random.randrange(300)}" + "x" * random.choice((0, 10, 600, 9000))
        many.labels(name).inc()
        seconds_of.labels(f"{random.randrange(30)}").observe(random.random())
        with inside.labels(f"{random.randrange(5)}").track_inprogress():
            if random.random() < 0.5:
                many.remove(f"{random.randrange(300)}" + "x" * random.choice((0, 10, 600, 9000)))
        if random.random() < 0.01:
            page()
numbers = itertools.count()
def victims(n):
    found = []
    for _ in range(n):
        number = next(numbers)
        found.append(fork(lambda: victim(number)))
    return found
def reap():
    statuses = []
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return statuses
        statuses.append(status)
def counted_by_victims():
    return sum(int.from_bytes(counted[8 * n : 8 * n + 8], "little") for n in range(4096))
"""
SURVIVOR = """
over = threading.Event()
state = [0, 0, []]
def work():
    try:
        while not over.is_set():
            views.labels("survivors").inc()
            views.labels(f"mine {os.getpid()} {state[0] % 500}").inc()
            state[0] += 1
            if state[0] % 500 == 0:
                total()
                state[1] += 1
    except BaseException:
        state[2].append(traceback.format_exc())
thread = threading.Thread(target=work)
def stop():
    over.set()
    thread.join()
    return state
"""


def test_a_storm_of_kills(begin: Begin, shared: str) -> None:
    """While processes that make and remove series are killed at random, all others count and scrape exactly."""
    storm = begin(STORM, PYROMETER_ARENA=shared)
    survivors = [begin(SURVIVOR, PYROMETER_ARENA=shared) for _ in range(2)]
    for each in survivors:
        each.ask("thread.start()")
    chance = random.Random(4)
    living = storm.ask("victims(5)")
    killed = 0
    end = time.monotonic() + float(os.environ.get("SOAK_SECONDS", "3"))
    before = 0.0
    while time.monotonic() < end and killed < 4000:
        time.sleep(chance.uniform(0.005, 0.06))  # how far apart the kills are, nothing is waited for
        for _ in range(chance.choice((1, 1, 3))):
            os.kill(living.pop(chance.randrange(len(living))), signal.SIGKILL)
            killed += 1
        assert set(storm.ask("reap()")) <= {9}
        living += storm.ask(f"victims({5 - len(living)})")
        if killed % 10 == 0:
            total = storm.ask("total(product='victims')")
            assert total >= before
            before = total
    for pid in living:
        os.kill(pid, signal.SIGKILL)
        assert storm.ask(f"status_of({pid})") == 9
        killed += 1
    counted = 0
    for each in survivors:
        number, pages, errors = each.ask("stop()")
        assert errors == [] and pages > 0
        counted += number
    late = begin(PYROMETER_ARENA=shared)
    for each in (storm, *survivors, late):
        assert each.ask("total(product='survivors')") == counted
        own = "sum(float(l.split()[-1]) for l in page().splitlines() if l.startswith('view_total{product=\"mine '))"
        assert each.ask(own) == counted
        assert each.ask("total('inside')") == 0
    by_victims = storm.ask("counted_by_victims()")
    assert by_victims <= storm.ask("total(product='victims')") <= by_victims + killed
    assert storm.ask("many.clear() or total('many_total')") == 0
    assert storm.ask("[many.labels(f'{n}').inc() for n in range(3000)] and total('many_total')") == 3000
    assert late.ask("total('many_total')") == 3000
