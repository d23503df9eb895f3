"""What lies at the meeting place is no arena, or stops being one while processes count in it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from workers.hazards import Begin, in_mounts
from workers.needs import need_root

from pyrometer._core import layout

NAME = f"pyrometer-v{layout.VERSION}.arena"
COUNT_IN_FORK = "status_of(fork(lambda: [views.labels('p').inc(), views.labels('fork').inc(), page()]))"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where an arena may lie: a file in a directory of its own, which is there."""
    (tmp_path / "place").mkdir(0o700)
    return tmp_path / "place" / NAME


def arena_of(begin: Begin, directory: Path) -> bytes:
    """What an arena begins with in which a program has counted that has ended."""
    directory.mkdir()
    with begin(PYROMETER_ARENA=str(directory)) as program:
        program.count(1)
        with open(directory / NAME, "rb") as file:
            return file.read(layout.CHUNK * (layout.FIRST + 4))


def put_older(place: Path, content: bytes) -> None:
    older = bytearray(content)
    older[layout.AT_VERSION : layout.AT_VERSION + 8] = (layout.VERSION + 6).to_bytes(8, "little")
    place.write_bytes(older)
    os.truncate(place, layout.SIZE)


def put_foreign(place: Path, content: bytes) -> None:
    connection = sqlite3.connect(place)
    connection.execute("create table t (x)")
    connection.executemany("insert into t values (?)", [("text" * 100,)] * 1000)
    connection.commit()
    connection.close()


def put_another_users(place: Path, content: bytes) -> None:
    need_root()
    place.write_bytes(content)
    os.truncate(place, layout.SIZE)
    os.chown(place, 65534, -1)


SHOW_PLACE = """
from pyrometer._place import places
place = places()[0]
os.makedirs(place.directory, 0o700, exist_ok=True)
os.write(1, repr((True, place.file)).encode() + b"\\n")
sys.stdin.readline()
"""
WRONG: dict[str, Callable[[Path, bytes], object]] = {
    "empty": lambda place, content: place.touch(),
    "zeros": lambda place, content: place.write_bytes(bytes(len(content))),
    "torn within the header": lambda place, content: place.write_bytes(content[:40]),
    "torn": lambda place, content: place.write_bytes(content),
    "truncated": lambda place, content: place.write_bytes(content[: layout.SLOTS + 100]),
    "foreign": put_foreign,
    "older": put_older,
    "another user's": put_another_users,
    "a directory": lambda place, content: place.mkdir(),
    "a link to nothing": lambda place, content: place.symlink_to("nothing"),
}


def stat_of(place: Path) -> tuple[int, int, int]:
    found = os.lstat(place)
    return found.st_ino, found.st_size, found.st_mtime_ns


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_at_a_named_place(begin: Begin, place: Path, tmp_path: Path, kind: str) -> None:
    """A program and its forks count together all the same, say once what is wrong where, and leave it as it is."""
    WRONG[kind](place, arena_of(begin, tmp_path / "first"))
    before = stat_of(place)
    program = begin(PYROMETER_ARENA=str(place.parent))
    assert program.count(2) == 2
    assert [program.ask(COUNT_IN_FORK) for _ in range(2)] == [0, 0]
    assert program.ask("total()") == 6
    other = begin(PROMETHEUS_MULTIPROC_DIR=str(place.parent))
    assert other.count(5) == 5
    for each in (program, other):
        assert each.end() == 0
        said = each.logged
        assert len(said) == 1 and str(place) in said[0], said
    assert stat_of(place) == before


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_at_the_place_of_a_program(begin: Begin, tmp_path: Path, kind: str) -> None:
    """Where a program would make its arena, something wrong is replaced or passed over: processes count together."""
    content = arena_of(begin, tmp_path / "first")
    (tmp_path / "shm").mkdir()
    program = begin(early=SHOW_PLACE, around=in_mounts(f"mount --bind {tmp_path / 'shm'} /dev/shm"))
    WRONG[kind](tmp_path / "shm" / os.path.relpath(program.answer(), "/dev/shm"), content)
    program.tell("")
    assert program.count(2) == 2
    assert [program.ask(COUNT_IN_FORK) for _ in range(2)] == [0, 0]
    assert program.ask("total()") == 6
    assert program.ask("arena().path == place.file") == (kind not in ("a directory", "a link to nothing"))
    assert program.end() == 0
    assert program.logged == []


WRONG_DIRECTORIES = {
    "another user's": "os.chown(own, 65534, -1)",
    "a link": "os.rmdir(own); os.symlink('/etc', own)",
    "a file": "os.rmdir(own); open(own, 'w')",
}


@pytest.mark.parametrize("kind", WRONG_DIRECTORIES)
def test_a_directory_of_ours_that_is_wrong(begin: Begin, tmp_path: Path, kind: str) -> None:
    """Where another user has made the directory, or it is a link or a file, the next place serves, and all is quiet."""
    need_root()
    program = begin(
        early=f"own = '/dev/shm/pyrometer-0'; os.mkdir(own, 0o700); {WRONG_DIRECTORIES[kind]}",
        around=in_mounts("mount -t tmpfs none /dev/shm"),
        XDG_RUNTIME_DIR=str(tmp_path),
    )
    assert program.count(2) == 2
    assert program.ask(COUNT_IN_FORK) == 0
    assert program.ask("total()") == 4
    assert program.ask("os.path.dirname(arena().path)") == str(tmp_path / f"pyrometer-{os.geteuid()}")
    assert program.end() == 0
    assert program.logged == []


