"""Memory, processor time, age and file descriptors of a program, as Linux tells them in /proc (proc(5))."""

from __future__ import annotations

import os

from pyrometer._core import layout
from pyrometer._names import check_metric_name
from pyrometer.collectors import _workers
from pyrometer.collectors._registration import DEFAULT, register
from pyrometer.families import CounterMetricFamily, GaugeMetricFamily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyrometer.collectors._workers import SharedArena
    from pyrometer.families import Metric
    from pyrometer.registry import CollectorRegistry

_FAMILIES: dict[str, tuple[type[GaugeMetricFamily | CounterMetricFamily], str]] = {
    "virtual_memory_bytes": (GaugeMetricFamily, "Bytes of address space that the process has reserved."),
    "resident_memory_bytes": (GaugeMetricFamily, "Bytes of physical memory that the process occupies."),
    "start_time_seconds": (GaugeMetricFamily, "When the process started, in seconds since the Unix epoch."),
    "cpu_seconds_total": (CounterMetricFamily, "Processor time spent in user and kernel mode, in seconds."),
    "open_fds": (GaugeMetricFamily, "File descriptors that the process has open."),
    "max_fds": (GaugeMetricFamily, "File descriptors that the process may have open (its soft limit)."),
}

# Of the values in an arena. In ticks, and apart: sums of whole numbers are exact in whatever order they are taken,
# while one of seconds could be less by a rounding error than the one before, which is a counter that starts anew.
_USER_TICKS = layout.CPU_USER
_SYSTEM_TICKS = layout.CPU_SYSTEM


def _this_process() -> str:
    return "self"


