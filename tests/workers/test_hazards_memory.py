"""Memory for an arena that is missing, too small, used up, or not to be written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from workers.hazards import Begin, in_mounts, limited

COUNT_IN_FORK = "status_of(fork(lambda: [views.labels('p').inc(), views.labels('fork').inc(), page()]))"
BOUNDLESS = """
views = pyrometer.Counter("many", "Many", ["product"], max_series=None)
def fill(first, last, text=""):
    for number in range(first, last):
        views.labels(f"{number}{text}").inc()
"""
OWN = f"pyrometer-{os.geteuid()}"
# The directories of Pyrometer's own alone: what runs the tests may lie beneath /tmp itself.
EVERYWHERE = (
    f"for d in /tmp /var/tmp /usr/tmp /run/user/{os.geteuid()}; do if [ -d $d ]; then "
    f"mkdir -p -m 700 $d/{OWN} && mount --bind /dev/shm $d/{OWN} || exit 1; fi; done"
)


def small(size: str, more: str = ":") -> str:
    """Shell commands that make /dev/shm as small as that, with these mount options."""
    return f"mount -t tmpfs -o size={size} none /dev/shm && {more}"


NOWHERE = {
    "full": (small("64k", EVERYWHERE), "no space left"),
    "full of files": (small("64k,nr_inodes=1", EVERYWHERE), "No space left"),
    "read-only": (small("1m,ro", EVERYWHERE), "Read-only file system"),
    "none": (small("1m,ro", EVERYWHERE) + " && mount -t tmpfs -o ro none /dev", ""),
}


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("kind", NOWHERE)
def test_no_room_anywhere(begin: Begin, kind: str, named: bool) -> None:
    """Without a file system that can be written to, a program counts with its forks, and says once what is wrong."""
    mounts, reason = NOWHERE[kind]
    variables = {"PYROMETER_ARENA": "/dev/shm/named"} if named else {}
    program = begin(around=in_mounts(mounts), **variables)
    assert program.count(2) == 2
    assert [program.ask(COUNT_IN_FORK) for _ in range(2)] == [0, 0]
    assert program.ask("total()") == 6
    assert program.end() == 0
    assert len(program.logged) == 1 and reason in program.logged[0], program.logged


@pytest.mark.parametrize("kind", ["full", "read-only", "none"])
def test_no_shared_memory(begin: Begin, tmp_path: Path, kind: str) -> None:
    """Where /dev/shm is missing, full or read-only, a directory on a disk serves as well, and nobody is told."""
    mounts = {"full": small("64k"), "read-only": small("1m,ro"), "none": "mount -t tmpfs none /dev"}[kind]
    program = begin(around=in_mounts(mounts), XDG_RUNTIME_DIR=str(tmp_path))
    assert program.count(2) == 2
    assert program.ask(COUNT_IN_FORK) == 0
    assert program.ask("total()") == 4
    assert program.ask("os.path.dirname(arena().path)") == str(tmp_path / f"pyrometer-{os.geteuid()}")
    assert program.end() == 0
    assert program.logged == []
    assert list((tmp_path / f"pyrometer-{os.geteuid()}").iterdir()) == []


FILLING = (
    BOUNDLESS
    + """
def fill_up():
    file = os.open("/dev/shm/filler", os.O_CREAT | os.O_WRONLY)
    try:
        while True:
            os.write(file, bytes(4096))
    except OSError:
        os.close(file)
"""
)


def test_shared_memory_that_fills_up(begin: Begin) -> None:
    """Known series count on, new ones go over into one that is shown; with room again there are new ones; all exact."""
    program = begin(FILLING, around=in_mounts(small("4m", EVERYWHERE)))
    assert program.ask("fill(0, 1000) or total('many_total')") == 1000
    program.ask("fill_up()")
    assert program.ask("fill(0, 20000) or total('many_total')") == 21000
    assert program.ask("status_of(fork(lambda: [fill(0, 1000), page()]))") == 0
    assert program.ask("total('many_total')") == 22000
    overflow = program.ask("total('many_total', product='__overflow__')")
    assert 0 < overflow <= 19000
    assert program.ask("total('pyrometer_series_overflow_total')") == overflow
    program.ask("os.unlink('/dev/shm/filler')")
    assert program.ask("fill(30000, 31000) or total('many_total')") == 23000
    assert program.ask("total('many_total', product='__overflow__')") == overflow
    assert program.ask("status_of(fork(lambda: [fill(30000, 32000), page()]))") == 0
    assert program.ask("total('many_total')") == 25000
    assert program.end() == 0
    said = [message for message in program.logged if "many" in message]
    assert len(said) == 1, program.logged


def test_a_container_with_64_mb_of_shared_memory(begin: Begin) -> None:
    """All of it is for series; then further ones go over into one, in every process, and nothing raises."""
    program = begin(BOUNDLESS, around=in_mounts(small("64m")))
    assert program.ask("fill(0, 7000, 'x' * 15000) or total('many_total')") == 7000
    assert program.ask("status_of(fork(lambda: [fill(7000, 8000, 'x' * 15000), page()]))") == 0
    assert program.ask("total('many_total')") == 8000
    overflow = program.ask("total('many_total', product='__overflow__')")
    series = program.ask("page().count('many_total{')") - 1
    assert series * 15000 > 0.9 * 64e6 and overflow == 8000 - series
    assert program.ask("total('pyrometer_series_overflow_total')") == overflow
    assert program.ask("status_of(fork(lambda: views.labels('0').inc()))") == 0
    assert program.end() == 0
    assert len([message for message in program.logged if "many" in message]) == 1, program.logged


@pytest.mark.parametrize("megabytes", [64, 128, 512, 2048])
def test_little_address_space(begin: Begin, tmp_path: Path, megabytes: int) -> None:
    """A program with little address space counts, scrapes, makes series and forks, and others join it."""
    program = begin(BOUNDLESS, around=limited(megabytes * 1024), PYROMETER_ARENA=str(tmp_path / "small"))
    assert program.ask("fill(0, 1000) or total('many_total')") == 1000
    assert program.ask("status_of(fork(lambda: [fill(0, 2000), page()]))") == 0
    assert program.ask("total('many_total')") == 3000
    other = begin(BOUNDLESS, PYROMETER_ARENA=str(tmp_path / "small"))
    assert other.ask("fill(0, 1000) or total('many_total')") == 4000
    assert program.ask("total('many_total')") == 4000
    assert (program.end(), other.end()) == (0, 0)
    assert program.logged == other.logged == []


def test_an_arena_too_large_for_a_program(begin: Begin, tmp_path: Path) -> None:
    """Who cannot map what the others share counts with its forks alone, and says once why."""
    large = begin(PYROMETER_ARENA=str(tmp_path / "large"))
    assert large.count(5) == 5
    program = begin(around=limited(200 * 1024), PYROMETER_ARENA=str(tmp_path / "large"))
    assert program.count(2) == 2
    assert program.ask(COUNT_IN_FORK) == 0
    assert program.ask("total()") == 4
    assert large.ask("total()") == 5
    assert (program.end(), large.end()) == (0, 0)
    assert large.logged == []
    assert len(program.logged) == 1 and "address space" in program.logged[0], program.logged
