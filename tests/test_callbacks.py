"""Functions that give values when a page is asked for."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from pyrometer import CollectorRegistry, Counter, Gauge, Policy, generate_latest, generate_latest_async

KINDS: dict[str, Callable[..., Any]] = {"counter": Counter, "gauge": Gauge}
SERIES = {"counter": "m_total", "gauge": "m"}
ERRORS = "pyrometer_scrape_errors_total"
NOW = 1_700_000_000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in a list of one."""
    now = [NOW]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def errors(registry: CollectorRegistry, collector: str = "m") -> float:
    """How many failures of a collector the registry has counted; a page is read for it."""
    return registry.get_sample_value(ERRORS, {"collector": collector}) or 0


def value_of(page: bytes, series: str) -> float | None:
    """The value of a line of a page, None without that line."""
    for line in page.decode().splitlines():
        name, _, value = line.rpartition(" ")
        if name == series:
            return float(value)
    return None


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_function(kind: str, registry: CollectorRegistry) -> None:
    """The function's value is on every page, computed anew for each."""
    metric = KINDS[kind]("m", "help", registry=registry)
    values = iter([3, 4.5, True, Decimal("5.5")])
    metric.set_function(lambda: next(values))
    for expected in (3, 4.5, 1, 5.5):
        assert registry.get_sample_value(SERIES[kind]) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_function_is_not_called_before_a_scrape(kind: str, registry: CollectorRegistry) -> None:
    """set_function() calls nothing; each scrape calls once."""
    calls: list[float] = []

    def compute() -> float:
        calls.append(1)
        return 1

    metric = KINDS[kind]("m", "help", registry=registry)
    metric.set_function(compute)
    assert calls == []
    generate_latest(registry)
    assert len(calls) == 1
    asyncio.run(generate_latest_async(registry))
    assert len(calls) == 2
    list(registry.collect())
    assert len(calls) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_async_function(kind: str, registry: CollectorRegistry) -> None:
    """An async function is awaited, whether the page is asked for on a loop, inside one, or without."""
    metric = KINDS[kind]("m", "help", registry=registry)

    async def compute() -> float:
        await asyncio.sleep(0)
        return 7

    async def inside() -> bytes:
        return generate_latest(registry)

    metric.set_function(compute)
    line = f"\n{SERIES[kind]} 7\n".encode()
    assert line in generate_latest(registry)
    assert line in asyncio.run(generate_latest_async(registry))
    assert line in asyncio.run(inside())
    assert registry.get_sample_value(SERIES[kind]) == 7
    assert [sample.value for sample in metric.collect()[0].samples][0] == 7


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_mapping(kind: str, asynchronous: bool, registry: CollectorRegistry) -> None:
    """On a family with labels the function gives all series: keys are tuples, or plain values where there is one."""
    one = KINDS[kind]("one", "help", ["a"], registry=registry)
    two = KINDS[kind]("two", "help", ["b", "a"], registry=registry)
    suffix = "_total" if kind == "counter" else ""

    async def later(result: dict[Any, float]) -> dict[Any, float]:
        return result

    def give(result: dict[Any, float]) -> Any:
        return later(result) if asynchronous else result

    one.set_function(lambda: give({"x": 1, ("y",): 2, 3: 4}))
    two.set_function(lambda: give({("1", 'q"'): 5, (True, None): 6}))
    page = generate_latest(registry)
    assert value_of(page, f'one{suffix}{{a="x"}}') == 1
    assert value_of(page, f'one{suffix}{{a="y"}}') == 2
    assert value_of(page, f'one{suffix}{{a="3"}}') == 4
    assert value_of(page, f'two{suffix}{{a="q\\"",b="1"}}') == 5
    assert value_of(page, f'two{suffix}{{a="None",b="True"}}') == 6
    assert ERRORS.encode() not in page


@pytest.mark.parametrize("kind", KINDS)
def test_mapping_makes_out_all_series(kind: str, registry: CollectorRegistry) -> None:
    """Series that the mapping has no longer are gone from the page, those counted before included."""
    metric = KINDS[kind]("m", "help", ["a"], registry=registry)
    metric.labels("before").inc()
    given: dict[str, float] = {"x": 1, "y": 2}
    metric.set_function(lambda: given)
    assert value_of(generate_latest(registry), f'{SERIES[kind]}{{a="y"}}') == 2
    del given["y"]
    given["z"] = 3
    page = generate_latest(registry)
    assert value_of(page, f'{SERIES[kind]}{{a="x"}}') == 1
    assert value_of(page, f'{SERIES[kind]}{{a="z"}}') == 3
    assert b'"y"' not in page and b'"before"' not in page
    given.clear()
    assert b"{" not in generate_latest(registry)


