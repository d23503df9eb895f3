"""The parser of the text format, beside prometheus_client's."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable
from typing import Any

import prometheus_client
import prometheus_client.parser as reference
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsing import is_accepted, parse_plain
from prometheus_client.core import Metric as ReferenceMetric

from pyrometer.exposition.text_parser import (
    ParseError,
    text_fd_to_metric_families,
    text_string_to_metric_families,
)
from pyrometer.families import CounterMetricFamily, Metric, Sample

SHOP = """\
# HELP view_total Product view
# TYPE view_total counter
view_total{product="product1"} 8
view_total{product="product2"} 2
# HELP temperature_celsius Outside.
# TYPE temperature_celsius gauge
temperature_celsius -3.5e-1 1700000000123

# A comment, which is ignored
# TYPE latency_seconds histogram
latency_seconds_bucket{le="0.1"} 3
latency_seconds_bucket{le="+Inf"} 4
latency_seconds_count 4
latency_seconds_sum 0.25
# TYPE size_bytes summary
size_bytes{quantile="0.5"} NaN
size_bytes_sum +Inf
size_bytes_count 9223372036854775808
ungrouped{a="1"} 1
ungrouped{a="2"} 2
"""

# Read by both parsers, to equal families.
VALID = [
    "",
    "\n \n\t\n",
    SHOP,
    SHOP.replace("\n", "\r\n"),
    "a 1",
    "# TYPE a counter\n# HELP a help\na 1\n",
    "# HELP a help\n# TYPE a counter\na_total 1\n",
    "# TYPE a_total counter\na_total 1\n",
    "# TYPE a counter\na 1\na_created 5\n",
    "# TYPE a untyped\na 1\n",
    "# TYPE a info\na 1\n# TYPE b gaugehistogram\nb 1\n# TYPE c unknown\nc 1\n",
    "# TYPE a gauge\n# TYPE b gauge\n",
    "# HELP a\n# TYPE a gauge\na 1\n",
    "# HELP a  two  words \n# TYPE  a  gauge \na  1  \n",
    "#\tTYPE\ta\tgauge\n#\tHELP\ta\thelp\na\t1\t5\n",
    "  # TYPE a gauge\n\ta 1\n",
    '# HELP a \\\\ \\n \\x \\" \\\\n \\\n',
    "# HELP a it's \"half quoted\na 1\n",
    "#\n# \n#HELP\n#TYPE a b\n# FOO a x\n# HELPA\n#HELP a x y\na 1\n",
    "# 3565 12345/4436467 a comment\n",
    'a{} 1\na{ } 1\na{,} 1\na{ , } 1\na{b="c",} 1\na{b="c" , } 1\n',
    'a { b = "c" , d="e" } 1\na\t\t{\t\tb\t\t=\t\t"c"\t\t}\t\t2\na{b="c"}3\na{b="c"}\t4 5\n',
    'a{b="",c=" ",d="{},=#",e="}",f="# {"} 1\n',
    'a{b="\\\\",c="\\n",d="\\"",e="\\x",f="\\\\n",g="\\\\\\n",h="\\\\\\""} 1\n',
    'a{b="é\u2028 \x0b"} 1\n',
    'a{_="1",b9="2"} 1\n:a:b_9 1\n_ 1\n',
    "a 0\na -0\na +5\na 1.\na .5\na 1e5\na 1E-5\na 00012\na 1e999\na -" + "9" * 298 + "\n",
    "a Inf\na +Inf\na -inf\na infinity\na NaN\na nan\n",
    "a 1 0\na 1 -5\na 1 +5\na 1 000\na 1  1234567890   \n",
    '# TYPE "a.b" counter\n# HELP "a.b" help\n{"a.b"} 1\n{"a.b","c d"="e"} 2\n{"a.b",f="g"} 3\n',
    '# TYPE "a b{}\\" \\n" gauge\n{"a b{}\\" \\n" , "x{ # }\\\\" = "\\n"} 1\n',
    '# TYPE "a.b" histogram\n{"a.b_bucket",le="+Inf"} 1\n{"a.b_count"} 1\n{"a.b_sum"} 1\n',
    '{"a"} 1\n{b="c","a"} 1\n{"a",} 1\n',
    "# TYPE a histogram\na_bucket 1\na_max 2\n",
]

# Refused by both parsers; where, and why.
INVALID = [
    ("a", 1, 2, "expected a value, got end of line"),
    ("a{", 1, 3, "expected a label name, got end of line"),
    ('a{b="c"', 1, 8, "expected ',' or '}', got end of line"),
    ('a{b="c} 1', 1, 10, "expected a closing quote for the one in column 5, got end of line"),
    ('a{b="c\\"} 1', 1, 12, "expected a closing quote for the one in column 5, got end of line"),
    ("a{b=c} 1", 1, 5, "expected a label value in quotes, got 'c'"),
    ("\n\na_total{product=x} 1", 3, 17, "expected a label value in quotes, got 'x'"),
    ("a{b='c'} 1", 1, 5, 'expected a label value in quotes, got "\'"'),
    ("a{b} 1", 1, 4, "expected '=' after the label name 'b', got '}'"),
    ('a{b"c"} 1', 1, 4, "expected '=' after the label name 'b', got '\"'"),
    ('a{="c"} 1', 1, 3, "expected a label name, got '='"),
    ('a{1="c"} 1', 1, 3, "expected a label name, got '1'"),
    ('a{é="c"} 1', 1, 3, "expected a label name, got 'é'"),
    ('a{b="c"d="e"} 1', 1, 8, "expected ',' or '}', got 'd'"),
    ('a{b="c" d="e"} 1', 1, 9, "expected ',' or '}', got 'd'"),
    ('a{b="c",,d="e"} 1', 1, 9, "expected a label name, got ','"),
    ('a{b="c",,} 1', 1, 9, "expected a label name, got ','"),
    ("a{,,} 1", 1, 4, "expected a label name, got ','"),
    ('a{b="c",b="d"} 1', 1, 9, "expected each label once, got 'b' again"),
    ('a{"b"="c",b="d"} 1', 1, 11, "expected each label once, got 'b' again"),
    ('a{__b="c"} 1', 1, 3, "expected a label name without the reserved prefix '__', got '__b'"),
    ('a{"b"} 1', 1, 6, "expected '=' after the label name 'b', got '}'"),
    ('{"a","b"} 1', 1, 9, "expected '=' after the label name 'b', got '}'"),
    ("{} 1", 1, 1, "expected a metric name before the labels or in quotes among them, got none"),
    ('{b="c"} 1', 1, 1, "expected a metric name before the labels or in quotes among them, got none"),
    ("{a} 1", 1, 3, "expected '=' after the label name 'a', got '}'"),
    ('{"\ud800"} 1', 1, 2, "expected a label name that UTF-8 can encode, got '\\ud800'"),
    ('{""} 1', 1, 2, "expected a label name, got empty quotes"),
    ("1a 1", 1, 1, "expected a metric name, got '1'"),
    ("é 1", 1, 1, "expected a metric name, got 'é'"),
    ("a.b 1", 1, 2, "expected a blank or '{' after the metric name, got '.'"),
    ("a b", 1, 3, "expected a number, got 'b'"),
    ("a 1_0", 1, 3, "expected a number, got '1_0'"),
    ("a 0x1p-3", 1, 3, "expected a number, got '0x1p-3'"),
    ("a 1e", 1, 3, "expected a number, got '1e'"),
    ("a .", 1, 3, "expected a number, got '.'"),
    ("a - 1", 1, 3, "expected a number, got '-'"),
    ('a{b="c"} ', 1, 9, "expected a value, got end of line"),
    ('  a{b="c"}  x', 1, 13, "expected a number, got 'x'"),
    ("a 1 z", 1, 5, "expected a timestamp in whole milliseconds, got 'z'"),
    ("a 1 1_2", 1, 5, "expected a timestamp in whole milliseconds, got '1_2'"),
    ("# HELP 1a help", 1, 8, "expected a metric name, got '1'"),
    ("# HELP a.b help", 1, 9, "expected a blank after the metric name, got '.'"),
    ("# TYPE", 1, 7, "expected a metric name, got end of line"),
    ("# TYPE a", 1, 9, "expected a type (counter, gauge, histogram, summary or untyped), got end of line"),
    ("# TYPE a meh", 1, 10, "expected a type (counter, gauge, histogram, summary or untyped), got 'meh'"),
    ("#  TYPE a Gauge", 1, 11, "expected a type (counter, gauge, histogram, summary or untyped), got 'Gauge'"),
    ("# TYPE a gauge x", 1, 10, "expected a type (counter, gauge, histogram, summary or untyped), got 'gauge x'"),
    ('# TYPE "a gauge', 1, 16, "expected a closing quote for the one in column 8, got end of line"),
]

# Accepted by prometheus_client although the specification forbids it: refused here.
TOO_LAX = [
    ("# HELP", 1, 7, "expected a metric name, got end of line"),
    ('# TYPE "" gauge', 1, 8, "expected a metric name, got empty quotes"),
    ('a{""="c"} 1', 1, 3, "expected a label name, got empty quotes"),
    ("a{b=} 1", 1, 5, "expected a label value in quotes, got '}'"),
    ('a{b:c="d"} 1', 1, 4, "expected '=' after the label name 'b', got ':'"),
    ('{__name__="a"} 1', 1, 2, "expected a label name without the reserved prefix '__', got '__name__'"),
    ('a.b{c="d"} 1', 1, 2, "expected a blank or '{' after the metric name, got '.'"),
    ('a b{c="d"} 1', 1, 3, "expected a number, got 'b{c=\"d\"}'"),
    ("a \u0661", 1, 3, "expected a number, got '\u0661'"),
    ("a -nan", 1, 3, "expected a number, got '-nan'"),
    ("a 1 2 3", 1, 7, "expected nothing after the timestamp, got '3'"),
    ("a 1 1.5", 1, 5, "expected a timestamp in whole milliseconds, got '1.5'"),
    ("a 1 NaN", 1, 5, "expected a timestamp in whole milliseconds, got 'NaN'"),
    ('a 1 # {b="c"} 0.5', 1, 5, "expected a timestamp in whole milliseconds, got '#'"),
    ("# HELP a x\n# HELP a y", 2, 8, 'expected one HELP line for "a", got a second one'),
    ("# TYPE a gauge\n# TYPE a counter", 2, 8, 'expected one TYPE line for "a", got a second one'),
    ("# HELP a x\na 1\n# TYPE a gauge", 3, 8, 'expected TYPE before the samples of "a", got it after them'),
    ("a 1\n# TYPE a gauge", 2, 8, 'expected all lines of "a" together, got TYPE after others'),
    ("# TYPE a gauge\nb 1\n# HELP a x", 3, 8, 'expected all lines of "a" together, got HELP after others'),
    (
        "# TYPE a histogram\na_sum 1\na 1",
        3,
        1,
        "expected a sample of histogram \"a\" (a_bucket, a_count, a_sum), got 'a'",
    ),
    ("# TYPE a counter\na_total 1\na 1", 3, 1, 'expected all lines of "a" together, got a sample after others'),
    ("# TYPE a gauge\na 1\nb 1\na 2", 4, 1, 'expected all lines of "a" together, got a sample after others'),
]

# Refused by prometheus_client although the specification allows it: accepted here.
TOO_STRICT = [
    ("# TYPE _total counter\n_total 1\n", [Metric("_total", "", "counter")]),
    ("a 1\t5 ", [Metric("a", "", "unknown")]),
    ("a \t1 \t5", [Metric("a", "", "unknown")]),
]


def _parse_error(page: str) -> ParseError:
    with pytest.raises(ParseError) as caught:
        list(text_string_to_metric_families(page))
    return caught.value


@pytest.mark.parametrize("page", VALID)
def test_valid_pages_are_read_as_prometheus_client_reads_them(page: str) -> None:
    """Every page that both accept gives the same families, with integers kept as int."""
    assert parse_plain(text_string_to_metric_families, page) == parse_plain(
        reference.text_string_to_metric_families, page
    )


@pytest.mark.parametrize(("page", "line", "column", "reason"), INVALID)
def test_invalid_pages_are_refused_where_they_are_wrong(page: str, line: int, column: int, reason: str) -> None:
    """What prometheus_client refuses is refused too, with the place, what was expected and what was there."""
    assert not is_accepted(reference.text_string_to_metric_families, page)
    error = _parse_error(page)
    assert str(error) == f"line {line}, column {column}: {reason}"
    assert (error.line, error.column) == (line, column)
    assert error.text == page.split("\n")[line - 1].rstrip()


@pytest.mark.parametrize(("page", "line", "column", "reason"), TOO_LAX)
def test_what_the_specification_forbids_is_refused(page: str, line: int, column: int, reason: str) -> None:
    """Where prometheus_client accepts what the format does not have, this parser follows the format."""
    assert is_accepted(reference.text_string_to_metric_families, page)
    assert str(_parse_error(page)) == f"line {line}, column {column}: {reason}"


@pytest.mark.parametrize(("page", "families"), TOO_STRICT)
def test_what_the_specification_allows_is_accepted(page: str, families: list[Metric]) -> None:
    """Where prometheus_client refuses what the format has, this parser reads it."""
    found = list(text_string_to_metric_families(page))
    assert [(metric.name, metric.type) for metric in found] == [(metric.name, metric.type) for metric in families]
    assert all(len(metric.samples) == 1 for metric in found)


def test_a_counter_is_given_as_openmetrics_has_it() -> None:
    """A counter's family has no _total, its samples do, whether or not the page wrote it."""
    expected = CounterMetricFamily("view", "Product view", labels=["product"])
    expected.add_metric(["product1"], 8)
    for name in ("view", "view_total"):
        page = f'# HELP {name} Product view\n# TYPE {name} counter\n{name}{{product="product1"}} 8\n'
        assert list(text_string_to_metric_families(page)) == [expected]


