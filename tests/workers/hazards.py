"""Programs that count under hazards: they are told what to do, and what they say, log and die of is seen."""

from __future__ import annotations

import ast
import itertools
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from workers.needs import need_permission, not_run
from workers.processes import children_of
from workers.running import environment

DEADLINE = 20.0
"""Seconds after which a program that has been told something hangs."""
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE)

Begin = Callable[..., "Program"]

_SCRIPT = """
import faulthandler, gc, itertools, logging, os, signal, sys, threading, time, traceback
faulthandler.enable()

class Log(logging.Handler):
    def emit(self, record):
        os.write(2, f"LOGGED {os.getpid()} {record.getMessage()!r}\\n".encode())

logging.getLogger("pyrometer").addHandler(Log())
logging.getLogger("pyrometer").propagate = False

def page(made=[]):
    # what /metrics answers, which has to be a page with status 200
    if not made:
        made.append(pyrometer.make_wsgi_app())
    statuses = []
    asked = {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}
    body = b"".join(made[0](asked, lambda status, headers: statuses.append(status)))
    assert statuses == ["200 OK"], statuses
    return body.decode()

def total(name="view_total", **labels):
    from pyrometer.exposition.text_parser import text_string_to_metric_families
    return sum(
        one.value
        for family in text_string_to_metric_families(page())
        for one in family.samples
        if one.name == name and labels.items() <= one.labels.items()
    )

def arena():
    from pyrometer._arenas import program_arena
    return program_arena()

def fork(work):
    # the process id of a fork that runs this and ends: with status 3 where it raises
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        os._exit(3)
    return child

def status_of(child):
    return os.waitpid(child, 0)[1]

def seconds(work):
    begun = time.monotonic()
    work()
    return time.monotonic() - begun

{early}
import pyrometer
views = pyrometer.Counter("view", "Views", ["product"])
{setup}
if __name__ == "__main__":
    for line in sys.stdin:
        source = eval(line)
        try:
            try:
                code = compile(source, "told", "eval")
            except SyntaxError:
                code = compile(source, "told", "exec")
            answer = (True, eval(code, globals()))
        except BaseException:
            answer = (False, traceback.format_exc())
        os.write(1, repr(answer).encode() + b"\\n")
"""