@pytest.mark.parametrize("kind", KINDS)
def test_children_and_counts_mix(kind: str, registry: CollectorRegistry) -> None:
    """In one family some children count and others have functions."""
    metric = KINDS[kind]("m", "help", ["a"], registry=registry)
    metric.labels("counted").inc(2)
    metric.labels("computed").set_function(lambda: 5)
    page = generate_latest(registry)
    assert value_of(page, f'{SERIES[kind]}{{a="counted"}}') == 2
    assert value_of(page, f'{SERIES[kind]}{{a="computed"}}') == 5
    metric.remove("computed")
    assert b"computed" not in generate_latest(registry)


def test_all_manners_in_one_registry(registry: CollectorRegistry) -> None:
    """inc(), set() and functions live side by side."""
    Counter("c", "help", registry=registry).inc(1)
    Gauge("g", "help", registry=registry).set(2)
    Counter("cf", "help", registry=registry).set_function(lambda: 3)
    Gauge("gf", "help", registry=registry).set_function(lambda: 4)
    assert [registry.get_sample_value(name) for name in ("c_total", "g", "cf_total", "gf")] == [1, 2, 3, 4]


def test_function_set_anew(registry: CollectorRegistry) -> None:
    """The last function counts; two families may share one."""
    gauge = Gauge("m", "help", registry=registry)
    other = Gauge("other", "help", registry=registry)
    gauge.set_function(lambda: 1)
    gauge.set_function(lambda: 2)
    other.set_function(lambda: 3)
    assert registry.get_sample_value("m") == 2
    assert registry.get_sample_value("other") == 3


# --- counters that decrease ------------------------------------------------------------------------------------------


def test_decreasing_counter(clock: list[float], registry: CollectorRegistry, caplog: pytest.LogCaptureFixture) -> None:
    """A counter whose function returns less is served as it is; _created moves; the log says so once."""
    values = iter([10, 20, 5, 6, 2])
    counter = Counter("m", "help", registry=registry)
    counter.set_function(lambda: next(values))
    seen = []
    with caplog.at_level(logging.WARNING, "pyrometer"):
        for _ in range(5):
            clock[0] += 60
            page = generate_latest(registry)
            seen.append((value_of(page, "m_total"), (value_of(page, "m_created") or 0) - NOW))
    assert seen == [(10, 0), (20, 0), (5, 180), (6, 180), (2, 300)]
    [record] = caplog.records
    assert record.getMessage() == (
        'counter "m": its function returned 5.0 after 20.0, which Prometheus reads as a reset '
        "(further ones are not reported)"
    )
    assert errors(registry) == 1  # the iterator's end


