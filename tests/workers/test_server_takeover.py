"""`start_http_server` with one port in many processes: one serves, another takes over when it dies."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest
from workers.needs import need_module, need_program
from workers.takeover import DEADLINE, Running, Start

HOST = "127.0.0.1"
TAKEN_OVER = 3.0
"""Seconds in which another process is to answer; one attempt to bind every half second makes most of it."""


def until(condition: Callable[[], bool], seconds: float = DEADLINE) -> None:
    """Wait until `condition` holds, at most that long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.02)


def answering(port: int, context: ssl.SSLContext | None = None) -> int:
    """The id of the process that answers a scrape, 0 where none does."""
    scheme = "http" if context is None else "https"
    try:
        with urlopen(f"{scheme}://{HOST}:{port}/metrics", timeout=DEADLINE, context=context) as answer:
            found = re.search(rb"^answering (\S+)$", answer.read(), re.MULTILINE)
    except OSError:
        return 0
    assert found
    return int(float(found[1]))


def can_bind(port: int) -> bool:
    """Whether a stranger can listen on the port."""
    with socket.socket() as taker:
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taker.bind((HOST, port))
            taker.listen()
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as taker:
        taker.bind((HOST, 0))
        found: int = taker.getsockname()[1]
    return found


@pytest.fixture
def port() -> int:
    """A port that nobody has."""
    return free_port()


@pytest.mark.parametrize("how", ["os.fork", "fork", "spawn", "forkserver"])
def test_another_takes_over(start: Start, port: int, how: str) -> None:
    """Of four processes one serves; each time it is killed another answers, until one is left."""
    _, alive = start.workers(how, 4, port)
    for left in (4, 3, 2, 1):
        assert len(alive) == left
        until(lambda: answering(port) in alive, TAKEN_OVER)
        serving = answering(port)
        assert {answering(port) for _ in range(5)} == {serving}
        os.kill(serving, signal.SIGKILL)
        alive.remove(serving)
    until(lambda: can_bind(port), TAKEN_OVER)


def test_started_at_once(start: Start, port: int) -> None:
    """Of twelve processes that start at the same instant none fails, and one serves."""
    code = """
gate, opened = os.pipe()
def late():
    os.read(gate, 1)
    work(port)
for _ in range(12):
    forked(late)
os.write(opened, bytes(12))
idle()
"""
    program = start.code(code, port)
    workers = program.workers(12, port)
    assert answering(port) in workers


def test_over_tls(start: Start, port: int, tmp_path: Path) -> None:
    """Who takes over speaks TLS as who served before."""
    need_program("openssl")
    pem = tmp_path / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=server", "-addext", f"subjectAltName=IP:{HOST}", "-keyout", str(pem), "-out", "-"]
    made = subprocess.run([*command, *names], check=True, capture_output=True, timeout=60)
    pem.write_bytes(pem.read_bytes() + made.stdout)
    context = ssl.create_default_context(cafile=str(pem))
    _, alive = start.workers("os.fork", 2, port, str(pem))
    first = answering(port, context)
    os.kill(first, signal.SIGKILL)
    alive.remove(first)
    until(lambda: answering(port, context) in alive, TAKEN_OVER)


def test_a_server_that_closes(start: Start, port: int) -> None:
    """When the serving process closes its server and lives on, another serves, and it may stand by again."""
    code = """
metrics = serve(port)
forked(work, port)
sys.stdin.readline()
metrics.close()
sys.stdin.readline()
metrics = serve(port)
say("again", metrics.thread.is_alive())
idle()
"""
    program = start.code(code, port)
    first, second = program.pid, program.workers(1, port).pop()
    assert answering(port) == first
    program.go_on()
    until(lambda: answering(port) == second, TAKEN_OVER)
    program.go_on()
    assert program.line() == "again True"
    assert answering(port) == second
    os.kill(second, signal.SIGKILL)
    until(lambda: answering(port) == first, TAKEN_OVER)


def test_closing_a_standby(start: Start, port: int) -> None:
    """A standby has the port asked for, ends by close(), shutdown() or server_close(), and takes nothing over."""
    program = start.code(
        """
import time
import pyrometer._standby
pyrometer._standby._RETRY = 60.0
first = serve(port)
def second():
    began = time.monotonic()
    with serve(port) as standby:
        assert standby.thread.is_alive() and standby.server_port == port
    assert not standby.thread.is_alive()
    standby.close()
    server, thread = serve(port)
    assert server.server_port == port
    server.shutdown()
    assert not thread.is_alive()
    server.server_close()
    server, thread = serve(port)
    server.server_close()
    thread.join(10)
    assert not thread.is_alive()
    say("closed", time.monotonic() - began < 30)
    idle()
say(forked(second), port)
idle()
""",
        port,
    )
    program.workers(1, port)
    assert program.line() == "closed True"
    assert answering(port) == program.pid
    os.kill(program.pid, signal.SIGKILL)
    until(lambda: can_bind(port), TAKEN_OVER)


def test_a_stranger(start: Start, port: int) -> None:
    """A port that another program has is an error in every worker, though one serves another port of its own."""
    with socket.create_server((HOST, port)):
        program = start.code(
            f"""
own = serve({free_port()})
child = forked(serve, port)
os.waitpid(child, 0)
serve(port)
""",
            port,
        )
        taken = errno.EADDRINUSE
        failed = f"failed: [Errno {taken}] cannot serve metrics on {HOST} port {port}: {os.strerror(taken)}"
        assert [program.line(), program.line(), program.line()] == [failed, failed, ""]


