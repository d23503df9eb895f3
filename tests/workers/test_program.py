"""Which program a process belongs to: real processes, however they were started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from workers.needs import need_module, need_permission, need_root

from pyrometer import _program
from pyrometer._program import VARIABLE, alive, boot, namespace, program, start_of

REPORT = """
import json, os, sys
def report(tag):
    from pyrometer._program import program
    found = program()
    root = [found.root_pid, found.root_start, found.root_namespace]
    line = [tag, os.getpid(), list(found.names), root, found.root_started]
    os.write(1, (json.dumps(line) + "\\n").encode())
def in_fork(call):
    pid = os.fork()
    if pid == 0:
        try:
            call()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
"""


class Found(NamedTuple):
    """What a process said of its program."""

    pid: int
    names: list[str]
    root: list[int]
    root_started: float


Reports = Callable[..., dict[str, Found]]


@pytest.fixture
def reports(tmp_path: Path) -> Reports:
    """Run a program and return what its processes reported, by tag."""

    def reports(text: str, before: tuple[str, ...] = (), **variables: str) -> dict[str, Found]:
        script = tmp_path / f"program{len(list(tmp_path.iterdir()))}.py"
        script.write_text(REPORT + text)
        command = [*before, sys.executable, str(script)]
        done = subprocess.run(command, stdout=subprocess.PIPE, env={**os.environ, **variables}, timeout=60, check=True)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return {tag: Found(*rest) for tag, *rest in lines}

    return reports


def multiprocessing_program(method: str, body: str, package: str = "multiprocessing") -> str:
    """A program whose main module starts processes of multiprocessing by a method."""
    return f"""
import {package} as multiprocessing
def child(tag, levels=0):
    report(tag)
    if levels:
        start(tag + " again", levels - 1)
def start(tag, levels=0):
    process = context.Process(target=child, args=(tag, levels))
    process.start()
    process.join()
context = multiprocessing.get_context({method!r})
if __name__ == "__main__":
    {body}
"""


def same(found: dict[str, Found]) -> Found:
    """What all processes agree on; it fails where they do not."""
    first = next(iter(found.values()))
    assert all((one.names[0], one.root) == (first.names[0], first.root) for one in found.values()), found
    return first


def test_forks_share_the_name_and_the_root(reports: Reports) -> None:
    """Workers that ask only after they were forked, and their forks, have one name, and the master for a root."""
    found = reports("""
def worker():
    report("worker")
    in_fork(lambda: report("its fork"))
in_fork(worker)
in_fork(lambda: in_fork(lambda: report("fork of a silent one")))
in_fork(lambda: report("another"))
report("master")
""")
    assert len(found) == 5
    assert same(found).root[0] == found["master"].pid
    assert found["master"].root[2] == namespace()
    assert abs(found["master"].root_started - time.time()) < 60


def test_instances_never_mix(reports: Reports) -> None:
    """A program started twice, from one parent with one environment, has two names and two roots."""
    program()  # and so has the parent, which has set the variable
    first, second = reports("report('it')")["it"], reports("report('it')")["it"]
    assert len({first.names[0], second.names[0], program().name}) == 3
    assert (first.root[0], second.root[0]) == (first.pid, second.pid)


def test_a_program_that_a_program_runs_is_its_own(reports: Reports) -> None:
    """A subprocess is another program, whatever it inherits, and so are the processes it starts."""
    found = reports("""
import subprocess
if len(sys.argv) == 1:
    report("outer")
    subprocess.run([sys.executable, __file__, "inner"], check=True)
else:
    report("inner")
    in_fork(lambda: report("fork of the inner"))