class ProcessCollector:
    """The `process_*` metrics of one process, or of the program that it belongs to.

    Without a `pid`, they are those of all processes of the program together, whichever of them is asked: memory and
    file descriptors are sums over those that live, processor time counts those that have ended too (as it was when
    they ended, or when any process was asked last), and the start is that of the first one. In a program of one
    process, and where processes share nothing, they are this process's.

    What cannot be read is left out and never an error: a process that is gone, files that the user may not see, a
    system without a Linux /proc (then there are no metrics at all). `process_max_fds` is +Inf where there is no limit.
    """

    def __init__(
        self,
        namespace: str = "",
        pid: Callable[[], int | str] = _this_process,
        proc: str | os.PathLike[str] = "/proc",
        registry: CollectorRegistry | None = DEFAULT,
    ) -> None:
        """`namespace` and an underscore go before every name. `pid` is called at each collection and gives the id of
        the one process to read; an OSError of it (no pid file yet, say) means that there is no process. `proc` is where
        procfs is mounted; it is looked for here and now.

        Raises TypeError for a namespace that is no str, a `pid` that cannot be called and a registry that is none,
        ValueError for a namespace that cannot begin a name, and what `registry.register` raises.
        """
        if namespace != "":
            check_metric_name(namespace, utf8=True)
        if not callable(pid):
            raise TypeError(f"ProcessCollector: pid must be a function that gives a process id, got {pid!r}")
        self._prefix = f"{namespace}_process_" if namespace else "process_"
        self._pid = pid
        self._proc = proc
        self._boot_time = _read_boot_time(proc)
        register(self, registry)

    def describe(self) -> list[Metric]:
        """The families that `collect()` can give, without samples; nothing is read for it."""
        if self._boot_time is None:
            return []
        return [family(self._prefix + name, documentation) for name, (family, documentation) in _FAMILIES.items()]

    def collect(self) -> list[Metric]:
        """The families that can be read now."""
        values = self._read()
        return [
            family(self._prefix + name, documentation, value=values[name])
            for name, (family, documentation) in _FAMILIES.items()
            if name in values
        ]

    def _read(self) -> dict[str, float]:
        """The values that can be read now, by name without prefix."""
        if self._boot_time is None:
            return {}
        arena = _workers.shared_arena() if self._pid is _this_process else None
        if arena is not None:
            return self._read_program(arena)
        try:
            pid = str(self._pid()).strip()
        except OSError:
            return {}
        # An empty one would be /proc itself, whose `stat` is about something else.
        return self._read_process(pid) if pid else {}

    def _read_program(self, arena: SharedArena) -> dict[str, float]:
        """The sums over the processes attached to an arena. What they have used of the processor is kept in it."""
        own = os.getpid()
        sums: dict[str, float] = {}
        all_of_them = self._numbers_as_we_do(own)
        for slot, pid in arena.processes():
            if pid != own and not all_of_them:
                continue
            values = self._read_process("self" if pid == own else str(pid))
            if "user_ticks" in values:
                arena.keep_of(slot, _USER_TICKS, values["user_ticks"])
                arena.keep_of(slot, _SYSTEM_TICKS, values["system_ticks"])
            for name, value in values.items():
                sums[name] = sums.get(name, 0) + value
        ticks = os.sysconf("SC_CLK_TCK")
        cpu_seconds = arena.total(_USER_TICKS) / ticks + arena.total(_SYSTEM_TICKS) / ticks
        return sums | {"cpu_seconds_total": cpu_seconds, "start_time_seconds": arena.started}

    def _numbers_as_we_do(self, own: int) -> bool:
        """Whether `proc` has this process by its own id: a host's procfs in a container has others."""
        try:
            return os.readlink(os.path.join(self._proc, "self")) == str(own)
        except OSError:
            return False

    def _read_process(self, pid: str) -> dict[str, float]:
        """The values of one process that can be read now."""
        directory = os.path.join(self._proc, pid)
        values: dict[str, float] = {}
        # Apart, because each may fail alone: what is in a process's fd directory is for its own user only.
        for read in (self._read_stat, _read_open_fds, _read_max_fds):
            try:
                values.update(read(directory))
            except (OSError, ValueError, IndexError):
                continue
        return values

    def _read_stat(self, directory: str) -> dict[str, float]:
        assert self._boot_time is not None
        # The name of the program comes second, in parentheses, and may hold spaces and parentheses itself.
        fields = _content(os.path.join(directory, "stat")).rpartition(b")")[2].split()
        ticks = os.sysconf("SC_CLK_TCK")
        # proc(5) numbers the fields from 1, and the first after the name is the third.
        user, system, start, virtual_bytes, resident_pages = (float(fields[n - 3]) for n in (14, 15, 22, 23, 24))
        return {
            "virtual_memory_bytes": virtual_bytes,
            "resident_memory_bytes": resident_pages * os.sysconf("SC_PAGE_SIZE"),
            "start_time_seconds": start / ticks + self._boot_time,
            "cpu_seconds_total": user / ticks + system / ticks,
            "user_ticks": user,
            "system_ticks": system,
        }


def _keep_ticks(arena: SharedArena) -> None:
    times, ticks = os.times(), os.sysconf("SC_CLK_TCK")  # of whole ticks, without a /proc
    arena.keep(_USER_TICKS, round(times.user * ticks))
    arena.keep(_SYSTEM_TICKS, round(times.system * ticks))


if hasattr(os, "sysconf"):
    _workers.at_exit(_keep_ticks)


def _read_boot_time(proc: str | os.PathLike[str]) -> float | None:
    """When the system started, in seconds since the Unix epoch; None where there is no /proc like Linux's."""
    try:
        with open(os.path.join(proc, "stat"), "rb") as file:
            for line in file:
                if line.startswith(b"btime "):
                    return float(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return None


def _read_open_fds(directory: str) -> dict[str, float]:
    return {"open_fds": len(os.listdir(os.path.join(directory, "fd")))}


def _read_max_fds(directory: str) -> dict[str, float]:
    for line in _content(os.path.join(directory, "limits")).splitlines():
        if line.startswith(b"Max open files"):
            soft = line.split()[3]
            return {"max_fds": float("inf") if soft == b"unlimited" else float(soft)}
    return {}


def _content(path: str) -> bytes:
    """A file of procfs, which comes in one piece. A file object would take twice as long, for every process."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 16384)
    finally:
        os.close(descriptor)
