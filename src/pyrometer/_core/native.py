"""The twin of native.h for the interpreted core: the same words over a list of this process, under one lock."""

from __future__ import annotations

from pyrometer._core.lock import ForkSafeLock

lock = ForkSafeLock()
"""Held while the interpreted core changes anything; re-entrant, since a signal handler may increment, too."""

_cells: list[float] = []
_records: dict[int, Record] = {}
_free: dict[int, list[int]] = {}


class Record:
    """What the head of a record holds."""

    __slots__ = ("cells", "created", "flags", "split", "text")

    def __init__(self, cells: int, text: bytes, flags: int, split: int, created: float) -> None:
        self.cells = cells
        self.text = text
        self.flags = flags
        self.split = split
        self.created = created


def allocate(cells: int, label_text: bytes, record_flags: int, split: int, created: float) -> int:
    """Hand out a record; returns its address, which is never 0."""
    with lock:
        if _free.get(cells):
            cell = _free[cells].pop()
        else:
            cell = len(_cells) * 8 + 8
            _cells.extend([0.0] * cells)
        for i in range(cells):
            _cells[cell // 8 - 1 + i] = 0.0
        _records[cell] = Record(cells, label_text, record_flags, split, created)
        return cell


def release(cell: int) -> None:
    with lock:
        record = _records.pop(cell, None)
        if record is not None:
            _free.setdefault(record.cells, []).append(cell)


def record(cell: int) -> Record:
    """A record; an empty one where it was given back, which a finalizer may find (garbage ends in any order)."""
    return _records.get(cell) or Record(0, b"", 0, 0, 0.0)


def real(value: object) -> float:
    """A number as C has it; TypeError for what is none."""
    if not hasattr(value, "__float__") and not hasattr(value, "__index__"):
        raise TypeError(f"must be real number, not {type(value).__name__}")
    return float(value)  # type: ignore[arg-type]


def flags(cell: int) -> int:
    return record(cell).flags


def raise_flags(cell: int, bits: int) -> None:
    with lock:
        record(cell).flags |= bits


def lower_flags(cell: int, bits: int) -> None:
    with lock:
        record(cell).flags &= ~bits


def load(cell: int) -> float:
    return _cells[cell // 8 - 1]


def store(cell: int, value: float) -> None:
    _cells[cell // 8 - 1] = value


def add(cell: int, amount: float) -> None:
    with lock:
        _cells[cell // 8 - 1] += amount


def number(value: float, go: bool) -> bytes:
    """The text of a value: as Python's repr, an integer without `.0`; with `go` as prometheus_client writes it."""
    if value != value:
        return b"NaN"
    if value in (float("inf"), float("-inf")):
        return b"+Inf" if value > 0 else b"-Inf"
    text = repr(value)
    point = text.find(".")
    if go and value > 0 and point > 6:
        digits = f"{text[0]}.{text[1:point]}{text[point + 1 :]}".rstrip("0").rstrip(".")
        return f"{digits}e+{point - 1:02d}".encode()
    if not go and text.endswith(".0"):
        text = text[:-2]
    return text.encode()
