"""Who counts together: the processes of one program, and those that share a place, nobody else."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import wait_until
from workers.loads import view
from workers.pages import value
from workers.puppets import Puppet
from workers.running import Workers, granian, gunicorn, hypercorn, uvicorn, uwsgi

Serve = Callable[..., Workers]
Start = Callable[..., Puppet]
Run = Callable[..., Any]

FORKING = (gunicorn, ["--workers=2"])
SPAWNING = (uvicorn, ["--workers=2"])
PAIRS = {
    "two gunicorns": (FORKING, FORKING),
    "two gunicorns with preload": ((gunicorn, ["--workers=2", "--preload"]),) * 2,
    "two uvicorns": (SPAWNING, SPAWNING),
    "two hypercorns": ((hypercorn, ["--workers=2"]),) * 2,
    "two granians": ((granian, ["--workers=2"]),) * 2,
    "two uwsgis": ((uwsgi, ["--processes=2", "--lazy-apps"]),) * 2,
    "gunicorn and uvicorn": (FORKING, SPAWNING),
}


def count(puppet: Puppet, number: float) -> float:
    """Have the program count that many views; what it then has."""
    total = puppet.ask(f"views.labels('p').inc({number}) or total()")
    assert isinstance(total, (int, float))
    return total


@pytest.mark.parametrize("pair", PAIRS)
def test_neighbours_never_mix(pair: str, serve: Serve) -> None:
    """Two servers started by one process, of the same application too, each have a total of their own."""
    (one, one_options), (other, other_options) = PAIRS[pair]
    first, second = serve(one, *one_options), serve(other, *other_options)
    view(first, 300)
    view(second, 200)
    view(first, 100)
    assert (first.total(10), second.total(10)) == (400, 200)


def test_programs_of_one_shell(run: Run) -> None:
    """Two programs that one shell starts at the same time, and that live at the same time, never mix."""
    program = """
import subprocess, sys
COUNT = '''
import os, sys, time
import pyrometer
from apps import views
from workers.pages import value
views.labels("p").inc(int(sys.argv[1]))
open(sys.argv[2], "w").close()
while not os.path.exists(sys.argv[3]):
    time.sleep(0.01)
print(value(pyrometer.generate_latest().decode()))
'''
shell = '"$0" -c "$1" 3 a b >one & "$0" -c "$1" 4 b a >two & wait; cat one two'
done = subprocess.run(["sh", "-c", shell, sys.executable, COUNT], stdout=subprocess.PIPE, text=True, check=True)
print(sorted(map(float, done.stdout.split())))
"""
    assert run(program) == [3, 4]


def test_a_program_that_a_program_starts(puppet: Start) -> None:
    """A program started by one that counts, or by a fork or a spawned child of it, counts for itself."""
    one = puppet(
        """
import multiprocessing, subprocess
OTHER = "import pyrometer; from apps import views; from workers.pages import value;"
OTHER += "views.labels('p').inc(); print(value(pyrometer.generate_latest().decode()))"
def start(pipe=None):
    said = float(subprocess.run([sys.executable, "-c", OTHER], stdout=subprocess.PIPE, text=True, check=True).stdout)
    if pipe:
        pipe.send(said)
    return said
def start_in(method):
    context = multiprocessing.get_context(method)
    here, there = context.Pipe()
    process = context.Process(target=start, args=(there,))
    process.start()
    said = here.recv()
    process.join()
    return said
"""
    )
    assert count(one, 5) == 5
    assert [one.ask("start()"), *(one.ask(f"start_in({method!r})") for method in ("fork", "spawn"))] == [1, 1, 1]
    assert one.ask("total()") == 5


def test_a_program_that_executes_itself(run: Run) -> None:
    """A process that executes itself anew starts at zero."""
    program = """
import os, sys
import pyrometer
from apps import views
from workers.pages import value
total = lambda: value(pyrometer.generate_latest().decode())
before = total()
views.labels("p").inc(5)
if sys.argv[1:]:
    print((float(sys.argv[1]), before, total()))
else:
    os.execv(sys.executable, [sys.executable, __file__, str(total())])
