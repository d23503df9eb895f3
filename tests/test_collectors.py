"""The process, platform and garbage collector's metrics, beside those of prometheus_client in the same process."""

from __future__ import annotations

import gc
import math
import os
import platform
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import prometheus_client
import pytest

from pyrometer import REGISTRY, DuplicateTimeseries
from pyrometer._core.layout import GC_FIRST, VALUES
from pyrometer.collectors import GCCollector, PlatformCollector, ProcessCollector, _workers
from pyrometer.collectors.process import _SYSTEM_TICKS, _USER_TICKS

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")

STAT = (
    "1234 (a (b) c) S 1 1 1 0 -1 4194560 100 0 0 0 "
    "250 50 0 0 20 0 5 0 123456 1073741824 2048 18446744073709551615 1 1 0 0 0"
)
LIMITS = (
    "Limit                     Soft Limit           Hard Limit           Units     \n"
    "Max processes             62898                62898                processes \n"
    "Max open files            2048                 4096                 files     \n"
)
ALL_PROCESS_METRICS = [
    "process_virtual_memory_bytes",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_cpu_seconds",
    "process_open_fds",
    "process_max_fds",
]


def shape(families: Iterable[Any]) -> list[tuple[object, ...]]:
    """What of families does not change from one moment to the next."""
    return [(f.name, f.type, f.unit, [(s.name, s.labels) for s in f.samples]) for f in families]


def samples(families: Iterable[Any]) -> dict[tuple[object, ...], float]:
    """The values of families by sample name and label values."""
    return {(s.name, *s.labels.values()): s.value for f in families for s in f.samples}


def names(families: Iterable[Any]) -> list[str]:
    """The names of families."""
    return [family.name for family in families]


class Slots:
    """The slots of an arena, in this process alone: what collectors do with them, without any other process."""

    shared = True
    started = 1418180000.25

    def __init__(self, *pids: int) -> None:
        self.pids = pids
        self.values: dict[tuple[int, int], float] = {}

    def processes(self) -> list[tuple[int, int]]:
        return list(enumerate(self.pids))

    def keep(self, index: int, value: float) -> None:
        self.keep_of(self.pids.index(os.getpid()), index, value)

    def keep_of(self, slot: int, index: int, value: float) -> None:
        self.values[slot, index] = max(value, self.values.get((slot, index), 0))

    def total(self, index: int) -> float:
        return sum(value for (_, which), value in self.values.items() if which == index)


DEAD = -1  # the slot where the tests have what ended processes had


@pytest.fixture
def share(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Slots]:
    """Have the collectors find slots of this process and the given ones."""

    def share(*pids: int) -> Slots:
        slots = Slots(os.getpid(), *pids)
        monkeypatch.setattr(_workers, "shared_arena", lambda: slots)
        return slots

    return share


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A small /proc with one process, 1234, that has three files open."""
    (tmp_path / "stat").write_text("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\nbtime 1418183276\n")
    process = tmp_path / "1234"
    process.mkdir()
    (process / "stat").write_text(STAT)
    (process / "limits").write_text(LIMITS)
    (process / "fd").mkdir()
    for descriptor in ("0", "1", "2"):
        (process / "fd" / descriptor).touch()
    return tmp_path


# --- process ---------------------------------------------------------------------------------------------------------


@linux
@pytest.mark.parametrize("namespace", ["", "shop"])
@pytest.mark.parametrize("pid", [lambda: "self", os.getpid, lambda: f"{os.getppid()}\n"])
def test_process_as_prometheus_client(namespace: str, pid: Callable[[], int | str]) -> None:
    """On the real /proc: the families of prometheus_client, with values between two of its readings."""
    theirs = prometheus_client.ProcessCollector(namespace=namespace, pid=pid, registry=None)
    ours = ProcessCollector(namespace=namespace, pid=pid, registry=None)
    before = list(theirs.collect())
    now = ours.collect()
    after = list(theirs.collect())
    prefix = f"{namespace}_" if namespace else ""
    assert shape(now) == shape(before)
    assert names(now) == [prefix + name for name in ALL_PROCESS_METRICS]
    values, earlier, later = samples(now), samples(before), samples(after)
    for steady in ("process_start_time_seconds", "process_max_fds"):
        assert values[(prefix + steady,)] == earlier[(prefix + steady,)]
    cpu = (prefix + "process_cpu_seconds_total",)
    assert earlier[cpu] <= values[cpu] <= later[cpu]
    assert all(value > 0 for key, value in values.items() if key != cpu)
    assert all(family.documentation for family in now)


def test_process_values(proc: Path) -> None:
    """Every value comes from the field that proc(5) says, in seconds and bytes, as prometheus_client reads it."""
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    collected = ProcessCollector(pid=lambda: 1234, proc=proc, registry=None).collect()
    assert samples(collected) == {
        ("process_virtual_memory_bytes",): 1073741824,
        ("process_resident_memory_bytes",): 2048 * page,
        ("process_start_time_seconds",): 1418183276 + 123456 / ticks,
        ("process_cpu_seconds_total",): 300 / ticks,
        ("process_open_fds",): 3,
        ("process_max_fds",): 2048,
    }
    theirs = prometheus_client.ProcessCollector(pid=lambda: 1234, proc=str(proc), registry=None)
    assert samples(collected) == samples(theirs.collect())
    assert shape(collected) == shape(theirs.collect())


@linux
def test_process_that_is_gone() -> None:
    """A process that has ended gives no metrics and no error, at the next collection."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        collector = ProcessCollector(pid=lambda: child.pid, registry=None)
        assert names(collector.collect()) == ALL_PROCESS_METRICS
        child.communicate(b"\n", timeout=60)
    assert collector.collect() == []


