"""Families and samples: the words of a custom collector, as prometheus_client has them."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import prometheus_client.core as reference
import prometheus_client.samples as reference_samples
import pytest
from parsing import family_as_plain

from pyrometer import families
from pyrometer.families import (
    CounterMetricFamily,
    Exemplar,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    Sample,
    StateSetMetricFamily,
    SummaryMetricFamily,
    Timestamp,
    UnknownMetricFamily,
)


def _labelled(lib: Any, kind: str, *metrics: tuple[Any, ...]) -> Any:
    family = getattr(lib, kind + "MetricFamily")("a", "help", labels=["x", "y"])
    for metric in metrics:
        family.add_metric(*metric)
    return family


BUILDS: dict[str, Callable[[Any], Any]] = {
    "unknown": lambda lib: lib.UnknownMetricFamily("a", "help", 3),
    "untyped": lambda lib: lib.UntypedMetricFamily("a", "help", value=3, unit="seconds"),
    "counter": lambda lib: lib.CounterMetricFamily("a", "help", value=1),
    "counter with total": lambda lib: lib.CounterMetricFamily("a_total", "help", value=1, created=5.5),
    "counter with unit": lambda lib: lib.CounterMetricFamily("a", "help", value=1, unit="bytes"),
    "counter with exemplar": lambda lib: lib.CounterMetricFamily(
        "a", "help", value=1, exemplar=lib.Exemplar({"t": "1"}, 0.5, lib.Timestamp(3, 4))
    ),
    "counter with labels": lambda lib: _labelled(lib, "Counter", (["1", "2"], 3, 4.5, 6), (["", "é"], 7)),
    "gauge": lambda lib: lib.GaugeMetricFamily("a", "help", value=-1.5),
    "gauge with labels": lambda lib: _labelled(lib, "Gauge", (["1", "2"], 3), (["1", "3"], 4, lib.Timestamp(1, 2))),
    "gauge without value": lambda lib: lib.GaugeMetricFamily("a", ""),
    "summary": lambda lib: lib.SummaryMetricFamily("a", "help", count_value=1, sum_value=2.5),
    "summary with labels": lambda lib: _labelled(lib, "Summary", (["1", "2"], 3, 4.5, 6)),
    "histogram": lambda lib: lib.HistogramMetricFamily("a", "help", buckets=[("1.0", 1), ("+Inf", 3)], sum_value=4),
    "histogram without sum": lambda lib: lib.HistogramMetricFamily("a", "help", buckets=[("+Inf", 3)]),
    "histogram below zero": lambda lib: lib.HistogramMetricFamily(
        "a", "help", buckets=[("-1.0", 1), ("+Inf", 3)], sum_value=4
    ),
    "histogram with exemplars": lambda lib: lib.HistogramMetricFamily(
        "a", "help", buckets=[("1.0", 1, lib.Exemplar({"t": "1"}, 0.5)), ("+Inf", 3, None)], sum_value=4
    ),
    "histogram with labels": lambda lib: _labelled(lib, "Histogram", (["1", "2"], [("1.0", 1), ("+Inf", 3)], 4, 5)),
    "gauge histogram": lambda lib: lib.GaugeHistogramMetricFamily(
        "a", "help", buckets=[("1.0", 1), ("+Inf", 3)], gsum_value=-4
    ),
    "gauge histogram with labels": lambda lib: _labelled(lib, "GaugeHistogram", (["1", "2"], [("+Inf", 3)], 4, 5)),
    "info": lambda lib: lib.InfoMetricFamily("a", "help", value={"v": "1"}),
    "info with labels": lambda lib: _labelled(lib, "Info", (["1", "2"], {"v": "1", "y": "wins"}, 7)),
    "stateset": lambda lib: lib.StateSetMetricFamily("a", "help", value={"on": True, "off": False}),
    "stateset with labels": lambda lib: _labelled(lib, "StateSet", (["1", "2"], {"b": 1, "a": 0}, 7)),
    "metric": lambda lib: lib.Metric("a", "help", "untyped", "seconds"),
}


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS.keys())
def test_families_are_built_as_prometheus_client_builds_them(build: Callable[[Any], Any]) -> None:
    """The same call gives the same name, type, unit and samples, and the same text for people."""
    ours, theirs = build(families), build(reference)
    assert family_as_plain(ours) == family_as_plain(theirs)
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("name", ["Sample", "Exemplar", "NativeHistogram", "BucketSpan"])
def test_samples_have_the_fields_of_prometheus_client(name: str) -> None:
    """Named tuples have its fields and defaults, in its order, and survive pickling."""
    ours, theirs = getattr(families, name), getattr(reference_samples, name)
    assert ours._fields == theirs._fields
    assert ours._field_defaults == theirs._field_defaults
    made = ours(*range(len(ours._fields)))
    assert pickle.loads(pickle.dumps(made)) == made


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Metric("", "", "gauge"), "a metric name must not be empty"),
        (lambda: Metric("\ud800", "", "gauge"), "lone surrogate at position 1"),
        (lambda: Metric("a", "", "meter"), "metric \"a\": expected one of the types counter, gauge, .*, got 'meter'"),
        (lambda: CounterMetricFamily("_total", ""), "a metric name must not be empty"),
        (
            lambda: GaugeMetricFamily("a", "", value=1, labels=["x"]),
            'gauge "a": expected either a value or labels, got both',
        ),
        (lambda: UnknownMetricFamily("a", "", value=1, labels=[]), "expected either a value or labels"),
        (lambda: CounterMetricFamily("a", "", value=1, labels=[]), "expected either a value or labels"),
        (lambda: SummaryMetricFamily("a", "", count_value=1, sum_value=1, labels=[]), "expected either a value or"),
        (lambda: SummaryMetricFamily("a", "", count_value=1), "expected both count_value and sum_value or neither"),
        (lambda: SummaryMetricFamily("a", "", sum_value=1), "or neither, got None and 1"),
        (lambda: HistogramMetricFamily("a", "", buckets=[("+Inf", 1)], labels=[]), "expected either a value or"),
        (lambda: HistogramMetricFamily("a", "", sum_value=1), "expected buckets with the sum, got the sum 1 alone"),
        (lambda: HistogramMetricFamily("a", "", buckets=[]), 'expected at least the bucket "\\+Inf", got none'),
        (lambda: GaugeHistogramMetricFamily("a", "", buckets=[]), 'expected at least the bucket "\\+Inf", got none'),
        (lambda: GaugeHistogramMetricFamily("a", "", buckets=[("+Inf", 1)], labels=[]), "expected either a value or"),
        (lambda: InfoMetricFamily("a", "", value={}, labels=[]), "expected either a value or labels"),
        (lambda: StateSetMetricFamily("a", "", value={}, labels=[]), "expected either a value or labels"),
        (lambda: Timestamp(1, 1e9), "nanoseconds of a Timestamp must be from 0 to 999999999, got 1000000000.0"),
        (lambda: Timestamp(1, -1), "nanoseconds of a Timestamp must be from 0 to 999999999, got -1"),
    ],
)
def test_what_makes_no_family_is_refused(make: Callable[[], object], message: str) -> None:
    """Arguments that contradict each other are refused at once, by a message with the family's name and both sides."""
    with pytest.raises(ValueError, match=message):
        make()