"""
    assert run(program) == (5, 0, 5)


def test_off(serve: Serve) -> None:
    """With PYROMETER_ARENA=off every worker has its own count alone."""
    server = serve(gunicorn, "--workers=4", PYROMETER_ARENA="off")
    workers = server.wait_for_workers(4)
    view(server, 1_000)
    said: dict[int, float] = {}

    def all_said() -> bool:
        answer = server.scrape()
        said[answer.worker] = value(answer.body)
        return said.keys() == workers

    wait_until(all_said, "every worker has answered a scrape")
    assert sum(said.values()) == 1_000
    assert max(said.values()) < 1_000


def test_off_in_forks(run: Run) -> None:
    """With PYROMETER_ARENA=off a fork begins with what its parent had, and each goes on for itself."""
    program = """
import os
import pyrometer
from apps import views
from workers.pages import value
total = lambda: value(pyrometer.generate_latest().decode())
views.labels("p").inc(5)
reading, writing = os.pipe()
pid = os.fork()
if pid == 0:
    views.labels("p").inc(10)
    os.write(writing, repr(total()).encode())
    os._exit(0)
os.waitpid(pid, 0)
print((total(), float(os.read(reading, 100))))
"""
    mine, fork = run(program, PYROMETER_ARENA="off")
    assert mine == 5
    assert fork in (10, 15)


@pytest.mark.parametrize("variable", ["PYROMETER_ARENA", "PROMETHEUS_MULTIPROC_DIR"])
def test_a_place_in_the_environment(variable: str, puppet: Start, tmp_path: Path) -> None:
    """Programs that have nothing in common but a place in their environment count together; others do not.

    The place is made, with room for nobody else.
    """
    place = tmp_path / "place"
    one, two = puppet(**{variable: str(place)}), puppet(**{variable: str(place)})
    three, four = puppet(**{variable: str(tmp_path / "elsewhere")}), puppet()
    assert count(one, 3) == 3
    assert count(two, 4) == 7
    assert (count(three, 10), count(four, 20)) == (10, 20)
    assert one.ask("total()") == 7
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in place.iterdir()} == {0o600}


def test_a_place_that_a_deployment_has(puppet: Start, tmp_path: Path) -> None:
    """A directory that exists already, with files of another library in it, does as a place, and keeps them."""
    place = tmp_path / "multiproc"
    place.mkdir(0o755)
    (place / "counter_123.db").write_bytes(bytes(1 << 16))
    one = puppet(PROMETHEUS_MULTIPROC_DIR=str(place))
    two = puppet(PROMETHEUS_MULTIPROC_DIR=str(place))
    assert (count(one, 3), count(two, 4), one.ask("total()")) == (3, 7, 7)
    assert (place / "counter_123.db").read_bytes() == bytes(1 << 16)


def test_which_place_wins(puppet: Start, tmp_path: Path) -> None:
    """PYROMETER_ARENA wins over PROMETHEUS_MULTIPROC_DIR, `off` too."""
    shared = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "shared")}
    one, two = puppet(**shared), puppet(**shared, PYROMETER_ARENA="off")
    three = puppet(**shared, PYROMETER_ARENA=str(tmp_path / "other"))
    assert (count(one, 3), count(two, 4), count(three, 5)) == (3, 4, 5)


def test_servers_with_one_place(serve: Serve, tmp_path: Path) -> None:
    """Two servers of different kinds with one place have one total between them, on every worker of each."""
    place = str(tmp_path / "place")
    first = serve(gunicorn, "--workers=2", PYROMETER_ARENA=place)
    second = serve(uvicorn, "--workers=2", PYROMETER_ARENA=place)
    view(first, 300)
    view(second, 200)
    assert (first.total(10), second.total(10)) == (500, 500)


def test_a_place_outlives_who_made_it(puppet: Start, tmp_path: Path) -> None:
    """Who comes to a place finds what was counted there as long as one process is left, not the first necessarily."""
    place = {"PYROMETER_ARENA": str(tmp_path / "place")}
    one, two = puppet(**place), puppet(**place)
    assert (count(one, 3), count(two, 4)) == (3, 7)
    one.end()
    three = puppet(**place)
    assert count(three, 5) == 12
    assert two.ask("total()") == 12


JOIN = """
from pyrometer import Gauge, Histogram
took = Histogram("took", "Time", buckets=[1, 10])
level = Gauge("level", "Level")
bound = views.labels("p")
"""


def test_join(puppet: Start, tmp_path: Path) -> None:
    """Programs that join a place at any time take along what they counted, and count together from then on."""
    place = tmp_path / "place"
    join = f"pyrometer.join({str(place)!r})"
    one, two = puppet(JOIN), puppet(JOIN)
    assert (count(one, 3), count(two, 4)) == (3, 4)
    one.ask("took.observe(5)")
    two.ask("took.observe(0.5)")
    one.ask(join)
    assert one.ask("total()") == 3
    two.ask(join)
    assert (one.ask("total()"), two.ask("total()")) == (7, 7)
    # handles from before are as good as new ones
    one.ask("bound.inc(10)")
    two.ask("views.labels('q').inc(100)")
    one.ask("level.set(8)")
    for program in (one, two):
        assert (program.ask("total(product='p')"), program.ask("total()")) == (17, 117)
        assert (program.ask("total('took_count')"), program.ask("total('took_sum')")) == (2, 5.5)
        assert program.ask("total('took_bucket', le='1.0')") == 1
    assert two.ask("total('level')") == 8


def test_join_twice(puppet: Start, tmp_path: Path) -> None:
    """To join the place where one is changes nothing; to join another moves on what is there to take along."""
    one = puppet(JOIN)
    count(one, 3)
    for _ in range(2):
        one.ask(f"pyrometer.join({str(tmp_path / 'place')!r})")
        assert one.ask("total()") == 3
    one.ask(f"pyrometer.join({str(tmp_path / 'another')!r})")
    assert count(one, 1) == 4


def test_join_a_place_of_others(puppet: Start, tmp_path: Path) -> None:
    """Who joins the place that another has in its environment counts together with it."""
    one, two = puppet(PYROMETER_ARENA=str(tmp_path / "place")), puppet()
    assert (count(one, 3), count(two, 4)) == (3, 4)
    two.ask(f"pyrometer.join({str(tmp_path / 'place')!r})")
    assert (one.ask("total()"), two.ask("total()")) == (7, 7)


def test_forks_join_in_turn(run: Run, tmp_path: Path) -> None:
    """When processes that already count together join a place one after another, what they had moves there once."""
    program = """