def test_process_id_is_asked_for_each_time(proc: Path, tmp_path: Path) -> None:
    """A pid file may not exist yet, be empty or stale: there are no metrics until it names a process."""
    pid_file = tmp_path / "daemon.pid"
    collector = ProcessCollector(pid=pid_file.read_text, proc=proc, registry=None)
    assert collector.collect() == []
    for content in ("", "\n", "99999", "None"):
        pid_file.write_text(content)
        assert collector.collect() == []
    pid_file.write_text("1234\n")
    assert names(collector.collect()) == ALL_PROCESS_METRICS


def test_error_of_the_pid_function_is_the_users(proc: Path) -> None:
    """An error of the pid function that is no OSError is not hidden."""

    def fail() -> int:
        raise RuntimeError("no pid")

    with pytest.raises(RuntimeError, match="no pid"):
        ProcessCollector(pid=fail, proc=proc, registry=None).collect()


def replace_by_directory(path: Path) -> None:
    """Make reading the file an OSError, for root too."""
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "missing"),
    [
        (lambda p: replace_by_directory(p / "stat"), ALL_PROCESS_METRICS[:4]),
        (lambda p: (p / "stat").write_text(""), ALL_PROCESS_METRICS[:4]),
        (lambda p: (p / "stat").write_text("1234 (x) S 1 1"), ALL_PROCESS_METRICS[:4]),
        (lambda p: (p / "stat").write_text(STAT.replace("250", "many")), ALL_PROCESS_METRICS[:4]),
        (lambda p: (p / "fd").rename(p / "hidden"), ["process_open_fds"]),
        (lambda p: replace_by_directory(p / "limits"), ["process_max_fds"]),
        (lambda p: (p / "limits").write_text(""), ["process_max_fds"]),
        (lambda p: (p / "limits").write_text("Max open files\n"), ["process_max_fds"]),
        (lambda p: (p / "limits").write_text("Max open files  many  many  files\n"), ["process_max_fds"]),
        (lambda p: p.rename(p.parent / "1235"), ALL_PROCESS_METRICS),
    ],
)
def test_what_cannot_be_read_is_left_out(spoil: Callable[[Path], object], missing: list[str], proc: Path) -> None:
    """A file that is missing, unreadable or strange costs the metrics read from it alone."""
    collector = ProcessCollector(pid=lambda: 1234, proc=proc, registry=None)
    spoil(proc / "1234")
    assert names(collector.collect()) == [name for name in ALL_PROCESS_METRICS if name not in missing]


def test_unlimited_file_descriptors(proc: Path) -> None:
    """Where the number of file descriptors has no limit, process_max_fds is +Inf."""
    limits = proc / "1234" / "limits"
    limits.write_text(LIMITS.replace("2048     ", "unlimited"))
    collected = ProcessCollector(pid=lambda: 1234, proc=proc, registry=None).collect()
    assert samples(collected)[("process_max_fds",)] == math.inf


