"""A collector that fails costs only its own series, and is counted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import pytest
from custom_collectors import PAGE, Generator, Plain, gauge

from pyrometer import (
    CollectorRegistry,
    Counter,
    Gauge,
    Policy,
    generate_latest,
    generate_latest_async,
)
from pyrometer.exposition import OpenMetrics, Text, render
from pyrometer.families import GaugeMetricFamily, Metric

ERRORS = "pyrometer_scrape_errors_total"


class FailingPlain:
    def collect(self) -> Iterable[Metric]:
        raise LookupError("out of order")


class FailingGenerator:
    """Fails after a family was yielded: none of its families is on the page."""

    def collect(self) -> Iterator[Metric]:
        yield gauge("half")
        raise LookupError("out of order")


class FailingCoroutine:
    async def collect(self) -> Iterable[Metric]:
        raise LookupError("out of order")


class FailingAsyncGenerator:
    async def collect(self) -> AsyncIterator[Metric]:
        yield gauge("half")
        raise LookupError("out of order")


class ReturnsNone:
    def collect(self) -> Any:
        return None


class ReturnsNumber:
    def collect(self) -> Any:
        return 5


class YieldsNoMetric:
    def collect(self) -> Any:
        yield "half"


class YieldsNone:
    async def collect(self) -> Any:
        yield None


class ValueIsNoNumber:
    def collect(self) -> Any:
        wrong: Any = "many"
        yield GaugeMetricFamily("half", "help", value=wrong)


class ValueIsNone:
    def collect(self) -> Any:
        metric = Metric("half", "help", "gauge")
        wrong: Any = None
        metric.add_sample("half", {}, wrong)
        yield metric


class LabelIsNoStr:
    def collect(self) -> Any:
        metric = Metric("half", "help", "gauge")
        wrong: Any = {5: "a"}
        metric.add_sample("half", wrong, 1)
        yield metric


class HelpIsNoStr:
    def collect(self) -> Any:
        wrong: Any = None
        yield GaugeMetricFamily("half", wrong, value=1)


class ExitsTheProcess:
    def collect(self) -> Any:
        raise SystemExit(3)


FAILING: list[Callable[[], Any]] = [
    FailingPlain,
    FailingGenerator,
    FailingCoroutine,
    FailingAsyncGenerator,
    ReturnsNone,
    ReturnsNumber,
    YieldsNoMetric,
    YieldsNone,
    ValueIsNoNumber,
    ValueIsNone,
    LabelIsNoStr,
    HelpIsNoStr,
]


def pages(registry: CollectorRegistry) -> list[bytes]:
    """One page of every manner, each of which is a scrape."""
    return [
        generate_latest(registry),
        asyncio.run(generate_latest_async(registry)),
        render(registry, OpenMetrics()),
        render(registry, Text("1.0.0", "allow-utf-8")),
    ]


@pytest.mark.parametrize("collector", FAILING)
def test_failing_collector(
    collector: Callable[[], Any], registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """A collector that fails costs only its own series; it is counted in the same page, and logged once."""
    Gauge("before", "help", registry=registry).set(1)
    registry.register(collector())
    registry.register(Plain())
    name = getattr(collector, "__name__", "")
    with caplog.at_level(logging.WARNING, "pyrometer"):
        for scrape, page in enumerate(pages(registry), 1):
            assert b"\nbefore 1\n" in page
            assert b"\nplain 1\n" in page
            assert b"half" not in page
            assert f'\n{ERRORS}{{collector="{name}"}} {scrape}\n'.encode() in page
    assert [record.message.split(" ")[0] for record in caplog.records] == [name]
    assert caplog.records[0].exc_info is not None


@pytest.mark.parametrize("collector", [*FAILING[:6], *FAILING[6:]])
def test_failing_collector_with_collect(collector: Callable[[], Any], registry: CollectorRegistry) -> None:
    """collect() and get_sample_value() of the registry go on without what fails."""
    registry.register(collector())
    registry.register(Plain())
    assert registry.get_sample_value("plain") == 1
    assert {"plain", "plain_too"} <= {family.name for family in registry.collect()}


@pytest.mark.parametrize("collector", FAILING)
def test_policy_that_does_not_isolate(collector: Callable[[], Any]) -> None:
    """With isolate_errors=False the scrape fails with the collector's own error."""
    registry = CollectorRegistry(policy=Policy(isolate_errors=False))
    registry.register(collector())
    error = LookupError if "Failing" in getattr(collector, "__name__", "") else Exception
    with pytest.raises(error):
        generate_latest(registry)
    with pytest.raises(error):
        asyncio.run(generate_latest_async(registry))


def test_errors_are_counted_by_collector(registry: CollectorRegistry) -> None:
    """Each class of collector that fails has a count of its own; nothing is exposed while none fails."""
    assert ERRORS.encode() not in generate_latest(registry)
    registry.register(FailingPlain())
    registry.register(FailingGenerator())
    generate_latest(registry)
    page = generate_latest(registry)
    for name in ("FailingPlain", "FailingGenerator"):
        assert f'{ERRORS}{{collector="{name}"}} 2\n'.encode() in page
    assert b"# TYPE pyrometer_scrape_errors_total counter\n" in page


