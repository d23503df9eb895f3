"""The cap on label sets: what comes past `max_series`, for each kind and for callbacks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from pyrometer import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Policy, Summary, generate_latest

KINDS: dict[str, Callable[..., Any]] = {
    "counter": Counter,
    "gauge": Gauge,
    "summary": Summary,
    "histogram": Histogram,
    "info": Info,
    "stateset": lambda *args, **kwargs: Enum(*args, states=["x", "y"], **kwargs),
}
COUNTING = ["counter", "summary", "histogram"]
OTHERS = ["gauge", "info", "stateset"]


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry of the test's own, without _created series."""
    return CollectorRegistry(policy=Policy(created_series=False))


def touch(kind: str, child: Any) -> None:
    """Change a child of any kind."""
    changes: dict[str, Callable[[], object]] = {
        "counter": lambda: child.inc(),
        "gauge": lambda: child.set(1),
        "summary": lambda: child.observe(1),
        "histogram": lambda: child.observe(1),
        "info": lambda: child.info({"v": "1"}),
        "stateset": lambda: child.state("y"),
    }
    changes[kind]()


def label_values(registry: CollectorRegistry, name: str, label: str = "a") -> set[str]:
    """The values of a label of a family's series."""
    return {
        sample.labels[label]
        for family in registry.collect()
        if family.name == name
        for sample in family.samples
        if label in sample.labels
    }


def overflow(registry: CollectorRegistry, family: str) -> float | None:
    """How many label sets the registry counted past the cap of a family."""
    return registry.get_sample_value("pyrometer_series_overflow_total", {"family": family})


