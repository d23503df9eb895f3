"""The same metric defined twice, and metrics whose names a page would write alike."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pyrometer import (
    CollectorRegistry,
    Counter,
    DuplicateTimeseries,
    Enum,
    Gauge,
    Histogram,
    Info,
    Policy,
    Summary,
    generate_latest,
)
from pyrometer.families import GaugeMetricFamily, Metric

KINDS: list[Callable[..., Any]] = [
    Counter,
    Gauge,
    Summary,
    Histogram,
    Info,
    lambda *args, **kwargs: Enum(*args, states=["x", "y"], **kwargs),
]


def here() -> str:
    """`file:line` of the caller."""
    frame = sys._getframe(1)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


# --- the same definition ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labelnames", [[], ["a", "b"]])
def test_same_definition_is_the_same_object(kind: Any, labelnames: list[str], registry: CollectorRegistry) -> None:
    """A definition that the registry has gives the object that is there; documentation and cap may differ."""
    metric = kind("m", "help", labelnames, registry=registry)
    assert kind("m", "help", tuple(labelnames), registry=registry) is metric
    assert kind("m", "other words", iter(labelnames), registry=registry, max_series=5) is metric
    assert [family.documentation for family in registry.collect()] == ["help"]


def test_same_full_name_in_other_parts(registry: CollectorRegistry) -> None:
    """It is the full name that counts, however it is put together."""
    counter = Counter("a_b_c_seconds_total", "help", registry=registry, unit="seconds")
    assert Counter("c", "help", namespace="a", subsystem="b", unit="seconds", registry=registry) is counter
    assert Counter("b_c_total", "help", namespace="a", unit="seconds", registry=registry) is counter


def test_counts_stay(registry: CollectorRegistry) -> None:
    """The second definition changes no value, no exemplar, no child and no beginning."""
    counter = Counter("c", "help", ["a"], registry=registry)
    child = counter.labels("x")
    child.inc(5, {"trace": "1"})
    before = counter.collect()
    again = Counter("c", "help", ["a"], registry=registry)
    assert again.labels("x") is child
    assert again.collect() == before


def test_no_second_init(registry: CollectorRegistry) -> None:
    """What a subclass sets up in __init__ after the metric's own is not set up again on the object that is there."""

    class Timed(Gauge):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            initialised.append(self)

    initialised: list[object] = []
    gauge = Timed("g", "help", registry=registry)
    gauge.set(5)
    assert Timed("g", "help", registry=registry) is gauge
    assert initialised.count(gauge) == 1
    assert registry.get_sample_value("g") == 5


def test_state_of_an_enum_stays(registry: CollectorRegistry) -> None:
    """An enum defined again keeps its state, an info its text, a histogram its counts, a gauge its function."""
    Enum("e", "help", registry=registry, states=["a", "b"]).state("b")
    Info("i", "help", registry=registry).info({"v": "1"})
    Histogram("h", "help", registry=registry, buckets=[1, 2]).observe(1)
    Gauge("g", "help", registry=registry).set_function(lambda: 7)
    Enum("e", "help", registry=registry, states=("a", "b"))
    Info("i", "help", registry=registry)
    Histogram("h", "help", registry=registry, buckets=["1", "2", "+Inf"])
    Gauge("g", "help", registry=registry)
    assert registry.get_sample_value("e", {"e": "b"}) == 1
    assert registry.get_sample_value("i_info", {"v": "1"}) == 1
    assert registry.get_sample_value("h_count") == 1
    assert registry.get_sample_value("g") == 7


def test_other_registries_have_their_own(registry: CollectorRegistry) -> None:
    """Registries, and metrics of none, know nothing of one another's definitions."""
    other = CollectorRegistry()
    metrics = [Counter("c", "help", registry=where) for where in (registry, other, None, None)]
    assert len({id(metric) for metric in metrics}) == 4
    metrics[0].inc(5)
    assert other.get_sample_value("c_total") == 0


