"""Where the processes of a program meet: files that appear whole, are never a stranger's, and go when all have gone."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import signal
import sqlite3
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from workers.needs import need_program, need_root, not_run

from pyrometer import _place
from pyrometer._core import layout
from pyrometer._place import Place, PlaceError, attached, explicit_place, leave, open_at, own_directories, places, sweep
from pyrometer._program import boot, namespace, program, start_of

SIZE = layout.SMALLEST
Process = tuple[int, int, int]


def me() -> Process:
    return os.getpid(), start_of("self") or 0, namespace()


def dead() -> Process:
    """A process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    found = (child.pid, start_of(child.pid) or 0, namespace())
    child.communicate(b"\n")
    return found


def write_header(fd: int, root: Process | None = None, version: int = layout.VERSION, of_boot: int = 0) -> None:
    """Make an arena of a file, as far as its place is concerned."""
    os.ftruncate(fd, SIZE)
    root = root or (program().root_pid, program().root_start, program().root_namespace)
    os.pwrite(fd, struct.pack("=8sQQQ3Qd", layout.MAGIC, version, SIZE, of_boot or boot(), *root, 1.0), 0)


def write_slot(fd: int, number: int, process: Process) -> None:
    os.pwrite(fd, struct.pack("=3Q", *process), layout.SLOTS + layout.SLOT * number)
    os.pwrite(fd, struct.pack("=Q", number + 1), layout.AT_SLOTS)