def test_families_before_the_mistake_are_given() -> None:
    """Reading is lazy: what stands before a wrong line has been yielded when the error comes."""
    families = text_fd_to_metric_families(io.StringIO("a 1\n# TYPE b gauge\nb 1\nc\n"))
    assert next(families).samples == [Sample("a", {}, 1)]
    with pytest.raises(ParseError, match=r"^line 4, column 2: expected a value, got end of line$"):
        next(families)


def test_integers_beyond_any_float_are_infinite() -> None:
    """An integer that no float can hold is read as its format reads it: infinite, and never slowly."""
    (metric,) = text_string_to_metric_families("a -" + "9" * 100_000)
    assert metric.samples == [Sample("a", {}, float("-inf"))]


def test_any_iterable_of_lines_is_read() -> None:
    """Lines may come from anywhere, with or without line feeds."""
    assert [metric.name for metric in text_fd_to_metric_families(["a 1", "b 2\n", "c 3\r\n"])] == ["a", "b", "c"]


def test_errors_survive_pickling() -> None:
    """A ParseError crosses process borders with its place, and is a ValueError."""
    error = pickle.loads(pickle.dumps(_parse_error("a 1\nb x")))
    assert isinstance(error, ValueError) and isinstance(error, ParseError)
    assert (str(error), error.text) == ("line 2, column 3: expected a number, got 'x'", "b x")


