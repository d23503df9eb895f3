"""Custom collectors, what they cost when they fail, restricted registries, sample values and target_info."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import prometheus_client
import pytest

from pyrometer import (
    CollectorRegistry,
    Counter,
    DuplicateTimeseries,
    Gauge,
    Histogram,
    Info,
    Policy,
    Summary,
    generate_latest,
    generate_latest_async,
)
from pyrometer.exposition import OpenMetrics, Text, render
from pyrometer.families import CounterMetricFamily, GaugeMetricFamily, Metric

ERRORS = "pyrometer_scrape_errors_total"


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry of the test's own."""
    return CollectorRegistry()


def gauge(name: str, value: float = 1) -> GaugeMetricFamily:
    """A gauge family of one sample."""
    return GaugeMetricFamily(name, "help", value=value)


class Plain:
    """A collector whose collect() returns a list."""

    def collect(self) -> Iterable[Metric]:
        return [gauge("plain", 1), gauge("plain_too", 2)]


class Generator:
    """A collector whose collect() is a generator."""

    def collect(self) -> Iterator[Metric]:
        yield gauge("plain", 1)
        yield gauge("plain_too", 2)


class Coroutine:
    """A collector whose collect() is a coroutine function."""

    async def collect(self) -> Iterable[Metric]:
        await asyncio.sleep(0)
        return [gauge("plain", 1), gauge("plain_too", 2)]


class AsyncGenerator:
    """A collector whose collect() is an async generator."""

    async def collect(self) -> AsyncIterator[Metric]:
        yield gauge("plain", 1)
        await asyncio.sleep(0)
        yield gauge("plain_too", 2)


COLLECTORS: list[Callable[[], Any]] = [Plain, Generator, Coroutine, AsyncGenerator]
PAGE = b"# HELP plain help\n# TYPE plain gauge\nplain 1\n# HELP plain_too help\n# TYPE plain_too gauge\nplain_too 2\n"


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
    with pytest.raises(TypeError, match="expected a registry or a collector"):
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


# --- failures --------------------------------------------------------------------------------------------------------


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
