"""What each kind of metric does: amounts, units, names, times, exemplars, buckets, states."""

from __future__ import annotations

import copy
import enum
import gc
import inspect
import math
import pickle
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from pyrometer import (
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    Info,
    Policy,
    Summary,
    generate_latest,
    metrics,
)
from pyrometer.families import Exemplar, Metric

KINDS: list[Callable[..., Any]] = [
    Counter,
    Gauge,
    Summary,
    Histogram,
    Info,
    lambda *args, **kwargs: Enum(*args, states=["x", "y"], **kwargs),
]
NOW = 1_700_000_000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in a list of one."""
    now = [NOW]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def values(metric: Any) -> dict[str, float]:
    """The values of a family without labels by series name, buckets by name and bound."""
    return {
        sample.name + (":" + sample.labels["le"] if "le" in sample.labels else ""): sample.value
        for family in metric.collect()
        for sample in family.samples
    }


# --- all kinds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_full_name(kind: Any) -> None:
    """Namespace, subsystem and name are joined by underscores; empty parts are left out."""
    names = {
        ("", ""): "m",
        ("n", ""): "n_m",
        ("", "s"): "s_m",
        ("n", "s"): "n_s_m",
    }
    for (namespace, subsystem), name in names.items():
        metric = kind("m", "help", namespace=namespace, subsystem=subsystem, registry=None)
        assert [family.name for family in metric.collect()] == [name]
        assert [family.name for family in metric.describe()] == [name]


@pytest.mark.parametrize("kind", KINDS[:4])
def test_unit(kind: Any, registry: CollectorRegistry) -> None:
    """The unit ends the name, once, and is what collect() and describe() say."""
    for name in ("request", "response_seconds"):
        metric = kind(name, "help", unit="seconds", registry=registry)
        for family in (*metric.collect(), *metric.describe()):
            assert family.name == name.removesuffix("_seconds") + "_seconds"
            assert family.unit == "seconds"


def test_total_of_a_counter_with_a_unit(registry: CollectorRegistry) -> None:
    """A counter's name is the same with and without _total, and the unit goes before it."""
    Counter("a_total", "help", registry=registry)
    Counter("b", "help", registry=registry)
    Counter("c_total", "help", unit="bytes", registry=registry)
    Counter("d_bytes_total", "help", unit="bytes", registry=registry)
    assert [family.name for family in registry.collect()] == ["a", "b", "c_bytes", "d_bytes"]
    assert registry.get_sample_value("c_bytes_total") == 0
    assert registry.get_sample_value("d_bytes_total") == 0


@pytest.mark.parametrize("kind", KINDS)
def test_description(kind: Any) -> None:
    """describe() is the family without samples; str() and repr() name it."""
    metric = kind("m", "What it is", ["a"], registry=None)
    metric.labels("x")
    [described] = metric.describe()
    [collected] = metric.collect()
    assert described.samples == []
    assert (described.name, described.documentation, described.type) == ("m", "What it is", collected.type)
    assert str(metric) == f"{collected.type}:m"
    assert repr(metric) == f"pyrometer.metrics.{type(metric).__name__}(m)"


@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_the_readers_own(kind: Any) -> None:
    """What one reader does to collected samples, another does not see."""
    metric = kind("m", "help", ["a"], registry=None)
    metric.labels("x")
    [family] = metric.collect()
    before = repr(family)
    for sample in family.samples:
        sample.labels["a"] = "changed"
    family.samples.clear()
    assert repr(metric.collect()[0]) == before


@pytest.mark.parametrize("name", ["Counter", "Gauge", "Summary", "Histogram", "Info", "Enum"])
def test_signature_of_prometheus_client(name: str) -> None:
    """Constructors take prometheus_client's arguments, in its order."""
    import prometheus_client

    theirs = [
        parameter
        for parameter in inspect.signature(getattr(prometheus_client, name)).parameters
        if not parameter.startswith("_")
    ]
    ours = list(inspect.signature(getattr(metrics, name)).parameters)
    assert [parameter for parameter in ours if parameter in theirs] == theirs
    assert set(ours) - set(theirs) == {"max_series"}


class Words(str):
    """A str of a type of its own, as template engines and enums make them."""