@given(
    st.text(max_size=60)
    | st.text('aHELPTY# \t\r\n{}",=\\.:+-019eNif_', max_size=60)
    | st.lists(st.sampled_from(SHOP.splitlines()), max_size=12).map("\n".join)
)
def test_any_text_is_read_or_refused_by_a_parse_error(page: str) -> None:
    """Whatever the text, families come or a ParseError that points into it; nothing else is raised."""
    try:
        list(text_string_to_metric_families(page))
    except ParseError as error:
        assert error.text == page.split("\n")[error.line - 1].rstrip(" \t\r\n")
        assert 1 <= error.column <= len(error.text) + 1


@given(st.sampled_from(VALID), st.data())
def test_damaged_pages_are_read_or_refused_by_a_parse_error(page: str, data: st.DataObject) -> None:
    """A page with a stretch replaced by something else gives families or a ParseError; and no family is invalid."""
    start = data.draw(st.integers(0, len(page)))
    end = data.draw(st.integers(start, min(len(page), start + 4)))
    page = page[:start] + data.draw(st.text('a1 {}",=#\\\n\t.:+-eN_', max_size=3)) + page[end:]
    try:
        found = list(text_string_to_metric_families(page))
    except ParseError:
        return
    for metric in found:
        assert Metric(metric.name, metric.documentation, metric.type).name == metric.name
        assert all(not label.startswith("__") and label for sample in metric.samples for label in sample.labels)


