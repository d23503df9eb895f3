"""`pyrometer arena`: what it lists, and that nothing it may find in an arena's place breaks it or is changed by it."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fixtures_shop import clean_environment

from pyrometer import __version__
from pyrometer._arena_reader import Unreadable, read_arena
from pyrometer._core import layout
from pyrometer.cli import main

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="arenas are files on Linux alone")

SIZE = layout.SMALLEST
COUNTER = ["default", "counter", "view", "Product views", "", layout.packed(["product", "shop"]).decode(), "", ""]

TEXT = len(layout.packed(COUNTER))
assert TEXT % 8 == 0, "it begins where the tests below write into it"


def start_of(pid: int) -> int:
    """When a process started, in ticks since the system's start."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


OWN = (os.getpid(), start_of(os.getpid()), os.stat("/proc/self/ns/pid").st_ino)


class Written(NamedTuple):
    """An arena written by hand, byte by byte, as the layout says."""

    path: Path

    def put(self, offset: int, form: str, *values: object) -> None:
        with open(self.path, "r+b") as file:
            file.seek(offset)
            file.write(struct.pack("=" + form, *values))

    def slot(self, number: int, pid: int, start: int, namespace: int, serving: int = 0) -> None:
        self.put(layout.SLOTS + layout.SLOT * number, "QQQQQQ", pid, start, namespace, 0, 0, serving)

    def chunk(self, number: int, size: int, used: int = 0) -> int:
        """Describe a chunk; returns its offset."""
        self.put(layout.CHUNKS + layout.CHUNK_DESCRIPTION * number, "IHHII", size, used, used, 0, 0)
        return number * layout.CHUNK

    def record(self, offset: int, size: int, text: bytes, flags: int, family: int = 0) -> None:
        self.put(offset, "IIIIIIdQQ", size, len(text), flags, 0, family // 8, 0, 0.0, 1, 0)
        self.put(offset + size - -(-len(text) // 8) * 8, f"{len(text)}s", text)


def new_arena(path: Path, root: tuple[int, int, int] = OWN) -> Written:
    """An arena of no process and no record."""
    path.write_bytes(b"")
    os.truncate(path, SIZE)
    arena = Written(path)
    arena.put(0, "8sQQQQQQd", layout.MAGIC, layout.VERSION, SIZE, 77, *root, 1700000000.5)
    arena.put(layout.AT_TOP, "Q", layout.FIRST)
    return arena


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """An arena with this process and others, two families and what else there may be between their series."""
    arena = new_arena(tmp_path / "abc.arena")
    arena.slot(0, *OWN)
    arena.slot(2, OWN[0], OWN[1] + 1, OWN[2])
    arena.slot(511, 7, 1234, OWN[2] + 1, serving=8000)
    first = layout.FIRST
    families = arena.chunk(first, 512, 3)
    series = arena.chunk(first + 1, 128, 8)
    long = arena.chunk(first + 2, 2 * layout.CHUNK, 1)
    arena.chunk(first + 3, layout.REST, 0)
    arena.put(layout.AT_TOP, "Q", first + 4)
    live, live_family = layout.RECORD_LIVE, layout.RECORD_LIVE | layout.RECORD_FAMILY
    arena.record(families, 512, layout.packed(COUNTER), live_family)
    arena.record(families + 512, 512, layout.packed(["x", *COUNTER[1:]]), live_family | layout.RECORD_REMOVED)
    arena.record(families + 1024, 512, layout.packed(["x", *COUNTER[1:]]), layout.RECORD_FAMILY)
    documentation = "long " * 4000
    level = layout.packed(["shop", "gauge", "level", documentation, "", "", "", ""])
    arena.record(long, 2 * layout.CHUNK, level, live_family)
    flags = [live, live | layout.RECORD_ESCAPED, live | layout.RECORD_REMOVED, 0]
    flags += [live | layout.RECORD_PART, live | layout.RECORD_NOTE, live | layout.RECORD_HIDDEN]
    for place, flag in enumerate(flags):
        arena.record(series + 128 * place, 128, b'product="p1"', flag, families)
    arena.record(series + 128 * 7, 128, b"", live, long)
    return arena


def places(*directories: str | Path) -> dict[str, str]:
    """An environment in which arenas are looked for in these directories, besides those of every machine."""
    names = ("PYROMETER_ARENA", "PROMETHEUS_MULTIPROC_DIR", "TMPDIR", "XDG_RUNTIME_DIR")
    return dict(zip(names, map(str, directories)))


def command(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m pyrometer` with these arguments."""
    return subprocess.run(
        [sys.executable, "-m", "pyrometer", *map(str, arguments)],
        env=clean_environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# ---- what is there


def test_table(written: Written, capsys: pytest.CaptureFixture[str]) -> None:
    """A person reads the file, its memory, its root and processes with their state, its families and their series."""
    assert main(["arena", str(written.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(written.path)
    assert lines[1].split("of")[1].strip() == "2.0 MiB"
    assert lines[2].startswith(f"  root: pid {os.getpid()}, alive, since 2023-11-1")
    assert lines[3] == "  processes: 3"
    rows = [line.split() for line in lines]
    assert rows[4] == ["PID", "STATE", "SINCE", "SERVES", "COMMAND"]
    assert rows[5][:3] == ["7", "other", "namespace"]
    assert rows[5][-1] == ":8000"
    assert rows[6][:2] == [str(os.getpid()), "alive"]
    assert "pytest" in lines[6]
    assert rows[7][:2] == [str(os.getpid()), "dead"]
    assert lines[8] == "  families: 2, series: 4"
    assert rows[9:] == [
        ["REGISTRY", "FAMILY", "KIND", "LABELS", "SERIES"],
        ["default", "view", "counter", "product,", "shop", "3"],
        ["shop", "level", "gauge", "1"],
    ]


def test_json(written: Written, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json a program reads the same."""
    assert main(["arena", "--json", str(written.path)]) == 0
    page = json.loads(capsys.readouterr().out)
    assert page["problems"] == []
    (arena,) = page["arenas"]
    assert arena["file"] == str(written.path)
    assert arena["memory"] == written.path.stat().st_blocks * 512
    assert (arena["size"], arena["series"], arena["remarks"]) == (SIZE, 4, [])
    assert arena["root"]["since"] == 1700000000.5
    assert [process["state"] for process in arena["processes"]] == ["other namespace", "alive", "dead"]
    assert [process["serving"] for process in arena["processes"]] == [8000, 0, 0]
    assert arena["families"] == [
        {
            "registry": "default",
            "name": "view",
            "kind": "counter",
            "unit": "",
            "labels": ["product", "shop"],
            "series": 3,
        },
        {"registry": "shop", "name": "level", "kind": "gauge", "unit": "", "labels": [], "series": 1},
    ]


def test_zombie_is_dead(tmp_path: Path) -> None:
    """A process that has ended is dead, whether or not its parent has noticed."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        arena = new_arena(tmp_path / "a.arena", root=(child.pid, start_of(child.pid), OWN[2]))
        assert read_arena(str(arena.path)).root.state == "alive"
        assert child.stdin is not None
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert read_arena(str(arena.path)).root.state == "dead"
    assert read_arena(str(arena.path)).root.state == "dead"


def test_reading_changes_nothing(written: Written) -> None:
    """The file has the same contents afterwards, and no memory more: its holes stay holes."""
    blocks, content = written.path.stat().st_blocks, written.path.read_bytes()
    assert blocks * 512 < SIZE
    read_arena(str(written.path))
    assert written.path.stat().st_blocks == blocks
    assert written.path.read_bytes() == content


# ---- where it is


def test_places(written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arenas are found in the directories of the environment and in pyrometer-... of the others, each once."""
    found: dict[str, Path] = {}
    for number, directory in enumerate(("named", "deployed", "tmp/pyrometer-7", "run/pyrometer-0", "tmp/other")):
        (tmp_path / directory).mkdir(parents=True)
        found[directory] = new_arena(tmp_path / directory / f"{number}.arena").path
        (tmp_path / directory / "gauge_all_7.db").touch()
    os.link(found["named"], tmp_path / "deployed" / "again.arena")
    variables = places(*(tmp_path / name for name in ("named", "deployed", "tmp", "run")))
    done = command("arena", "--json", **variables)
    assert str(tmp_path) not in done.stderr
    listed = [arena["file"] for arena in json.loads(done.stdout)["arenas"]]
    mine = {str(path) for path in found.values()}
    assert {path for path in listed if path in mine or str(tmp_path) in path} == mine - {str(found["tmp/other"])}
    assert len(listed) == len(set(listed))


def test_none(tmp_path: Path) -> None:
    """The command makes no arena itself, wherever one might be made; where there is none at all, it says so."""
    done = command("arena", **places(tmp_path / "missing", tmp_path, tmp_path, tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert "pyrometer arena" not in done.stdout
    if not done.stderr and "root:" not in done.stdout:  # the machine has none of others either
        assert (done.returncode, done.stdout) == (0, "no arenas\n")


def test_paths(written: Written, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path may be an arena, a link to one, or a directory of them; each arena is listed once."""
    (tmp_path / "link").symlink_to(written.path)
    assert main(["arena", str(tmp_path / "link"), str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("root:") == 1
    (tmp_path / "empty").mkdir()
    assert main(["arena", str(tmp_path / "empty"), str(tmp_path / "missing"), str(written.path)]) == 1
    printed = capsys.readouterr()
    assert printed.out.count("root:") == 1
    assert printed.err.splitlines() == [
        f"pyrometer: {tmp_path}/empty: no arenas in this directory",
        f"pyrometer: {tmp_path}/missing: No such file or directory",
    ]


# ---- what is no arena, or no longer a whole one

SQLITE = b"SQLite format 3\0" + b"\x10\0\1\1" * 2000


def sized(path: Path, content: bytes) -> None:
    """Have these bytes, and zeros behind them, in a file of the size of an arena."""
    path.write_bytes(content)
    os.truncate(path, SIZE)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda p: p.write_bytes(b""), "empty"),
        (lambda p: p.write_bytes(b"PYRO"), "not an arena: it begins with b'PYRO\\x00\\x00\\x00\\x00'"),
        (lambda p: p.write_bytes(SQLITE), "not an arena: it begins with b'SQLite f'"),
        (lambda p: sized(p, b""), "not an arena: it begins with zeros"),
        (lambda p: os.truncate(p, 100), f"cut short: expected {SIZE} bytes, the file has 100"),
        (lambda p: os.truncate(p, SIZE - 1), f"cut short: expected {SIZE} bytes, the file has {SIZE - 1}"),
        (lambda p: Written(p).put(8, "Q", 9), f"an arena of version 9, this Pyrometer reads version {layout.VERSION}"),
        (lambda p: Written(p).put(layout.AT_SIZE, "Q", 1 << 60), f"its header says {1 << 60}"),
    ],
)
def test_no_arena(spoil: Callable[[Path], object], problem: str, written: Written, capsys: Any) -> None:
    """A foreign, empty, torn or cut file is one line that says what it is; the other arenas are listed."""
    good = new_arena(written.path.with_name("good.arena"))
    spoil(written.path)
    assert main(["arena", str(written.path.parent)]) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0] == str(good.path)
    (line,) = printed.err.splitlines()
    assert line.startswith(f"pyrometer: {written.path}: ")
    assert line.endswith(problem)


@pytest.mark.parametrize("kind", ["pipe", "socket", "directory", "link", "gone"])
def test_no_file(kind: str, tmp_path: Path) -> None:
    """What has the name of an arena and is no file is neither waited for nor followed."""
    directory = tmp_path / "pyrometer-0"
    directory.mkdir()
    path = directory / "a.arena"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(new_arena(tmp_path / "elsewhere").path if kind == "link" else tmp_path / "gone")
    done = command("arena", **places(directory))
    said = {
        "pipe": "not a file",
        "socket": "No such device or address",
        "directory": "not a file",
        "link": "a link, which is not followed",
        "gone": "a link, which is not followed",
    }
    assert done.returncode == 1
    assert f"pyrometer: {path}: {said[kind]}\n" in done.stderr


def garbled() -> Iterator[Any]:
    """Arenas with one thing wrong, and what is said of it."""
    first, families = layout.FIRST, layout.FIRST * layout.CHUNK
    description = layout.CHUNKS + layout.CHUNK_DESCRIPTION * first
    chunks = SIZE // layout.CHUNK
    yield layout.AT_TOP, "Q", 1 << 63, f"damaged: it has {chunks} chunks, and says that it uses {1 << 63}"
    yield description, "I", 8, f"damaged: chunk {first} has records of 8 bytes"
    yield description, "I", 1023, f"damaged: chunk {first} has records of 1023 bytes"
    yield description, "I", 0xFFFFFFF8, f"damaged: chunk {first} has records of {0xFFFFFFF8} bytes"
    for offset, form, value in (
        (0, "I", 0),
        (0, "I", 0xFFFFFFFF),
        (4, "I", 0xFFFFFFFF),
        (4, "I", 3),
        (4, "I", 0),
        (512 - TEXT, "4s", b"-99:"),
        (512 - TEXT, "4s", b"99:x"),
        (512 - TEXT, "4s", b"1:\xff\xff"),
    ):
        yield families + offset, form, value, f"the family at offset {families} cannot be read"


@pytest.mark.parametrize(("offset", "form", "value", "remark"), list(garbled()))
def test_garbled(offset: int, form: str, value: object, remark: str, written: Written) -> None:
    """An arena with something wrong in it is listed as far as it can be understood, with a note of what is not."""
    written.put(offset, form, value)
    arena = read_arena(str(written.path))
    assert arena.remarks[0] == remark
    assert [family.name for family in arena.families][-1:] == ["level"]
    assert len(arena.processes) == 3


def test_any_bytes(written: Written) -> None:
    """Whatever lies in the file, reading it ends, with an arena or with the reason why there is none."""
    import random

    chance = random.Random(7)
    whole = written.path.read_bytes()
    parts = [(0, 512), (layout.SLOTS, 1024), (layout.CHUNKS + layout.CHUNK_DESCRIPTION * layout.FIRST, 64)]
    parts += [(layout.FIRST * layout.CHUNK, 2048), ((layout.FIRST + 1) * layout.CHUNK, 1024)]
    read = 0
    for _ in range(300):
        content = bytearray(whole)
        for _ in range(chance.randint(1, 20)):
            begin, length = chance.choice(parts)
            content[begin + chance.randrange(length)] = chance.choice([0, 1, 45, 58, 127, 255, chance.randrange(256)])
        written.path.write_bytes(content)
        try:
            read += len(read_arena(str(written.path)).processes) >= 0
        except Unreadable:
            pass
    assert read > 50


def test_nothing_moves_the_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names of others are printed without what a terminal would obey."""
    arena = new_arena(tmp_path / "a\n.arena")
    offset = arena.chunk(layout.FIRST, 512, 1)
    arena.put(layout.AT_TOP, "Q", layout.FIRST + 1)
    fields = ["default", "counter", "evil\x1b[2J\ud800", "", "", layout.packed(["a\rb"]).decode(), "", ""]
    arena.record(offset, 512, layout.packed(fields), layout.RECORD_LIVE | layout.RECORD_FAMILY)
    assert main(["arena", str(arena.path)]) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed and "\r" not in printed
    assert "evil\\x1b[2J\\ud800" in printed
    assert "a\\rb" in printed
    assert printed.startswith(f"{tmp_path}/a\\n.arena\n")


# ---- the command


def test_version() -> None:
    """--version says which one it is."""
    done = command("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"pyrometer {__version__}\n", "")


@pytest.mark.parametrize("arguments", [[], ["arenas"], ["arena", "--yaml"]])
def test_wrong_arguments(arguments: list[str]) -> None:
    """Arguments that are wrong are exit code 2, with what is right."""
    done = command(*arguments)
    assert done.returncode == 2
    assert "usage: pyrometer" in done.stderr


def test_output_that_nobody_reads(written: Written) -> None:
    """Where the reader of the output leaves, the command ends without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", "pyrometer", "arena", str(written.path)],
            env=clean_environment(),
            stdout=output,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"")