@pytest.mark.parametrize("kept", [layout.SLOTS, layout.RING, layout.CHUNKS, layout.FIRST * layout.CHUNK])
def test_an_arena_that_was_written_in_part(begin: Begin, place: Path, tmp_path: Path, kept: int) -> None:
    """A copy of a living program's arena that ends in zeros brings nobody down who finds it at a place."""
    (tmp_path / "whole").mkdir()
    with begin(PYROMETER_ARENA=str(tmp_path / "whole")) as whole:
        whole.ask("[views.labels(f'{n}').inc() for n in range(1000)] and None")
        with open(tmp_path / "whole" / NAME, "rb") as file:
            place.write_bytes(file.read(kept))
        os.truncate(place, os.stat(tmp_path / "whole" / NAME).st_size)
        program = begin(PYROMETER_ARENA=str(place.parent))
        program.ask("views.labels('p').inc(2)")
        program.ask(COUNT_IN_FORK)
        assert program.ask("total(product='p')") >= 3
        assert program.end() == 0
        assert whole.ask("total()") == 1000


# ---- while processes count


def cut(place: Path) -> None:
    os.truncate(place, 0)


def cut_in_part(place: Path) -> None:
    os.truncate(place, layout.FIRST * layout.CHUNK)


def cut_and_grown(place: Path) -> None:
    size = place.stat().st_size
    os.truncate(place, 0)
    os.truncate(place, size)


DESTROYED = {each.__name__: each for each in (cut, cut_in_part, cut_and_grown)}

COUNTING = """
errors = []
def work():
    try:
        for number in itertools.count():
            views.labels("p").inc()
            views.labels(f"{number % 2000}").inc()
            if number % 50 == 0:
                views.remove(f"{number % 1000}")
                page()
            if over.is_set():
                break
            counted[0] = number
    except BaseException:
        errors.append(traceback.format_exc())
over = threading.Event()
counted = [0]
threads = [threading.Thread(target=work) for _ in range(2)]
def start():
    for thread in threads:
        thread.start()
def stop():
    over.set()
    for thread in threads:
        thread.join()
    return errors
"""


@pytest.mark.parametrize("destroy", DESTROYED)
def test_a_file_destroyed_while_processes_count(begin: Begin, place: Path, destroy: str) -> None:
    """They go on: every scrape answers, what is counted from then on is seen, and each says once what happened."""
    several = [begin(COUNTING, PYROMETER_ARENA=str(place.parent)) for _ in range(2)]
    assert [each.ask("views.labels('p').inc(1000) or total()") for each in several] == [1000, 2000]
    several[0].ask("start()")
    several[0].ask(
        "[time.sleep(0.001) for _ in itertools.takewhile(lambda _: counted[0] < 500, itertools.count())] and 0"
    )
    DESTROYED[destroy](place)
    several[0].ask("counted.__setitem__(0, 0)")
    several[0].ask(
        "[time.sleep(0.001) for _ in itertools.takewhile(lambda _: counted[0] < 500, itertools.count())] and 0"
    )
    assert several[0].ask("stop()") == []
    for each in several:
        each.ask("total()")
        before = each.ask("total(product='p')")
        each.ask("views.labels('p').inc(7)")
        assert each.ask("total(product='p')") - before == 7
        each.ask("views.labels('after').inc(7)")
        assert each.ask("total(product='after')") >= 7
        assert each.ask(COUNT_IN_FORK) == 0
    for each in several:
        assert each.end() == 0
        said = [message for message in each.logged if str(place) in message]
        assert len(said) == 1, each.logged


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_unlinked_while_processes_count(begin: Begin, place: Path, replaced: bool) -> None:
    """Who is attached counts on exactly, with the forks it makes; what has come in its place is not touched."""
    several = [begin(PYROMETER_ARENA=str(place.parent)) for _ in range(2)]
    assert [each.count(1000) for each in several] == [1000, 2000]
    os.unlink(place)
    if replaced:
        place.write_text("precious")
    assert [each.ask(COUNT_IN_FORK) for each in several] == [0, 0]
    assert [each.count(10, "new") for each in several] == [2014, 2024]
    later = begin(PYROMETER_ARENA=str(place.parent))
    assert later.count(5) == 5
    assert [each.ask("total()") for each in several] == [2024, 2024]
    assert [each.end() for each in (*several, later)] == [0, 0, 0]
    if replaced:
        assert place.read_text() == "precious"
    else:
        assert not place.exists()


def test_a_directory_removed_while_processes_count(begin: Begin, place: Path) -> None:
    """Who is attached counts on exactly where the directory has gone, its forks too."""
    program = begin(PYROMETER_ARENA=str(place.parent))
    assert program.count(3) == 3
    os.unlink(place)
    os.rmdir(place.parent)
    assert program.ask(COUNT_IN_FORK) == 0
    assert program.count(3) == 8
    assert (program.end(), program.logged) == (0, [])