def test_str_of_another_type() -> None:
    """Wherever a str is taken, so is an instance of a subclass of str; pages and samples have its characters."""
    registry = CollectorRegistry(policy=Policy(created_series=False))
    counter = Counter(
        Words("c"),
        Words("what"),
        [Words("a")],
        namespace=Words("n"),
        subsystem=Words("s"),
        unit=Words("u"),
        registry=registry,
    )
    counter.labels(Words("x")).inc(1, {Words("trace"): Words("1")})
    Info(Words("i"), "help", registry=registry).info({Words("v"): Words("1")})
    Enum(Words("e"), "help", registry=registry, states=[Words("up"), Words("down")]).state(Words("down"))

    class Collector:
        def collect(self) -> list[Metric]:
            metric = Metric(Words("f"), Words("what"), Words("gauge"))
            metric.add_sample(Words("f"), {Words("a"): Words("b")}, 1)
            return [metric]

    registry.register(Collector())
    assert generate_latest(registry) == (
        b'# HELP n_s_c_u_total what\n# TYPE n_s_c_u_total counter\nn_s_c_u_total{a="x"} 1\n'
        b'# HELP i_info help\n# TYPE i_info gauge\ni_info{v="1"} 1\n'
        b'# HELP e help\n# TYPE e gauge\ne{e="up"} 0\ne{e="down"} 1\n'
        b'# HELP f what\n# TYPE f gauge\nf{a="b"} 1\n'
    )
    exemplar = counter.collect()[0].samples[0].exemplar
    assert exemplar is not None and exemplar.labels == {"trace": "1"}


class State(str, enum.Enum):
    """States of an enum as programs keep them."""

    UP = "up"
    DOWN = "down"


def test_states_of_an_enum_class(registry: CollectorRegistry) -> None:
    """The states of an Enum may be the members of a class of enumerated str."""
    states = Enum("e", "help", registry=registry, states=list(State))
    states.state(State.DOWN)
    assert [sample.value for sample in states.collect()[0].samples] == [0, 1]


@pytest.mark.parametrize("copies", [copy.copy, copy.deepcopy, pickle.dumps])
@pytest.mark.parametrize("kind", KINDS)
def test_no_copies(kind: Any, copies: Callable[[object], object], registry: CollectorRegistry) -> None:
    """A metric is one place in memory: copying or pickling it is a TypeError, and does it no harm."""
    metric = kind("m", "help", registry=registry)
    before = generate_latest(registry)
    for given in (metric, metric._family):
        with pytest.raises(TypeError):
            copies(given)
    gc.collect()
    assert generate_latest(registry) == before


# --- _created --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Counter, Summary, Histogram])
def test_created(kind: Any, clock: list[float], registry: CollectorRegistry) -> None:
    """_created is when the family, or with labels the child, was made; it stays while the series counts."""
    plain = kind("plain", "help", registry=registry)
    labelled = kind("labelled", "help", ["a"], registry=registry)
    clock[0] += 10
    child = labelled.labels("x")
    clock[0] += 10
    for metric in (plain, child):
        metric.inc() if kind is Counter else metric.observe(1)
    assert registry.get_sample_value("plain_created") == NOW
    assert registry.get_sample_value("labelled_created", {"a": "x"}) == NOW + 10


@pytest.mark.parametrize("kind", [Gauge, Info, KINDS[5]])
def test_not_created(kind: Any, registry: CollectorRegistry) -> None:
    """Gauges, infos and enums have no _created."""
    kind("m", "help", registry=registry)
    assert b"_created" not in generate_latest(registry)


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("kind", [Counter, Summary, Histogram])
def test_policy_on_created(kind: Any, wanted: bool) -> None:
    """A registry's policy decides on _created for pages and for collect()."""
    registry = CollectorRegistry(policy=Policy(created_series=wanted))
    kind("m", "help", registry=registry)
    assert (b"m_created" in generate_latest(registry)) is wanted
    assert (registry.get_sample_value("m_created") is not None) is wanted


