"""The families of a registry as all processes of the program know them: by the fields of their records."""

from __future__ import annotations

from pyrometer._core.family_cy import Family
from pyrometer._core.layout import RECORD_HIDDEN, fields, packed
from pyrometer._core.news import refresh
from pyrometer._kinds import lines_of

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyrometer._core.arena_cy import Arena

REGISTRY, KIND, NAME, DOCUMENTATION, UNIT, LABELS, DETAIL, ROLE = range(8)
"""The fields of a family's record: names of registry, kind and family, help, unit, labels, what else defines it
(buckets, states, mode) and what it is for, where that is not to be a family of pages."""


def enroll(family: Family, registry: str, detail: tuple[str, ...], role: str = "") -> None:
    """Give a family its record in its arena, the one of this definition where another process made it."""
    own = [
        registry,
        family.kind,
        family.name,
        family.documentation,
        family.unit,
        packed(list(family.labelnames)).decode("utf-8", "surrogatepass"),
        packed(list(detail)).decode("utf-8", "surrogatepass"),
        role,
    ]
    wanted = _identity(own)
    family.enroll(packed(own), lambda others: len(others) == len(own) and _identity(others) == wanted)


def _identity(record: list[str]) -> list[str]:
    """What makes two definitions those of one family: everything but the words about it."""
    return record[:DOCUMENTATION] + record[UNIT:]


def enroll_within(family: Family, role: str, mode: str) -> Family:
    """A new family of the same name and labels, whose series each process counts for itself, in a role of its own."""
    within = Family(
        family.arena,
        family.kind,
        family.name,
        "",
        "",
        family.labelnames,
        family.lines,
        1,
        mode=mode,
    )
    within.kept["role"] = role
    record = family.arena.definitions.get(family.offset)
    if record is not None:
        enroll(within, record[REGISTRY], (mode,), role)
    return within


def strangers(arena: Arena, registry: str) -> Iterator[tuple[int, list[str]]]:
    """(offset, fields) of the families of a registry that other processes have defined and this one has not."""
    refresh(arena)
    for offset, record in list(arena.definitions.items()):
        if len(record) == ROLE + 1 and record[REGISTRY] == registry and offset not in arena.families:
            if not arena.record(offset)[0] & RECORD_HIDDEN:  # that no process has registered any more
                yield offset, record


def adopted(arena: Arena, offset: int, record: list[str]) -> Family:
    """A family that another process defined. ValueError for a record that makes no sense."""
    kind, detail = record[KIND], _items(record[DETAIL])
    bounds = tuple(float(bound) for bound in detail) if kind == "histogram" else ()
    lines, cells, extra = lines_of(kind, record[NAME], bounds, detail)
    family = Family(
        arena,
        kind,
        record[NAME],
        record[DOCUMENTATION],
        record[UNIT],
        _items(record[LABELS]),
        lines,
        cells,
        extra,
        bounds[:-1],
        None,
        detail[0] if kind == "gauge" and detail else "",
    )
    family.kept["role"] = record[ROLE]
    family.take(offset, False)
    return family


def _items(text: str) -> tuple[str, ...]:
    return tuple(fields(text.encode("utf-8", "surrogatepass")))
