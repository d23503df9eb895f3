"""The parser of OpenMetrics, beside prometheus_client's."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import prometheus_client.openmetrics.exposition as writer
import prometheus_client.openmetrics.parser as reference
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openmetrics_pages import ALL_TYPES, INVALID, MISREAD, NATIVE, PAGE_END, TOO_LAX, VALID, H
from parsing import Parse, is_accepted, parse_plain
from prometheus_client.core import Metric as ReferenceMetric

from pyrometer.exposition.openmetrics_parser import (
    ParseError,
    text_fd_to_metric_families,
    text_string_to_metric_families,
)
from pyrometer.families import BucketSpan, Exemplar, Metric, NativeHistogram, Sample, Timestamp

parse_reference: Parse = reference.text_string_to_metric_families
write_reference: Any = writer.generate_latest


class _Collector:
    """What prometheus_client's writer takes, with one family."""

    def __init__(self, metric: Any) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Any]:
        return [self._metric]


def _parse_error(page: str) -> ParseError:
    with pytest.raises(ParseError) as caught:
        list(text_string_to_metric_families(page))
    return caught.value


@pytest.mark.parametrize("page", VALID)
def test_valid_pages_are_read_as_prometheus_client_reads_them(page: str) -> None:
    """Every page that both accept gives the same families, with integers kept as int and timestamps exact."""
    assert parse_plain(text_string_to_metric_families, page) == parse_plain(parse_reference, page)


@pytest.mark.parametrize(("page", "line", "column", "reason"), INVALID)
def test_invalid_pages_are_refused_where_they_are_wrong(page: str, line: int, column: int, reason: str) -> None:
    """What prometheus_client refuses is refused too, with the place, what was expected and what was there."""
    page += PAGE_END
    assert not is_accepted(parse_reference, page)
    error = _parse_error(page)
    assert str(error).startswith(f"line {line}, column {column}: {reason}")
    assert (error.line, error.column, error.text) == (line, column, page.split("\n")[line - 1])


@pytest.mark.parametrize(("page", "line", "column", "reason"), TOO_LAX)
def test_what_the_specification_forbids_is_refused(page: str, line: int, column: int, reason: str) -> None:
    """Where prometheus_client accepts what the format does not have, this parser follows the format."""
    assert is_accepted(parse_reference, page + PAGE_END)
    assert str(_parse_error(page + PAGE_END)).startswith(f"line {line}, column {column}: {reason}")


@pytest.mark.parametrize(("page", "samples"), MISREAD)
def test_what_the_specification_allows_is_read(page: str, samples: list[Sample]) -> None:
    """Where prometheus_client refuses or loses what the format has, this parser gives it."""
    try:
        theirs = parse_plain(parse_reference, page + PAGE_END)
    except Exception:
        theirs = None
    assert parse_plain(text_string_to_metric_families, page + PAGE_END) != theirs
    (found,) = text_string_to_metric_families(page + PAGE_END)
    assert found.samples == samples


@pytest.mark.parametrize("page", ["", "a 1\n", "# TYPE a gauge\n"])
def test_a_page_without_end_is_refused(page: str) -> None:
    """A page that stops before # EOF may have been cut off, so it is refused one line past its last."""
    assert not is_accepted(parse_reference, page)
    last = page.count("\n") + 1
    assert (
        str(_parse_error(page)) == f"line {last}, column 1: expected '# EOF' as the last line, got the end of the page"
    )


def test_leading_spaces_of_help_are_kept() -> None:
    """One space ends the metric name; those after it are the documentation's own."""
    (metric,) = text_string_to_metric_families("# HELP a  b \n# EOF\n")
    assert metric.documentation == " b "


def test_native_histograms_keep_their_timestamp_and_exemplars() -> None:
    """What prometheus_client writes after a native histogram, and does not read back, is read here."""
    page = f'{H}a{{b="c"}} {NATIVE} 5.5 # {{t="1"}} 0.67 # {{t="2"}} 9.8 1520879607.789{PAGE_END}'
    (metric,) = text_string_to_metric_families(page)
    exemplars = (Exemplar({"t": "1"}, 0.67), Exemplar({"t": "2"}, 9.8, Timestamp(1520879607, 789_000_000)))
    spans = (BucketSpan(0, 2), BucketSpan(1, 2))
    native = NativeHistogram(24, 100.0, 0, 0.001, 4, spans, spans, (2, 1, -3, 3), (2, 1, -2, 3), exemplars)
    assert metric.samples == [Sample("a", {"b": "c"}, None, Timestamp(5, 500_000_000), None, native)]  # type: ignore[arg-type]


