"""The same definitions and operations on Pyrometer and on prometheus_client: the same pages and the same values."""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import prometheus_client
import pytest
from prometheus_client.openmetrics import exposition as their_openmetrics

import pyrometer
from pyrometer import CollectorRegistry, Policy, generate_latest
from pyrometer.exposition import OpenMetrics, render

Make = Callable[[Any, Any], None]  # (module, registry): define and use metrics


@pytest.fixture
def no_created() -> Iterator[None]:
    """Without _created series, and with one time for all, so that the pages can be equal to the byte."""
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    yield
    prometheus_client.enable_created_metrics()  # type: ignore[no-untyped-call]


LABELNAMES = [[], ["a"], ["b", "a"], ["z", "le_", "A", "_"]]
VALUES = ["", "x", 1, True, None, 1.0, 'q"', "b\\", "n\n", "ü", "\0", " ", "{", "\U0001f525", "\\n", '\\"']
AMOUNTS = [0, 1, 0.1, 2.5, 1e-9, 1e6, 123456789.125, 1e15, 1e21, 3, 7e300, math.inf]
NAMES: list[dict[str, Any]] = [
    {"name": "m"},
    {"name": "m_total"},
    {"name": "m", "namespace": "n", "subsystem": "s"},
    {"name": "m", "unit": "seconds"},
    {"name": "m_seconds_total", "unit": "seconds", "namespace": "n"},
    {"name": "a_b_"},
    {"name": "m", "documentation": 'q"\\ n\n ü\0'},
    {"name": "m", "documentation": ""},
]


def children(metric: Any, labelnames: list[str]) -> list[Any]:
    """A few children of a family, or the family itself where it has no labels; by position and by name."""
    if not labelnames:
        return [metric]
    sets = [tuple(VALUES[(start + i) % len(VALUES)] for i in range(len(labelnames))) for start in range(len(VALUES))]
    by_name = [metric.labels(**dict(zip(labelnames, values))) for values in sets[::2]]
    return by_name + [metric.labels(*values) for values in sets]


def counters(names: dict[str, Any], labelnames: list[str]) -> Make:
    def make(module: Any, registry: Any) -> None:
        given = {"documentation": "help", **names}
        counter = module.Counter(labelnames=labelnames, registry=registry, **given)
        for amount, child in zip(itertools.cycle(AMOUNTS), children(counter, labelnames) * 2):
            child.inc(amount)
            child.inc()
        for child in children(counter, labelnames)[:1]:
            child.reset()
            child.inc(3)

    return make


def gauges(names: dict[str, Any], labelnames: list[str]) -> Make:
    def make(module: Any, registry: Any) -> None:
        given = {"documentation": "help", **names}
        gauge = module.Gauge(labelnames=labelnames, registry=registry, **given)
        for amount, child in zip(
            itertools.cycle([*AMOUNTS, -1.5, -1e6, -math.inf, math.nan]), children(gauge, labelnames)
        ):
            child.set(amount)
            child.inc(2)
            child.dec()
            child.dec(0.25)
        for child in children(gauge, labelnames)[-1:]:
            child.set_function(lambda: 42)

    return make


def summaries(names: dict[str, Any], labelnames: list[str]) -> Make:
    def make(module: Any, registry: Any) -> None:
        given = {"documentation": "help", **names}
        summary = module.Summary(labelnames=labelnames, registry=registry, **given)
        for amount, child in zip(itertools.cycle([*AMOUNTS, -1.5]), children(summary, labelnames)):
            child.observe(amount)
            child.observe(0.1)

    return make


BUCKETS: list[Any] = [
    None,
    [1],
    [0, 1, 2.5, math.inf],
    ["0.1", "1", "+Inf"],
    [-1, 0, 1],
    (1e-9, 1e5, 1e6, 12345678.5, 1e21),
    [i / 10 for i in range(50)],
]


def histograms(names: dict[str, Any], labelnames: list[str], buckets: Any) -> Make:
    def make(module: Any, registry: Any) -> None:
        given = {"documentation": "help", **names}
        if buckets is not None:
            given["buckets"] = buckets
        histogram = module.Histogram(labelnames=labelnames, registry=registry, **given)
        for amount, child in zip(itertools.cycle([*AMOUNTS, -1.5, -1.0]), children(histogram, labelnames) * 3):
            child.observe(amount)
            child.observe(0.1)

    return make