def test_a_name_that_is_no_text_is_refused() -> None:
    """A family's name must be a str, also where a suffix would be taken off it."""
    for make in (Metric, CounterMetricFamily):
        with pytest.raises(TypeError, match="a metric name must be a str, got int: 5"):
            make(5, "", "counter")  # type: ignore[arg-type]


def test_the_wrong_number_of_label_values_is_refused() -> None:
    """As many label values as label names, or an error that names the family and shows both."""
    family = CounterMetricFamily("view", "", labels=["product"])
    with pytest.raises(ValueError) as caught:
        family.add_metric(["a", "b"], 1)
    assert str(caught.value) == "counter \"view\" has 1 label (product), got 2 values: ('a', 'b')"
    with pytest.raises(ValueError, match=r"gauge \"g\" has 0 labels, got 1 value: \('a',\)"):
        GaugeMetricFamily("g", "").add_metric(["a"], 1)
    assert family.samples == []


def test_label_values_are_what_str_gives() -> None:
    """Label values that are no text become text where they are given, not at the scrape."""
    family = GaugeMetricFamily("a", "", labels=["x"])
    family.add_metric([5], 1)  # type: ignore[list-item]
    assert family.samples == [Sample("a", {"x": "5"}, 1)]


def test_a_gauge_histogram_without_sum_has_no_count() -> None:
    """OpenMetrics has _gcount and _gsum both or neither, so neither is there when the sum is not known."""
    family = GaugeHistogramMetricFamily("a", "", buckets=[("+Inf", 3)])
    assert [sample.name for sample in family.samples] == ["a_bucket"]


