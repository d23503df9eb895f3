"""Families whose series are more than their cells: texts of an Info, and gauges that several processes set apart."""

from __future__ import annotations

from pyrometer._core.family_cy import Family
from pyrometer._core.parts_cy import each_part
from pyrometer._core.series_cy import IN_PROGRESS
from pyrometer._core.snapshot_cy import Snapshot
from pyrometer._exemplars import labels_of_note
from pyrometer._snapshots import metric_of
from pyrometer.families import Metric

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Part: TypeAlias = tuple[tuple[str, ...], int, bool, float, float]


def item_of(family: Family) -> Snapshot | Metric:
    """What a page shows of a family: a snapshot of its cells, or the samples made of more than them."""
    if family.kind == "info":
        return _texts(family)
    if family.parts:
        return _parts(family)
    snapshot = Snapshot(family)
    inside: Family | None = family.kept.get(IN_PROGRESS)
    if inside is None:
        return snapshot
    return _with_progress(metric_of(snapshot, created_series=False), family, inside)


def _empty(family: Family) -> Metric:
    metric = Metric(family.name, family.documentation, family.kind)
    metric.unit = family.unit
    return metric


def _texts(family: Family) -> Metric:
    metric = _empty(family)
    snapshot = Snapshot(family)
    for cell, label_text, _ in snapshot.records():
        note = snapshot.notes.get((cell, 0))
        labels = dict(zip(family.labelnames, family.values(label_text)))
        metric.add_sample(family.name + "_info", {**labels, **(labels_of_note(note[0]) if note else {})}, 1.0)
    return metric


def _parts(family: Family) -> Metric:
    """A gauge with a multiprocess_mode, as `prometheus_client` combines processes; "live" counts those that live."""
    metric = _empty(family)
    parts: list[Part] = each_part(family)
    mode = family.mode.removeprefix("live")
    if mode != family.mode:
        parts = [part for part in parts if part[2]]
    if mode == "all":
        for values, pid, _, value, _ in parts:
            metric.add_sample(family.name, {**dict(zip(family.labelnames, values)), "pid": str(pid)}, value)
        return metric
    series: dict[tuple[str, ...], list[Part]] = {}
    if mode == "sum" and not family.labelnames and not family.functions and not family.others:
        series[()] = []  # of nobody is 0; of a function that failed is nothing
    for part in parts:
        series.setdefault(part[0], []).append(part)
    for values, of_series in series.items():
        metric.add_sample(family.name, dict(zip(family.labelnames, values)), _combined(mode, of_series))
    return metric


def _combined(mode: str, parts: list[Part]) -> float:
    if mode == "min":
        return min(part[3] for part in parts)
    if mode == "max":
        return max(part[3] for part in parts)
    if mode == "mostrecent":
        return max(parts, key=lambda part: part[4])[3]
    return sum(part[3] for part in parts)


def _with_progress(metric: Metric, family: Family, inside: Family) -> Metric:
    extra: dict[tuple[str, ...], float] = {}
    for values, _, lives, value, _ in each_part(inside):
        if lives:
            extra[values] = extra.get(values, 0.0) + value
    metric.samples = [
        sample._replace(value=sample.value + extra.get(tuple(sample.labels[name] for name in family.labelnames), 0.0))
        for sample in metric.samples
    ]
    return metric
