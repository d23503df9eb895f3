"""The last results of collectors, for processes that do not have them: kept in the arena as notes."""

from __future__ import annotations

from pyrometer._samples import Exemplar, Sample, Timestamp

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pyrometer.families import Metric

ROLE = "collector"
"""The role of a family that stands for a collector: its one series has the last result as a note."""
LASTING = 300.0
"""Seconds for which a result is shown after the last process that has the collector ended."""


def as_note(metrics: Iterable[Metric]) -> bytes:
    """Families as text; without native histograms, which pages of other processes then do not have."""
    import json

    return json.dumps(
        [
            [
                metric.name,
                metric.documentation,
                metric.type,
                metric.unit,
                [
                    [
                        sample.name,
                        {str(name): str(value) for name, value in sample.labels.items()},
                        float(sample.value),
                        _time(sample.timestamp),
                        sample.exemplar
                        and [dict(sample.exemplar.labels), sample.exemplar.value, _time(sample.exemplar.timestamp)],
                    ]
                    for sample in metric.samples
                    if getattr(sample, "native_histogram", None) is None
                ],
            ]
            for metric in metrics
        ],
        ensure_ascii=False,
    ).encode("utf-8", "surrogatepass")


def from_note(data: bytes) -> list[Metric]:
    """What `as_note` made text of."""
    import json

    from pyrometer.families import Metric

    found: list[Metric] = []
    for name, documentation, kind, unit, samples in json.loads(data.decode("utf-8", "surrogatepass")):
        metric = Metric(name, documentation, kind)
        metric.unit = unit
        metric.samples = [
            Sample(
                sample,
                labels,
                value,
                _timestamp(time),
                exemplar and Exemplar(exemplar[0], exemplar[1], _timestamp(exemplar[2])),
            )
            for sample, labels, value, time, exemplar in samples
        ]
        found.append(metric)
    return found


def _time(time: Any) -> Any:
    return [time.sec, abs(time.nsec)] if hasattr(time, "nsec") else time


def _timestamp(time: Any) -> Any:
    return Timestamp(*time) if isinstance(time, list) else time