def infos(names: dict[str, Any], labelnames: list[str]) -> Make:
    def make(module: Any, registry: Any) -> None:
        given = {"documentation": "help", **names}
        info = module.Info(labelnames=labelnames, registry=registry, **given)
        for number, child in enumerate(children(info, labelnames)):
            if number % 3:
                child.info({"version": str(VALUES[number % len(VALUES)]), "B": "x", "_c": 'q"\\\n'})

    return make


def enums(names: dict[str, Any], labelnames: list[str]) -> Make:
    def make(module: Any, registry: Any) -> None:
        given = {"documentation": "help", **names}
        states = ["up", "", 'q"\\\n', "ü"]
        enum = module.Enum(labelnames=labelnames, registry=registry, states=states, **given)
        for number, child in enumerate(children(enum, labelnames)):
            if number % 3:
                child.state(states[number % 4])

    return make


def removals(kind: str) -> Make:
    def make(module: Any, registry: Any) -> None:
        metric = getattr(module, kind)("m", "help", ["a", "b"], registry=registry)
        for a, b in itertools.product("1234", "xyz"):
            child = metric.labels(a, b)
            child.inc(2) if hasattr(child, "inc") else child.observe(2)
        metric.remove("1", "x")
        metric.remove(2, "y")
        metric.remove("never", "there")
        metric.remove_by_labels({"a": 3})
        metric.remove_by_labels({"b": "z"})
        metric.labels("1", "x")
        cleared = getattr(module, kind)("cleared", "help", ["a"], registry=registry)
        cleared.labels("x")
        cleared.clear()
        getattr(module, kind)("never", "help", ["a"], registry=registry)

    return make


def exemplars(module: Any, registry: Any) -> None:
    counter = module.Counter("c", "help", ["a"], registry=registry)
    counter.labels("x").inc(2, {"trace_id": 'q"\\\n', "B": "", "span": "ü"})
    counter.labels("y").inc(1.5, {})
    histogram = module.Histogram("h", "help", registry=registry, buckets=[1, 2])
    histogram.observe(0.5, {"trace_id": "1"})
    histogram.observe(1e6, {"trace_id": "2", "x" * 50: "y" * 60})


def target_info(module: Any, registry: Any) -> None:
    registry.set_target_info({"env": 'q"\\\n', "a": "ü"})
    module.Gauge("g", "help", registry=registry)


def timers(module: Any, registry: Any) -> None:
    """Everything whose value does not depend on the clock."""
    counter = module.Counter("c", "help", registry=registry)
    gauge = module.Gauge("g", "help", registry=registry)
    for error in (ValueError, KeyError):
        try:
            with counter.count_exceptions((ValueError, OSError)):
                raise error
        except (ValueError, KeyError):
            pass
    with gauge.track_inprogress():
        gauge.inc(5)
    summary = module.Summary("s", "help", ["a"], registry=registry)
    with summary.labels("x").time():
        pass
    summary.clear()


CASES: dict[str, Make] = {"exemplars": exemplars, "target_info": target_info, "timers": timers}
for _kind in ("Counter", "Gauge", "Summary", "Histogram"):
    CASES[f"removals-{_kind}"] = removals(_kind)
for (_n, _names), _labelnames in itertools.product(enumerate(NAMES), LABELNAMES):
    _id = f"{_n}-{len(_labelnames)}"
    CASES[f"counter-{_id}"] = counters(_names, _labelnames)
    CASES[f"gauge-{_id}"] = gauges(_names, _labelnames)
    CASES[f"summary-{_id}"] = summaries(_names, _labelnames)
    CASES[f"histogram-{_id}"] = histograms(_names, _labelnames, None)
    if "unit" not in _names:
        CASES[f"info-{_id}"] = infos(_names, _labelnames)
        CASES[f"enum-{_id}"] = enums(_names, _labelnames)
for (_n, _buckets), _labelnames in itertools.product(enumerate(BUCKETS), LABELNAMES[:3]):
    CASES[f"buckets-{_n}-{len(_labelnames)}"] = histograms(NAMES[0], _labelnames, _buckets)


def as_printed(value: float | None) -> str:
    """A value that compares equal to itself, NaN included."""
    return repr(None if value is None else float(value))