@pytest.mark.parametrize("stat", [None, "", "cpu 1 2 3\n", "btime\n", "btime soon\n"])
def test_no_linux_proc(stat: str | None, proc: Path) -> None:
    """Without Linux's /proc/stat, as on other systems, there are no metrics and no names, and construction works."""
    (proc / "stat").unlink()
    if stat is not None:
        (proc / "stat").write_text(stat)
    collector = ProcessCollector(pid=lambda: 1234, proc=proc, registry=None)
    assert collector.collect() == collector.describe() == []


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"namespace": 5}, TypeError, "a metric name must be a str, got int: 5"),
        ({"namespace": "\ud800"}, ValueError, "surrogate"),
        ({"pid": 5}, TypeError, "ProcessCollector: pid must be a function that gives a process id, got 5"),
        ({"registry": 5}, TypeError, "ProcessCollector: registry must be a CollectorRegistry or None, got 5"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    """Wrong arguments are refused by the constructor, with what was expected and what came."""
    with pytest.raises(error, match=message):
        ProcessCollector(**arguments)


@linux
def test_process_in_threads() -> None:
    """One collector may be asked by many threads at once."""
    collector = ProcessCollector(registry=None)
    collected: list[list[str]] = []
    threads = [threading.Thread(target=lambda: collected.append(names(collector.collect()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert collected == [ALL_PROCESS_METRICS] * 8


# --- the processes of a program ---------------------------------------------------------------------------------------


@pytest.fixture
def procs(proc: Path) -> Path:
    """A small /proc with processes 1234 and 1235 beside this one, which is the self of it."""
    ours = proc / str(os.getpid())
    shutil.copytree(proc / "1234", ours)
    (ours / "stat").write_text(STAT.replace("250 50", "10 20").replace("1073741824 2048", "1000 1"))
    shutil.copytree(proc / "1234", proc / "1235")
    (proc / "self").symlink_to(str(os.getpid()))
    return proc


def test_processes_of_a_program(procs: Path, share: Callable[..., Slots]) -> None:
    """Memory and descriptors are sums over the living, processor time has the dead too, the start is the program's."""
    slots = share(1234, 1235)
    slots.keep_of(DEAD, _USER_TICKS, 550)
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    collected = ProcessCollector(proc=procs, registry=None).collect()
    assert names(collected) == ALL_PROCESS_METRICS
    assert samples(collected) == {
        ("process_virtual_memory_bytes",): 2 * 1073741824 + 1000,
        ("process_resident_memory_bytes",): (2 * 2048 + 1) * page,
        ("process_start_time_seconds",): 1418180000.25,
        ("process_cpu_seconds_total",): (550 + 2 * 250 + 10) / ticks + (2 * 50 + 20) / ticks,
        ("process_open_fds",): 9,
        ("process_max_fds",): 3 * 2048,
    }
    assert (slots.values[1, _USER_TICKS], slots.values[1, _SYSTEM_TICKS]) == (250, 50)


def test_processor_time_of_the_dead_is_exact(proc: Path, share: Callable[..., Slots]) -> None:
    """When a process ends, and others are summed up in another order, the counter is not less by a rounding error."""
    (proc / "self").symlink_to("1")  # nothing is read but what the slots have
    slots = share(1234)
    collector = ProcessCollector(proc=proc, registry=None)
    for ticks in range(1, 1000, 7):
        slots.values = {(0, _USER_TICKS): 2 * ticks, (1, _USER_TICKS): 5 * ticks, (DEAD, _SYSTEM_TICKS): 3 * ticks}
        before = samples(collector.collect())
        slots.values = {(DEAD, _SYSTEM_TICKS): 3 * ticks, (DEAD, _USER_TICKS): 5 * ticks, (0, _USER_TICKS): 2 * ticks}
        assert samples(collector.collect()) == before


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda p: (p / "fd").rename(p / "hidden"), {"process_open_fds": 6}),
        (lambda p: replace_by_directory(p / "limits"), {"process_max_fds": 4096}),
        (lambda p: (p / "limits").write_text(LIMITS.replace("2048     ", "unlimited")), {"process_max_fds": math.inf}),
        (lambda p: (p / "stat").write_text(""), {"process_virtual_memory_bytes": 1073742824}),
        (lambda p: p.rename(p.parent / "1236"), {"process_open_fds": 6, "process_max_fds": 4096}),
    ],
)
def test_what_cannot_be_read_of_one_process(
    spoil: Callable[[Path], object], expected: dict[str, float], procs: Path, share: Callable[..., Slots]
) -> None:
    """What cannot be read of one process is left out of the sums; what it used of the processor stays."""
    share(1234, 1235)
    collector = ProcessCollector(proc=procs, registry=None)
    before = samples(collector.collect())
    spoil(procs / "1235")
    after = samples(collector.collect())
    assert list(after) == list(before)
    assert after[("process_cpu_seconds_total",)] == before[("process_cpu_seconds_total",)]
    assert {name: after[(name,)] for name in expected} == expected


@pytest.mark.parametrize("numbers", ["none", "others"])
def test_procfs_of_another_namespace(numbers: str, procs: Path, share: Callable[..., Slots]) -> None:
    """Where procfs has other ids for the processes, they would be strangers: only this process is read from it."""
    slots = share(1234, 1235)
    slots.keep_of(1, _USER_TICKS, 700)
    (procs / str(os.getpid())).rename(procs / "1")
    (procs / "self").unlink()
    if numbers == "others":
        (procs / "self").symlink_to("1")
    values = samples(ProcessCollector(proc=procs, registry=None).collect())
    assert values.get(("process_open_fds",)) == {"none": None, "others": 3}[numbers]
    user, system = {"none": (700, 0), "others": (710, 20)}[numbers]
    ticks = os.sysconf("SC_CLK_TCK")
    assert values[("process_cpu_seconds_total",)] == user / ticks + system / ticks


@linux
@pytest.mark.parametrize("pid", [lambda: "self", os.getpid])
def test_pid_means_one_process(pid: Callable[[], int | str], share: Callable[..., Slots]) -> None:
    """With a pid the metrics are those of that one process, whatever the program has besides."""
    slots = share(os.getppid())
    values = samples(ProcessCollector(pid=pid, registry=None).collect())
    assert values[("process_start_time_seconds",)] != slots.started
    assert slots.values == {}


@linux
def test_program_of_one_process(share: Callable[..., Slots]) -> None:
    """In a program of one process its numbers are that process's, its processor time to the last bit."""
    share()
    one, program = ProcessCollector(pid=os.getpid, registry=None), ProcessCollector(registry=None)
    before, now, after = (samples(collector.collect()) for collector in (one, program, one))
    assert before[("process_cpu_seconds_total",)] <= now[("process_cpu_seconds_total",)]
    assert now[("process_cpu_seconds_total",)] <= after[("process_cpu_seconds_total",)]
    for name in ("process_open_fds", "process_max_fds"):
        assert now[(name,)] == before[(name,)]


# --- platform --------------------------------------------------------------------------------------------------------


class Jython:
    """What the platform module answers on the Java virtual machine."""

    @staticmethod
    def python_version_tuple() -> tuple[str, str, str]:
        return ("2", "7", "3rc1")

    @staticmethod
    def python_version() -> str:
        return "2.7.3rc1"

    @staticmethod
    def python_implementation() -> str:
        return "Jython"

    @staticmethod
    def system() -> str:
        return "Java"

    @staticmethod
    def java_ver() -> tuple[str, str, tuple[str, str, str], tuple[str, str, str]]:
        return ("17.0", "vendor", ("name", "release", "vm vendor"), ("os", "1", "arch"))


@pytest.mark.parametrize("module", [None, platform, Jython])
def test_platform_as_prometheus_client(module: Any) -> None:
    """python_info has prometheus_client's labels, on CPython and on the Java virtual machine, and the value 1."""
    theirs = prometheus_client.PlatformCollector(registry=None, platform=module)
    ours = PlatformCollector(platform=module, registry=None).collect()
    assert shape(ours) == shape(theirs.collect())
    assert samples(ours) == samples(theirs.collect())


def test_platform_is_asked_late() -> None:
    """The platform is asked at the first collection, once; construction and description leave it alone."""
    asked: list[str] = []

    class Asked(Jython):
        @staticmethod
        def python_version() -> str:
            asked.append("python_version")
            return "2.7.3rc1"

    collector = PlatformCollector(platform=Asked, registry=None)
    assert [family.samples for family in collector.describe()] == [[]]
    assert asked == []
    collector.collect()
    collector.collect()
    assert asked == ["python_version"]


def test_platform_collections_are_apart() -> None:
    """Each collection gives objects of its own: what one reader does to them, another does not see."""
    collector = PlatformCollector(registry=None)
    collector.collect()[0].samples.clear()
    assert len(collector.collect()[0].samples) == 1


# --- garbage collector -----------------------------------------------------------------------------------------------


def test_gc_as_prometheus_client() -> None:
    """The families of prometheus_client, with values between two readings of gc.get_stats()."""
    gc.collect()
    before = gc.get_stats()
    ours = GCCollector(registry=None).collect()
    theirs = list(prometheus_client.GC_COLLECTOR.collect())
    after = gc.get_stats()
    assert shape(ours) == shape(theirs)
    values = samples(ours)
    assert len(values) == 3 * len(before)
    for generation in range(len(before)):
        for name, key in (
            ("python_gc_objects_collected_total", "collected"),
            ("python_gc_objects_uncollectable_total", "uncollectable"),
            ("python_gc_collections_total", "collections"),
        ):
            value = values[(name, str(generation))]
            assert before[generation][key] <= value <= after[generation][key]


def test_gc_without_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter whose garbage collector has no statistics gives no metrics, and nothing is registered."""
    registry: Any = prometheus_client.CollectorRegistry()
    monkeypatch.delattr(gc, "get_stats")
    collector = GCCollector(registry=registry)
    assert collector.collect() == collector.describe() == []
    assert list(registry.collect()) == []


GC_METRICS = (
    "python_gc_objects_collected_total",
    "python_gc_objects_uncollectable_total",
    "python_gc_collections_total",
)


def test_gc_of_a_program(share: Callable[..., Slots]) -> None:
    """What other processes keep, living and dead, is added to what this one has, by generation."""
    slots = share(1234)
    others: dict[tuple[object, ...], float] = {}
    for generation in range(3):
        for place, name in enumerate(GC_METRICS):
            index = GC_FIRST + 3 * generation + place
            slots.keep_of(1, index, 10.0**index)
            slots.keep_of(DEAD, index, 1.0)
            others[name, str(generation)] = 10.0**index + 1
    before = gc.get_stats()
    values = samples(GCCollector(registry=None).collect())
    after = gc.get_stats()
    assert len(values) == 9
    assert max(index for _, index in slots.values) < VALUES
    for generation in range(3):
        for name, key in zip(GC_METRICS, ("collected", "uncollectable", "collections"), strict=True):
            own = values[name, str(generation)] - others[name, str(generation)]
            assert before[generation][key] <= own <= after[generation][key]


def test_gc_that_a_fork_inherits() -> None:
    """A forked process begins at nothing: what it has of its parent's statistics, the parent counts already."""
    for _ in range(5):
        gc.collect()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            gc.disable()
            slots = Slots(os.getpid())
            _workers.shared_arena = lambda: slots
            gc.collect(1)
            values = samples(GCCollector(registry=None).collect())
            os.write(writer, repr([int(values[GC_METRICS[2], generation]) for generation in "012"]).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, encoding="ascii") as told:
        assert told.read() == "[0, 1, 0]"
    os.waitpid(child, 0)


# --- all of them -----------------------------------------------------------------------------------------------------

COLLECTORS = [
    pytest.param(ProcessCollector, marks=linux),
    PlatformCollector,
    GCCollector,
]


@pytest.mark.parametrize("collector", COLLECTORS)
def test_registration(collector: type[ProcessCollector | PlatformCollector | GCCollector]) -> None:
    """A collector registers with the registry it is given, once: a second one of the same names is refused."""
    registry: Any = prometheus_client.CollectorRegistry()
    made = collector(registry=registry)
    assert shape(registry.collect()) == shape(made.collect())
    with pytest.raises(ValueError):
        collector(registry=registry)
    registry.unregister(made)
    assert list(registry.collect()) == []


@pytest.mark.parametrize("collector", COLLECTORS)
def test_registered_nowhere(collector: type[ProcessCollector | PlatformCollector | GCCollector]) -> None:
    """registry=None registers nowhere, so that two of a kind can live side by side."""
    before = names(REGISTRY.collect())
    assert shape(collector(registry=None).collect()) == shape(collector(registry=None).collect())
    assert names(REGISTRY.collect()) == before


@pytest.mark.parametrize(
    ("collector", "key"),
    [pytest.param(ProcessCollector, "process", marks=linux), (PlatformCollector, "platform"), (GCCollector, "gc")],
)
def test_registered_by_default(collector: type[ProcessCollector | PlatformCollector | GCCollector], key: str) -> None:
    """Without a registry the constructor registers in REGISTRY, which refuses a second one of a kind."""
    with pytest.raises(DuplicateTimeseries):
        collector()
    default = REGISTRY.default_collectors[key]
    REGISTRY.unregister(default)
    try:
        made = collector()
        assert set(names(made.collect())) <= set(names(REGISTRY.collect()))
        REGISTRY.unregister(made)
        assert set(names(made.collect())).isdisjoint(names(REGISTRY.collect()))
    finally:
        REGISTRY.register(default)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, ["python_gc_objects_collected", "python_info", "process_virtual_memory_bytes"]),
        ("off", []),
        ("", []),
        ("gc", ["python_gc_objects_collected"]),
        ("platform, process", ["python_info", "process_virtual_memory_bytes"]),
    ],
)
@linux
def test_variable_leaves_collectors_out(wanted: str | None, expected: list[str]) -> None:
    """REGISTRY starts with all three; PYROMETER_COLLECTORS names those that a program wants."""
    environment = {name: value for name, value in os.environ.items() if name != "PYROMETER_COLLECTORS"}
    if wanted is not None:
        environment["PYROMETER_COLLECTORS"] = wanted
    program = "import pyrometer; print(*[family.name for family in pyrometer.REGISTRY.collect()])"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    firsts = ("python_gc_objects_collected", "python_info", "process_virtual_memory_bytes")
    assert [name for name in done.stdout.split() if name in firsts] == expected


