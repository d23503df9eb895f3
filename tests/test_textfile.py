"""Metrics written to a file for node_exporter."""

from __future__ import annotations

import os
import resource
import stat
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from pyrometer import CollectorRegistry, Counter, generate_latest
from pyrometer.families import GaugeMetricFamily, Metric
from pyrometer.push import write_to_textfile


@pytest.fixture
def registry() -> CollectorRegistry:
    """Eight views."""
    registry = CollectorRegistry()
    Counter("view", "Product view", registry=registry).inc(8)
    return registry


@pytest.mark.parametrize("as_text", [True, False])
def test_the_file_is_the_page(registry: CollectorRegistry, tmp_path: Path, as_text: bool) -> None:
    """The file holds the page in text 0.0.4, whether its path is text or a path object, and nothing lies beside it."""
    path = tmp_path / "shop.prom"
    write_to_textfile(str(path) if as_text else path, registry)
    assert path.read_bytes() == generate_latest(registry, "allow-utf-8")
    assert b"view_total 8\n" in path.read_bytes()
    assert os.listdir(tmp_path) == ["shop.prom"]


def test_a_file_in_the_working_directory(
    registry: CollectorRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path without a directory is in the working directory."""
    monkeypatch.chdir(tmp_path)
    write_to_textfile("shop.prom", registry)
    assert os.listdir(tmp_path) == ["shop.prom"]


class Dotted:
    """A collector with a name outside the classic characters."""

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("room.temperature", "Of the room", 21)


@pytest.mark.parametrize(
    ("escaping", "line"),
    [
        (None, b'{"room.temperature"} 21'),
        ("allow-utf-8", b'{"room.temperature"} 21'),
        ("underscores", b"room_temperature 21"),
        ("dots", b"room_dot_temperature 21"),
        ("values", b"U__room_2e_temperature 21"),
    ],
)
def test_escaping(tmp_path: Path, escaping: str | None, line: bytes) -> None:
    """Names outside the classic characters are quoted, or escaped by the scheme asked for."""
    registry = CollectorRegistry()
    registry.register(Dotted())
    path = tmp_path / "shop.prom"
    if escaping is None:
        write_to_textfile(path, registry)
    else:
        write_to_textfile(path, registry, escaping)
    assert line in path.read_bytes()


def test_readers_of_other_users(registry: CollectorRegistry, tmp_path: Path) -> None:
    """The file has the mode the process gives to new files, so that an exporter of another user can read it."""
    before = os.umask(0o022)
    try:
        write_to_textfile(tmp_path / "shop.prom", registry)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "shop.prom").stat().st_mode) == 0o644


def test_another_directory_for_the_temporary_file(
    registry: CollectorRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With tmpdir the part-written file is there and never beside the real one."""
    (tmp_path / "out").mkdir()
    (tmp_path / "tmp").mkdir()
    moved: list[str] = []
    replace = os.replace

    def noting(old: str, new: str) -> None:
        moved.append(old)
        replace(old, new)

    monkeypatch.setattr(os, "replace", noting)
    write_to_textfile(tmp_path / "out" / "shop.prom", registry, tmpdir=tmp_path / "tmp")
    assert Path(moved[0]).parent == tmp_path / "tmp"
    assert not moved[0].endswith(".prom")
    assert os.listdir(tmp_path / "tmp") == []
    assert os.listdir(tmp_path / "out") == ["shop.prom"]


def test_a_file_that_cannot_be_replaced(registry: CollectorRegistry, tmp_path: Path) -> None:
    """Where the rename fails, the error is the caller's and the temporary file is gone."""
    (tmp_path / "shop.prom").mkdir()
    with pytest.raises(IsADirectoryError):
        write_to_textfile(tmp_path / "shop.prom", registry)
    assert os.listdir(tmp_path) == ["shop.prom"]


def test_a_file_that_cannot_be_written(registry: CollectorRegistry, tmp_path: Path) -> None:
    """Where the disk takes a part of the page only, the old file stays as it was and nothing lies beside it."""
    path = tmp_path / "shop.prom"
    path.write_text("old 1\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            write_to_textfile(path, registry)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "old 1\n"
    assert os.listdir(tmp_path) == ["shop.prom"]


def test_a_directory_that_is_not_there(registry: CollectorRegistry, tmp_path: Path) -> None:
    """A path in no directory is an error that names it."""
    with pytest.raises(FileNotFoundError, match=r"none/shop\.prom"):
        write_to_textfile(tmp_path / "none" / "shop.prom", registry)


def test_a_page_that_cannot_be_made(registry: CollectorRegistry, tmp_path: Path) -> None:
    """Where rendering fails, the old file stays as it was and nothing lies beside it."""
    path = tmp_path / "shop.prom"
    path.write_text("old 1\n")
    with pytest.raises(ValueError, match="nonsense"):
        write_to_textfile(path, registry, escaping="nonsense")
    assert path.read_text() == "old 1\n"
    assert os.listdir(tmp_path) == ["shop.prom"]


def test_what_a_killed_process_left(registry: CollectorRegistry, tmp_path: Path) -> None:
    """A temporary file of this name that is already there, even a link, is neither followed nor in the way."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / f"shop.prom.{os.getpid()}.{threading.get_ident()}").symlink_to(victim)
    write_to_textfile(tmp_path / "shop.prom", registry)
    assert victim.read_text() == "precious"
    assert sorted(os.listdir(tmp_path)) == ["shop.prom", "victim"]
    assert not (tmp_path / "shop.prom").is_symlink()


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    """While threads write the same file over and over, every read finds a whole page."""
    registry = CollectorRegistry()
    family = Counter("view", "Product view", ["product"], registry=registry)
    for number in range(200):
        family.labels(f"product{number}").inc()
    path = tmp_path / "shop.prom"
    write_to_textfile(path, registry)
    page = path.read_bytes()
    failures: list[BaseException] = []

    def write() -> None:
        try:
            for _ in range(50):
                write_to_textfile(path, registry)
        except BaseException as error:
            failures.append(error)

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    reads = [path.read_bytes()]
    while any(writer.is_alive() for writer in writers):
        reads.append(path.read_bytes())
    assert failures == []
    assert set(reads) == {page}
    assert os.listdir(tmp_path) == ["shop.prom"]