@pytest.mark.parametrize("case", CASES)
def test_pages_and_values(case: str, no_created: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both libraries, given the same to do, write the same bytes and have the same sample values."""
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.25)
    ours = CollectorRegistry(policy=Policy(numbers="go", created_series=False))
    theirs = prometheus_client.CollectorRegistry()
    CASES[case](pyrometer, ours)
    CASES[case](prometheus_client, theirs)
    assert generate_latest(ours).decode() == prometheus_client.generate_latest(theirs).decode()
    write: Any = their_openmetrics.generate_latest
    expected = write(theirs).decode().splitlines(keepends=True)
    if case.startswith("buckets-4"):  # negative buckets: a count without a sum, which the specification forbids
        expected = [line for line in expected if "_count" not in line]
    assert render(ours, OpenMetrics()).decode() == "".join(expected)
    samples = [sample for family in theirs.collect() for sample in family.samples]
    values = [as_printed(sample.value) for family in ours.collect() for sample in family.samples]
    assert values == [as_printed(sample.value) for sample in samples]
    for sample in samples[:: 1 + len(samples) // 10]:
        assert as_printed(ours.get_sample_value(sample.name, sample.labels)) == as_printed(sample.value)
    assert [
        (family.name, family.documentation, family.type, family.unit, [(s.name, s.labels) for s in family.samples])
        for family in ours.collect()
    ] == [
        (family.name, family.documentation, family.type, family.unit, [(s.name, s.labels) for s in family.samples])
        for family in theirs.collect()
    ]


@pytest.mark.parametrize("scheme", ["underscores", "dots", "values", "allow-utf-8"])
def test_escaping_schemes(scheme: str, no_created: None) -> None:
    """Names outside the classic character set are written as prometheus_client writes them in the text format."""

    def make(module: Any, registry: Any) -> None:
        counter = module.Counter("http.größe", "help", ["näme", "a_b", "x"], registry=registry)
        counter.labels("v", 'q"', "1").inc(2)
        module.Gauge("no label", "help", registry=registry).set(3)
        module.Histogram("h:1", "help", ["l.e"], registry=registry, buckets=[1]).labels("x").observe(1)
        module.Summary("1 2", "help", ["0"], registry=registry).labels("x").observe(1)
        module.Info("i/1", "help", registry=registry).info({"a": "b"})
        module.Enum("e-1", "help", registry=registry, states=["x"])

    ours = CollectorRegistry(policy=Policy(numbers="go", created_series=False, utf8_names=True))
    theirs = prometheus_client.CollectorRegistry()
    make(pyrometer, ours)
    make(prometheus_client, theirs)
    assert generate_latest(ours, scheme).decode() == prometheus_client.generate_latest(theirs, scheme).decode()


def test_created_values() -> None:
    """With _created on, the same series have it, at the time of their making."""
    ours = CollectorRegistry(policy=Policy(numbers="go"))
    theirs = prometheus_client.CollectorRegistry()
    modules: list[tuple[ModuleType, Any]] = [(pyrometer, ours), (prometheus_client, theirs)]
    for module, registry in modules:
        for kind in ("Counter", "Summary", "Histogram", "Gauge"):
            getattr(module, kind)(kind, "help", ["a"], registry=registry).labels("x")
            getattr(module, kind)(kind + "_plain", "help", registry=registry)
    ours_lines, their_lines = (
        [line.partition(" 1")[0] if "_created{" in line or "_created 1" in line else line for line in page.splitlines()]
        for page in (generate_latest(ours).decode(), prometheus_client.generate_latest(theirs).decode())
    )
    assert ours_lines == their_lines
    for family in theirs.collect():
        for sample in family.samples:
            if sample.name.endswith("_created"):
                mine = ours.get_sample_value(sample.name, sample.labels)
                assert mine is not None and abs(mine - sample.value) < 60


@pytest.mark.parametrize("module", ["metrics_core", "samples"])
def test_words_of_a_collector(module: str) -> None:
    """Every public class for custom collectors has its twin of the same name."""
    theirs = importlib.import_module(f"prometheus_client.{module}")
    ours = importlib.import_module("pyrometer.families")
    names = [
        name for name, value in vars(theirs).items() if isinstance(value, type) and value.__module__ == theirs.__name__
    ]
    assert names
    assert [name for name in names if not hasattr(ours, name)] == []