def test_variable_with_an_unknown_collector() -> None:
    """A name in PYROMETER_COLLECTORS that is no collector's is refused at import, with those that there are."""
    done = subprocess.run(
        [sys.executable, "-c", "import pyrometer"],
        env={**os.environ, "PYROMETER_COLLECTORS": "gc,disk"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr.splitlines()[-1] == (
        "ValueError: PYROMETER_COLLECTORS: expected gc, platform, process or off, got 'disk'"
    )


@pytest.mark.parametrize("key", ["gc", "platform", "process"])
def test_one_call_leaves_a_collector_out(key: str) -> None:
    """unregister() takes one of the default collectors out, and register() brings it back."""
    default = REGISTRY.default_collectors[key]
    own = set(names(default.collect()))
    before = set(names(REGISTRY.collect()))
    REGISTRY.unregister(default)
    try:
        assert set(names(REGISTRY.collect())) == before - own
    finally:
        REGISTRY.register(default)
    assert set(names(REGISTRY.collect())) == before


@pytest.mark.parametrize("collector", [ProcessCollector, PlatformCollector, GCCollector])
def test_registry_that_is_none(collector: Callable[..., object]) -> None:
    """What is no registry is refused by the constructor, which names itself and shows it."""
    with pytest.raises(TypeError) as caught:
        collector(registry="default")
    name = getattr(collector, "__name__", "")
    assert str(caught.value) == f"{name}: registry must be a CollectorRegistry or None, got 'default'"


@pytest.mark.parametrize("collector", COLLECTORS)
def test_description(collector: type[ProcessCollector | PlatformCollector | GCCollector]) -> None:
    """describe() gives the families of collect() without samples, so that registration need not collect."""
    made = collector(registry=None)
    described, collected = made.describe(), made.collect()
    assert [f.samples for f in described] == [[] for _ in collected]
    assert [(f.name, f.type, f.documentation) for f in described] == [
        (f.name, f.type, f.documentation) for f in collected
    ]


@linux
def test_page_of_all() -> None:
    """prometheus_client's writer understands the families, and its parser reads them back."""
    registry: Any = prometheus_client.CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    page = prometheus_client.generate_latest(registry).decode()
    assert "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total " in page
    assert '# TYPE python_gc_collections_total counter\npython_gc_collections_total{generation="0"} ' in page
    assert "# TYPE python_info gauge\npython_info{" in page


def test_import_is_light() -> None:
    """Importing the collectors asks nothing of the platform, and loads nothing that only serving needs."""
    program = (
        "import sys; before = set(sys.modules); import pyrometer.collectors\n"
        "unwanted = {'platform', 'inspect', 'asyncio', 'logging', 're', 'subprocess', 'threading', 'typing'}\n"
        "heavy = unwanted & (set(sys.modules) - before)\n"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": ":".join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
