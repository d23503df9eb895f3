"""Whatever label values, names, help texts and numbers come: what is written is read back the same, by our parsers and
by prometheus_client's."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterable
from typing import Any

import prometheus_client.openmetrics.parser as their_openmetrics
import prometheus_client.parser as their_text
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import utils as their_utils

from pyrometer import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Policy
from pyrometer._core.render_cy import number
from pyrometer._names import escape_label_name, escape_metric_name
from pyrometer.exposition import OpenMetrics, Text, openmetrics_parser, render, text_parser

Parse = Callable[[str], Iterable[Any]]
FLOAT_TO_GO_STRING: Any = their_utils.floatToGoString
THEIR_TEXT: Any = their_text.text_string_to_metric_families
THEIR_OPENMETRICS: Any = their_openmetrics.text_string_to_metric_families

READERS: list[tuple[Any, Parse]] = [
    (Text("1.0.0", "allow-utf-8"), text_parser.text_string_to_metric_families),
    (Text("1.0.0", "allow-utf-8"), THEIR_TEXT),
    (OpenMetrics("1.0.0", "allow-utf-8"), openmetrics_parser.text_string_to_metric_families),
    (OpenMetrics("1.0.0", "allow-utf-8"), THEIR_OPENMETRICS),
]
IDS = ["text", "their text", "openmetrics", "their openmetrics"]
POLICY = Policy(utf8_names=True, created_series=False)

awkward = st.sampled_from(list('"\\\n\r\t\0 {},=#_:\x1c\x85\u2028\ufeff\ufffd\ud800\udbff\udc00\udfff\U0001f525ünr'))
anything = st.text(st.one_of(awkward, st.characters()), max_size=12)
encodable = st.text(
    st.one_of(awkward, st.characters()).filter(lambda char: not "\ud800" <= char <= "\udfff"), min_size=1, max_size=8
)
any_float = st.one_of(
    st.floats(),
    st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0]),
    st.integers(-(2**60), 2**60).map(float),
    st.decimals(-1000, 1000, places=3).map(float),
)


def as_utf8_has_it(text: str) -> str:
    """The text with what UTF-8 cannot hold replaced: two halves of a character are that character."""

    def whole(match: re.Match[str]) -> str:
        return match[0].encode("utf-16", "surrogatepass").decode("utf-16") if len(match[0]) == 2 else "\ufffd"

    return re.sub("[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]", whole, text)


def samples(parse: Parse, page: bytes) -> list[tuple[str, frozenset[tuple[str, str]], float]]:
    """The samples of a page as a parser reads it."""
    return [
        (sample.name, frozenset(sample.labels.items()), float(sample.value))
        for family in parse(page.decode())
        for sample in family.samples
    ]


# --- label values ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("format", "parse"), READERS, ids=IDS)
@settings(max_examples=60)
@given(st.integers(1, 3).flatmap(lambda n: st.lists(st.tuples(*[anything] * n), min_size=1, max_size=6)))
def test_label_values(format: Any, parse: Parse, rows: list[tuple[str, ...]]) -> None:
    """Any label values are read back, each series once, with what was counted under its values."""
    registry = CollectorRegistry(policy=POLICY)
    names = ["b", "a", "c"][: len(rows[0])]
    counter = Counter("m", "help", names, registry=registry)
    expected: dict[frozenset[tuple[str, str]], float] = {}
    for amount, row in enumerate(rows, 1):
        counter.labels(*row).inc(amount)
        counter.labels(**dict(zip(names, row))).inc(0.5)
        labels = frozenset(zip(names, map(as_utf8_has_it, row)))
        expected[labels] = expected.get(labels, 0) + amount + 0.5
    read = samples(parse, render(registry, format))
    assert read == [("m_total", labels, value) for labels, value in expected.items()]
    for labels, value in expected.items():
        assert registry.get_sample_value("m_total", dict(labels)) == value
    for row in rows:
        counter.remove(*row)
    assert samples(parse, render(registry, format)) == []


@pytest.mark.parametrize(("format", "parse"), READERS, ids=IDS)
@settings(max_examples=40)
@given(anything, anything, st.lists(anything.map(as_utf8_has_it), min_size=1, max_size=4, unique=True))
def test_histograms_infos_and_enums(format: Any, parse: Parse, value: str, text: str, states: list[str]) -> None:
    """Labels that are sorted into others, texts of infos and states are read back like any label value."""
    registry = CollectorRegistry(policy=POLICY)
    Histogram("h", "help", ["a", "z"], registry=registry, buckets=[1]).labels(value, text).observe(0.5)
    Info("i", "help", ["a"], registry=registry).labels(value).info({"t": text})
    Enum("e", "help", ["z"], registry=registry, states=states).labels(value).state(states[-1])
    value, text = as_utf8_has_it(value), as_utf8_has_it(text)
    both = {"a": value, "z": text}
    assert samples(parse, render(registry, format)) == [
        ("h_bucket", frozenset({**both, "le": "1.0"}.items()), 1),
        ("h_bucket", frozenset({**both, "le": "+Inf"}.items()), 1),
        ("h_count", frozenset(both.items()), 1),
        ("h_sum", frozenset(both.items()), 0.5),
        ("i_info", frozenset({"a": value, "t": text}.items()), 1),
        *[("e", frozenset({"z": value, "e": state}.items()), float(state is states[-1])) for state in states],
    ]


# --- exemplars and help ----------------------------------------------------------------------------------------------


def check_exemplar(parse: Parse, labels: dict[str, str], amount: float) -> None:
    """Write an exemplar and read it."""
    registry = CollectorRegistry(policy=POLICY)
    counter = Counter("m", "help", registry=registry)
    counter.inc(amount, labels)
    [family] = parse(render(registry, OpenMetrics("1.0.0", "allow-utf-8")).decode())
    exemplar = family.samples[0].exemplar
    assert exemplar.labels == {name: as_utf8_has_it(value) for name, value in labels.items()}
    assert exemplar.value == amount
    written = counter.collect()[0].samples[0].exemplar
    assert written is not None and written.timestamp is not None
    assert float(exemplar.timestamp) == float(written.timestamp)


def exemplar_labels(values: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    """Labels of exemplars, which are not too long."""
    return st.dictionaries(st.sampled_from(["a", "b_", "Z"]), values, min_size=1)


@settings(max_examples=100)
@given(exemplar_labels(anything), st.integers(1, 2**50))
def test_exemplars(labels: dict[str, str], amount: int) -> None:
    """The labels of an exemplar are read back, with its amount and its time."""
    check_exemplar(openmetrics_parser.text_string_to_metric_families, labels, amount / 8)


@settings(max_examples=50)
@given(exemplar_labels(st.text("aü .:-/\U0001f525", max_size=12)), st.integers(1, 2**50))
def test_exemplars_by_their_parser(labels: dict[str, str], amount: int) -> None:
    """prometheus_client's parser reads the same; it takes no quotes and backslashes in exemplars."""
    check_exemplar(THEIR_OPENMETRICS, labels, amount / 8)