def test_samples_do_not_share_their_labels() -> None:
    """Changing the labels of one sample leaves the others of its series alone."""
    family = HistogramMetricFamily("a", "", labels=["x"])
    family.add_metric(["1"], [("+Inf", 1)], 2)
    family.samples[1].labels["x"] = "2"
    assert [sample.labels["x"] for sample in family.samples] == ["1", "2", "1"]


def test_restricting_a_family_keeps_what_it_is() -> None:
    """The restricted family has the wanted samples, and documentation, type and unit as before; none means None."""
    family = SummaryMetricFamily("a", "help", count_value=1, sum_value=2, unit="seconds")
    restricted = family._restricted_metric({"a_seconds_sum", "b"})
    assert restricted is not None
    assert family_as_plain(restricted)[:4] == ["a_seconds", "help", "summary", "seconds"]
    assert restricted.samples == [Sample("a_seconds_sum", {}, 2)]
    assert family._restricted_metric({"b"}) is None


def test_families_are_equal_by_what_they_hold() -> None:
    """Equal are families with equal parts, and no other object; a family cannot be the key of a dict."""
    one, other = GaugeMetricFamily("a", "help", value=1), Metric("a", "help", "gauge")
    assert one != other
    other.add_sample("a", {}, 1.0)
    assert one == other and one != "a"
    with pytest.raises(TypeError):
        hash(one)


def test_exemplars_and_timestamps_are_kept_by_add_sample() -> None:
    """add_sample stores what it is given, untouched."""
    metric = Metric("a", "", "counter")
    exemplar = Exemplar({"t": "1"}, 2)
    metric.add_sample("a_total", {"x": "1"}, 3, Timestamp(4, 5), exemplar)
    assert metric.samples == [Sample("a_total", {"x": "1"}, 3, Timestamp(4, 5), exemplar, None)]


def test_timestamps_are_ordered_and_exact() -> None:
    """Timestamps compare by seconds and nanoseconds, are hashable, and give seconds as a float."""
    moments = [Timestamp(-2, 0), Timestamp(-1, 500_000_000), Timestamp(-1, 0), Timestamp(0, 1), Timestamp(5, 0)]
    assert sorted([moments[index] for index in (4, 2, 0, 3, 1)]) == moments
    assert moments[0] < moments[1] <= moments[1] and moments[4] > moments[3] >= moments[3]
    assert len({Timestamp(1, 2), Timestamp(1, 2), Timestamp(1, 3)}) == 2
    assert float(moments[1]) == -1.5 and Timestamp(1, 0) != 1.0
    with pytest.raises(TypeError):
        assert Timestamp(1, 0) < 2.0  # type: ignore[operator]


def test_timestamps_are_written_as_they_are_read() -> None:
    """The text of a timestamp has nine digits of nanoseconds and one sign, also before 1970."""
    assert [str(Timestamp(12, 5)), str(Timestamp(-1, 500_000_000))] == ["12.000000005", "-1.500000000"]
    assert repr(Timestamp(12, 5)) == "Timestamp(12, 5)"


def test_importing_families_loads_nothing_heavy() -> None:
    """Neither `typing` nor `re`, which cost more than all of this, is loaded for families."""
    code = (
        "import sys, pyrometer; before = set(sys.modules); import pyrometer.families;"
        "print(sorted({'re', 'typing', 'enum', 'dataclasses'} & (set(sys.modules) - before)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
