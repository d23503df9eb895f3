"""Exemplars: examples of what was counted, with labels that lead to it (a trace, a request)."""

from __future__ import annotations

import time

from pyrometer._core.layout import fields, packed
from pyrometer._names import checked_labels
from pyrometer._samples import Exemplar

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyrometer._core.snapshot_cy import Snapshot

LONGEST = 128
"""Characters that the names and values of an exemplar's labels may have together (OpenMetrics 1.0, section 4.6)."""


def exemplar_of(what: str, labels: Mapping[str, str], amount: float) -> Exemplar:
    """The exemplar of an amount, as of now (Unix time in seconds, to the millisecond).

    TypeError for labels that are no mapping of str to str, ValueError for bad names and for more than LONGEST
    characters; `what` names the metric in the message.
    """
    if not hasattr(labels, "items"):
        raise TypeError(f"{what}: exemplar must be a mapping of label names to values, got {labels!r}")
    checked = checked_labels(f"{what}: exemplar", labels)
    size = sum(len(name) + len(value) for name, value in checked.items())
    if size > LONGEST:
        raise ValueError(f"{what}: exemplar labels have {size} characters, expected at most {LONGEST}: {checked}")
    return Exemplar(checked, amount, round(time.time(), 3))


def labels_as_note(labels: Mapping[str, str]) -> bytes:
    """Names and values as the text of a note."""
    return packed([text for label in labels.items() for text in label])


def labels_of_note(data: bytes) -> dict[str, str]:
    """What `labels_as_note` made a note of."""
    texts = fields(data)
    return dict(zip(texts[::2], texts[1::2]))


def exemplars_of(snapshot: Snapshot) -> dict[tuple[int, int], Exemplar]:
    """The exemplars of a family's series, by (cell, index), whichever process took them."""
    return {key: Exemplar(labels_of_note(data), value, stamp) for key, (data, value, stamp) in snapshot.notes.items()}