""")
    assert found["outer"].names[0] != found["inner"].names[0]
    assert found["inner"].root[0] == found["inner"].pid
    del found["outer"]
    same(found)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_belong_to_their_parent(reports: Reports, method: str) -> None:
    """Children of every start method, three deep, have the name and the root of the process that began."""
    found = reports(multiprocessing_program(method, "report('parent'); start('child', 2)"))
    assert sorted(found) == ["child", "child again", "child again again", "parent"]
    assert same(found).root[0] == found["parent"].pid


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_children_of_a_forked_worker_belong_to_the_master(reports: Reports, method: str) -> None:
    """A child that multiprocessing executes for a fork that never asked has the root of the whole program."""
    found = reports(multiprocessing_program(method, "report('master'); in_fork(lambda: start('child', 1))"))
    assert len(found) == 3
    assert same(found).root[0] == found["master"].pid


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_parent_that_asks_late_finds_its_children(reports: Reports, method: str) -> None:
    """Children that were first have one name and the parent for a root; the parent has that name as its second."""
    found = reports(multiprocessing_program(method, "start('child', 1); start('sibling'); report('parent')"))
    parent = found.pop("parent")
    children = same(found)
    assert parent.names[1:] == children.names
    assert parent.root == children.root == [parent.pid, *parent.root[1:]]


def test_the_modules_a_forkserver_loads_first_belong_to_the_parent(reports: Reports) -> None:
    """A forkserver that was told to import an application has the parent's name, and its children have it."""
    body = "report('parent'); context.set_forkserver_preload(['pyrometer']); start('child')"
    found = reports(multiprocessing_program("forkserver", body))
    assert same(found).root[0] == found["parent"].pid


def test_a_forged_variable_is_not_believed(reports: Reports) -> None:
    """What does not come from an ancestor in the program, or is no name, is ignored; children agree nevertheless."""
    for value in ("", "nonsense", f"../../x:{os.getpid()}:0:1:2:3:4.0", f"{'a' * 32}:1:1:1:1:1:1.0"):
        body = f"report('parent'); os.environ[{VARIABLE!r}] = {value!r}; start('one'); start('two')"
        found = reports(multiprocessing_program("spawn", body))
        parent = found.pop("parent")
        assert same(found).root == parent.root
        assert "a" * 32 not in found["one"].names


@pytest.mark.server
def test_children_of_billiard_belong_to_their_parent(reports: Reports) -> None:
    """Celery's own multiprocessing executes children, too, and they are told in the same way."""
    need_module("billiard")
    found = reports(multiprocessing_program("spawn", "report('parent'); start('child')", "billiard"))
    assert same(found).root[0] == found["parent"].pid


def test_a_process_that_executes_itself_is_a_new_program(reports: Reports) -> None:
    """After an exec the name is new, the process is the root, and its children of multiprocessing have the new name."""
    found = reports(
        multiprocessing_program(
            "spawn",
            """if len(sys.argv) == 1:
        report("before")
        os.execv(sys.executable, [sys.executable, __file__, "again"])
    report("after")
    start("child")""",
        )
    )
    before = found.pop("before")
    assert before.pid == found["after"].pid
    assert before.names[0] != same(found).names[0]
    assert found["child"].root == before.root  # the same process, by id and start


def test_a_worker_that_changed_its_user_belongs_to_its_master(reports: Reports) -> None:
    """A fork that gave up root's rights, to whom /proc then shows nothing of its master, has its name and root."""
    need_root()
    found = reports(f"""
import importlib.util, types
spec = importlib.util.spec_from_file_location("its_program", {_program.__file__!r})
module = importlib.util.module_from_spec(spec)
import ctypes, _blake2  # it may not be able to read the files of modules
def worker():
    os.setgid(65534)
    os.setuid(65534)
    try:
        open("/proc/self/auxv", "rb")
    except PermissionError:
        report("worker")
spec.loader.exec_module(module)
sys.modules["pyrometer"] = types.ModuleType("pyrometer")
sys.modules["pyrometer._program"] = module
in_fork(worker)
report("master")
""")
    assert len(found) == 2
    assert same(found).root[0] == found["master"].pid