@pytest.mark.parametrize("kind", COUNTING)
def test_past_the_cap_one_child_counts(
    kind: str, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """Counters, summaries and histograms count what is past the cap in the child `__overflow__`: no event is lost."""
    metric = KINDS[kind]("m", "help", ["a"], registry=registry, max_series=3)
    with caplog.at_level(logging.WARNING, "pyrometer"):
        for i in range(10):
            touch(kind, metric.labels(i))
            touch(kind, metric.labels(a=str(i)))
    assert label_values(registry, "m") == {"0", "1", "2", "__overflow__"}
    series = {"counter": "m_total", "summary": "m_count", "histogram": "m_count"}[kind]
    assert [registry.get_sample_value(series, {"a": a}) for a in ("0", "1", "2", "__overflow__")] == [2, 2, 2, 14]
    [record] = caplog.records
    assert record.message == (
        f"{kind} \"m\" has 3 series, all that max_series allows: {{'a': '3'}} and further label sets are "
        'counted as "__overflow__"'
    )


@pytest.mark.parametrize("kind", OTHERS)
def test_past_the_cap_nothing_is_exposed(
    kind: str, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """Gauges, infos and enums past the cap can be used and are not exposed: their mixture would mean nothing."""
    metric = KINDS[kind]("m", "help", ["a"], registry=registry, max_series=3)
    with caplog.at_level(logging.WARNING, "pyrometer"):
        for i in range(10):
            touch(kind, metric.labels(i))
    assert label_values(registry, "m") == {"0", "1", "2"}
    assert [record.message for record in caplog.records] == [
        f"{kind} \"m\" has 3 series, all that max_series allows: {{'a': '3'}} and further label sets are not exposed"
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_overflow_is_counted(kind: str, registry: CollectorRegistry) -> None:
    """The registry counts what came past the cap, by family; nothing while a family keeps within it."""
    metric = KINDS[kind]("m", "help", ["a"], registry=registry, max_series=2)
    fine = KINDS[kind]("fine", "help", ["a"], registry=registry, max_series=2)
    for i in range(2):
        touch(kind, metric.labels(i))
        touch(kind, fine.labels(i))
    assert overflow(registry, "m") is None
    assert b"pyrometer_" not in generate_latest(registry)
    touch(kind, metric.labels("x"))
    assert overflow(registry, "m") == 1
    touch(kind, metric.labels("y"))
    assert overflow(registry, "m") == 2
    touch(kind, metric.labels(1))
    assert overflow(registry, "m") == 2
    assert overflow(registry, "fine") is None
    assert b'# TYPE pyrometer_series_overflow_total counter\npyrometer_series_overflow_total{family="m"} 2\n' in (
        generate_latest(registry)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_removal_makes_room(kind: str, registry: CollectorRegistry) -> None:
    """A label set that is removed makes room for another; the overflow child takes none."""
    metric = KINDS[kind]("m", "help", ["a"], registry=registry, max_series=2)
    for i in range(3):
        touch(kind, metric.labels(i))
    metric.remove(0)
    touch(kind, metric.labels("new"))
    assert label_values(registry, "m") - {"__overflow__"} == {"1", "new"}
    metric.clear()
    assert label_values(registry, "m") == set()
    for i in range(3):
        touch(kind, metric.labels(i))
    assert label_values(registry, "m") - {"__overflow__"} == {"0", "1"}


def test_a_histogram_child_is_one(registry: CollectorRegistry) -> None:
    """The cap counts label sets, not lines: a histogram child is one of them."""
    histogram = Histogram("h", "help", ["a"], registry=registry, max_series=2, buckets=range(1, 50))
    histogram.labels("1").observe(1)
    histogram.labels("2").observe(1)
    assert overflow(registry, "h") is None


def test_default_cap(registry: CollectorRegistry) -> None:
    """Without max_series a family has 10,000 label sets."""
    counter = Counter("c", "help", ["a"], registry=registry)
    for i in range(10_001):
        counter.labels(i).inc()
    values = label_values(registry, "c")
    assert len(values) == 10_001
    assert "__overflow__" in values and "10000" not in values


def test_no_cap(registry: CollectorRegistry) -> None:
    """max_series=None is no cap."""
    counter = Counter("c", "help", ["a"], registry=registry, max_series=None)
    for i in range(10_500):
        counter.labels(i).inc()
    assert len(label_values(registry, "c")) == 10_500
    assert overflow(registry, "c") is None


def test_several_labels(registry: CollectorRegistry) -> None:
    """Every label of the overflow child is `__overflow__`."""
    counter = Counter("c", "help", ["a", "b"], registry=registry, max_series=1)
    counter.labels("1", "2").inc()
    counter.labels("1", "3").inc(5)
    counter.labels(a="2", b="3").inc(5)
    assert registry.get_sample_value("c_total", {"a": "__overflow__", "b": "__overflow__"}) == 10


def test_no_registry() -> None:
    """A family of no registry has its cap, too."""
    counter = Counter("c", "help", ["a"], registry=None, max_series=1)
    counter.labels("1").inc()
    counter.labels("2").inc(5)
    counter.labels("3").inc(5)
    assert [(s.labels["a"], s.value) for s in counter.collect()[0].samples if s.name == "c_total"] == [
        ("1", 1),
        ("__overflow__", 10),
    ]


@pytest.mark.parametrize("kind", ["counter", "gauge"])
def test_mapping_of_a_function(kind: str, registry: CollectorRegistry) -> None:
    """A function's mapping is capped as labels() is: a counter's rest is one sum, a gauge's is left out."""
    metric = KINDS[kind]("m", "help", ["a"], registry=registry, max_series=2)
    metric.set_function(lambda: {str(i): 10**i for i in range(5)})
    series = "m_total" if kind == "counter" else "m"
    for _ in range(2):
        page = generate_latest(registry)
        assert f'{series}{{a="0"}} 1\n'.encode() in page
        assert f'{series}{{a="1"}} 10\n'.encode() in page
        if kind == "counter":
            assert b'm_total{a="__overflow__"} 11100\n' in page
        else:
            assert b"__overflow__" not in page
            assert b'a="2"' not in page
    assert (overflow(registry, "m") or 0) >= 3
    assert registry.get_sample_value("pyrometer_scrape_errors_total", {"collector": "m"}) is None


def test_shrinking_rest_of_a_function(registry: CollectorRegistry) -> None:
    """The overflow child of a function's mapping is what the mapping has now, and goes when nothing is past the cap."""
    counter = Counter("m", "help", ["a"], registry=registry, max_series=1)
    given: dict[str, float] = {"1": 1, "2": 2, "3": 3}
    counter.set_function(lambda: dict(given))
    assert registry.get_sample_value("m_total", {"a": "__overflow__"}) == 5
    del given["3"]
    assert registry.get_sample_value("m_total", {"a": "__overflow__"}) == 2
    del given["2"]
    assert registry.get_sample_value("m_total", {"a": "1"}) == 1
    assert registry.get_sample_value("m_total", {"a": "__overflow__"}) is None


def test_functions_of_children_past_the_cap(registry: CollectorRegistry) -> None:
    """A gauge child past the cap takes a function without harm; it is not exposed."""
    gauge = Gauge("g", "help", ["a"], registry=registry, max_series=1)
    gauge.labels("1").set_function(lambda: 1)
    gauge.labels("2").set_function(lambda: 2)
    gauge.labels("3").set_function(lambda: 3)
    assert label_values(registry, "g") == {"1"}
    assert registry.get_sample_value("g", {"a": "1"}) == 1
    assert registry.get_sample_value("pyrometer_scrape_errors_total", {"collector": "g"}) is None


def test_user_that_names_the_overflow_child(registry: CollectorRegistry) -> None:
    """Who counts with `__overflow__` himself counts in the same child."""
    counter = Counter("c", "help", ["a"], registry=registry, max_series=1)
    counter.labels("1").inc()
    counter.labels("2").inc(5)
    counter.labels("__overflow__").inc(1)
    assert registry.get_sample_value("c_total", {"a": "__overflow__"}) == 6
