"""What must not spoil or lose a page: odd families, odd definitions, subclasses, memory that runs out."""

from __future__ import annotations

import abc
import json
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import prometheus_client.openmetrics.parser
import prometheus_client.parser
import pytest
from core.engine import COMPILED, run
from custom_collectors import Plain, gauge

from pyrometer import REGISTRY, CollectorRegistry, Counter, Enum, Gauge, Histogram, Policy, Summary, generate_latest
from pyrometer.exposition import OpenMetrics, Text, openmetrics_parser, render, text_parser
from pyrometer.families import CounterMetricFamily, Exemplar, GaugeMetricFamily, Metric, Sample

ERRORS = "pyrometer_scrape_errors_total"
FORMATS: list[Text | OpenMetrics] = [
    Text(),
    Text("1.0.0", "allow-utf-8"),
    OpenMetrics(),
    OpenMetrics("1.0.0", "allow-utf-8"),
    OpenMetrics("2.0.0", "allow-utf-8"),
]
every_format = pytest.mark.parametrize("form", FORMATS, ids=lambda form: f"{type(form).__name__} {form.version}")
utf8 = Policy(utf8_names=True)


def parsed(page: bytes, form: Text | OpenMetrics) -> list[Any]:
    """The families of a page, read by prometheus_client and by our own parser."""
    ours: Any = openmetrics_parser if isinstance(form, OpenMetrics) else text_parser
    theirs: Any = prometheus_client.openmetrics.parser if isinstance(form, OpenMetrics) else prometheus_client.parser
    list(ours.text_string_to_metric_families(page.decode()))
    return list(theirs.text_string_to_metric_families(page.decode()))


class Giving:
    """A collector that gives what it was made with."""

    def __init__(self, *families: Any) -> None:
        self.families = families

    def collect(self) -> Iterable[Any]:
        return self.families


# --- families of collectors ------------------------------------------------------------------------------------------


def odd(**attributes: Any) -> GaugeMetricFamily:
    """A gauge family with something wrong about it."""
    family = gauge("odd")
    for name, value in attributes.items():
        setattr(family, name, value)
    return family


NAN = float("nan")
BAD_TIME: Any = "12\nevil 1"
ODD: dict[str, Any] = {
    "without type": SimpleNamespace(name="odd", documentation="help", unit="", samples=[Sample("odd", {}, 1)]),
    "type None": odd(type=None),
    "type with a newline": odd(type="ga\nuge"),
    "name is a number": odd(name=5),
    "samples are tuples": odd(samples=[("odd", {}, 1)]),
    "empty label name": odd(samples=[Sample("odd", {"": "x"}, 1)]),
    "empty sample name": odd(samples=[Sample("", {}, 1)]),
    "timestamp NaN": odd(samples=[Sample("odd", {}, 1, NAN)]),
    "timestamp with a newline": odd(samples=[Sample("odd", {}, 1, BAD_TIME)]),
}
ODD_IN_OPENMETRICS: dict[str, Any] = {
    "unit with a newline": odd(unit="b\nc"),
    "timestamp of an exemplar": CounterMetricFamily("odd", "help", value=1, exemplar=Exemplar({"a": "b"}, 1, BAD_TIME)),
    "label name of an exemplar": CounterMetricFamily("odd", "help", value=1, exemplar=Exemplar({"": "b"}, 1)),
}


@every_format
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "restricted"])
@pytest.mark.parametrize("family", [*ODD, *ODD_IN_OPENMETRICS])
def test_odd_family(family: str, whole: bool, form: Text | OpenMetrics, registry: CollectorRegistry) -> None:
    """A family that cannot be written costs its own series alone: the rest of the page is there, and is well formed."""
    Counter("before", "help", registry=registry).inc()
    registry.register(Giving({**ODD, **ODD_IN_OPENMETRICS}[family]))
    registry.register(Plain())
    names = ["before_total", "plain", "odd", "odd_total", "", ERRORS]
    page = render(registry if whole else registry.restricted_registry(names), form)
    parsed(page, form)
    assert b"\nbefore_total 1\n" in page and b"\nplain 1\n" in page and b"evil" not in page
    if family in ODD or isinstance(form, OpenMetrics):  # the text format writes neither units nor exemplars
        assert f'\n{ERRORS}{{collector="Giving"}} 1\n'.encode() in page
        assert b"\nodd" not in page