def test_decreasing_series_of_a_mapping(
    clock: list[float], registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """Only the series that decreased begins anew."""
    given = {"x": 10.0, "y": 10.0}
    Counter("m", "help", ["a"], registry=registry).set_function(lambda: given)
    generate_latest(registry)
    clock[0] += 60
    given["x"] = 1
    with caplog.at_level(logging.WARNING, "pyrometer"):
        page = generate_latest(registry)
        given["y"] = 1
        generate_latest(registry)
    assert value_of(page, 'm_total{a="x"}') == 1
    assert value_of(page, 'm_created{a="x"}') == NOW + 60
    assert value_of(page, 'm_created{a="y"}') == NOW
    assert len(caplog.records) == 1


def test_decreasing_gauge(registry: CollectorRegistry, caplog: pytest.LogCaptureFixture) -> None:
    """A gauge may go down, below zero, to NaN and infinity without a word."""
    values = iter([10.0, -5.0, math.inf, -math.inf, math.nan])
    Gauge("m", "help", registry=registry).set_function(lambda: next(values))
    with caplog.at_level(logging.WARNING, "pyrometer"):
        got = [registry.get_sample_value("m") for _ in range(5)]
    assert got[:4] == [10, -5, math.inf, -math.inf]
    assert got[4] is not None and math.isnan(got[4])
    assert caplog.records == []


# --- failures --------------------------------------------------------------------------------------------------------


async def async_none() -> None:
    return None


async def async_failure() -> float:
    raise LookupError("out of order")


def failure() -> float:
    raise LookupError("out of order")


NOT_NUMBERS: list[Callable[[], Any]] = [
    lambda: None,
    lambda: "5",
    lambda: b"5",
    lambda: [5],
    lambda: {"x": 1},
    lambda: 1j,
    lambda: object(),
    lambda: "x" * 100_000,
    async_none,
    async_failure,
    failure,
]


@pytest.mark.parametrize("function", NOT_NUMBERS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_number(
    kind: str, function: Callable[[], Any], registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """What is no number is a scrape error of that family alone: left out, counted, logged once."""
    KINDS[kind]("m", "help", registry=registry).set_function(function)
    Gauge("other", "help", registry=registry).set(1)
    with caplog.at_level(logging.WARNING, "pyrometer"):
        for scrape in (1, 2):
            page = generate_latest(registry)
            assert value_of(page, SERIES[kind]) is None
            assert value_of(page, "other") == 1
            assert value_of(page, f'{ERRORS}{{collector="m"}}') == scrape
    assert [record.getMessage().split(" ")[0] for record in caplog.records] == ["m"]
    assert len(caplog.text) < 5000


@pytest.mark.parametrize("value", [-1, -0.5, -math.inf, math.nan])
def test_counter_below_zero(value: float, registry: CollectorRegistry) -> None:
    """A counter's function that gives a negative number or NaN has failed."""
    Counter("m", "help", registry=registry).set_function(lambda: value)
    page = generate_latest(registry)
    assert value_of(page, "m_total") is None
    assert value_of(page, f'{ERRORS}{{collector="m"}}') == 1


@pytest.mark.parametrize(
    "result",
    [
        5,
        None,
        ["x"],
        {"x": None},
        {"x": "5"},
        {("x", "y"): 1},
        {(): 1},
        {"x": 1, ("x",): 2},
        {1: 1, "1": 2},
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_wrong_mapping(kind: str, result: Any, registry: CollectorRegistry) -> None:
    """A mapping of which anything is wrong is an error of the family, whose series are left out until it is right."""
    results: list[Any] = [{"x": 1}, result, {"x": 2}]
    metric = KINDS[kind]("m", "help", ["a"], registry=registry)
    metric.set_function(lambda: results.pop(0))
    series = SERIES[kind] + '{a="x"}'
    assert value_of(generate_latest(registry), series) == 1
    page = generate_latest(registry)
    assert value_of(page, series) is None
    assert b'{a="' not in page
    assert value_of(page, f'{ERRORS}{{collector="m"}}') == 1
    assert value_of(generate_latest(registry), series) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_failing_child_costs_itself(kind: str, registry: CollectorRegistry) -> None:
    """The failing function of one child leaves the other children on the page."""
    metric = KINDS[kind]("m", "help", ["a"], registry=registry)
    metric.labels("bad").set_function(failure)
    metric.labels("good").set_function(lambda: 2)
    metric.labels("counted").inc(3)
    page = generate_latest(registry)
    assert value_of(page, SERIES[kind] + '{a="bad"}') is None
    assert value_of(page, SERIES[kind] + '{a="good"}') == 2
    assert value_of(page, SERIES[kind] + '{a="counted"}') == 3
    assert value_of(page, f'{ERRORS}{{collector="m"}}') == 1


@pytest.mark.parametrize("kind", KINDS)
def test_recovery(kind: str, registry: CollectorRegistry) -> None:
    """A function that gives a number again is on the page again."""
    results: list[Any] = [1, "x", 3]
    KINDS[kind]("m", "help", registry=registry).set_function(lambda: results.pop(0))
    assert [value_of(generate_latest(registry), SERIES[kind]) for _ in range(3)] == [1, None, 3]


@pytest.mark.parametrize("function", [failure, async_failure, lambda: None])
def test_policy_that_does_not_isolate(function: Callable[[], Any]) -> None:
    """With isolate_errors=False the scrape fails, as it does with prometheus_client."""
    registry = CollectorRegistry(policy=Policy(isolate_errors=False))
    Gauge("m", "help", registry=registry).set_function(function)
    for _ in range(2):
        with pytest.raises((LookupError, TypeError)):
            generate_latest(registry)
        with pytest.raises((LookupError, TypeError)):
            asyncio.run(generate_latest_async(registry))


def test_metric_collect_raises() -> None:
    """collect() of the metric itself raises what its function raised."""
    gauge = Gauge("m", "help", registry=None)
    gauge.set_function(failure)
    with pytest.raises(LookupError, match="out of order"):
        gauge.collect()


def test_function_that_renders_its_own_registry(registry: CollectorRegistry) -> None:
    """A function that asks for the page it is wanted for is an error of its family, and no deadlock."""
    Gauge("m", "help", registry=registry).set_function(lambda: len(generate_latest(registry)))
    Gauge("other", "help", registry=registry).set(1)
    page = generate_latest(registry)
    assert value_of(page, "other") == 1
    assert (value_of(page, f'{ERRORS}{{collector="m"}}') or 0) >= 1


def test_function_may_count_and_define(registry: CollectorRegistry) -> None:
    """A function may itself count, make series and define metrics of the registry."""
    calls = Counter("calls", "help", ["a"], registry=registry)

    def compute() -> float:
        calls.labels("x").inc()
        Gauge("defined", "help", registry=registry).inc()
        return 1

    Gauge("m", "help", registry=registry).set_function(compute)
    assert value_of(generate_latest(registry), 'calls_total{a="x"}') == 1
    assert value_of(generate_latest(registry), "defined") == 2
