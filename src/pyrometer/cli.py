"""The command `pyrometer`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyrometer._arena_reader import Arena, Process


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, those of the program unless given; returns its exit code.

    0: done. 1: something could not be read, which standard error tells. 2: the arguments are wrong (by SystemExit).
    """
    parser = argparse.ArgumentParser(prog="pyrometer", description="A look at what Pyrometer counts on this machine.")
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_arena(commands)
    parsed = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # labels and paths may hold what a terminal's encoding has not
            stream.reconfigure(errors="backslashreplace")
    run: Callable[[argparse.Namespace], int] = parsed.run
    try:
        code = run(parsed)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who read the output wants no more of it; Python would complain of that again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from pyrometer import __version__

        print(f"pyrometer {__version__}")
        parser.exit(0)


# ---- pyrometer arena


def _add_arena(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "arena",
        help="list arenas, their processes, families, series and size",
        description="List the arenas of this machine that you may read: the memory that the processes of a program "
        "count in. Nothing in them is changed.",
    )
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        help="an arena, or a directory of arenas, to list instead of those that are where Pyrometer puts them: in "
        "PYROMETER_ARENA, in PROMETHEUS_MULTIPROC_DIR, and in directories named pyrometer-... of /dev/shm, of the "
        "runtime directories and of the temporary one",
    )
    parser.add_argument("--json", action="store_true", help="write one JSON object, for programs")
    parser.set_defaults(run=arena)


def arena(parsed: argparse.Namespace) -> int:
    """`pyrometer arena`: list arenas."""
    from pyrometer._arena_reader import Unreadable, read_arena

    files, problems = _files(parsed.paths)
    arenas: list[Arena] = []
    for file in files:
        try:
            arenas.append(read_arena(file, follow_links=bool(parsed.paths)))
        except (PermissionError, FileNotFoundError) as error:
            if parsed.paths:  # else it is somebody else's, or has just been removed, and was not asked for
                problems.append((file, _reason(error)))
        except OSError as error:
            problems.append((file, _reason(error)))
        except Unreadable as error:
            problems.append((file, str(error)))
    if parsed.json:
        _write_json(arenas, problems)
    else:
        for number, found in enumerate(arenas):
            print(*([""] if number else []), *_lines(found), sep="\n")
        if not arenas and not problems:
            print("no arenas")
        sys.stdout.flush()  # before what standard error has to say of the others
    for path, problem in problems:
        print(f"pyrometer: {_printable(path)}: {_printable(problem)}", file=sys.stderr)
    return 1 if problems else 0


def _files(paths: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """The files at these paths, else those in all places known, each once; and the paths where there are none."""
    from pyrometer._arena_reader import directories, files_in

    found: dict[object, str] = {}
    problems = []
    for path in paths or directories():
        try:
            files = files_in(path) if os.path.isdir(path) else [path]
            if not files and paths:
                problems.append((path, "no arenas in this directory"))
            for file in files:
                status = os.stat(file, follow_symlinks=bool(paths))
                found.setdefault((status.st_dev, status.st_ino), file)
        except (OSError, ValueError) as error:
            if paths:
                problems.append((path, _reason(error)))
    return list(found.values()), problems


def _reason(error: Exception) -> str:
    import errno

    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "a link, which is not followed"
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _write_json(arenas: list[Arena], problems: list[tuple[str, str]]) -> None:
    import dataclasses
    import json

    page = {
        "arenas": [dataclasses.asdict(found) for found in arenas],
        "problems": [{"file": path, "problem": problem} for path, problem in problems],
    }
    print(json.dumps(page, indent=2))


def _lines(found: Arena) -> list[str]:
    """An arena as a person reads it."""
    root = found.root
    processes = [
        (str(process.pid), process.state, _time(process), _port(process), process.command)
        for process in found.processes
    ]
    families = [
        (family.registry, family.name, family.kind, ", ".join(family.labels), str(family.series))
        for family in found.families
    ]
    lines = [
        _printable(found.file),
        f"  memory: {_bytes(found.memory)} of {_bytes(found.size)}",
        f"  root: pid {root.pid}, {root.state}, since {_time(root)}" + (f": {root.command}" if root.command else ""),
        f"  processes: {len(processes)}",
        *_table(("PID", "STATE", "SINCE", "SERVES", "COMMAND"), processes),
        f"  families: {len(families)}, series: {found.series}",
        *_table(("REGISTRY", "FAMILY", "KIND", "LABELS", "SERIES"), families),
        *(f"  note: {remark}" for remark in found.remarks),
    ]
    return [_printable(line) for line in lines]


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    cells = [head, *[tuple(_printable(cell) for cell in row) for row in rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["    " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]


def _printable(text: str) -> str:
    """Text of others without what would move a terminal's cursor."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _time(process: Process) -> str:
    import time

    try:
        return "?" if process.since is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(process.since))
    except (ValueError, OverflowError, OSError):
        return "?"


def _port(process: Process) -> str:
    return f":{process.serving}" if process.serving else ""


def _bytes(count: int) -> str:
    amount, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.1f} {unit}" if unit != "bytes" else f"{count} bytes"
