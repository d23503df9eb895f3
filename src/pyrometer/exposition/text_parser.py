"""The parser of Prometheus's text format, versions 0.0.4 and 1.0.0 (names in quotes).

Specified in https://prometheus.io/docs/instrumenting/exposition_formats/. What it gives, it gives as
`prometheus_client` does: families as collectors describe them, so that a counter ``a_total`` is a family ``a`` with
samples ``a_total``, and each sample without a TYPE or HELP line is an unknown family of its own.

Where the specification leaves no room it is followed: one TYPE and one HELP line at most for a metric, TYPE before
the samples, all lines of a described metric together, timestamps as whole milliseconds, nothing after them. Tolerated,
because pages in the wild have it: a carriage return at the end of a line, a comma first in a label set, unknown
escapes in label values (read as they stand), and the types of OpenMetrics.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator

from pyrometer.exposition._scanner import ParseError, Scanner, unescape_help
from pyrometer.families import METRIC_TYPES, Metric, Sample

__all__ = ["ParseError", "text_fd_to_metric_families", "text_string_to_metric_families"]

_NAME = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)([ \t]*)(\{?)")
_VALUE = re.compile(r"[ \t]*([^ \t]+)(?:[ \t]+([^ \t]+))?")
_MILLISECONDS = re.compile(r"[+-]?[0-9]{1,19}")
_SUFFIXES = {"summary": ("", "_count", "_sum"), "histogram": ("_count", "_sum", "_bucket")}
_LINE_BLANKS = " \t\r\n"


class _Family:
    """A described family while its lines are read."""

    __slots__ = ("documentation", "name", "sample_names", "samples", "type")

    def __init__(self, name: str) -> None:
        self.name = name
        self.documentation: str | None = None
        self.type: str | None = None
        self.sample_names: frozenset[str] = frozenset((name,))
        self.samples: list[Sample] = []

    def set_type(self, typ: str) -> None:
        self.type = typ
        self.sample_names = frozenset(self.name + suffix for suffix in _SUFFIXES.get(typ, ("",)))

    def build(self) -> Metric:
        """The family as OpenMetrics has it: a counter's samples end in ``_total``, its name does not."""
        name, samples = self.name, self.samples
        if self.type == "counter":
            if name.endswith("_total") and name != "_total":
                name = name.removesuffix("_total")
            else:
                samples = [sample._replace(name=sample.name + "_total") for sample in samples]
        metric = Metric(name, self.documentation or "", self.type or "unknown")
        metric.samples = samples
        return metric


def text_string_to_metric_families(text: str) -> Iterator[Metric]:
    """Parse a page given as a str; see text_fd_to_metric_families."""
    return text_fd_to_metric_families(io.StringIO(text))


def text_fd_to_metric_families(fd: Iterable[str]) -> Iterator[Metric]:
    """Parse the lines of an open text file, yielding each family when its last line has been read.

    Values are int where the page has an integer, else float; timestamps are float seconds. Raises ParseError, and
    nothing else of its own, at the first line that the format does not allow: families before it have been yielded.
    """
    scanner = Scanner(blanks=True)
    family: _Family | None = None
    # Names that later lines must not come back to: of described families and their samples, and of bare samples.
    described: set[str] = set()
    bare: set[str] = set()
    for line in fd:
        text = line.rstrip(_LINE_BLANKS)
        scanner.load(text)
        if not text:
            continue
        start = 0 if text[0] not in " \t" else scanner.skip_blanks(0)
        if text.startswith("#", start):
            directive = _read_directive(scanner, start)
            if directive is None:
                continue
            keyword, name, name_at, rest_at = directive
            if family is None or family.name != name:
                if family is not None:
                    described.update(_names_of(family))
                    yield family.build()
                if name in described or name in bare:
                    raise scanner.error(name_at, f'expected all lines of "{name}" together, got {keyword} after others')
                family = _Family(name)
            _describe(scanner, family, keyword, name_at, rest_at)
            continue
        sample = _read_sample(scanner, start)
        if family is not None and sample.name in family.sample_names:
            family.samples.append(sample)
            continue
        if family is not None:
            if sample.name == family.name:
                names = ", ".join(sorted(family.sample_names))
                raise scanner.expected(start, f'a sample of {family.type} "{family.name}" ({names})', sample.name)
            described.update(_names_of(family))
            yield family.build()
            family = None
        if sample.name in described:
            raise scanner.error(start, f'expected all lines of "{sample.name}" together, got a sample after others')
        bare.add(sample.name)
        metric = Metric(sample.name, "", "unknown")
        metric.samples.append(sample)
        yield metric
    if family is not None:
        yield family.build()


def _names_of(family: _Family) -> set[str]:
    return {family.name, *[sample.name for sample in family.samples]}


def _read_directive(scanner: Scanner, position: int) -> tuple[str, str, int, int] | None:
    """A HELP or TYPE line: keyword, name, where the name is, where the rest is; None for any other comment."""
    position = scanner.skip_blanks(position + 1)
    keyword = scanner.read_token(position)
    # "#HELP" without a blank is a comment, as prometheus_client has it.
    if keyword not in ("HELP", "TYPE") or scanner.text[position - 1] not in " \t":
        return None
    name_at = scanner.skip_blanks(position + 4)
    name, end = scanner.read_metric_name(name_at)
    rest_at = scanner.skip_blanks(end)
    if rest_at == end and end < len(scanner.text):
        raise scanner.expected(end, "a blank after the metric name")
    return keyword, name, name_at, rest_at


def _describe(scanner: Scanner, family: _Family, keyword: str, name_at: int, rest_at: int) -> None:
    rest = scanner.text[rest_at:]
    if keyword == "HELP":
        if family.documentation is not None:
            raise scanner.error(name_at, f'expected one HELP line for "{family.name}", got a second one')
        family.documentation = unescape_help(rest)
        return
    if family.type is not None:
        raise scanner.error(name_at, f'expected one TYPE line for "{family.name}", got a second one')
    if family.samples:
        raise scanner.error(name_at, f'expected TYPE before the samples of "{family.name}", got it after them')
    if rest != "untyped" and rest not in METRIC_TYPES:
        raise scanner.expected(rest_at, "a type (counter, gauge, histogram, summary or untyped)", rest)
    family.set_type(rest)


def _read_sample(scanner: Scanner, start: int) -> Sample:
    text = scanner.text
    match = _NAME.match(text, start)
    labels: dict[str, str] = {}
    if match is not None:
        name, blanks, brace = match.groups()
        position = match.end()
        if brace:
            _, labels, position = scanner.read_labels(position, name_allowed=False)
        elif not blanks and position < len(text):
            raise scanner.expected(position, "a blank or '{' after the metric name")
    elif text.startswith("{", start):
        quoted, labels, position = scanner.read_labels(start + 1, name_allowed=True)
        if quoted is None:
            raise scanner.error(start, "expected a metric name before the labels or in quotes among them, got none")
        name = quoted
    else:
        raise scanner.expected(start, "a metric name")
    match = _VALUE.match(text, position)
    if match is None:
        raise scanner.expected(len(text), "a value")
    token, moment = match.groups()
    value = scanner.read_number(match.start(1), token)
    timestamp: float | None = None
    if moment is not None:
        if not _MILLISECONDS.fullmatch(moment):
            raise scanner.expected(match.start(2), "a timestamp in whole milliseconds", moment)
        timestamp = int(moment) / 1000
    if match.end() < len(text):
        rest_at = scanner.skip_blanks(match.end())
        raise scanner.expected(rest_at, "nothing after the timestamp", text[rest_at:])
    return Sample(name, labels, value, timestamp)