# --- families of one name --------------------------------------------------------------------------------------------


def labelled(place: str, value: float) -> GaugeMetricFamily:
    """The family `where` of one sample."""
    family = GaugeMetricFamily("where", "help", labels=["place"])
    family.add_metric([place], value)
    return family


@every_format
def test_one_name_from_two_collectors(form: Text | OpenMetrics, registry: CollectorRegistry) -> None:
    """Families of one name and type stand under one head where their labels differ, and that is nobody's failure."""
    registry.register(Giving(labelled("here", 1)))
    registry.register(Plain())
    registry.register(Giving(labelled("there", 2)))
    page = render(registry, form)
    [family] = [family for family in parsed(page, form) if family.name == "where"]
    assert [(sample.labels, sample.value) for sample in family.samples] == [
        ({"place": "here"}, 1),
        ({"place": "there"}, 2),
    ]
    assert page.count(b"# HELP where ") == page.count(b"# TYPE where ") == 1
    assert ERRORS.encode() not in page


@every_format
@pytest.mark.parametrize("second", [labelled("here", 2), CounterMetricFamily("where", "help", value=2)])
def test_one_name_that_cannot_be_shared(second: Metric, form: Text | OpenMetrics, registry: CollectorRegistry) -> None:
    """A series that an earlier collector has, and a family of another type, are left out and counted."""
    registry.register(Giving(labelled("here", 1)))
    registry.register(Giving(second))
    page = render(registry, form)
    [family] = [family for family in parsed(page, form) if family.name == "where"]
    assert family.type == "gauge"
    assert [(sample.labels, sample.value) for sample in family.samples] == [({"place": "here"}, 1)]
    assert f'\n{ERRORS}{{collector="Giving"}} 1\n'.encode() in page


# --- definitions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", [Counter, Gauge, Summary, Histogram])
@pytest.mark.parametrize("registry", [CollectorRegistry(), CollectorRegistry(policy=utf8)])
def test_unit_with_a_newline(metric: Callable[..., object], registry: CollectorRegistry) -> None:
    """A unit that would end its line is refused at definition, whatever names the registry takes."""
    with pytest.raises(ValueError, match=r"a\\nb"):
        metric("m", "help", unit="a\nb", registry=registry)
    assert generate_latest(registry) == b""


@every_format
def test_negative_bucket(form: Text | OpenMetrics, registry: CollectorRegistry) -> None:
    """A histogram with a bound below 0 has a well-formed page, with all its buckets."""
    histogram = Histogram("h", "help", registry=registry, buckets=[-1, 0, 1])
    histogram.observe(-3)
    histogram.observe(0.5)
    page = render(registry, form)
    [family] = [family for family in parsed(page, form) if family.name == "h"]
    buckets = [(float(s.labels["le"]), s.value) for s in family.samples if s.name == "h_bucket"]
    assert buckets == [(-1, 1), (0, 1), (1, 2), (float("inf"), 2)]


def test_states_with_surrogates(registry: CollectorRegistry) -> None:
    """A state with a lone surrogate is set by the text that it was defined with."""
    task = Enum("task", "help", registry=registry, states=["a", "\ud800b"])
    task.state("\ud800b")
    page = generate_latest(registry).decode()
    assert '\ntask{task="a"} 0\n' in page and '\ntask{task="\ufffdb"} 1\n' in page


@pytest.mark.parametrize(("name", "label"), [("a.b", "a_b"), ("a_b", "a.b"), ("a.b", "a.b")])
def test_states_under_a_label_written_alike(name: str, label: str) -> None:
    """An Enum with a label that a page writes like its own name, which labels the states, is refused at definition."""
    registry = CollectorRegistry(policy=utf8)
    with pytest.raises(ValueError, match=label.replace(".", r"\.")):
        Enum(name, "help", [label], states=["x"], registry=registry)
    assert generate_latest(registry) == b""


