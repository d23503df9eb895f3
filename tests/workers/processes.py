"""What /proc says of processes."""

from __future__ import annotations

import os
from pathlib import Path

HELPERS = (b"resource_tracker", b"multiprocessing.forkserver")  # processes beside the workers that multiprocessing has


def parent_of(pid: int) -> int:
    """The parent's process id; 0 where the process is gone or has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    state, parent = stat.rpartition(")")[2].split()[:2]
    return 0 if state in "ZX" else int(parent)


def children_of(pid: int) -> list[int]:
    """The processes that run and whose parent it is."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and parent_of(int(name)) == pid]


def listening(pid: int) -> int:
    """The TCP port on 127.0.0.1 on which a process listens; 0 where it does not."""
    sockets = set()
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            sockets.add(os.readlink(descriptor))
    except OSError:  # closed meanwhile
        return 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
            return int(fields[1].rpartition(":")[2], 16)
    return 0


def is_helper(pid: int) -> bool:
    """Whether a process is one that multiprocessing has for itself, or is gone."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True
    return any(word in command for word in HELPERS)
