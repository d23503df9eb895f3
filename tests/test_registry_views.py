"""Parts of a registry: restricted registries, sample values, target_info."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import prometheus_client
import pytest
from custom_collectors import Plain, gauge

from pyrometer import (
    CollectorRegistry,
    Counter,
    DuplicateTimeseries,
    Gauge,
    Histogram,
    Info,
    Summary,
    generate_latest,
    generate_latest_async,
)
from pyrometer.exposition import OpenMetrics, render
from pyrometer.families import GaugeMetricFamily, Metric

ERRORS = "pyrometer_scrape_errors_total"


class FailingPlain:
    def collect(self) -> Iterable[Metric]:
        raise LookupError("out of order")


# --- restricted registries -------------------------------------------------------------------------------------------


@pytest.fixture
def full(registry: CollectorRegistry) -> CollectorRegistry:
    """A registry with a family of several kinds."""
    Counter("c", "help", registry=registry).inc(2)
    Gauge("g", "help", registry=registry).set(3)
    Summary("s", "help", registry=registry).observe(4)
    Histogram("h", "help", registry=registry, buckets=[1]).observe(0.5)
    Info("i", "help", registry=registry).info({"v": "1"})
    registry.register(Plain())
    return registry


@pytest.mark.parametrize(
    ("names", "series"),
    [
        (["c_total"], ["c_total"]),
        (["c_created"], ["c_created"]),
        (["c"], []),
        (["g", "s_sum"], ["g", "s_sum"]),
        (["s_count", "s_sum"], ["s_count", "s_sum"]),
        (["h_bucket"], ["h_bucket", "h_bucket"]),
        (["h_count", "h_sum"], ["h_count", "h_sum"]),
        (["i_info"], ["i_info"]),
        (["plain_too"], ["plain_too"]),
        (["nowhere"], []),
        ([], []),
    ],
)
def test_restricted(full: CollectorRegistry, names: list[str], series: list[str]) -> None:
    """A restricted registry has the series of the names that were given, and no others."""
    restricted = full.restricted_registry(names)
    assert [sample.name for family in restricted.collect() for sample in family.samples] == series
    for page in (generate_latest(restricted), asyncio.run(generate_latest_async(restricted))):
        lines = [line for line in page.decode().splitlines() if not line.startswith("#")]
        assert sorted(line.partition(" ")[0].partition("{")[0] for line in lines) == sorted(series)
    lines = [line for line in render(restricted, OpenMetrics()).decode().splitlines() if not line.startswith("#")]
    assert sorted(line.partition(" ")[0].partition("{")[0] for line in lines) == sorted(series)


def test_restricted_as_prometheus_client(full: CollectorRegistry) -> None:
    """The families of a restricted registry are those of prometheus_client's."""
    theirs = prometheus_client.CollectorRegistry()
    prometheus_client.Counter("c", "help", registry=theirs).inc(2)
    prometheus_client.Gauge("g", "help", registry=theirs).set(3)
    for names in (["c_total"], ["g"], ["c_total", "g"], ["c"], []):
        ours = [(f.name, f.type, list(map(repr, f.samples))) for f in full.restricted_registry(names).collect()]
        expected = [(f.name, f.type, list(map(repr, f.samples))) for f in theirs.restricted_registry(names).collect()]
        assert sorted(ours) == sorted(expected)


def test_restricted_after_failures(registry: CollectorRegistry) -> None:
    """What the registry counts about itself is chosen by name like any other series."""
    Gauge("g", "help", registry=registry)
    registry.register(FailingPlain())
    generate_latest(registry)
    assert [family.name for family in registry.restricted_registry(["g"]).collect()] == ["g"]
    assert b"pyrometer" not in generate_latest(registry.restricted_registry(["g"]))
    [own] = registry.restricted_registry([ERRORS]).collect()
    assert [sample.name for sample in own.samples] == [ERRORS]