def test_family_that_two_collectors_expose(registry: CollectorRegistry) -> None:
    """A family that a collector before has exposed is an error of the second; a page never has a family twice."""
    registry.register(Plain())
    registry.register(Generator())
    page = generate_latest(registry)
    assert page.count(b"# TYPE plain gauge\n") == 1
    assert f'{ERRORS}{{collector="Generator"}}'.encode() in page
    assert registry.get_sample_value("plain") == 1


def test_family_that_a_collector_exposes_twice(registry: CollectorRegistry) -> None:
    """One collector that yields two families of one name does not spoil the page: a page never has a family twice."""

    class Twice:
        def collect(self) -> Iterable[Metric]:
            return [gauge("twice", 1), gauge("twice", 2)]

    registry.register(Twice())
    registry.register(Plain())
    page = generate_latest(registry)
    assert page.count(b"# TYPE twice gauge\n") == 1
    assert b"\nplain 1\n" in page


def test_family_written_like_another(registry: CollectorRegistry) -> None:
    """A collector's family whose name a page writes like another's is an error of the collector."""

    class Dotted:
        def collect(self) -> Iterable[Metric]:
            return [gauge("a.b")]

    Gauge("a_b", "help", registry=registry)
    registry.register(Dotted())
    page = generate_latest(registry)
    assert page.count(b"# TYPE a_b gauge\n") == 1
    assert b"\na_b 0\n" in page
    assert f'collector="{Dotted.__qualname__}"'.encode() in page


def test_family_whose_series_another_has(registry: CollectorRegistry) -> None:
    """A collector's family whose series a metric has already is an error of the collector."""

    class Total:
        def collect(self) -> Iterable[Metric]:
            return [gauge("view_total")]

    Counter("view", "help", registry=registry).inc(5)
    registry.register(Total())
    page = generate_latest(registry)
    assert page.count(b"# TYPE view_total ") == 1
    assert b"\nview_total 5\n" in page
    assert f'collector="{Total.__qualname__}"'.encode() in page


@pytest.mark.parametrize("name", ["pyrometer_scrape_errors", "pyrometer_series_overflow"])
def test_names_of_the_registry_itself(name: str, registry: CollectorRegistry) -> None:
    """What the registry counts about itself is its own: a metric of such a name is refused at definition."""
    with pytest.raises(ValueError, match=name):
        Counter(name, "help", ["collector"], registry=registry)
    with pytest.raises(ValueError, match=name):
        Gauge(name + "_total", "help", registry=registry)


def test_registry_in_a_registry_after_failures(registry: CollectorRegistry) -> None:
    """Where registries lie in one another, the page has the failures of both, in one family."""
    inner = CollectorRegistry()
    inner.register(FailingPlain())
    registry.register(inner)
    registry.register(FailingGenerator())
    for page in (generate_latest(registry), generate_latest(registry)):
        assert page.count(b"# TYPE pyrometer_scrape_errors_total counter\n") == 1
        assert b'pyrometer_scrape_errors_total{collector="FailingGenerator"}' in page


def test_labels_that_pages_write_alike(registry: CollectorRegistry) -> None:
    """A sample whose label names a page would write alike is an error of its collector."""

    class Twins:
        def collect(self) -> Iterable[Metric]:
            metric = Metric("twins", "help", "gauge")
            metric.add_sample("twins", {"a.b": "1", "a_b": "2"}, 1)
            return [metric]

    registry.register(Twins())
    page = generate_latest(registry)
    assert b"\ntwins{" not in page
    assert ERRORS.encode() in page


def test_renders_its_own_registry(registry: CollectorRegistry) -> None:
    """A collector that renders the registry which is scraping it is an error of that collector, and no deadlock."""

    class Mirror:
        def collect(self) -> Iterable[Metric]:
            page = generate_latest(registry)
            yield gauge("mirror", len(page))

    class AsyncMirror:
        async def collect(self) -> Iterable[Metric]:
            page = await generate_latest_async(registry)
            return [gauge("async_mirror", len(page))]

    registry.register(Mirror())
    registry.register(AsyncMirror())
    registry.register(Plain())
    for page in pages(registry):
        assert b"\nplain 1\n" in page
        assert ERRORS.encode() in page
    assert registry.get_sample_value("plain") == 1


def test_process_may_exit_in_a_collector(registry: CollectorRegistry) -> None:
    """What is no Exception (SystemExit, KeyboardInterrupt) is nobody's failure: it comes through, and the next scrape
    works."""
    collector = ExitsTheProcess()
    registry.register(collector)
    for _ in range(2):
        with pytest.raises(SystemExit):
            generate_latest(registry)
    registry.unregister(collector)
    registry.register(Plain())
    assert generate_latest(registry) == PAGE
