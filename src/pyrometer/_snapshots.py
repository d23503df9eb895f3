"""A snapshot as the words of a collector: what `collect()` yields of families that are kept in cells."""

from __future__ import annotations

from pyrometer._core.render_cy import BUCKET, COUNT, CREATED, STATE
from pyrometer._core.snapshot_cy import Snapshot, read_cell
from pyrometer._exemplars import exemplars_of
from pyrometer.families import Metric, Sample

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def metric_of(snapshot: Snapshot, *, created_series: bool) -> Metric:
    """The family and its samples, with the values that its cells have now."""
    family = snapshot.family
    metric = Metric(family.name, family.documentation, family.kind)
    metric.unit = family.unit
    metric.samples = list(_samples(snapshot, created_series))
    return metric


def _samples(snapshot: Snapshot, created_series: bool) -> Iterator[Sample]:
    family = snapshot.family
    lines = [
        (family.name + suffix, extra, source, index)
        for suffix, extra, source, index in family.lines
        if created_series or source != CREATED
    ]
    exemplars = exemplars_of(snapshot)
    for cell, label_text, created in snapshot.records():
        labels = dict(zip(family.labelnames, family.values(label_text)))
        total = 0.0
        for name, extra, source, index in lines:
            exemplar = None
            if source == CREATED:
                value = created
            elif source == COUNT:
                value = total
            elif source == STATE:
                value = float(read_cell(cell) == index)
            else:
                value = read_cell(cell + 8 * index)
                if source == BUCKET:
                    total += value
                    value = total
                exemplar = exemplars.get((cell, index))
            # Every sample has labels of its own: whoever collects may change them.
            own = {**labels, family.extra_label: extra} if extra is not None else dict(labels)
            yield Sample(name, own, value, None, exemplar)