def test_defined_anew_after_unregister(registry: CollectorRegistry) -> None:
    """After unregister() the name is free: a new definition is a new object from zero, and may be another kind."""
    counter = Counter("c", "help", registry=registry)
    counter.inc(5)
    registry.unregister(counter)
    again = Counter("c", "help", registry=registry)
    assert again is not counter
    assert registry.get_sample_value("c_total") == 0
    registry.unregister(again)
    Gauge("c", "help", registry=registry).set(1)
    assert registry.get_sample_value("c") == 1


def test_threads_that_define_at_once(registry: CollectorRegistry) -> None:
    """Threads that define the same metric at the same moment get one object, and no count is lost."""
    barrier = threading.Barrier(8)
    got: list[Counter] = []

    def define() -> None:
        barrier.wait()
        counter = Counter("c", "help", ["a"], registry=registry)
        got.append(counter)
        for _ in range(100):
            counter.labels("x").inc()

    threads = [threading.Thread(target=define) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(counter) for counter in got}) == 1
    assert registry.get_sample_value("c_total", {"a": "x"}) == 800


# --- another definition ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "difference"),
    [
        (lambda r: Counter("m", "h", registry=r), lambda r: Gauge("m", "h", registry=r), "kind 'gauge', not 'counter'"),
        (
            lambda r: Counter("m", "h", ["a", "b"], registry=r),
            lambda r: Counter("m", "h", ["b", "a"], registry=r),
            "labels ('b', 'a'), not ('a', 'b')",
        ),
        (
            lambda r: Counter("m", "h", ["a"], registry=r),
            lambda r: Counter("m", "h", registry=r),
            "labels (), not ('a',)",
        ),
        (
            lambda r: Gauge("m_seconds", "h", registry=r),
            lambda r: Gauge("m", "h", registry=r, unit="seconds"),
            "unit 'seconds', not ''",
        ),
        (
            lambda r: Histogram("m", "h", registry=r, buckets=[1, 2]),
            lambda r: Histogram("m", "h", registry=r, buckets=[1, 3]),
            "buckets (1.0, 3.0, inf), not (1.0, 2.0, inf)",
        ),
        (
            lambda r: Enum("m", "h", registry=r, states=["a", "b"]),
            lambda r: Enum("m", "h", registry=r, states=["b", "a"]),
            "states ('b', 'a'), not ('a', 'b')",
        ),
        (
            lambda r: Gauge("m", "h", registry=r, multiprocess_mode="sum"),
            lambda r: Gauge("m", "h", registry=r),
            "multiprocess_mode None, not 'sum'",
        ),
    ],
)
def test_another_definition_is_refused(first: Any, second: Any, difference: str, registry: CollectorRegistry) -> None:
    """A definition that differs is refused with both places and what differs; the first one stays."""
    first(registry)
    before = registry.restricted_registry(["m"]).collect()
    with pytest.raises(DuplicateTimeseries) as caught:
        second(registry)
    message = str(caught.value)
    places = {f"{__file__}:{make.__code__.co_firstlineno}" for make in (first, second)}
    assert all(place in message for place in places), message
    assert message.endswith(": " + difference)
    assert caught.value.duplicates == {"m" if "seconds" not in message else "m_seconds"}
    assert list(registry.restricted_registry(["m"]).collect()) == list(before)


def test_both_places_are_named(registry: CollectorRegistry) -> None:
    """The error has file and line of the first and of the second definition."""
    first = here()
    Counter("m", "help", registry=registry)
    with pytest.raises(DuplicateTimeseries) as caught:
        Gauge("m", "help", registry=registry)
    path, _, line = first.rpartition(":")
    assert str(caught.value) == (
        f'gauge "m" ({path}:{int(line) + 3}) is already defined ({path}:{int(line) + 1}) otherwise: '
        "kind 'gauge', not 'counter'"
    )