def test_reset(clock: list[float], registry: CollectorRegistry) -> None:
    """reset() sets the count to zero and its beginning to now."""
    plain = Counter("plain", "help", registry=registry)
    child = Counter("labelled", "help", ["a"], registry=registry).labels("x")
    for counter in (plain, child):
        counter.inc(5)
    clock[0] += 60
    for counter in (plain, child):
        counter.reset()
        counter.inc(2)
    assert registry.get_sample_value("plain_total") == 2
    assert registry.get_sample_value("plain_created") == NOW + 60
    assert registry.get_sample_value("labelled_total", {"a": "x"}) == 2
    assert registry.get_sample_value("labelled_created", {"a": "x"}) == NOW + 60


# --- amounts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("amount", [0, 0.0, 1, 2.5, True, 10**15, math.inf, 5e-324])
def test_counter_amounts(amount: float) -> None:
    """inc() adds any number that is not negative; 1 without an argument."""
    counter = Counter("c", "help", registry=None)
    counter.inc(amount)
    assert values(counter)["c_total"] == amount
    counter.inc()
    assert values(counter)["c_total"] == amount + 1


def test_amounts_of_other_types() -> None:
    """Fractions, decimals and whatever has __float__ are numbers."""
    from decimal import Decimal
    from fractions import Fraction

    gauge = Gauge("g", "help", registry=None)
    amounts: list[Any] = [Decimal("0.5"), Fraction(1, 2)]
    for amount in amounts:
        gauge.set(amount)
        assert values(gauge) == {"g": 0.5}


def test_gauge(clock: list[float]) -> None:
    """A gauge goes up, down, to a value and to the current time."""
    gauge = Gauge("g", "help", registry=None)
    assert values(gauge) == {"g": 0}
    gauge.inc()
    gauge.inc(2.5)
    assert values(gauge) == {"g": 3.5}
    gauge.dec()
    gauge.dec(5)
    assert values(gauge) == {"g": -2.5}
    gauge.set(9)
    assert values(gauge) == {"g": 9}
    gauge.set_to_current_time()
    assert values(gauge) == {"g": NOW}
    for value in (math.inf, -math.inf):
        gauge.set(value)
        assert values(gauge) == {"g": value}
    gauge.set(math.nan)
    assert math.isnan(values(gauge)["g"])


@pytest.mark.parametrize("mode", Gauge.MODES)
def test_gauge_modes(mode: Any) -> None:
    """Every multiprocess mode of prometheus_client is taken; inc() and dec() have no meaning in two of them."""
    gauge = Gauge("g", "help", registry=None, multiprocess_mode=mode)
    gauge.set(3)
    if "mostrecent" in mode:
        for change in (gauge.inc, gauge.dec):
            with pytest.raises(RuntimeError, match=f'gauge "g": .* no meaning with multiprocess_mode={mode!r}'):
                change()
        assert values(gauge) == {"g": 3}
    else:
        gauge.inc(2)
        gauge.dec()
        assert values(gauge) == {"g": 4}


def test_summary() -> None:
    """A summary counts events and adds their sizes, negative ones too."""
    summary = Summary("s", "help", registry=None)
    for amount in (1, 2.5, -0.5):
        summary.observe(amount)
    assert {name: value for name, value in values(summary).items() if name != "s_created"} == {
        "s_count": 3,
        "s_sum": 3,
    }


# --- histograms ------------------------------------------------------------------------------------------------------


def test_histogram_buckets() -> None:
    """A bucket has what is not above its bound, the buckets below included."""
    histogram = Histogram("h", "help", registry=None, buckets=[1, 2, 5])
    for amount in (0.5, 1, 1.0000001, 2, 3, 5, 6, math.inf, -math.inf):
        histogram.observe(amount)
    got = values(histogram)
    assert [got[f"h_bucket:{bound}"] for bound in ("1.0", "2.0", "5.0", "+Inf")] == [3, 5, 7, 9]
    assert got["h_count"] == 9
    assert math.isnan(got["h_sum"])


@pytest.mark.parametrize("size", [1, 2, 3, 14, 15, 16, 17, 64, 200])
def test_every_bucket_is_found(size: int) -> None:
    """However many buckets there are, amounts at, just below and just above each bound land where they belong."""
    bounds = [i * 1.5 for i in range(size)]
    histogram = Histogram("h", "help", registry=None, buckets=bounds)
    amounts = [
        amount for bound in bounds for amount in (math.nextafter(bound, -1e9), bound, math.nextafter(bound, 1e9))
    ]
    for amount in amounts:
        histogram.observe(amount)
    buckets = [sample for sample in histogram.collect()[0].samples if sample.name == "h_bucket"]
    assert [float(sample.labels["le"]) for sample in buckets] == [*bounds, math.inf]
    assert [sample.value for sample in buckets] == [
        sum(amount <= bound for amount in amounts) for bound in (*bounds, math.inf)
    ]