@pytest.mark.parametrize("proc", ["its own /proc", "its parent's /proc"])
def test_another_pid_namespace(reports: Reports, proc: str) -> None:
    """In a pid namespace of its own a program has one name for its forks, and others cannot be asked about."""
    before = ("unshare", "--pid", "--fork", *(["--mount-proc"] if proc == "its own /proc" else []))
    need_permission(*before)
    found = reports(
        f"""
def fork():
    report("fork")
    from pyrometer._program import alive, namespace
    assert alive({os.getpid()}, 0, {namespace()}) is None
    parent = alive(os.getppid(), 0, namespace())
    assert parent is {"True" if proc == "its own /proc" else "None"}, parent
    report("checked")
in_fork(fork)
report("first")
""",
        before,
    )
    assert len(found) == 3
    assert len({tuple(one.names) for one in found.values()}) == 1
    assert found["first"].pid == 1 and found["first"].root[::2] != [1, namespace()]
    if proc == "its own /proc":
        assert same(found).root[0] == 1


def test_a_fork_into_another_pid_namespace(reports: Reports) -> None:
    """A worker that its master put in another pid namespace has the master's name."""
    need_permission("unshare", "--pid", "--fork")
    found = reports("""
import ctypes
def unshared():
    assert ctypes.CDLL(None).unshare(0x20000000) == 0  # CLONE_NEWPID
    in_fork(lambda: report("worker"))
in_fork(unshared)
report("master")
""")
    assert found["worker"].pid == 1
    assert found["worker"].names == found["master"].names


def test_the_variable_is_renewed_in_forks(reports: Reports) -> None:
    """Each fork tells its own executed children, at once and without being asked."""
    found = reports(f"""
report("parent")
def fork():
    assert os.environ[{VARIABLE!r}].split(":")[1] == str(os.getpid())
    report("fork")
in_fork(fork)
""")
    assert len(found) == 2


def test_the_name_does_not_tell_the_random_bytes() -> None:
    """The name is 32 hexadecimal digits, and not the bytes that guard the stack."""
    secret = _program._random_of_exec()
    assert len(secret) == 16 and secret == _program._random_of_exec()
    assert len(program().name) == 32 and bytes.fromhex(program().name) != secret
    assert program() is program()


def test_the_random_bytes_are_the_kernels() -> None:
    """What is read through /proc is what the C library's getauxval points to."""
    import ctypes

    library = ctypes.CDLL(None)
    library.getauxval.restype = ctypes.c_ulong
    assert ctypes.string_at(library.getauxval(ctypes.c_ulong(25)), 16) == _program._random_of_exec()


def test_the_dead_and_the_living() -> None:
    """A process lives until it is a zombie; another start makes it another process, another namespace unknown."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start = start_of(child.pid)
    assert start is not None and start_of(str(child.pid)) == start
    assert alive(child.pid, start, namespace()) is True
    assert alive(child.pid, 0, namespace()) is True
    assert alive(child.pid, start - 1, namespace()) is False
    assert alive(child.pid, start, namespace() + 1) is None
    assert child.stdin is not None
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert start_of(child.pid) is None  # a zombie
    assert alive(child.pid, start, namespace()) is False
    child.wait()
    assert start_of(child.pid) is None
    assert alive(child.pid, start, namespace()) is False
    for nobody in (0, 1 << 40, 1 << 63):
        assert alive(nobody, start, namespace()) is False


def test_the_boot_has_a_number() -> None:
    """All processes of one run of the system have one number for it, of at most 63 bits and not 0."""
    found = subprocess.run(
        [sys.executable, "-c", "from pyrometer._program import boot; print(boot())"], capture_output=True, check=True
    )
    assert 0 < int(found.stdout) == boot() < 1 << 63


def test_nothing_is_known_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a /proc there is a program nevertheless: this process is its root, its name can be met by nobody."""

    def gone(path: str) -> Any:
        raise FileNotFoundError(path)

    monkeypatch.setattr(_program, "_read", gone)
    monkeypatch.setattr(_program, "_proc_is_ours", lambda: False)
    monkeypatch.setattr(_program, "namespace", lambda: 0)
    found = _program._find()
    assert (found.root_pid, found.root_start, found.root_namespace) == (os.getpid(), 0, 0)
    assert len(found.name) == 32
    assert abs(found.root_started - time.time()) < 60
    assert alive(os.getpid(), 0, 0) is True and boot() == 0