@pytest.mark.parametrize(("format", "parse"), READERS, ids=IDS)
@settings(max_examples=60)
@given(encodable)
def test_help(format: Any, parse: Parse, text: str) -> None:
    """Any help text is read back; blanks around it are not compared, since the text format leaves them open."""
    registry = CollectorRegistry(policy=POLICY)
    documentation = f"|{text}|"
    Gauge("m", documentation, registry=registry)
    [family] = parse(render(registry, format).decode())
    assert family.documentation == documentation


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("format", "parse"), READERS, ids=IDS)
@settings(max_examples=60)
@given(encodable.filter(lambda name: not name.startswith("__")), encodable.filter(lambda n: not n.startswith("__")))
def test_names(format: Any, parse: Parse, name: str, labelname: str) -> None:
    """Where the policy allows UTF-8 and the page may show it, any name of a metric or a label is read back."""
    registry = CollectorRegistry(policy=POLICY)
    gauge = Gauge(name, "help", [labelname], registry=registry)
    gauge.labels("v").set(2)
    assert samples(parse, render(registry, format)) == [(name, frozenset({(labelname, "v")}), 2)]


@pytest.mark.parametrize("scheme", ["underscores", "dots", "values"])
@settings(max_examples=60)
@given(encodable, encodable.map(lambda name: "l" + name))
def test_escaped_names(scheme: str, name: str, labelname: str) -> None:
    """Under the other schemes every page has classic names alone, which our parsers read.

    Label names begin with a letter here: a scheme may turn others into names with `__`, which parsers refuse.
    """
    registry = CollectorRegistry(policy=POLICY)
    Gauge(name, "help", [labelname], registry=registry).labels("v").set(2)
    written = escape_metric_name(name, scheme), escape_label_name(labelname, scheme)
    assert re.fullmatch("[a-zA-Z_:][a-zA-Z0-9_:]*", written[0])
    assert re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", written[1])
    expected = [(written[0], frozenset({(written[1], "v")}), 2.0)]
    assert samples(text_parser.text_string_to_metric_families, render(registry, Text(escaping=scheme))) == expected
    page = render(registry, OpenMetrics(escaping=scheme))
    assert samples(openmetrics_parser.text_string_to_metric_families, page) == expected


# --- numbers ---------------------------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(st.lists(any_float, min_size=1, max_size=50))
def test_number_text(values: list[float]) -> None:
    """A number's text is Python's repr, without `.0`, or floatToGoString's; it reads back to the same bits."""
    for value in values:
        short, go = number(value).decode(), number(value, True).decode()
        assert go == FLOAT_TO_GO_STRING(value)
        if math.isfinite(value):
            assert short == repr(value).removesuffix(".0")
        else:
            assert short == go
        for text in (short, go):
            read = float(text)
            assert struct.pack("<d", read) == struct.pack("<d", value) or (read != read and value != value)


@settings(max_examples=100)
@given(st.integers(-(2**1000), 2**1000), st.integers(-1100, 1100))
def test_number_text_of_powers(mantissa: int, exponent: int) -> None:
    """Numbers beside powers of two and ten, where the shortest text is hardest to find, are written like any other."""
    for base in (2.0, 10.0):
        try:
            middle = base**exponent
        except OverflowError:
            continue
        for value in (middle, math.nextafter(middle, math.inf), math.nextafter(middle, 0), float(mantissa)):
            assert number(value).decode() == (repr(value).removesuffix(".0") if math.isfinite(value) else "+Inf")
            assert number(-value).decode() == (repr(-value).removesuffix(".0") if math.isfinite(value) else "-Inf")


@pytest.mark.parametrize("numbers", ["short", "go"])
@pytest.mark.parametrize(("format", "parse"), READERS, ids=IDS)
@settings(max_examples=40)
@given(st.lists(any_float, min_size=1, max_size=10))
def test_values(format: Any, parse: Parse, numbers: Any, values: list[float]) -> None:
    """Any value of a gauge is read back from a page, and from get_sample_value."""
    registry = CollectorRegistry(policy=Policy(numbers=numbers))
    gauge = Gauge("m", "help", ["a"], registry=registry)
    for i, value in enumerate(values):
        gauge.labels(i).set(value)
    read = [value for _, _, value in samples(parse, render(registry, format))]
    assert [repr(value + 0.0) for value in read] == [repr(value + 0.0) for value in values]
    own = registry.get_sample_value("m", {"a": "0"})
    assert repr(own) == repr(values[0])