# Its writer takes a name with a line feed at the end for a classic one and puts it on the page without quotes.
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: not name.endswith("\n")
)
LABELS = st.dictionaries(NAMES.filter(lambda name: not name.startswith("__")), st.text(max_size=8), max_size=3)


@given(NAMES, st.text(max_size=12), st.lists(st.tuples(LABELS, st.floats()), max_size=3))
def test_what_prometheus_client_writes_is_read_back(
    name: str, documentation: str, samples: list[tuple[dict[str, str], float]]
) -> None:
    """Names, labels and values of any kind that its writer puts on a page with UTF-8 names are read back alike."""
    labels_and_values = [
        ({key: value.encode(errors="replace").decode() for key, value in labels.items()}, value)
        for labels, value in samples
    ]
    documentation = documentation.encode(errors="replace").decode().strip()
    metric: Any = ReferenceMetric(name, documentation, "gauge")
    for labels, value in labels_and_values:
        metric.add_sample(name, labels, value)

    class Collector:
        def collect(self) -> Iterable[Any]:
            return [metric]

    page = prometheus_client.generate_latest(Collector(), escaping="allow-utf-8").decode()
    (found,) = text_string_to_metric_families(page)
    assert (found.name, found.type, found.documentation) == (name, "gauge", documentation)
    assert [sample.labels for sample in found.samples] == [labels for labels, _ in labels_and_values]
    for sample, (_, value) in zip(found.samples, labels_and_values):
        assert sample.value == value or (sample.value != sample.value and value != value)
