"""For deployments that were set up for `prometheus_client` and several processes: its names, of which none is needed.

    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    page = generate_latest(registry)

Any page of any process has the totals of all by itself; what is here makes such code go on working, and right.
"""

from __future__ import annotations

import os

from pyrometer._arenas import known_arena
from pyrometer._holdings import join
from pyrometer.registry import REGISTRY, CollectorRegistry

__all__ = ["MultiProcessCollector", "mark_process_dead"]


class MultiProcessCollector:
    """Has a registry show what all processes of the program count in `REGISTRY`.

    path: a directory that they share, joined as by `pyrometer.join`; without it they share what they share anyway.
    Raises TypeError for what is no registry, OSError for a place that cannot be had.
    """

    def __init__(self, registry: CollectorRegistry, path: str | os.PathLike[str] | None = None) -> None:
        if not callable(getattr(registry, "register", None)):
            raise TypeError(f"MultiProcessCollector: registry must be a CollectorRegistry, got {registry!r}")
        if path is not None:
            join(os.fspath(path))
        if registry is not REGISTRY:
            registry.register(REGISTRY)


def mark_process_dead(pid: int, path: str | os.PathLike[str] | None = None) -> None:
    """Nothing needs to be told of a process that has ended: whoever scrapes next sees it. This looks at once.

    pid, path: as `prometheus_client` has them, without effect.
    """
    arena = known_arena()
    if arena is not None:
        arena.processes()