def test_histogram_bounds(registry: CollectorRegistry) -> None:
    """+Inf is added where it is missing; bounds may be strings; default bounds are prometheus_client's."""
    import prometheus_client

    assert Histogram.DEFAULT_BUCKETS == prometheus_client.Histogram.DEFAULT_BUCKETS
    for name, buckets in (("a", [1, "2.5"]), ("b", (1.0, 2.5, math.inf)), ("c", iter(["1", 2.5, "+Inf"]))):
        histogram = Histogram(name, "help", registry=registry, buckets=buckets)  # type: ignore[arg-type]
        bounds = [sample.labels["le"] for sample in histogram.collect()[0].samples if "le" in sample.labels]
        assert bounds == ["1.0", "2.5", "+Inf"]


def test_histogram_with_negative_bounds(registry: CollectorRegistry) -> None:
    """The sum of a histogram with negative buckets is no counter: it has none."""
    histogram = Histogram("h", "help", registry=registry, buckets=[-1, 0, 1])
    histogram.observe(-2)
    histogram.observe(0)
    assert registry.get_sample_value("h_sum") is None
    assert registry.get_sample_value("h_bucket", {"le": "-1.0"}) == 1
    assert registry.get_sample_value("h_count") == 2


def test_histogram_bound_text() -> None:
    """Bounds are written as prometheus_client writes them, so that existing series go on."""
    bounds = [-2.5, 0, 0.005, 1, 1e5, 1e6, 123456789, 1e21]
    histogram = Histogram("h", "help", registry=None, buckets=bounds)
    assert [sample.labels["le"] for sample in histogram.collect()[0].samples if "le" in sample.labels] == [
        "-2.5",
        "0.0",
        "0.005",
        "1.0",
        "100000.0",
        "1e+06",
        "1.23456789e+08",
        "1e+21",
        "+Inf",
    ]


# --- exemplars -------------------------------------------------------------------------------------------------------


def test_counter_exemplar(clock: list[float]) -> None:
    """The last exemplar of a counter stands at its _total, with amount and time; an empty one is none."""
    counter = Counter("c", "help", registry=None)
    counter.inc(2, {"trace_id": "1"})
    counter.inc(3, exemplar={"trace_id": "2"})
    counter.inc(4, {})
    counter.inc(5)
    exemplars = {sample.name: sample.exemplar for sample in counter.collect()[0].samples}
    assert exemplars == {"c_total": Exemplar({"trace_id": "2"}, 3, NOW), "c_created": None}


def test_histogram_exemplars(clock: list[float]) -> None:
    """Every bucket has the last exemplar of its own."""
    histogram = Histogram("h", "help", ["a"], registry=None, buckets=[1, 2])
    child = histogram.labels("x")
    child.observe(0.5, {"trace": "1"})
    child.observe(0.7, {"trace": "2"})
    clock[0] += 1
    child.observe(9, exemplar={"trace": "3"})
    histogram.labels("y").observe(0.1)
    exemplars = {
        (sample.labels["a"], sample.labels["le"]): sample.exemplar
        for sample in histogram.collect()[0].samples
        if "le" in sample.labels
    }
    assert exemplars == {
        ("x", "1.0"): Exemplar({"trace": "2"}, 0.7, NOW),
        ("x", "2.0"): None,
        ("x", "+Inf"): Exemplar({"trace": "3"}, 9, NOW + 1),
        ("y", "1.0"): None,
        ("y", "2.0"): None,
        ("y", "+Inf"): None,
    }


def test_longest_exemplar() -> None:
    """An exemplar may have 128 characters, names and values together, and surrogates become U+FFFD."""
    counter = Counter("c", "help", registry=None)
    counter.inc(1, {"a": "ü" * 127})
    assert counter.collect()[0].samples[0].exemplar is not None
    counter.inc(1, {"b": "\ud800"})
    exemplar = counter.collect()[0].samples[0].exemplar
    assert exemplar is not None and exemplar.labels == {"b": "\ufffd"}


