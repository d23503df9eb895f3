"""What a client may be sent: its Accept and Accept-Encoding headers against the formats that can be written.

The rules are those of RFC 9110, sections 12.4.2 (quality values), 12.5.1 (Accept) and 12.5.3 (Accept-Encoding). Nothing
here raises on what a client sends: a range that cannot be understood is left out, as if the client had not sent it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from pyrometer._names import ALLOW_UTF8, DOTS, UNDERSCORES, VALUES
from pyrometer.exposition.openmetrics import OpenMetrics
from pyrometer.exposition.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEXT = "text/plain"
_OPENMETRICS = "application/openmetrics-text"
_SCHEMES = frozenset((ALLOW_UTF8, UNDERSCORES, DOTS, VALUES))
# Scrapers send some 300 characters. What a client sends past this is not worth the time it takes to read.
_LONGEST = 4096
_QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_QUOTED = r'"(?:\\.|[^"\\])*"?'
_LIST_ITEM = re.compile(rf'(?:[^,"]+|{_QUOTED})+')
_PARAMETER = re.compile(rf'(?:[^;"]+|{_QUOTED})+')


class _Offer(NamedTuple):
    """A format that can be written; `default` says that a client gets it without naming a version."""

    media: str
    version: str
    default: bool


class _Range(NamedTuple):
    """One item of a client's list: what it names, how much it is wanted, and its parameters."""

    value: str
    quality: float
    parameters: dict[str, str]


_FALLBACK = Text("0.0.4", UNDERSCORES)
# The least wanted first: between ranges that a client wants equally, the format that says more is sent.
_OFFERS = (
    _Offer(_TEXT, "0.0.4", default=True),
    _Offer(_TEXT, "1.0.0", default=False),
    _Offer(_OPENMETRICS, "1.0.0", default=True),
    _Offer(_OPENMETRICS, "2.0.0", default=False),
)


def negotiate(accept: str | None) -> Text | OpenMetrics:
    """The format for a client that sent `accept` (the Accept header, several joined by commas; None or "" for none).

    A format's quality is the `q` of the most specific range that matches it (a type with a version, then the type, then
    `type/*`, then `*/*`). The highest quality is sent; at equal quality the more specific match; at equal specificity
    OpenMetrics before text and a later version before an earlier one, but text 0.0.4 where only wildcards matched (a
    browser, curl).

    * A type without `version` means text 0.0.4 or OpenMetrics 1.0.0. Text 1.0.0 and OpenMetrics 2.0.0 are sent only to
      a client that names them. Versions that cannot be written (0.0.1, 9.9.9, abc) match nothing.
    * `escaping` counts in the range that was chosen, and only beside a version that knows it (text 1.0.0, OpenMetrics);
      an unknown scheme means `underscores`.
    * `q` has at most three decimals; a range whose `q` is anything else is left out. Other parameters do not count.
    * Nothing acceptable: text 0.0.4, which every scraper reads; a scrape is never refused.

    Never raises. Safe from any thread.
    """
    ranges = list(_ranges(accept or ""))
    best: tuple[float, int, int] = (0.0, 0, 0)
    chosen: tuple[_Offer, _Range] | None = None
    for preference, offer in enumerate(_OFFERS):
        match = _most_specific(offer, ranges)
        if match is None:
            continue
        specificity, wanted = match
        # Under a wildcard the client has not said that it can read anything new, so the order is turned round.
        rank = (wanted.quality, specificity, preference if specificity >= 2 else -preference)
        if wanted.quality > 0 and (chosen is None or rank > best):
            best, chosen = rank, (offer, wanted)
    return _format(*chosen) if chosen is not None else _FALLBACK


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether a client that sent `accept_encoding` (several headers joined by commas) is to be sent gzip.

    Only where it is named with a `q` above zero and not below the one of `identity`, if that is named too. A bare `*`
    gets no compression: clients exist that send it and cannot unpack. Never raises.
    """
    quality: dict[str, float] = {}
    for item in _ranges(accept_encoding or ""):
        quality[item.value] = max(item.quality, quality.get(item.value, 0.0))
    gzip = max(quality.get("gzip", 0.0), quality.get("x-gzip", 0.0))
    return gzip > 0 and gzip >= quality.get("identity", 0.0)


def _ranges(header: str) -> Iterator[_Range]:
    """The items of a comma-separated list with qualities, in the client's order, without those that make no sense."""
    for item in _LIST_ITEM.findall(header[:_LONGEST]):
        value, *rest = _PARAMETER.findall(item) or [""]
        parameters = {}
        for parameter in rest:
            name, _, content = parameter.partition("=")
            parameters[name.strip().lower()] = content.strip().strip('"')
        quality = parameters.get("q", "1")
        if value.strip() and _QUALITY.fullmatch(quality):
            yield _Range(value.strip().lower(), float(quality), parameters)


def _most_specific(offer: _Offer, ranges: list[_Range]) -> tuple[int, _Range] | None:
    """The range that decides about an offer, and how specific it is; the first of those that are equal."""
    best: tuple[int, _Range] | None = None
    for wanted in ranges:
        specificity = _specificity(offer, wanted)
        if specificity is None:
            continue
        if best is None or (specificity, wanted.quality) > (best[0], best[1].quality):
            best = specificity, wanted
    return best


def _specificity(offer: _Offer, wanted: _Range) -> int | None:
    """0 for `*/*`, 1 for `type/*`, 2 for the type, 3 for the type with its version, None where it does not match."""
    if wanted.value == offer.media and "version" in wanted.parameters:
        return 3 if wanted.parameters["version"] == offer.version else None
    if not offer.default:
        return None
    if wanted.value == offer.media:
        return 2
    if wanted.value == offer.media.partition("/")[0] + "/*":
        return 1
    # Some old clients (Java's HttpURLConnection) write a single star.
    return 0 if wanted.value in ("*/*", "*") else None


def _format(offer: _Offer, wanted: _Range) -> Text | OpenMetrics:
    escaping = wanted.parameters.get("escaping", UNDERSCORES) if "version" in wanted.parameters else UNDERSCORES
    if escaping not in _SCHEMES:
        escaping = UNDERSCORES
    if offer.media == _OPENMETRICS:
        return OpenMetrics(offer.version, escaping)
    return Text(offer.version, escaping) if offer.version != "0.0.4" else _FALLBACK