# --- subclasses ------------------------------------------------------------------------------------------------------


def test_attributes_of_a_subclass(registry: CollectorRegistry) -> None:
    """What the __init__ of a subclass sets, its children have as well."""

    class Tagged(Counter):
        def __init__(self, name: str, labelnames: Iterable[str] = (), registry: CollectorRegistry = REGISTRY) -> None:
            super().__init__(name, "help", labelnames, registry=registry)
            self.tag = "t"

        def twice(self) -> str:
            self.inc(2)
            return self.tag

    assert Tagged("plain", registry=registry).twice() == "t"
    assert Tagged("c", ["a"], registry=registry).labels("x").twice() == "t"
    assert registry.get_sample_value("c_total", {"a": "x"}) == 2


def test_subclass_with_a_collect_of_its_own(registry: CollectorRegistry) -> None:
    """A subclass that overrides collect() is on the page as its own collect() says."""

    class Fresh(Gauge):
        def collect(self) -> list[Metric]:
            self.set(42)
            return [*super().collect(), gauge("beside")]

    Fresh("g", "help", registry=registry)
    page = generate_latest(registry)
    assert b"\ng 42\n" in page and b"\nbeside 1\n" in page
    assert page.count(b"# TYPE g gauge\n") == 1 and ERRORS.encode() not in page


def test_abstract_subclass(registry: CollectorRegistry) -> None:
    """A metric's class goes together with abc.ABC."""

    class Base(Counter, abc.ABC):
        @abc.abstractmethod
        def twice(self) -> None: ...

    class Real(Base):
        def twice(self) -> None:
            self.inc(2)

    with pytest.raises(TypeError, match="abstract"):
        Base("c", "help", registry=registry)  # type: ignore[abstract]
    Real("c", "help", registry=registry).twice()
    assert registry.get_sample_value("c_total") == 2


# --- long label values -----------------------------------------------------------------------------------------------

LONG_LABELS = """
from pyrometer import CollectorRegistry, Counter
registry = CollectorRegistry()
metric, other = (Counter(name, "help", ["a"], registry=registry) for name in "cd")
for length in (1_000_000, 1_100_000, 1_000_000, 600_000):
    for number in range(300):
        metric.labels(f"{number:0{length}}").inc()
    for number in range(300):
        metric.remove(f"{number:0{length}}")
other.labels("small").inc()
print(metric.labels("x" * 1_000_000)._read(), other.labels("small")._read())
"""

FULL_ARENA = """
import json, logging, resource
logging.disable()
from pyrometer import CollectorRegistry, Counter, generate_latest
from pyrometer.exposition.text_parser import text_string_to_metric_families
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (48 << 20), -1))
registry = CollectorRegistry()
metric = Counter("c", "help", ["a"], registry=registry, max_series=None)
for number in range(100):
    metric.labels(f"{number:0100000}").inc()
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
samples = [s for f in text_string_to_metric_families(generate_latest(registry).decode()) for s in f.samples]
counts = {s.labels["a"][-12:]: s.value for s in samples if s.name == "c_total"}
overflows = [(s.labels, s.value) for s in samples if s.name == "pyrometer_series_overflow_total"]
print(json.dumps([sum(counts.values()), counts["__overflow__"], len(counts), overflows]))
"""


def test_long_label_values() -> None:
    """Hundreds of series with label values of a megabyte, removed and made again, leave memory for other series."""
    assert run(LONG_LABELS) == "0.0 1.0\n"


@pytest.mark.skipif(not COMPILED, reason="the memory of the interpreted core is the interpreter's own")
def test_full_arena_loses_no_count() -> None:
    """Where memory for series is used up, a new label set of a counter counts as `__overflow__`, and nothing raises."""
    total, overflowed, series, overflows = json.loads(run(FULL_ARENA))
    assert (total, overflowed) == (100, 100 - (series - 1))
    assert 5 < series < 90
    assert overflows == [[{"family": "c"}, overflowed]]