def test_another_instance_is_a_stranger(start: Start, port: int) -> None:
    """A second instance of the same program does not stand by for the first."""
    _, workers = start.workers("os.fork", 2, port)
    second = start("program.py", "os.fork", "1", str(port))
    assert second.line().startswith("failed: ")
    assert answering(port) in workers


def test_a_fork_holds_no_port(start: Start, port: int) -> None:
    """The child of a serving process does not keep the port busy when its parent dies."""
    program = start.code(
        """
metrics = serve(port)
say(forked(idle), port)
idle()
""",
        port,
    )
    program.workers(1, port)
    assert answering(port) == program.pid
    assert not can_bind(port)
    os.kill(program.pid, signal.SIGKILL)
    until(lambda: can_bind(port), TAKEN_OVER)


def test_a_fork_takes_over(start: Start, port: int) -> None:
    """The child of a serving process stands by once it starts a server itself, and closes what it inherited."""
    program = start.code(
        """
metrics = serve(port)
def second():
    metrics.close()
    work(port)
forked(second)
idle()
""",
        port,
    )
    child = program.workers(1, port).pop()
    assert answering(port) == program.pid
    os.kill(program.pid, signal.SIGKILL)
    until(lambda: answering(port) == child, TAKEN_OVER)


def test_a_fork_that_python_does_not_see(start: Start, port: int) -> None:
    """A child made by a program in C, as uWSGI makes its own, takes over once it starts a server itself."""
    program = start.code(
        """
import ctypes
metrics = serve(port)
if not ctypes.PyDLL(None).fork():
    work(port)
idle()
""",
        port,
    )
    child = program.workers(1, port).pop()
    assert answering(port) == program.pid
    os.kill(program.pid, signal.SIGKILL)
    until(lambda: answering(port) == child, TAKEN_OVER)


def test_forks_while_standing_by(start: Start, port: int) -> None:
    """A process that forks all the time while it takes a port over leaves no child that holds it."""
    program = start.code(
        """
import pyrometer._standby
pyrometer._standby._RETRY = 0.0001
serving, said = os.pipe()
def first():
    metrics = serve(port)
    os.write(said, b"!")
    idle()
first = forked(first)
os.read(serving, 1)
metrics = serve(port)
children = [forked(idle) for _ in range(50)]
os.kill(first, signal.SIGKILL)
children += [forked(idle) for _ in range(50)]
say(os.getpid(), port, *children)
idle()
""",
        port,
    )
    children = [int(child) for child in program.line().split()[2:]]
    try:
        until(lambda: answering(port) == program.pid, TAKEN_OVER)
        os.kill(program.pid, signal.SIGKILL)
        until(lambda: can_bind(port), TAKEN_OVER)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)


APP = """
import os, sys
from program import *

metrics = start_http_server(int(os.environ["METRICS_PORT"]), "127.0.0.1", Answering())

def app(environ, start_response):
    start_response("200 OK", [])
    return [b""]

if "gunicorn" not in sys.modules:
    sys.exit("to be started by gunicorn")
say(os.getpid(), metrics.server_port)
"""


def gunicorn(start: Start, port: int, workers: int, *options: str) -> Running:
    """The real server with an application that serves its metrics on `port`."""
    need_module("gunicorn")
    (start.where / "app.py").write_text(APP)
    environment = f"METRICS_PORT={port}"
    command = ["-m", "gunicorn", "-b", f"{HOST}:0", "-w", str(workers), "-e", environment, "--log-level", "error"]
    return start(*command, *options, "app:app")


@pytest.mark.server
def test_gunicorn(start: Start, port: int) -> None:
    """Under gunicorn one worker serves; killed, another does, its successor stands by, and a reload changes nothing."""
    program = gunicorn(start, port, 3)
    alive = program.workers(3, port)
    for _ in range(3):
        serving = answering(port)
        assert serving in alive
        os.kill(serving, signal.SIGKILL)
        alive.remove(serving)
        alive.update(program.workers(1, port))
        until(lambda: answering(port) in alive, TAKEN_OVER)
    os.kill(program.pid, signal.SIGHUP)
    reloaded = program.workers(3, port)
    until(lambda: answering(port) in reloaded)


@pytest.mark.server
def test_gunicorn_preload(start: Start, port: int) -> None:
    """With --preload the master serves, whatever happens to its workers, and none of them holds the port after it."""
    program = gunicorn(start, port, 2, "--preload")
    assert program.workers(1, port) == {program.pid}
    until(lambda: len(children(program.pid)) == 2)
    first = children(program.pid)
    for worker in first:
        os.kill(worker, signal.SIGKILL)
    until(lambda: len(children(program.pid) - first) == 2)
    assert answering(port) == program.pid
    # Stopped, they cannot end because their master has.
    stopped = children(program.pid)
    try:
        for worker in stopped:
            os.kill(worker, signal.SIGSTOP)
        os.kill(program.pid, signal.SIGKILL)
        until(lambda: can_bind(port), TAKEN_OVER)
    finally:
        for worker in stopped:
            os.kill(worker, signal.SIGKILL)


def children(pid: int) -> set[int]:
    """The ids of a process's children."""
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
