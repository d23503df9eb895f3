"""The registration of a collector by its own constructor."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Protocol

    from pyrometer.families import Metric
    from pyrometer.registry import CollectorRegistry

    class _Collector(Protocol):
        def collect(self) -> Iterable[Metric]: ...


DEFAULT: Any = object()
"""Stands for `default_registry`."""

default_registry: CollectorRegistry | None = None
"""REGISTRY, which says so itself: registries import collectors, not the other way round."""


def register(collector: _Collector, registry: CollectorRegistry | None) -> None:
    """Register `collector`: nowhere for None, in REGISTRY for DEFAULT. Raises TypeError for what is no registry."""
    if registry is DEFAULT:
        registry = default_registry
    if registry is None:
        return
    if not callable(getattr(registry, "register", None)):
        raise TypeError(f"{type(collector).__name__}: registry must be a CollectorRegistry or None, got {registry!r}")
    registry.register(collector)