class Program:
    """A Python program of its own that does what it is told, within a `with` block.

    It knows `pyrometer`, `views` (a counter with the label product), `page()` (a scrape of it), `total()` (what that
    says of views), `arena()`, `fork(function)`, `status_of(fork)`, `seconds(function)` and what `setup` defines;
    `early` runs before it imports Pyrometer. `around` is a command that runs it, as `in_mounts()` gives.
    """

    _numbers = itertools.count()

    def __init__(
        self, directory: Path, setup: str = "", *, early: str = "", around: tuple[str, ...] = (), **variables: str
    ) -> None:
        number = next(self._numbers)
        script = _SCRIPT.replace("{early}", early).replace("{setup}", setup)
        self._errors = directory / f"hazard{number}.log"
        self._answers = b""
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                [*around, sys.executable, "-c", script],  # which needs no file, wherever it runs
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                env=environment(**variables),
                start_new_session=True,
            )
        self._inner = "--fork" in around

    @property
    def stderr(self) -> str:
        """What it wrote to standard error so far."""
        return self._errors.read_text(errors="replace")

    @property
    def logged(self) -> list[str]:
        """What the logger "pyrometer" said in it and its forks."""
        lines = [line.split(" ", 2)[2] for line in self.stderr.splitlines() if line.startswith("LOGGED ")]
        return [str(ast.literal_eval(line)) for line in lines]

    @property
    def pid(self) -> int:
        """Its process id: that of the program itself where a command runs it."""
        return (children_of(self.process.pid) or [self.process.pid])[0] if self._inner else self.process.pid

    def tell(self, source: str) -> None:
        """Have it evaluate or execute this, and do not wait for it."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(repr(source).encode() + b"\n")
        except BrokenPipeError:
            pass  # the answer will be missing

    def answer(self, source: str = "", deadline: float = DEADLINE) -> Any:
        """What it answers to what it was told. Raises AssertionError where it raises, dies, or does not in time."""
        assert self.process.stdout is not None
        until = time.monotonic() + deadline
        while b"\n" not in self._answers:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                os.kill(self.pid, signal.SIGABRT)  # and it says where it was
                self.process.wait(DEADLINE)
                raise AssertionError(f"no answer in {deadline:g} s: {source}\n{self.stderr[-4000:]}")
            read = os.read(self.process.stdout.fileno(), 1 << 16)
            if not read:
                status = self.process.wait(DEADLINE)
                raise AssertionError(f"it died, status {status}: {source}\n{self.stderr[-4000:]}")
            self._answers += read
        line, _, self._answers = self._answers.partition(b"\n")
        well, value = ast.literal_eval(line.decode().replace("nan", "None"))
        assert well, f"{source}\n{value}"
        return value

    def ask(self, source: str, deadline: float = DEADLINE) -> Any:
        """What this gives: a literal. Raises AssertionError where it raises, dies, or does not end in time."""
        self.tell(source)
        return self.answer(source, deadline)

    def count(self, number: float, product: str = "p") -> float:
        """Have it count so many views; all views that it then knows of."""
        total = self.ask(f"views.labels({product!r}).inc({number}) or total()")
        assert isinstance(total, (int, float))
        return total

    def kill(self) -> None:
        """End it with signal 9, wherever it is."""
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait(DEADLINE)

    def end(self) -> int:
        """Let it end by itself; its exit status. Raises AssertionError where it crashes or does not end."""
        assert self.process.stdin is not None and self.process.stdout is not None
        if self.process.stdout.closed:
            return self.process.wait()
        try:
            self.process.stdin.close()
            self._wait_for_end()
            status = self.process.wait(DEADLINE)
        finally:
            self.process.stdout.close()
            _kill_group(self.process.pid)
            self.process.wait()
        assert -status not in CRASHES and status - 128 not in CRASHES, f"status {status}\n{self.stderr[-4000:]}"
        return status

    def _wait_for_end(self) -> None:
        """Wait until nobody has its output any more: where it has gone on in another process that one ends too."""
        assert self.process.stdout is not None
        until = time.monotonic() + DEADLINE
        while select.select([self.process.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
            if not os.read(self.process.stdout.fileno(), 1 << 16):
                return
        raise AssertionError(f"it does not end in {DEADLINE:g} s\n{self.stderr[-4000:]}")

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            _kill_group(self.process.pid, signal.SIGCONT)  # a test that failed may have left it stopped
        self.end()


def _kill_group(leader: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process and all that it started, by default one that ends them."""
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        pass


@contextmanager
def programs(directory: Path) -> Iterator[Begin]:
    """Start programs that last as long as the block: `begin("limit = 3", PYROMETER_ARENA=...)`."""
    with ExitStack() as stack:
        yield lambda *setup, **more: stack.enter_context(Program(directory, *setup, **more))


def in_mounts(commands: str) -> tuple[str, ...]:
    """A command that runs another in a mount namespace of its own, after these shell commands.

    The test counts as not run where that is not permitted.
    """
    need_permission("unshare", "--mount")
    done = subprocess.run(["unshare", "--mount", "sh", "-c", commands], capture_output=True, timeout=DEADLINE)
    if done.returncode != 0:
        not_run(f"not permitted: {commands}: {done.stderr.decode()[-200:]}")
    return ("unshare", "--mount", "sh", "-c", f'{commands} && exec "$@"', "sh")


def in_container(commands: str = ":") -> tuple[str, ...]:
    """A command that runs another as the first process of a pid namespace, with a /proc of its own."""
    options = ("--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc")
    need_permission("unshare", *options)
    return ("unshare", *options, "sh", "-c", f'{commands} && exec "$@"', "sh")


def limited(kilobytes: int) -> tuple[str, ...]:
    """A command that runs another with so much address space."""
    return ("sh", "-c", f'ulimit -v {kilobytes} && exec "$@"', "sh")
