"""Programs that serve their metrics on one port: takeover_program.py, and what they say and are told meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from workers.running import environment

DEADLINE = 20.0


class Running:
    """A program that says a line now and then; it and the processes whose ids it says are killed in the end."""

    def __init__(self, *command: str, cwd: Path) -> None:
        pipe = subprocess.PIPE
        options: dict[str, Any] = {"cwd": cwd, "env": environment(), "start_new_session": True}
        self._process: subprocess.Popen[str] = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, bufsize=1, **options
        )
        self.pid = self._process.pid
        self._said: list[int] = []

    def line(self) -> str:
        """The next line it says, "" when it and all its children have ended."""
        assert self._process.stdout
        line = self._process.stdout.readline().strip()
        if line.partition(" ")[0].isdigit():
            self._said.append(int(line.partition(" ")[0]))
        return line

    def go_on(self) -> None:
        """Let it read a line."""
        assert self._process.stdin
        self._process.stdin.write("\n")

    def workers(self, count: int, port: int) -> set[int]:
        """The ids of so many workers, once each has said that it serves the port or stands by for it."""
        lines = [self.line().split() for _ in range(count)]
        assert [words[1:] for words in lines] == [[str(port)]] * count
        return {int(words[0]) for words in lines}

    def stop(self) -> None:
        for pid in [*self._said, self.pid]:
            # Of those that have ended, an id may be somebody else's by now.
            with suppress(ProcessLookupError):
                if os.getsid(pid) == self.pid:
                    os.kill(pid, signal.SIGKILL)
        self._process.wait(DEADLINE)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()


class Start(NamedTuple):
    """Starts programs in a directory of the test, where `program` has what they share."""

    where: Path
    started: list[Running]

    def __call__(self, *command: str) -> Running:
        running = Running(sys.executable, *command, cwd=self.where)
        self.started.append(running)
        return running

    def workers(self, how: str, count: int, port: int, *certificate: str) -> tuple[Running, set[int]]:
        """So many processes that serve one port, and their ids."""
        program = self("program.py", how, str(count), str(port), *certificate)
        return program, program.workers(count, port)

    def code(self, code: str, port: int) -> Running:
        """A program that begins with everything in `program` and the port."""
        return self("-c", f"import os, signal, sys\nfrom program import *\nport = {port}\n{code}")


@contextmanager
def starting(directory: Path) -> Iterator[Start]:
    """Start programs in `directory` that last as long as the block."""
    shutil.copy(Path(__file__).with_name("takeover_program.py"), directory / "program.py")
    start = Start(directory, [])
    try:
        yield start
    finally:
        for running in start.started:
            running.stop()
