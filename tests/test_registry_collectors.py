"""Custom collectors of every manner, and their registration."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import prometheus_client
import pytest
from custom_collectors import PAGE, AsyncGenerator, Coroutine, Generator, Plain, gauge

from pyrometer import (
    CollectorRegistry,
    Counter,
    DuplicateTimeseries,
    Gauge,
    Policy,
    generate_latest,
    generate_latest_async,
)
from pyrometer.families import CounterMetricFamily, GaugeMetricFamily, Metric

COLLECTORS: list[Callable[[], Any]] = [Plain, Generator, Coroutine, AsyncGenerator]


# --- collectors of every manner --------------------------------------------------------------------------------------


@pytest.mark.parametrize("collector", COLLECTORS)
def test_collector_on_a_page(collector: Callable[[], Any], registry: CollectorRegistry) -> None:
    """Plain, generator, coroutine and async generator collectors are served alike, in their place."""
    Gauge("first", "help", registry=registry).set(0)
    registry.register(collector())
    Gauge("last", "help", registry=registry).set(9)
    before = b"# HELP first help\n# TYPE first gauge\nfirst 0\n"
    after = b"# HELP last help\n# TYPE last gauge\nlast 9\n"
    assert generate_latest(registry) == before + PAGE + after
    assert asyncio.run(generate_latest_async(registry)) == before + PAGE + after
    assert [family.name for family in registry.collect()] == ["first", "plain", "plain_too", "last"]
    assert registry.get_sample_value("plain_too") == 2


@pytest.mark.parametrize("collector", COLLECTORS)
def test_collector_without_a_registry(collector: Callable[[], Any]) -> None:
    """A page may be asked of a collector itself; of what has no collect() it is a TypeError."""
    assert generate_latest(collector()) == PAGE
    assert asyncio.run(generate_latest_async(collector())) == PAGE
    wrong: Any = object()
    with pytest.raises(TypeError, match="expected a collector, an object with collect"):
        generate_latest(wrong)


@pytest.mark.parametrize("collector", COLLECTORS)
def test_page_inside_a_running_loop(collector: Callable[[], Any], registry: CollectorRegistry) -> None:
    """generate_latest inside a running loop runs asynchronous collectors on a loop of their own."""
    registry.register(collector())

    async def view() -> bytes:
        return generate_latest(registry)

    assert asyncio.run(view()) == PAGE


@pytest.mark.parametrize("auto_describe", [False, True])
def test_registration_does_not_collect(auto_describe: bool) -> None:
    """collect() never runs at registration, whatever auto_describe says; describe() does."""
    calls: list[str] = []

    class Collector:
        def collect(self) -> Iterable[Metric]:
            calls.append("collect")
            return [gauge("a")]

    class Describing(Collector):
        def describe(self) -> Iterable[Metric]:
            calls.append("describe")
            return [GaugeMetricFamily("b", "help")]

    registry = CollectorRegistry(auto_describe=auto_describe, support_collectors_without_names=auto_describe)
    registry.register(Collector())
    assert calls == []
    registry.register(Describing())
    assert calls == ["describe"]


def test_failing_at_registration_is_the_users(registry: CollectorRegistry) -> None:
    """What describe() raises comes out of register(), and the collector is not there."""

    class Collector(Plain):
        def describe(self) -> Iterable[Metric]:
            raise LookupError("no description")

    with pytest.raises(LookupError, match="no description"):
        registry.register(Collector())
    assert list(registry.collect()) == []


@pytest.mark.parametrize("wrong", [5, None, "collector", object(), Plain, [Plain()]])
def test_what_is_no_collector(wrong: Any, registry: CollectorRegistry) -> None:
    """register() refuses what has no collect(), and a class in place of its object."""
    with pytest.raises(TypeError, match=r"expected a collector, an object with collect\(\), got"):
        registry.register(wrong)


def test_register_twice_and_unregister(registry: CollectorRegistry) -> None:
    """Registering again changes nothing; unregister() takes out, and refuses what is not there."""
    collector = Plain()
    registry.register(collector)
    registry.register(collector)
    assert generate_latest(registry) == PAGE
    registry.unregister(collector)
    assert generate_latest(registry) == b""
    with pytest.raises(KeyError, match="collector Plain is not registered here"):
        registry.unregister(collector)


def test_described_names_collide(registry: CollectorRegistry) -> None:
    """A collector that describes a name which the registry has is refused, and both are named."""

    class Collector:
        def describe(self) -> Iterable[Metric]:
            return [CounterMetricFamily("m", "help")]

        collect = describe

    Gauge("m_total", "help", registry=registry)
    with pytest.raises(DuplicateTimeseries) as caught:
        registry.register(Collector())
    assert caught.value.duplicates == {"m_total"}
    assert (
        f'collector {Collector.__qualname__}: the registry already has m_total from gauge "m_total" ({__file__}:'
        in (str(caught.value))
    )
    other = CollectorRegistry()
    other.register(Collector())
    with pytest.raises(DuplicateTimeseries, match=r'gauge "m_total" .*: the registry already has'):
        Gauge("m_total", "help", registry=other)


def test_metric_moves_between_registries(registry: CollectorRegistry) -> None:
    """A metric may be registered in several registries, and in one that it was not made for."""
    counter = Counter("c", "help", registry=None)
    counter.inc(3)
    other = CollectorRegistry(policy=Policy(created_series=False))
    registry.register(counter)
    other.register(counter)
    assert registry.get_sample_value("c_total") == 3
    assert generate_latest(other) == b"# HELP c_total help\n# TYPE c_total counter\nc_total 3\n"


def test_registry_of_prometheus_client(registry: CollectorRegistry) -> None:
    """A registry of prometheus_client is a collector: what it collects is understood."""
    theirs = prometheus_client.CollectorRegistry()
    prometheus_client.Counter("c", "help", ["a"], registry=theirs).labels("x").inc(2, {"t": "1"})
    prometheus_client.Histogram("h", "help", registry=theirs).observe(0.3)
    prometheus_client.Info("i", "help", registry=theirs).info({"v": "1"})
    registry.register(theirs)
    assert registry.get_sample_value("c_total", {"a": "x"}) == 2
    go = CollectorRegistry(policy=Policy(numbers="go"))
    go.register(theirs)
    assert generate_latest(go) == prometheus_client.generate_latest(theirs)


def test_registry_in_a_registry(registry: CollectorRegistry) -> None:
    """A registry is a collector, too."""
    inner = CollectorRegistry(policy=Policy(created_series=False))
    Counter("inner", "help", registry=inner).inc(2)
    registry.register(inner)
    Gauge("outer", "help", registry=registry)
    assert [family.name for family in registry.collect()] == ["inner", "outer"]
    assert b"inner_total 2\n" in generate_latest(registry)
