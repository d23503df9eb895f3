"""What the text formats have in common: a page is the families in order, each with its series, one a line.

A new format is one class. Families of cells are written by the compiled loop from what lies ready in memory; families
of other collectors are written sample by sample.
"""

from __future__ import annotations

from pyrometer._core.family_cy import Family
from pyrometer._core.render_cy import Page, number
from pyrometer._core.snapshot_cy import Snapshot
from pyrometer._core.text_cy import escape, text_of
from pyrometer._names import (
    ALLOW_UTF8,
    DOTS,
    UNDERSCORES,
    VALUES,
    escape_label_name,
    escape_metric_name,
    is_classic_metric_name,
)
from pyrometer._snapshots import metric_of

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from typing import Any

    from pyrometer._kinds import Line
    from pyrometer._scrape import Item, Scrape
    from pyrometer.families import Metric, Sample

SCHEMES = (ALLOW_UTF8, UNDERSCORES, DOTS, VALUES)


class Format:
    """How a page is written: a media type, its version, and how names outside the classic character set are escaped.

    `content_type` is what a server has to say of a page. Immutable; `page` may be called from any thread.
    """

    media = ""
    versions: tuple[str, ...] = ()
    trailer = b""

    __slots__ = ("content_type", "escaping", "version")

    def __init__(self, version: str, escaping: str = UNDERSCORES) -> None:
        """ValueError for a version or an escaping scheme that there is none of."""
        if version not in self.versions:
            raise ValueError(
                f"{type(self).__name__}: version must be one of {', '.join(self.versions)}, got {version!r}"
            )
        if escaping not in SCHEMES:
            raise ValueError(f"{type(self).__name__}: escaping must be one of {', '.join(SCHEMES)}, got {escaping!r}")
        self.version = version
        self.escaping = escaping
        self.content_type = f"{self.media}; version={version}; charset=utf-8"
        if version != "0.0.4":
            self.content_type += f"; escaping={escaping}"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Format)
            and type(other) is type(self)
            and (other.version, other.escaping) == (self.version, self.escaping)
        )

    def __hash__(self) -> int:
        return hash((type(self), self.version, self.escaping))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(version={self.version!r}, escaping={self.escaping!r})"

    def page(self, scrape: Scrape, items: list[Item]) -> bytes:
        """The page of a scrape's items.

        A family that cannot be written (a value that is no number) is a failure of its collector, by the scrape's
        policy left out and counted, or raised.
        """
        go = scrape.policy.numbers == "go"
        created = scrape.policy.created_series
        page = Page(go)
        for label, item in items:
            self._add(page, scrape, label, item, go=go, created=created)
        for label, item in scrape.own_items():
            self._add(page, scrape, label, item, go=go, created=created)
        page.text(self.trailer)
        return page.finish()

    def _add(self, page: Page, scrape: Scrape, label: str, item: Snapshot | Metric, *, go: bool, created: bool) -> None:
        if isinstance(item, Snapshot):
            if self._is_ready(item.family):
                self._write_snapshot(page, item, scrape.names, created)
                return
            names = scrape.names
            item = metric_of(item, created_series=created)
            if names is not None:
                item.samples = [sample for sample in item.samples if sample.name in names]
        try:
            text = self._metric(item, go)
        except Exception as error:
            scrape.failed(label, error)
        else:
            page.text(text)

    # ---- what a format adds

    def _write_snapshot(self, page: Page, snapshot: Snapshot, names: Collection[str] | None, created: bool) -> None:
        raise NotImplementedError

    def _metric(self, metric: Metric, go: bool) -> bytes:
        raise NotImplementedError

    # ---- families of cells

    def _is_ready(self, family: Family) -> bool:
        """Whether the label text in memory is what this format writes; it is in the spelling of allow-utf-8."""
        return self.escaping == ALLOW_UTF8 or all(
            escape_label_name(name, self.escaping) == escape_label_name(name, ALLOW_UTF8)
            for name in (*family.labelnames, family.extra_label)
        )

    def _lines(
        self, family: Family, lines: Iterable[Line], names: Collection[str] | None
    ) -> list[tuple[bytes, bytes, bytes, int, int]]:
        """Lines as the renderer takes them: what stands before the label text, what is sorted into it, what follows."""
        before = any(name < family.extra_label for name in family.labelnames)
        written: list[tuple[bytes, bytes, bytes, int, int]] = []
        for suffix, value, source, cell in lines:
            name = family.name + suffix
            if names is not None and name not in names:
                continue
            extra = b""
            if value is not None:
                extra = escape_label_name(family.extra_label, self.escaping).encode() + b'="' + escape(value) + b'"'
                if before:
                    extra = b"," + extra
                elif family.labelnames:
                    extra += b","
            braces = bool(family.labelnames or extra)
            head = escape_metric_name(name, self.escaping).encode()
            if self.escaping == ALLOW_UTF8 and not is_classic_metric_name(name):
                head = b"{" + head + (b"," if braces else b"")
                braces = True
            elif braces:
                head += b"{"
            written.append((head, extra, b"} " if braces else b" ", source, cell))
        return written

    # ---- families of other collectors

    def _series(self, name: str, labels: Mapping[str, object]) -> str:
        """Name and labels as they begin a line."""
        if not name or "" in labels:
            raise ValueError(f"{name or 'a sample'}: names of samples and labels cannot be empty, got {dict(labels)}")
        items = [
            (escape_label_name(key, self.escaping), escape(text_of(value)).decode())
            for key, value in sorted(labels.items())
        ]
        if len(dict(items)) != len(items):
            raise ValueError(f"{name}: of the label names {', '.join(labels)} a page writes two alike")
        pairs = ",".join([f'{key}="{value}"' for key, value in items])
        written = escape_metric_name(name, self.escaping)
        if self.escaping == ALLOW_UTF8 and not is_classic_metric_name(name):
            return f"{{{written}{',' if pairs else ''}{pairs}}}"
        return f"{written}{{{pairs}}}" if pairs else written

    def _value(self, metric: Metric, sample: Sample, go: bool) -> str:
        value: Any = sample.value
        if isinstance(value, (str, bytes, bytearray)) or value is None:
            raise TypeError(
                f'{metric.type} "{metric.name}": the value of {self._series(sample.name, sample.labels)} must be a '
                f"number, got {type(value).__name__}: {value!r:.200}"
            )
        return number(float(value), go).decode()