def test_place_of_a_subclass(registry: CollectorRegistry) -> None:
    """The place of a definition is the line that made the object, through a subclass of the library's class."""

    class Mine(Counter):
        pass

    Counter("m", "help", registry=registry)
    with pytest.raises(DuplicateTimeseries, match=r"class .*Mine, not Counter"):
        Mine("m", "help", registry=registry)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda r: Counter("m", "h", registry=r), lambda r: Gauge("m_total", "h", registry=r)),
        (lambda r: Counter("m", "h", registry=r), lambda r: Gauge("m_created", "h", registry=r)),
        (lambda r: Gauge("m_total", "h", registry=r), lambda r: Counter("m", "h", registry=r)),
        (lambda r: Histogram("m", "h", registry=r), lambda r: Gauge("m_bucket", "h", registry=r)),
        (lambda r: Gauge("m_count", "h", registry=r), lambda r: Summary("m", "h", registry=r)),
        (lambda r: Gauge("m_sum", "h", registry=r), lambda r: Histogram("m", "h", registry=r)),
        (lambda r: Info("m", "h", registry=r), lambda r: Gauge("m_info", "h", registry=r)),
        (lambda r: Gauge("m", "h", registry=r), lambda r: Counter("m", "h", registry=r)),
        (lambda r: Info("m", "h", registry=r), lambda r: Counter("m", "h", registry=r)),
    ],
)
def test_series_names_that_collide(first: Any, second: Any, registry: CollectorRegistry) -> None:
    """Families that differ, but would have series of the same name, are refused as well, in either order."""
    first(registry)
    page = generate_latest(registry)
    with pytest.raises(DuplicateTimeseries) as caught:
        second(registry)
    for make in (first, second):
        assert f"{__file__}:{make.__code__.co_firstlineno}" in str(caught.value)
    assert caught.value.duplicates
    assert generate_latest(registry) == page


def test_suffix_without_collision(registry: CollectorRegistry) -> None:
    """A name that only looks like another family's series is free."""
    Gauge("m", "help", registry=registry)
    Gauge("m_count", "help", registry=registry)
    Gauge("m_seconds", "help", registry=registry)
    Counter("m_seconds_x", "help", registry=registry)
    assert len(list(registry.collect())) == 4


# --- names that pages write alike ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), [("a.b", "a_b"), ("a_b", "a.b"), ("a b", "a-b"), ("ä", "ö")])
@pytest.mark.parametrize("kind", KINDS)
def test_escaped_names_that_coincide(kind: Any, first: str, second: str) -> None:
    """Two families whose names an escaping scheme makes equal are refused at definition, with both places."""
    registry = CollectorRegistry(policy=Policy(utf8_names=True))
    kind(first, "help", registry=registry)
    with pytest.raises(DuplicateTimeseries) as caught:
        kind(second, "help", registry=registry)
    assert f"name {second!r}, not {first!r}" in str(caught.value)
    assert str(caught.value).count(__file__) == 2
    kind(second + "x", "help", registry=registry)


def test_escaped_series_names_that_coincide() -> None:
    """A gauge that an escaping scheme makes equal to a counter's _total is refused."""
    registry = CollectorRegistry(policy=Policy(utf8_names=True))
    Counter("a.b", "help", registry=registry)
    with pytest.raises(DuplicateTimeseries):
        Gauge("a_b_total", "help", registry=registry)
    Gauge("a.c.total", "help", registry=registry)
    with pytest.raises(DuplicateTimeseries):
        Counter("a.c", "help", registry=registry)


def test_collector_whose_escaped_names_coincide() -> None:
    """A collector that describes a family whose name a page writes like another's is refused at registration."""

    class Collector:
        def describe(self) -> list[Metric]:
            return [GaugeMetricFamily("a.b", "help")]

        collect = describe

    registry = CollectorRegistry()
    Gauge("a_b", "help", registry=registry)
    with pytest.raises(DuplicateTimeseries):
        registry.register(Collector())