def test_exemplar_is_a_copy() -> None:
    """Later changes to the mapping do not change the exemplar."""
    counter = Counter("c", "help", registry=None)
    labels = {"a": "1"}
    counter.inc(1, labels)
    labels["a"] = "2"
    exemplar = counter.collect()[0].samples[0].exemplar
    assert exemplar is not None and exemplar.labels == {"a": "1"}


# --- info and enum ---------------------------------------------------------------------------------------------------


def test_info(registry: CollectorRegistry) -> None:
    """An info is one series of value 1 whose labels are the text, in place of what was set before."""
    info = Info("build", "help", registry=registry)
    assert registry.get_sample_value("build_info") == 1
    info.info({"version": "1", "branch": "main"})
    info.info({"version": "2\n"})
    assert registry.get_sample_value("build_info", {"version": "2\n"}) == 1
    assert len(info.collect()[0].samples) == 1


def test_info_with_labels(registry: CollectorRegistry) -> None:
    """The labels of the family stand before those of the text."""
    info = Info("build", "help", ["part"], registry=registry)
    info.labels("web").info({"version": "1"})
    info.labels("db").info({"version": "2"})
    assert [sample.labels for sample in info.collect()[0].samples] == [
        {"part": "web", "version": "1"},
        {"part": "db", "version": "2"},
    ]


def test_enum(registry: CollectorRegistry) -> None:
    """An enum is a series for each state, in order, 1 for the current one: the first until another is set."""
    task = Enum("task", "help", registry=registry, states=["starting", "running", "stopped"])

    def states() -> list[tuple[str, float]]:
        return [(sample.labels["task"], sample.value) for sample in task.collect()[0].samples]

    assert states() == [("starting", 1), ("running", 0), ("stopped", 0)]
    task.state("stopped")
    assert states() == [("starting", 0), ("running", 0), ("stopped", 1)]
    task.state("running")
    assert states() == [("starting", 0), ("running", 1), ("stopped", 0)]
    assert registry.get_sample_value("task", {"task": "running"}) == 1


def test_enum_with_labels() -> None:
    """Each child of an enum has a state of its own."""
    task = Enum("task", "help", ["host"], registry=None, states=["up", "down"], namespace="n")
    task.labels("a").state("down")
    task.labels("b")
    assert [(sample.labels, sample.value) for sample in task.collect()[0].samples] == [
        ({"host": "a", "n_task": "up"}, 0),
        ({"host": "a", "n_task": "down"}, 1),
        ({"host": "b", "n_task": "up"}, 1),
        ({"host": "b", "n_task": "down"}, 0),
    ]


# --- threads ---------------------------------------------------------------------------------------------------------


def test_threads_lose_no_count() -> None:
    """Threads that count in all kinds, make series and are scraped meanwhile lose no event."""
    registry = CollectorRegistry()
    counter = Counter("c", "help", registry=registry)
    labelled = Counter("l", "help", ["a"], registry=registry)
    gauge = Gauge("g", "help", registry=registry)
    summary = Summary("s", "help", registry=registry)
    histogram = Histogram("h", "help", ["a"], registry=registry, buckets=[0.5])
    barrier = threading.Barrier(5)

    def count() -> None:
        barrier.wait()
        for i in range(2000):
            counter.inc()
            labelled.labels(i % 50).inc(2)
            gauge.inc(3)
            gauge.dec()
            summary.observe(0.25)
            histogram.labels(a=str(i % 7)).observe(i % 2)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    barrier.wait()
    seen = 0.0
    while any(thread.is_alive() for thread in threads):
        now = registry.get_sample_value("c_total")
        assert now is not None and now >= seen
        seen = now
        generate_latest(registry)
    for thread in threads:
        thread.join()
    assert registry.get_sample_value("c_total") == 8000
    assert sum(s.value for s in labelled.collect()[0].samples if s.name == "l_total") == 16000
    assert registry.get_sample_value("g") == 16000
    assert registry.get_sample_value("s_count") == 8000
    assert registry.get_sample_value("s_sum") == 2000
    assert sum(s.value for s in histogram.collect()[0].samples if s.name == "h_count") == 8000
    assert sum(s.value for s in histogram.collect()[0].samples if s.name == "h_sum") == 4000