def test_restricted_runs_only_what_it_needs(registry: CollectorRegistry) -> None:
    """Collectors that describe themselves, and callbacks, do not run for names that are not theirs."""
    calls: list[str] = []

    class Describing:
        def describe(self) -> Iterable[Metric]:
            return [GaugeMetricFamily("described", "help")]

        def collect(self) -> Iterable[Metric]:
            calls.append("collector")
            return [gauge("described")]

    registry.register(Describing())

    def called() -> float:
        calls.append("callback")
        return 1

    Gauge("called", "help", registry=registry).set_function(called)
    Gauge("g", "help", registry=registry)
    generate_latest(registry.restricted_registry(["g"]))
    assert calls == []
    assert b"called 1" in generate_latest(registry.restricted_registry(["called"]))
    assert calls == ["callback"]


def test_restricted_again(full: CollectorRegistry) -> None:
    """A restricted registry can be restricted further, and is live: what changes later is in its pages."""
    restricted = full.restricted_registry(["g", "c_total"]).restricted_registry(["g", "s_sum"])
    assert [family.name for family in restricted.collect()] == ["g"]
    Gauge("g", "help", registry=full).set(77)
    assert b"g 77\n" in generate_latest(restricted)


# --- sample values ---------------------------------------------------------------------------------------------------


def test_get_sample_value(full: CollectorRegistry) -> None:
    """A series is found by its full name and all of its labels; None where there is no such series."""
    assert full.get_sample_value("c_total") == 2
    assert full.get_sample_value("c_total", {}) == 2
    assert full.get_sample_value("h_bucket", {"le": "1.0"}) == 1
    assert full.get_sample_value("i_info", {"v": "1"}) == 1
    assert full.get_sample_value("plain") == 1
    assert full.get_sample_value("c") is None
    assert full.get_sample_value("c_total", {"a": "x"}) is None
    assert full.get_sample_value("h_bucket") is None
    assert full.get_sample_value("h_bucket", {"le": "1"}) is None


# --- target_info -----------------------------------------------------------------------------------------------------


def test_target_info() -> None:
    """target_info stands first on a page; its labels can be read, set anew and taken away."""
    registry = CollectorRegistry(target_info={"env": "test", "a": 'q"'})
    Gauge("g", "help", registry=registry)
    assert registry.get_target_info() == {"env": "test", "a": 'q"'}
    assert generate_latest(registry).startswith(
        b'# HELP target_info Target metadata\n# TYPE target_info gauge\ntarget_info{a="q\\"",env="test"} 1\n# HELP g '
    )
    assert render(registry, OpenMetrics()).startswith(
        b'# HELP target Target metadata\n# TYPE target info\ntarget_info{a="q\\"",env="test"} 1\n# HELP g '
    )
    assert registry.get_sample_value("target_info", {"env": "test", "a": 'q"'}) == 1
    registry.set_target_info({"env": "prod"})
    assert registry.get_sample_value("target_info", {"env": "prod"}) == 1
    registry.set_target_info(None)
    assert registry.get_target_info() is None
    assert b"target_info" not in generate_latest(registry)


def test_target_info_and_metrics_of_its_name() -> None:
    """target_info is a name like any other: who comes second is refused."""
    registry = CollectorRegistry(target_info={"env": "test"})
    with pytest.raises(DuplicateTimeseries):
        Info("target", "help", registry=registry)
    with pytest.raises(DuplicateTimeseries):
        Gauge("target_info", "help", registry=registry)
    registry.set_target_info(None)
    Info("target", "help", registry=registry)
    with pytest.raises(ValueError, match=r'target_info: the registry already has it from info "target"'):
        registry.set_target_info({"env": "test"})


def test_restricted_target_info() -> None:
    """A restricted registry has target_info when it is asked for by name."""
    registry = CollectorRegistry(target_info={"env": "test"})
    Gauge("g", "help", registry=registry)
    restricted = registry.restricted_registry(["target_info", "g"])
    assert [family.name for family in restricted.collect()] == ["target", "g"]
    assert [family.name for family in registry.restricted_registry(["g"]).collect()] == ["g"]


@pytest.mark.parametrize("labels", [{"env": 1}, {1: "env"}, ["env"], "env", {"": "x"}])
def test_wrong_target_info(labels: Any, registry: CollectorRegistry) -> None:
    """Labels that a page could not show are refused where they are set."""
    with pytest.raises((TypeError, ValueError), match="target_info"):
        registry.set_target_info(labels)
    assert registry.get_target_info() is None
    with pytest.raises((TypeError, ValueError), match="target_info"):
        CollectorRegistry(target_info=labels)