def put(place: Place, root: Process, *slots: Process, version: int = layout.VERSION, of_boot: int = 0) -> int:
    """Lay an arena at a place; returns its inode."""
    os.makedirs(place.directory, 0o700, exist_ok=True)
    fd = os.open(place.file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    write_header(fd, root, version, of_boot)
    for number, process in enumerate(slots):
        write_slot(fd, number, process)
    try:
        return os.fstat(fd).st_ino
    finally:
        os.close(fd)


@contextmanager
def opened(place: Place) -> Iterator[int]:
    fd = open_at(place, write_header)
    try:
        yield fd
    finally:
        os.close(fd)


def inode(place: Place) -> int:
    """The inode of the arena that is joined, or made, at a place."""
    with opened(place) as fd:
        assert os.pread(fd, 8, 0) == layout.MAGIC
        return os.fstat(fd).st_ino


def left_of(place: Place) -> list[str]:
    return sorted(os.listdir(place.directory))


@pytest.fixture
def own(tmp_path: Path) -> Place:
    """A place of Pyrometer's own."""
    directory = tmp_path / "own"
    return Place(str(directory), str(directory / f"{program().name}.arena"), False)


@pytest.fixture
def named(tmp_path: Path) -> Place:
    """A place that a user named."""
    return explicit_place(str(tmp_path / "named"))


@pytest.fixture(params=["own", "named"])
def either(request: pytest.FixtureRequest, own: Place, named: Place) -> Place:
    return own if request.param == "own" else named


@pytest.fixture(autouse=True)
def same_descriptors() -> Iterator[None]:
    """No test may leave a descriptor open."""
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert set(os.listdir("/proc/self/fd")) <= before


def run_beside(text: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Another Python that runs `text` and then says so, and ends when its input does."""
    text = f"import os, sys\n{text}\nos.write(1, b'ready')\nsys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-c", text, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    assert child.stdout is not None and child.stdout.read(5) == b"ready"
    return child


def end(child: subprocess.Popen[bytes]) -> None:
    child.communicate()


# ---- which places


def test_places_by_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """PYROMETER_ARENA comes before PROMETHEUS_MULTIPROC_DIR and both before Pyrometer's own; `off` leaves none."""
    for variable in ("PYROMETER_ARENA", "PROMETHEUS_MULTIPROC_DIR", "TMPDIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    by_default = places()
    directories = [f"/dev/shm/pyrometer-{os.geteuid()}", f"{tmp_path}/pyrometer-{os.geteuid()}"]
    assert [place.directory for place in by_default][:2] == directories == own_directories()[:2]
    assert all(place.file == f"{place.directory}/{program().name}.arena" for place in by_default)
    assert not any(place.explicit for place in by_default)

    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "old"))
    assert (places()[0].file, places()[0].explicit) == (f"{tmp_path}/old/pyrometer-v{layout.VERSION}.arena", True)
    assert [place.file for place in places()[1:]] == [place.file for place in by_default]
    monkeypatch.setenv("PYROMETER_ARENA", "relative")
    assert places()[0].directory == os.path.abspath("relative")
    monkeypatch.setenv("PYROMETER_ARENA", "off")
    assert places() == []


def test_without_shared_memory_files_lie_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Directories that are not there, or not absolute, are no places; those that are named twice are one."""
    monkeypatch.setattr(os.path, "isdir", lambda path: str(path) in (str(tmp_path), "/tmp", "relative"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "relative")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("TEMP", str(tmp_path))
    assert own_directories() == [f"{tmp_path}/pyrometer-{os.geteuid()}", f"/tmp/pyrometer-{os.geteuid()}"]


def test_a_name_that_exists_is_the_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where a program has two names, the first under which there is a file is taken, and the first of all for a new."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(program(), "names", (program().name, "b" * 32))
    directory = tmp_path / f"pyrometer-{os.geteuid()}"
    mine = [Path(place.file) for place in places() if place.directory == str(directory)]
    assert mine == [directory / f"{program().name}.arena"]
    directory.mkdir()
    (directory / f"{'b' * 32}.arena").touch()
    assert str(directory / f"{'b' * 32}.arena") in [place.file for place in places()]
    mine[0].touch()
    assert str(mine[0]) in [place.file for place in places()]


# ---- making and joining


def test_who_comes_second_joins(either: Place) -> None:
    """The first makes the file, private to its user in a directory private to its user; the second opens the same."""
    before = os.umask(0o777)
    try:
        with opened(either) as fd:
            assert inode(either) == os.fstat(fd).st_ino
            assert not os.get_inheritable(fd)
    finally:
        os.umask(before)
    assert left_of(either) == [os.path.basename(either.file)]
    assert stat.S_IMODE(os.stat(either.file).st_mode) == 0o600
    if not either.explicit:
        assert stat.S_IMODE(os.stat(either.directory).st_mode) == 0o700


def test_a_named_directory_is_made_private_or_taken_as_it_is(tmp_path: Path) -> None:
    """A directory that is missing is made with mode 0700, the ones above it too; one that exists keeps its mode."""
    inode(explicit_place(str(tmp_path / "a" / "b")))
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    (tmp_path / "link").symlink_to("open")
    assert inode(explicit_place(str(tmp_path / "link"))) == inode(explicit_place(str(tmp_path / "open")))
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o755


def test_many_at_once_make_one(either: Place) -> None:
    """Of processes that all find nothing, or all find something dead, one makes the file and the others join it."""
    for leftover in (False, True):
        if leftover:
            os.unlink(either.file)
            put(either, dead())
        reading, writing = os.pipe()
        found, tell = os.pipe()
        children = []
        for _ in range(8):
            child = os.fork()
            if child == 0:
                os.close(writing)
                os.read(reading, 1)  # until all are there
                os.write(tell, b"%20d" % inode(either))
                os._exit(0)
            children.append(child)
        os.close(reading)
        os.close(writing)
        os.close(tell)
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
        inodes = os.read(found, 1000).split()
        os.close(found)
        assert len(inodes) == 8 and set(inodes) == {b"%d" % os.stat(either.file).st_ino}
        assert len(left_of(either)) == 1


def test_where_files_need_names(either: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system that has no unnamed files one with another name is linked; nothing of it stays."""
    monkeypatch.delattr(os, "O_TMPFILE")
    assert inode(either) == inode(either)
    assert left_of(either) == [os.path.basename(either.file)]


@pytest.mark.parametrize("unnamed", [True, False])
def test_what_fails_leaves_nothing(either: Place, monkeypatch: pytest.MonkeyPatch, unnamed: bool) -> None:
    """When an arena cannot be prepared there is no file, and the error says where and why."""
    if not unnamed:
        monkeypatch.delattr(os, "O_TMPFILE")

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(PlaceError, match=f"{either.file}.*No space left on device"):
        open_at(either, full)
    with pytest.raises(ZeroDivisionError):
        open_at(either, lambda fd: print(1 // 0))
    assert left_of(either) == []


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a tmpfs with options for the length of a test."""
    need_program("mount")
    mounted = []

    def mount(options: str) -> Path:
        directory = tmp_path / "tmpfs"
        directory.mkdir(exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(directory)], capture_output=True)
        if done.returncode != 0:
            not_run(f"mounting a tmpfs is not permitted: {done.stderr.decode()[-200:]}")
        mounted.append(directory)
        return directory

    yield mount
    for directory in mounted:
        subprocess.run(["umount", str(directory)], check=True)


def test_a_full_tmpfs(tmpfs: Callable[[str], Path]) -> None:
    """On a file system without room there is an error and no file."""
    directory = tmpfs("size=64k")

    def prepare(fd: int) -> None:
        write_header(fd)
        os.posix_fallocate(fd, 0, 1 << 20)

    for place in (explicit_place(str(directory)), Place(f"{directory}/own", f"{directory}/own/x.arena", False)):
        with pytest.raises(PlaceError, match="No space left on device"):
            open_at(place, prepare)
        assert [name for name in left_of(place) if name.endswith(".arena")] == []


def test_a_read_only_file_system(tmpfs: Callable[[str], Path]) -> None:
    """On a file system that cannot be written to there is an error."""
    directory = tmpfs("ro")
    for place in (explicit_place(str(directory)), Place(f"{directory}/own", f"{directory}/own/x.arena", False)):
        with pytest.raises(PlaceError, match="Read-only file system"):
            open_at(place, write_header)


def test_a_directory_that_is_nowhere(tmp_path: Path) -> None:
    """Where there is nothing to make a directory in there is an error."""
    with pytest.raises(PlaceError, match="No such file or directory"):
        inode(Place(f"{tmp_path}/none/own", f"{tmp_path}/none/own/x.arena", False))
    (tmp_path / "file").touch()
    with pytest.raises(PlaceError, match="Not a directory"):
        inode(explicit_place(str(tmp_path / "file" / "x")))


# ---- what does not belong there


def sqlite_file(path: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute("create table t (x)")
    connection.commit()
    connection.close()


def old_file(path: str) -> None:
    put(Place(os.path.dirname(path), path, True), me(), version=layout.VERSION + 6)


def torn_file(path: str) -> None:
    put(Place(os.path.dirname(path), path, True), me())
    os.truncate(path, SIZE // 2)


WRONG: dict[str, tuple[Callable[[str], object], str]] = {
    "empty": (lambda path: Path(path).touch(), "expected an arena, found 0 bytes that begin with b''"),
    "zeros": (lambda path: Path(path).write_bytes(bytes(SIZE)), f"expected an arena, found {SIZE} bytes"),
    "sqlite": (sqlite_file, "expected an arena, found .* begin with b'SQLite format 3"),
    "older": (old_file, f"it is an arena of version {layout.VERSION + 6}, expected {layout.VERSION}"),
    "torn": (torn_file, f"it is an arena of {SIZE} bytes, found {SIZE // 2}"),
    "short": (lambda path: Path(path).write_bytes(layout.MAGIC), "expected an arena, found 8 bytes"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_at_a_named_place_is_never_touched(named: Place, kind: str) -> None:
    """What is no arena of this version stays as it is where a user has named the place; the error says what it is."""
    make, message = WRONG[kind]
    os.mkdir(named.directory)
    make(named.file)
    content, found = Path(named.file).read_bytes(), os.stat(named.file)
    with pytest.raises(PlaceError, match=message) as raised:
        inode(named)
    assert named.file in str(raised.value)
    assert Path(named.file).read_bytes() == content
    assert os.stat(named.file).st_ino == found.st_ino


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_at_our_own_place_is_replaced(own: Place, kind: str) -> None:
    """What is no arena of this version makes room for one at a place that is Pyrometer's own, unless it is in use."""
    make, message = WRONG[kind]
    os.mkdir(own.directory)
    make(own.file)
    before = os.stat(own.file).st_ino
    with open(own.file, "r+b"):
        with pytest.raises(PlaceError, match=message):
            inode(own)
        assert os.stat(own.file).st_ino == before
    user = os.open(own.file, os.O_RDONLY)  # so that the inode is not used again
    assert inode(own) == inode(own) != before
    os.close(user)
    assert left_of(own) == [os.path.basename(own.file)]


def test_links_are_not_followed(either: Place, tmp_path: Path) -> None:
    """A symbolic link at a place is an error, and what it leads to is not touched."""
    os.mkdir(either.directory)
    for target in (tmp_path / "precious", tmp_path / "nowhere"):
        os.symlink(target, either.file)
        (tmp_path / "precious").write_text("precious")
        with pytest.raises(PlaceError, match="a symbolic link, which is not followed"):
            inode(either)
        os.unlink(either.file)
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


def test_a_directory_of_our_own_is_no_link(own: Place, tmp_path: Path) -> None:
    """Somebody who lays a link where Pyrometer would make its directory does not lead it elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", own.directory)
    with pytest.raises(PlaceError):
        inode(own)
    sweep(own.directory)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_directory_of_our_own_is_private(own: Place) -> None:
    """A directory of ours that others may enter is closed to them; one of another user is not used."""
    os.mkdir(own.directory)
    os.chmod(own.directory, 0o777)
    inode(own)
    assert stat.S_IMODE(os.stat(own.directory).st_mode) == 0o700
    need_root()
    os.chown(own.directory, 65534, -1)
    with pytest.raises(PlaceError, match="belongs to user 65534, expected 0"):
        inode(own)


def test_files_of_other_users(own: Place, named: Place) -> None:
    """Another user's file is never joined: a named one is left alone, in our own directory it is replaced."""
    need_root()
    for place in (own, named):
        put(place, me())
        os.chown(place.file, 65534, -1)
    with pytest.raises(PlaceError, match="it belongs to user 65534, expected 0"):
        inode(named)
    inode(own)
    assert (os.stat(own.file).st_uid, os.stat(named.file).st_uid) == (0, 65534)


def test_what_is_no_file(either: Place) -> None:
    """A directory or a named pipe at a place is an error, and nobody waits for the pipe's other end."""
    os.mkdir(either.directory)
    os.mkfifo(either.file)
    with pytest.raises(PlaceError):
        inode(either)
    os.unlink(either.file)
    os.mkdir(either.file)
    with pytest.raises(PlaceError, match="Is a directory"):
        inode(either)


# ---- what the dead have left


def test_what_a_dead_program_left_is_replaced(either: Place) -> None:
    """An arena whose root is dead and which nobody uses makes room for a new one."""
    before = put(either, dead(), dead())
    user = os.open(either.file, os.O_RDONLY)
    assert inode(either) == inode(either) != before
    os.close(user)


def test_what_was_left_before_the_system_started_is_replaced(either: Place) -> None:
    """An arena of another boot makes room, whoever has its process ids now."""
    before = put(either, me(), me(), of_boot=boot() ^ 1)
    user = os.open(either.file, os.O_RDONLY)
    assert inode(either) != before
    os.close(user)


def test_the_living_root_keeps_an_arena(either: Place) -> None:
    """An arena that nobody uses at the moment is joined while its root lives."""
    before = put(either, me(), dead())
    assert inode(either) == before
    sweep(either.directory)
    assert inode(either) == before


def test_who_is_attached_keeps_an_arena(either: Place) -> None:
    """An arena whose root is dead is joined while a process is attached to it, and has the new program's root then."""
    before = put(either, dead(), dead(), me())
    sweep(either.directory)
    with opened(either) as fd:
        assert os.fstat(fd).st_ino == before
        assert attached(fd)[1] == me() and len(attached(fd)) == 2
        root = struct.unpack("=3Q", os.pread(fd, 24, layout.AT_ROOT))
    assert root == (program().root_pid, program().root_start, program().root_namespace)


@pytest.mark.parametrize("slots", [True, False])
def test_a_mapping_in_another_pid_namespace_keeps_an_arena(either: Place, slots: bool) -> None:
    """A process whose id says nothing here keeps an arena for as long as it has it mapped, without any descriptor."""
    foreign = (1, 1, namespace() + 1)
    before = put(either, dead(), *([foreign] if slots else []))
    map_it = "import mmap\nf = os.open(sys.argv[1], os.O_RDWR)\nm = mmap.mmap(f, 4096)\nos.closerange(3, 99)"
    child = run_beside(map_it, either.file)
    sweep(either.directory)
    assert inode(either) == before
    end(child)
    with opened(either) as fd:
        assert os.fstat(fd).st_ino == before  # adopted: its root is this program's now
        os.pwrite(fd, struct.pack("=3Q", *dead()), layout.AT_ROOT)
    user = os.open(either.file, os.O_RDONLY)
    assert inode(either) != before
    os.close(user)


def test_a_root_in_another_pid_namespace(own: Place, named: Place) -> None:
    """It cannot be asked: what a container left at a named place is replaced when unused, in our directory it stays."""
    foreign = (1, 1, namespace() + 1)
    before = [put(place, foreign, foreign) for place in (own, named)]
    users = [os.open(place.file, os.O_RDONLY) for place in (own, named)]
    sweep(own.directory)
    assert [inode(own) == before[0], inode(named) == before[1]] == [True, False]
    for user in users:
        os.close(user)


def test_where_the_system_grants_no_leases(own: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without leases slots decide; who is in another pid namespace counts as alive, and so does another version."""
    monkeypatch.delattr(fcntl, "F_SETLEASE")
    foreign = (1, 1, namespace() + 1)
    before = put(own, dead(), foreign)
    assert inode(own) == before
    os.unlink(own.file)
    before = put(own, dead(), dead())
    user = os.open(own.file, os.O_RDONLY)
    assert inode(own) != before
    os.close(user)
    os.unlink(own.file)
    put(own, dead(), version=layout.VERSION + 1)
    with pytest.raises(PlaceError, match="version"):
        inode(own)


def test_who_is_about_to_attach_keeps_an_arena(own: Place) -> None:
    """Between opening an arena and taking a slot in it a process need not fear that it is removed."""
    before = put(own, me())
    with opened(own) as fd:
        os.pwrite(fd, struct.pack("=3Q", *dead()), layout.AT_ROOT)
        sweep(own.directory)
        leave(own.file)
        assert os.stat(own.file).st_ino == before
    sweep(own.directory)
    assert left_of(own) == []


def test_a_process_stopped_with_the_lock_delays_nobody(own: Place) -> None:
    """Where a process was stopped while removing a file, others give up after a tenth of a second, and say so."""
    put(own, me())
    child = run_beside("import fcntl\nf = os.open(sys.argv[1], os.O_RDONLY)\nfcntl.flock(f, fcntl.LOCK_EX)", own.file)
    os.kill(child.pid, signal.SIGSTOP)
    try:
        watchdog = threading.Timer(20, os.kill, (child.pid, signal.SIGKILL))
        watchdog.start()
        with pytest.raises(PlaceError, match="another process has had it locked for 0.1 s"):
            inode(own)
        assert watchdog.is_alive()
        watchdog.cancel()
        watchdog.join()
    finally:
        os.kill(child.pid, signal.SIGCONT)
        end(child)
    inode(own)


# ---- leaving and sweeping


def test_the_root_removes_its_arena(either: Place) -> None:
    """At the end of the root the file goes, its own slot and those of the dead notwithstanding."""
    put(either, me(), me(), dead())
    leave(either.file)
    assert left_of(either) == []
    leave(either.file)
    leave(either.directory + "/none/x")


def test_the_last_process_removes_an_arena_of_a_dead_root(own: Place) -> None:
    """Where the root went first, whoever leaves last removes the file."""
    put(own, dead(), me())
    leave(own.file)
    assert left_of(own) == []


def test_the_root_leaves_what_others_use(own: Place) -> None:
    """The file stays where another process is attached, or may be, or where the root is another one that lives."""
    child = run_beside("")
    other = (child.pid, start_of(child.pid) or 0, namespace())
    for root, slot in ((me(), other), (other, me()), (me(), (1, 1, namespace() + 1)), (me(), (child.pid, 0, 0))):
        put(own, root, slot)
        leave(own.file)
        assert left_of(own) != []
        os.unlink(own.file)
    end(child)


def test_the_root_leaves_it_to_forks_that_are_not_yet_attached(own: Place) -> None:
    """A daemon's first process ends as soon as it has forked; what its child is about to use stays."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    put(own, me())
    leave(own.file)
    assert left_of(own) != []
    os.close(writing)
    os.waitpid(child, 0)
    leave(own.file)
    assert left_of(own) == []


def test_a_foreign_file_is_not_removed_at_the_end(named: Place) -> None:
    """What has come to lie at the place and is no arena is not ours to remove."""
    os.mkdir(named.directory)
    sqlite_file(named.file)
    leave(named.file)
    assert left_of(named) != []


def test_sweeping(own: Place) -> None:
    """Arenas of dead programs, of other boots, broken ones and unfinished ones go; what is in use or not ours stays."""

    def at(name: str) -> Place:
        return Place(own.directory, f"{own.directory}/{name}", False)

    put(at("dead.arena"), dead(), dead())
    put(at("boot.arena"), me(), me(), of_boot=boot() ^ 1)
    put(at("alive.arena"), me())
    put(at("used.arena"), dead(), me())
    put(at("newer.arena"), dead(), version=layout.VERSION + 1)
    mapped = Path(at("mapped.arena").file)
    put(at("mapped.arena"), dead())
    for name in ("empty.arena", ".x.arena.0123", "other"):
        Path(at(name).file).touch()
    os.symlink("other", at("link.arena").file)
    with open(mapped, "r+b") as file, mmap.mmap(file.fileno(), 4096):
        file.close()
        sweep(own.directory)
    assert left_of(own) == ["alive.arena", "link.arena", "mapped.arena", "newer.arena", "other", "used.arena"]
    sweep(own.directory)
    assert "mapped.arena" not in left_of(own)
    sweep(own.directory + "/none")


def test_what_torn_slots_say(own: Place) -> None:
    """A count of slots that is out of range, and slots cut short, are read as far as they go."""
    put(own, me(), me())
    fd = os.open(own.file, os.O_RDWR)
    os.pwrite(fd, b"\xff" * 8, layout.AT_SLOTS)
    assert attached(fd) == [me()]
    os.ftruncate(fd, layout.SLOTS + 20)
    assert attached(fd) == []
    os.close(fd)


def test_nothing_heavy_is_imported() -> None:
    """Importing the place costs next to nothing: no json, tempfile, ctypes, multiprocessing, hashlib."""
    text = f"import sys; before = set(sys.modules); import {_place.__name__}, pyrometer._program as p; p.program(); "
    text += "print(*{'json', 'tempfile', 'ctypes', 'multiprocessing', 'hashlib'} & set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {text}"], capture_output=True
    )
    assert (done.stdout, done.stderr) == (b"\n", b"")
