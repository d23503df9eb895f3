"""Metrics written to a file, for the textfile collector of node_exporter."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from pyrometer.exposition import generate_latest

if TYPE_CHECKING:
    from pyrometer.registry import Collector

__all__ = ["write_to_textfile"]


def write_to_textfile(
    path: str | os.PathLike[str],
    registry: Collector,
    escaping: str = "allow-utf-8",
    tmpdir: str | os.PathLike[str] | None = None,
) -> None:
    """Write the metrics of `registry` to `path` in text format 0.0.4, with names escaped by `escaping`.

    A reader sees the old file or the new one, never a part: the page is written to a temporary file beside `path` (in
    `tmpdir`, if given: it must be on the same file system) and renamed. The textfile collector reads files whose name
    ends in `.prom`; the temporary one's never does. Nothing is forced to the disk: after a power failure the file may
    be an older one.

    Raises OSError where the file cannot be written or renamed, and whatever rendering raises; the temporary file is
    removed and an existing `path` stays as it was. Threads and processes may write the same path at once: one of them
    is the last.
    """
    page = generate_latest(registry, escaping)
    path = os.fspath(path)
    directory, name = os.path.split(path)
    if tmpdir is not None:
        directory = os.fspath(tmpdir)
    temporary = os.path.join(directory, f"{name}.{os.getpid()}.{threading.get_ident()}")
    # A killed process with this one's number may have left its file, or somebody a link: "x" below follows neither.
    with suppress(FileNotFoundError):
        os.unlink(temporary)
    try:
        with open(temporary, "xb") as file:
            file.write(page)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
