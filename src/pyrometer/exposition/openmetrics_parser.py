"""The parser of OpenMetrics text, version 1.0.0, with the names in quotes and native histograms of 2.0.0.

Specified in https://prometheus.io/docs/specs/om/open_metrics_spec/; native histograms as
`prometheus_client` 0.26 writes them: ``{count:...,sum:...,schema:...,zero_threshold:...,zero_count:...}`` with spans
and deltas. Unlike the text format's, every blank counts here, so what differs by one is refused.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Iterator
from typing import cast

from pyrometer.exposition._openmetrics_family import Family
from pyrometer.exposition._scanner import ParseError, Scanner, parse_number, unescape
from pyrometer.families import METRIC_TYPES, BucketSpan, Exemplar, Metric, NativeHistogram, Sample, Timestamp

__all__ = ["ParseError", "text_fd_to_metric_families", "text_string_to_metric_families"]

_NAME = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{?)")
_TOKEN = re.compile(r"[^ ]*")
_EXACT_TIMESTAMP = re.compile(r"([+-]?[0-9]{1,300})(?:\.([0-9]*))?")
_LONGEST_EXEMPLAR = 128

_FIELD = re.compile(r"([a-z_]+):(?:\[([^\]]*)\]|([^,}\[\]]*))")
_SPAN = re.compile(r"([+-]?[0-9]{1,18}):([0-9]{1,18})")
_DELTA = re.compile(r"[+-]?[0-9]{1,19}")
_SCALARS = ("count", "sum", "schema", "zero_threshold", "zero_count")
_LISTS = ("negative_spans", "negative_deltas", "positive_spans", "positive_deltas")


def text_string_to_metric_families(text: str) -> Iterator[Metric]:
    """Parse a page given as a str; see text_fd_to_metric_families."""
    return text_fd_to_metric_families(io.StringIO(text))


def text_fd_to_metric_families(fd: Iterable[str]) -> Iterator[Metric]:
    """Parse the lines of an open text file, yielding each family when its last line has been read.

    Values are int where the page has an integer, else float; timestamps are `Timestamp` where nanoseconds say them
    exactly, else float seconds. A native histogram is a sample whose value is None, and whose labels are None where
    the line has none. Raises ParseError, and nothing else of its own, at the first line that the format does not
    allow, or at the end when ``# EOF`` is missing: families before it have been yielded.
    """
    scanner = Scanner(blanks=False)
    names: dict[str, str] = {}
    family: Family | None = None
    ended = False
    for line in fd:
        text = line[:-1] if line.endswith("\n") else line
        scanner.load(text)
        if ended:
            raise scanner.error(0, f"expected nothing after '# EOF', got {repr(text) if text else 'a blank line'}")
        if text == "# EOF":
            ended = True
        elif text.startswith("#"):
            keyword, name, rest_at = _read_directive(scanner)
            if family is None or family.name != name:
                if family is not None:
                    yield family.close(names)
                family = Family(scanner, name, 2 + len(keyword) + 1)
            _describe(scanner, family, keyword, rest_at)
        elif text:
            sample, value_at = _read_sample(scanner, family)
            if family is not None and sample.native_histogram is not None:
                family.add_native(sample)
                continue
            if family is None or sample.name not in family.sample_names:
                if family is not None:
                    yield family.close(names)
                family = Family(scanner, sample.name, 0)
                family.set_type("unknown")
            family.add(scanner, sample, value_at)
        else:
            raise scanner.error(0, "expected a sample, a description or '# EOF', got a blank line")
    if family is not None:
        yield family.close(names)
    if not ended:
        scanner.load("")
        raise scanner.error(0, "expected '# EOF' as the last line, got the end of the page")


def _read_directive(scanner: Scanner) -> tuple[str, str, int]:
    """A HELP, TYPE or UNIT line: keyword, name, and where the rest begins."""
    _expect(scanner, 1, " ", "a space after '#'")
    keyword = _read_token(scanner, 2)
    if keyword not in ("HELP", "TYPE", "UNIT"):
        raise scanner.expected(2, "HELP, TYPE, UNIT or EOF", keyword)
    _expect(scanner, 6, " ", f"a space after {keyword}")
    name, end = scanner.read_metric_name(7)
    _expect(scanner, end, " ", "a space after the metric name")
    return keyword, name, end + 1


def _describe(scanner: Scanner, family: Family, keyword: str, rest_at: int) -> None:
    rest = scanner.text[rest_at:]
    if family.samples:
        raise scanner.error(2, f'expected {keyword} before the samples of "{family.name}", got it after them')
    known = {"HELP": family.documentation, "TYPE": family.type, "UNIT": family.unit}[keyword]
    if known is not None:
        raise scanner.error(2, f'expected one {keyword} line for "{family.name}", got a second one')
    if keyword == "HELP":
        family.documentation = unescape(rest)
        return
    if keyword == "TYPE":
        if rest not in METRIC_TYPES:
            raise scanner.expected(rest_at, f"a metric type ({', '.join(METRIC_TYPES)})", rest)
        family.set_type(rest)
    else:
        if rest and not family.name.endswith("_" + rest):
            raise scanner.expected(rest_at, f'a unit that the name "{family.name}" ends with', rest)
        family.unit = rest
    if family.unit and family.type in ("info", "stateset"):
        raise scanner.error(rest_at, f'expected no unit on {family.type} "{family.name}", got {family.unit!r}')


def _read_sample(scanner: Scanner, family: Family | None) -> tuple[Sample, int]:
    """The sample on this line, and where its value stands."""
    text = scanner.text
    match = _NAME.match(text)
    labels: dict[str, str] | None = None
    if match is not None:
        name, brace = match.groups()
        position = match.end()
        if brace:
            _, labels, position = scanner.read_labels(position, name_allowed=False)
    elif text.startswith("{"):
        quoted, labels, position = scanner.read_labels(1, name_allowed=True)
        if quoted is None:
            raise scanner.error(0, "expected a metric name before the labels or in quotes among them, got none")
        name = quoted
        # A quoted name needs the braces, so empty ones say no more than none.
        labels = labels or None
    else:
        raise scanner.expected(0, "a metric name")
    _expect(scanner, position, " ", "a space before the value")
    position += 1
    if family is not None and family.type == "histogram" and text.startswith("{", position):
        if name != family.name:
            raise scanner.error(0, f'expected a native histogram of "{family.name}", got one of "{name}"')
        return _read_native_sample(scanner, name, labels, position), position
    token = _read_token(scanner, position)
    value = scanner.read_number(position, token)
    end = position + len(token)
    if end == len(text):
        return Sample(name, labels or {}, value), position
    timestamp, end = _read_moment(scanner, end)
    exemplar = None
    if end < len(text):
        exemplar, end = _read_exemplar(scanner, end)
        if end < len(text):
            raise scanner.expected(end, "nothing after the exemplar", text[end:])
    return Sample(name, labels or {}, value, timestamp, exemplar), position


def _read_moment(scanner: Scanner, position: int) -> tuple[float | Timestamp | None, int]:
    """The timestamp that may follow the space at `position`; without one, None and `position` itself."""
    if scanner.text.startswith(" #", position):
        return None, position
    position += 1
    token = _read_token(scanner, position)
    match = _EXACT_TIMESTAMP.fullmatch(token)
    if match is not None:
        seconds, nanoseconds = int(match[1]), int((match[2] or "")[:9].ljust(9, "0"))
        # Timestamp has no negative zero to carry the sign of the last second before 1970.
        if seconds or not nanoseconds or token[0] != "-":
            return Timestamp(seconds, nanoseconds), position + len(token)
    value = parse_number(token)
    if value is None or not math.isfinite(value):
        raise scanner.expected(position, "a timestamp in seconds", token)
    return float(value), position + len(token)


def _read_exemplar(scanner: Scanner, position: int) -> tuple[Exemplar, int]:
    """The exemplar at `position`, where its space stands, and the position behind it."""
    _expect(scanner, position, " # {", "' # {' before the labels of an exemplar")
    _, labels, end = scanner.read_labels(position + 4, name_allowed=False)
    length = sum([len(name) + len(value) for name, value in labels.items()])
    if length > _LONGEST_EXEMPLAR:
        raise scanner.error(
            position + 3, f"expected at most {_LONGEST_EXEMPLAR} characters in the labels of an exemplar, got {length}"
        )
    _expect(scanner, end, " ", "a space before the value of the exemplar")
    end += 1
    token = _read_token(scanner, end)
    value = scanner.read_number(end, token, "a number as the value of the exemplar")
    end += len(token)
    timestamp: float | Timestamp | None = None
    if end < len(scanner.text):
        timestamp, end = _read_moment(scanner, end)
    return Exemplar(labels, value, timestamp), end


def _read_native_sample(scanner: Scanner, name: str, labels: dict[str, str] | None, position: int) -> Sample:
    histogram, end = _read_native_histogram(scanner, position)
    timestamp: float | Timestamp | None = None
    exemplars: list[Exemplar] = []
    if end < len(scanner.text):
        _expect(scanner, end, " ", "a space after the native histogram")
        timestamp, end = _read_moment(scanner, end)
    while end < len(scanner.text):
        exemplar, end = _read_exemplar(scanner, end)
        exemplars.append(exemplar)
    if exemplars:
        histogram = histogram._replace(nh_exemplars=tuple(exemplars))
    # prometheus_client gives None for both, and code written for it tells native histograms by that.
    return Sample(name, cast("dict[str, str]", labels), cast("float", None), timestamp, None, histogram)


def _read_native_histogram(scanner: Scanner, position: int) -> tuple[NativeHistogram, int]:
    """The native histogram whose ``{`` stands at `position`, and the position behind its ``}``."""
    text = scanner.text
    numbers: dict[str, float] = {}
    lists: dict[str, list[tuple[int, ...]]] = {}
    while True:
        position += 1
        match = _FIELD.match(text, position)
        if match is None or match[1] not in _SCALARS + _LISTS:
            raise scanner.expected(position, "a field of a native histogram", "" if match is None else match[1])
        field, items, number = match.groups()
        if field in numbers or field in lists:
            raise scanner.error(position, f"expected each field once, got {field!r} again")
        if (items is None) == (field in _LISTS):
            opened = text.startswith("[", match.end(1) + 1)
            what = "a number" if field in _SCALARS else "a list that ends with ']'" if opened else "'['"
            raise scanner.expected(match.end() if opened and field in _LISTS else match.end(1) + 1, what)
        if items is None:
            numbers[field] = _read_scalar(scanner, match.start(3), field, number)
        else:
            lists[field] = _read_list(scanner, match.start(2), field, items)
        position = match.end()
        if text.startswith("}", position):
            break
        _expect(scanner, position, ",", "',' or '}'")
    for field in _SCALARS:
        if field not in numbers:
            raise scanner.expected(position, f"the field {field!r}")
    spans: dict[str, tuple[BucketSpan, ...] | None] = {}
    deltas: dict[str, tuple[int, ...] | None] = {}
    for sign in ("positive", "negative"):
        pairs, changes = lists.get(sign + "_spans", []), lists.get(sign + "_deltas", [])
        buckets = sum([pair[1] for pair in pairs])
        if buckets != len(changes):
            raise scanner.error(position, f"expected {buckets} {sign}_deltas for {sign}_spans, got {len(changes)}")
        spans[sign] = tuple([BucketSpan(*pair) for pair in pairs]) or None
        deltas[sign] = tuple([change[0] for change in changes]) or None
    histogram = NativeHistogram(
        count_value=numbers["count"],
        sum_value=float(numbers["sum"]),
        schema=int(numbers["schema"]),
        zero_threshold=float(numbers["zero_threshold"]),
        zero_count=numbers["zero_count"],
        pos_spans=spans["positive"],
        neg_spans=spans["negative"],
        pos_deltas=deltas["positive"],
        neg_deltas=deltas["negative"],
    )
    return histogram, position + 1


def _read_scalar(scanner: Scanner, position: int, field: str, token: str) -> float:
    value = parse_number(token)
    whole = field in ("count", "schema", "zero_count")
    if value is None or (whole and not isinstance(value, int)):
        raise scanner.expected(position, "a whole number" if whole else "a number", token)
    if field in ("count", "zero_count") and value < 0:
        raise scanner.expected(position, f"a {field} of 0 or more", token)
    return value


def _read_list(scanner: Scanner, position: int, field: str, text: str) -> list[tuple[int, ...]]:
    """The items of a list of spans (pairs) or of deltas (one number each), the first of which is at `position`."""
    pattern, what = (_SPAN, "a span (offset:length)") if field.endswith("spans") else (_DELTA, "a whole number")
    items: list[tuple[int, ...]] = []
    for item in text.split(",") if text else []:
        if pattern.fullmatch(item) is None:
            raise scanner.expected(position, what, item)
        items.append(tuple([int(part) for part in item.split(":")]))
        position += len(item) + 1
    return items


def _read_token(scanner: Scanner, position: int) -> str:
    match = _TOKEN.match(scanner.text, position)
    return "" if match is None else match.group()


def _expect(scanner: Scanner, position: int, what: str, name: str) -> None:
    if not scanner.text.startswith(what, position):
        raise scanner.expected(position, name)