@pytest.mark.parametrize("labels", [{}, {"b": "c", "d e": "{f}"}])
@pytest.mark.parametrize("name", ["a", "a{b"])
def test_native_histograms_that_prometheus_client_writes_are_read_back(name: str, labels: dict[str, str]) -> None:
    """A native histogram from its writer comes back whole: numbers, spans, deltas and exemplars."""
    spans = (BucketSpan(0, 1), BucketSpan(7, 1), BucketSpan(4, 1))
    exemplars = (Exemplar({"t": 'x"}'}, 0.67, Timestamp(5, 6)), Exemplar({}, 9.8))
    native = NativeHistogram(4, 6.5, 3, 2.938735877055719e-39, 1, spans, None, (1, 0, 0), None, exemplars)
    metric: Any = ReferenceMetric(name, "", "histogram")
    metric.add_sample(name, labels, 0, Timestamp(7, 8), None, native)
    page = write_reference(_Collector(metric), escaping="allow-utf-8", version="2.0.0").decode()
    (found,) = text_string_to_metric_families(page)
    (sample,) = found.samples
    assert (sample.name, sample.labels or {}, sample.timestamp) == (name, labels, Timestamp(7, 8))
    assert sample.native_histogram == native


def test_a_first_span_may_begin_below_zero() -> None:
    """Bucket offsets are signed, and values below one have negative ones."""
    page = (
        H + "a {count:2,sum:1,schema:0,zero_threshold:0,zero_count:0,positive_spans:[-3:1,0:1],positive_deltas:[1,0]}"
    )
    (metric,) = text_string_to_metric_families(page + PAGE_END)
    native = metric.samples[0].native_histogram
    assert native is not None and native.pos_spans == (BucketSpan(-3, 1), BucketSpan(0, 1))


def test_families_before_the_mistake_are_given() -> None:
    """Reading is lazy: what stands before a wrong line has been yielded when the error comes."""
    families = text_fd_to_metric_families(io.StringIO("a 1\n# TYPE b gauge\nb\n"))
    assert next(families).samples == [Sample("a", {}, 1)]
    with pytest.raises(ParseError, match=r"^line 3, column 2: expected a space before the value, got end of line$"):
        next(families)


@given(
    st.text(max_size=60)
    | st.text('aHELPTYUNOF# \t\r\n{}",=\\.:+-019eNif_[]', max_size=60)
    | st.lists(st.sampled_from(ALL_TYPES.splitlines()), max_size=12).map("\n".join)
)
def test_any_text_is_read_or_refused_by_a_parse_error(page: str) -> None:
    """Whatever the text, families come or a ParseError that points into it; nothing else is raised."""
    try:
        list(text_string_to_metric_families(page))
    except ParseError as error:
        assert error.text == [*page.split("\n"), ""][error.line - 1]
        assert 1 <= error.column <= len(error.text) + 1


@given(st.sampled_from(VALID), st.data())
def test_damaged_pages_are_read_or_refused_by_a_parse_error(page: str, data: st.DataObject) -> None:
    """A page with a stretch replaced by something else gives families that are valid, or a ParseError."""
    start = data.draw(st.integers(0, len(page)))
    end = data.draw(st.integers(start, min(len(page), start + 4)))
    page = page[:start] + data.draw(st.text('a1 {}",=#\\\n\t.:+-eN_[]', max_size=3)) + page[end:]
    try:
        found = list(text_string_to_metric_families(page))
    except ParseError:
        return
    for metric in found:
        assert Metric(metric.name, metric.documentation, metric.type, metric.unit).name == metric.name


# Its writer takes a name with a line feed at the end for a classic one and puts it on the page without quotes.
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: not name.endswith("\n")
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LABELS = st.dictionaries(NAMES.filter(lambda name: not name.startswith("__")), TEXT, max_size=3)


@given(NAMES, TEXT, st.lists(LABELS, max_size=3, unique_by=lambda labels: tuple(sorted(labels.items()))), st.data())
def test_what_prometheus_client_writes_is_read_back(
    name: str, documentation: str, label_sets: list[dict[str, str]], data: st.DataObject
) -> None:
    """Names, labels, values and timestamps of any kind that its writer puts on a page are read back alike."""
    metric: Any = ReferenceMetric(name, documentation, "gauge")
    values = [data.draw(st.floats()) for _ in label_sets]
    seconds = data.draw(st.none() | st.integers(0, 2**40))
    for labels, value in zip(label_sets, values):
        metric.add_sample(name, labels, value, seconds)
    page = write_reference(_Collector(metric), escaping="allow-utf-8").decode()
    (found,) = text_string_to_metric_families(page)
    assert (found.name, found.type, found.documentation) == (name, "gauge", documentation)
    assert [sample.labels for sample in found.samples] == label_sets
    for sample, value in zip(found.samples, values):
        assert sample.value == value or (sample.value != sample.value and value != value)
        assert sample.timestamp == (None if seconds is None else Timestamp(seconds, 0))
