"""The table that a run prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.targets import Key, Results, figure

COLUMNS = {
    "empty": "empty C call",
    "pyrometer": "Pyrometer",
    "prometheus_client": "prometheus_client",
    "promrs": "promrs",
    "client_golang": "client_golang",
}

LEGEND = (
    "In brackets: for Pyrometer, times an empty call where the row has one; for the others, times Pyrometer's figure. "
    "Ratios are medians of the rounds' ratios."
)


def markdown(titles: Mapping[str, str], results: Results, columns: Mapping[str, str] = COLUMNS) -> str:
    """A row for each of ``titles`` that was measured, a column for each contender that was measured anywhere."""
    present = [who for who in columns if any(key[1] == who for key in results)]
    rows = [["", *(columns[who] for who in present)]]
    for row, title in titles.items():
        if any(key[0] == row for key in results):
            rows.append([title, *(cell((row, who), results) for who in present)])
    return _aligned(rows)


def cell(key: Key, results: Results) -> str:
    """The figure, its unit, and its ratio to what it is compared with; empty where nothing was measured."""
    measurement = results.get(key)
    if measurement is None:
        return ""
    row, who = key
    value, unit = _readable(measurement.median, measurement.unit)
    text = f"{figure(value)} {unit}"
    reference = results.get((row, "empty" if who == "pyrometer" else "pyrometer"))
    if who != "empty" and reference is not None:
        text += f" ({figure(measurement.over(reference))}x)"
    return text + (f" {measurement.note}" if measurement.note else "")


def _readable(value: float, unit: str) -> tuple[float, str]:
    return (value / 1e6, "ms") if unit == "ns" and value >= 1e5 else (value, unit)


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
