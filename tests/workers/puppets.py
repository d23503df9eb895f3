"""Programs that do what a test says: line by line, or all at once."""

from __future__ import annotations

import ast
import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from servers import DEADLINE
from workers.running import environment


def run(directory: Path, source: str, *arguments: str, deadline: float = DEADLINE, **variables: str) -> Any:
    """What `source`, a Python program in a file of its own, prints as its only line: a literal.

    Whatever it started is killed in the end. Raises AssertionError where it fails.
    """
    script = directory / "program.py"
    script.write_text(source)
    log = directory / "program.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, str(script), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(**variables),
            cwd=directory,
            start_new_session=True,
        )
    try:
        status = process.wait(deadline)
    finally:
        _kill_group(process.pid)
        process.wait()
    said = log.read_text()
    assert status == 0 and said.count("\n") == 1, f"status {status}: {said[-3000:]}"
    return ast.literal_eval(said)


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Puppet:
    """A Python program of its own that evaluates what it is told, within a `with` block.

    It knows `pyrometer`, `views` (a counter with the label product) and `total()`, what a scrape of it says of them,
    and what `setup` defines beside. `stderr` has what it said otherwise.
    """

    _SCRIPT = """
import os, sys
import pyrometer
from apps import views
from workers.pages import value
def total(name="view_total", **labels):
    return value(pyrometer.generate_latest().decode(), name, **labels)
{setup}
if __name__ == "__main__":
    for line in sys.stdin:
        print(repr(eval(line)), flush=True)
"""
    _numbers = itertools.count()

    def __init__(self, directory: Path, setup: str = "", **variables: str) -> None:
        number = next(self._numbers)
        self.script = directory / f"puppet{number}.py"
        self.script.write_text(self._SCRIPT.format(setup=setup))
        self._errors = directory / f"puppet{number}.log"
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(self.script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment(**variables),
                start_new_session=True,
            )

    @property
    def stderr(self) -> str:
        """What it wrote to standard error so far."""
        return self._errors.read_text()

    def ask(self, expression: str) -> Any:
        """What `expression`, one line, gives: a literal. Raises AssertionError where the program died of it."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(expression + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = self.process.stdout.readline()
        assert answer, f"{expression}: {self.stderr[-2000:]}"
        return ast.literal_eval(answer)

    def end(self) -> None:
        """Let it end by itself, and wait for that."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self.process.wait(DEADLINE)
        finally:
            self.process.stdout.close()
            _kill_group(self.process.pid)
            self.process.wait()

    def __enter__(self) -> Puppet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()
