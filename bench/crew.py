"""Processes that count together, each told through a pipe what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.measure import Contender

NAMES = ("pyrometer", "prometheus_client")
"""The libraries whose processes can count together."""

_ROOT = Path(__file__).resolve().parent.parent
_MEMORY = Path("/dev/shm")
_ROOM = 2 << 30


class Process:
    """One process of a crew, running ``bench.member``; it does nothing between two requests."""

    def __init__(self, library: str, registry: str, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.member", library, registry],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env=environment,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, action: str, *arguments: object) -> None:
        """Has it begin something; ``answer`` waits for what comes of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([action, *arguments]) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"process {self.pid} of a crew ended: status {self._process.wait(60)}")
        return json.loads(line)

    def ask(self, action: str, *arguments: object) -> Any:
        self.tell(action, *arguments)
        return self.answer()

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class Crew:
    """Processes of one library, within a ``with`` block: they share one place where they meet, of their own.

    ``together`` False keeps them apart: each counts for itself. ``registry`` is the one that they define metrics in,
    see ``bench.member``.
    """

    def __init__(self, library: str, size: int, *, together: bool = True, registry: str = "named") -> None:
        self.library = library
        self._directory = tempfile.TemporaryDirectory(prefix="pyrometer-bench-", dir=_place())
        environment = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
        environment["PYROMETER_ARENA"] = self._directory.name if together else "off"
        if together and library != "pyrometer":
            environment["PROMETHEUS_MULTIPROC_DIR"] = self._directory.name
        self.processes = [Process(library, registry, environment) for _ in range(size)]

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self.processes:
            process.close()
        self._directory.cleanup()

    def all(self, action: str, *arguments: object) -> list[Any]:
        """Has all of them do the same at once; what each answers."""
        for process in self.processes:
            process.tell(action, *arguments)
        return [process.answer() for process in self.processes]

    def check(self, expected: float) -> None:
        """Raises RuntimeError unless a page says that they have counted so much."""
        counted = self.processes[0].ask("counted")
        if counted != expected:
            raise RuntimeError(f"the page of {self.library}'s processes counts {counted:g}, expected {expected:g}")

    def files(self) -> int:
        """Bytes that the files have where the processes meet, holes not counted."""
        return sum(path.stat().st_blocks * 512 for path in Path(self._directory.name).iterdir())

    def counting(self, source: str, *, at_once: bool) -> Contender:
        """Nanoseconds of processor time for a statement in the first process, or in all of them, which run at once."""

        def run(action: str) -> Callable[[int], float]:
            if at_once:
                return lambda count: sum(self.all(action, source, count)) / len(self.processes)
            return lambda count: float(self.processes[0].ask(action, source, count))

        return Contender(run("execute"), run("loop"))

    def scrape(self) -> Contender:
        """Nanoseconds of processor time for scrapes by the first process, the last one having counted before each."""

        def run(count: int) -> float:
            elapsed = 0.0
            for _ in range(count):
                self.processes[-1].ask("change")
                elapsed += self.processes[0].ask("scrape")
            return elapsed

        return Contender(run)


def _place() -> str | None:
    """Where nothing is written to a disk, if there is room; else the usual place for temporary files."""
    try:
        free = os.statvfs(_MEMORY)
    except OSError:
        return None
    return str(_MEMORY) if free.f_bavail * free.f_frsize > _ROOM and os.access(_MEMORY, os.W_OK) else None