import os, sys
import pyrometer
from apps import views
from workers.pages import value
total = lambda: value(pyrometer.generate_latest().decode())
views.labels("p").inc(10)
for number in range(3):
    pid = os.fork()
    if pid == 0:
        views.labels("p").inc(1)
        pyrometer.join(sys.argv[1])
        views.labels("p").inc(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
pyrometer.join(sys.argv[1])
print(total())
"""
    assert run(program, str(tmp_path / "place")) == 16


def test_children_of_a_program_that_joined(run: Run, tmp_path: Path) -> None:
    """Forks of a program that joined a place, and its spawned children, are at that place too."""
    program = """
import multiprocessing, os, sys
import pyrometer
from apps import views
from workers.pages import value
total = lambda: value(pyrometer.generate_latest().decode())
def work(pipe):
    views.labels("p").inc(10)
    pipe.send(total())
if __name__ == "__main__":
    pyrometer.join(sys.argv[1])
    views.labels("p").inc(1)
    seen = []
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        here, there = context.Pipe()
        process = context.Process(target=work, args=(there,))
        process.start()
        seen.append(here.recv())
        process.join()
    print((seen, total()))
"""
    assert run(program, str(tmp_path / "place")) == ([11, 21, 31], 31)


def inode(file: Path) -> str:
    """The number that a list of mappings has for the file; none where it is gone, as another program's may be."""
    try:
        return str(file.stat().st_ino)
    except FileNotFoundError:
        return ""


def test_nothing_is_left_behind(puppet: Start) -> None:
    """A program that ends takes its arena with it from the place where it was."""
    one = puppet()
    count(one, 1)
    # by inode: a file that had no name when it was mapped has none in the list of mappings
    mapped = {line.split()[4] for line in Path(f"/proc/{one.process.pid}/maps").read_text().splitlines()}
    homes = [Path("/dev/shm"), Path(f"/run/user/{os.geteuid()}"), Path(tempfile.gettempdir())]
    files = [file for home in homes for file in home.glob("pyrometer-*/*.arena")]
    arenas = [file for file in files if inode(file) in mapped]
    assert arenas
    one.end()
    assert not any(file.exists() for file in arenas)
