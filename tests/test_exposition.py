"""Pages: the text format 0.0.4 and 1.0.0, OpenMetrics 1.0 and 2.0, escaping schemes, chosen names."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import pytest
from prometheus_client.openmetrics import exposition as their_openmetrics

from pyrometer import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Policy, Summary, generate_latest
from pyrometer.exposition import (
    CONTENT_TYPE_LATEST,
    CONTENT_TYPE_PLAIN_0_0_4,
    CONTENT_TYPE_PLAIN_1_0_0,
    OpenMetrics,
    Text,
    render,
    render_async,
)
from pyrometer.families import (
    BucketSpan,
    CounterMetricFamily,
    Exemplar,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    Metric,
    NativeHistogram,
    StateSetMetricFamily,
    SummaryMetricFamily,
    Timestamp,
    UnknownMetricFamily,
)

NOW = 1_700_000_000.25


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> CollectorRegistry:
    """A registry in which every kind has a family, made and counted at NOW."""
    monkeypatch.setattr(time, "time", lambda: NOW)
    registry = CollectorRegistry()
    counter = Counter("view", 'Product view\\\n"it"', ["product", "a"], registry=registry)
    counter.labels("p1", "z").inc(8, {"trace": "1"})
    counter.labels('q"\\\n', "ü\0").inc(0.5)
    Gauge("temperature_celsius", "", registry=registry, unit="celsius").set(-math.inf)
    Summary("size_bytes", "Size", registry=registry, unit="bytes").observe(1e21)
    histogram = Histogram("duration_seconds", "Duration", ["z", "aa"], registry=registry, buckets=[0.1, 1])
    histogram.labels("1", "2").observe(0.5, {"trace": 'ü"', "b": "2"})
    Info("build", "Build", ["part"], registry=registry).labels("web").info({"version": "1", "a": "x"})
    Enum("task", "Task", ["a", "z"], registry=registry, states=["up", 'do"wn']).labels("1", "2").state('do"wn')
    return registry


TEXT = r"""# HELP view_total Product view\\\n"it"
# TYPE view_total counter
view_total{a="z",product="p1"} 8
view_total{a="ü$",product="q\"\\\n"} 0.5
# HELP view_created Product view\\\n"it"
# TYPE view_created gauge
view_created{a="z",product="p1"} 1700000000.25
view_created{a="ü$",product="q\"\\\n"} 1700000000.25
# HELP temperature_celsius ~
# TYPE temperature_celsius gauge
temperature_celsius -Inf
# HELP size_bytes Size
# TYPE size_bytes summary
size_bytes_count 1
size_bytes_sum 1e+21
# HELP size_bytes_created Size
# TYPE size_bytes_created gauge
size_bytes_created 1700000000.25
# HELP duration_seconds Duration
# TYPE duration_seconds histogram
duration_seconds_bucket{aa="2",le="0.1",z="1"} 0
duration_seconds_bucket{aa="2",le="1.0",z="1"} 1
duration_seconds_bucket{aa="2",le="+Inf",z="1"} 1
duration_seconds_count{aa="2",z="1"} 1
duration_seconds_sum{aa="2",z="1"} 0.5
# HELP duration_seconds_created Duration
# TYPE duration_seconds_created gauge
duration_seconds_created{aa="2",z="1"} 1700000000.25
# HELP build_info Build
# TYPE build_info gauge
build_info{a="x",part="web",version="1"} 1
# HELP task Task
# TYPE task gauge
task{a="1",task="up",z="2"} 0
task{a="1",task="do\"wn",z="2"} 1
""".replace("$", "\0").replace("~", "")

OPENMETRICS = r"""# HELP view Product view\\\n\"it\"
# TYPE view counter
view_total{a="z",product="p1"} 8 # {trace="1"} 8 1700000000.25
view_created{a="z",product="p1"} 1700000000.25
view_total{a="ü$",product="q\"\\\n"} 0.5
view_created{a="ü$",product="q\"\\\n"} 1700000000.25
# HELP temperature_celsius ~
# TYPE temperature_celsius gauge
# UNIT temperature_celsius celsius
temperature_celsius -Inf
# HELP size_bytes Size
# TYPE size_bytes summary
# UNIT size_bytes bytes
size_bytes_count 1
size_bytes_sum 1e+21
size_bytes_created 1700000000.25
# HELP duration_seconds Duration
# TYPE duration_seconds histogram
duration_seconds_bucket{aa="2",le="0.1",z="1"} 0
duration_seconds_bucket{aa="2",le="1.0",z="1"} 1 # {b="2",trace="ü\""} 0.5 1700000000.25
duration_seconds_bucket{aa="2",le="+Inf",z="1"} 1
duration_seconds_count{aa="2",z="1"} 1
duration_seconds_sum{aa="2",z="1"} 0.5
duration_seconds_created{aa="2",z="1"} 1700000000.25
# HELP build Build
# TYPE build info
build_info{a="x",part="web",version="1"} 1
# HELP task Task
# TYPE task stateset
task{a="1",task="up",z="2"} 0
task{a="1",task="do\"wn",z="2"} 1
# EOF
""".replace("$", "\0").replace("~", "")


# --- whole pages -----------------------------------------------------------------------------------------------------


def test_text(registry: CollectorRegistry) -> None:
    """The text format: _created in gauges behind its family, escapes in help and values, labels by name."""
    assert generate_latest(registry).decode() == TEXT
    assert render(registry, Text()).decode() == TEXT
    assert render(registry, Text("1.0.0")).decode() == TEXT


def test_openmetrics(registry: CollectorRegistry) -> None:
    """OpenMetrics: units, exemplars, _created beside its series, and the end marked."""
    assert render(registry, OpenMetrics()).decode() == OPENMETRICS
    assert render(registry, OpenMetrics("2.0.0")).decode() == OPENMETRICS


@pytest.mark.parametrize("format", [Text(), Text("1.0.0", "values"), OpenMetrics(), OpenMetrics("2.0.0", "dots")])
def test_async_page_is_the_same(registry: CollectorRegistry, format: Any) -> None:
    """render_async gives the page of render."""
    assert asyncio.run(render_async(registry, format)) == render(registry, format)


def test_empty_registry() -> None:
    """A registry without metrics has an empty page, in OpenMetrics the mark of its end."""
    registry = CollectorRegistry()
    assert generate_latest(registry) == b""
    assert render(registry, OpenMetrics()) == b"# EOF\n"


def test_family_without_series() -> None:
    """A family with labels that has no series yet is announced, and has no _created family."""
    registry = CollectorRegistry()
    Histogram("h", "help", ["a"], registry=registry)
    assert generate_latest(registry) == b"# HELP h help\n# TYPE h histogram\n"


def test_large_page() -> None:
    """Thousands of series of every length stand on a page, each once, in the order of their making."""
    registry = CollectorRegistry(policy=Policy(created_series=False))
    counter = Counter("c", "help", ["a"], registry=registry)
    expected = ["# HELP c_total help", "# TYPE c_total counter"]
    for i in range(3000):
        value = "ü" * (i % 97) + str(i)
        counter.labels(value).inc(i / 7)
        expected.append(f'c_total{{a="{value}"}} {i / 7 if i % 7 else i // 7}')
    assert generate_latest(registry).decode().splitlines() == expected


# --- what a format is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "content_type"),
    [
        (Text(), "text/plain; version=0.0.4; charset=utf-8"),
        (Text("0.0.4", "allow-utf-8"), "text/plain; version=0.0.4; charset=utf-8"),
        (Text("1.0.0"), "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"),
        (Text("1.0.0", "allow-utf-8"), "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"),
        (OpenMetrics(), "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"),
        (OpenMetrics("2.0.0", "dots"), "application/openmetrics-text; version=2.0.0; charset=utf-8; escaping=dots"),
    ],
)
def test_content_type(format: Any, content_type: str) -> None:
    """A format says what a server has to send as content type."""
    assert format.content_type == content_type


def test_content_type_of_generate_latest() -> None:
    """The constants are those of prometheus_client, and CONTENT_TYPE_LATEST is what generate_latest writes."""
    import prometheus_client

    assert CONTENT_TYPE_LATEST == CONTENT_TYPE_PLAIN_0_0_4 == Text().content_type
    assert CONTENT_TYPE_PLAIN_0_0_4 == prometheus_client.CONTENT_TYPE_PLAIN_0_0_4
    assert CONTENT_TYPE_PLAIN_1_0_0 == prometheus_client.CONTENT_TYPE_PLAIN_1_0_0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Text("2.0.0"), "Text: version must be one of 0.0.4, 1.0.0, got '2.0.0'"),
        (lambda: OpenMetrics("0.0.1"), "OpenMetrics: version must be one of 1.0.0, 2.0.0, got '0.0.1'"),
        (
            lambda: Text(escaping="none"),
            "Text: escaping must be one of allow-utf-8, underscores, dots, values, got 'none'",
        ),
        (lambda: generate_latest(CollectorRegistry(), "percent"), "Text: escaping must be one of"),
    ],
)
def test_formats_that_there_are_none_of(make: Any, message: str) -> None:
    """An unknown version or escaping scheme is refused with those that there are."""
    with pytest.raises(ValueError) as caught:
        make()
    assert message in str(caught.value)


def test_formats_compare() -> None:
    """Formats are equal when version and escaping are, and can be kept in sets."""
    assert len({Text(), Text("0.0.4"), Text("1.0.0"), OpenMetrics(), OpenMetrics(escaping="dots")}) == 4
    assert repr(Text()) == "Text(version='0.0.4', escaping='underscores')"


# --- escaping schemes ------------------------------------------------------------------------------------------------


@pytest.fixture
def utf8() -> CollectorRegistry:
    """A registry with names outside the classic character set."""
    registry = CollectorRegistry(policy=Policy(utf8_names=True, created_series=False))
    Counter("http.größe", "help", ["näme", "a_b", "x"], registry=registry).labels("v", 'q"', "1").inc(2)
    Histogram("h.1", "help", ["m"], registry=registry, buckets=[1]).labels("v").observe(1)
    Gauge("plain_gauge", "help", ["a.b"], registry=registry).labels("v").set(1)
    Gauge("no label", "help", registry=registry).set(3)
    Info("i.1", "help", registry=registry).info({"la.bel": "v"})
    Enum("e.1", "help", registry=registry, states=["x"])
    return registry


SCHEMES = {
    "underscores": [
        'http_gr__e_total{a_b="q\\"",n_me="v",x="1"} 2',
        'h_1_bucket{le="1.0",m="v"} 1',
        'plain_gauge{a_b="v"} 1',
        "no_label 3",
        'i_1_info{la_bel="v"} 1',
        'e_1{e_1="x"} 1',
    ],
    "dots": [
        'http_dot_gr____e__total{a__b="q\\"",n__me="v",x="1"} 2',
        'h_dot_1__bucket{le="1.0",m="v"} 1',
        'plain__gauge{a_dot_b="v"} 1',
        "no__label 3",
        'i_dot_1__info{la_dot_bel="v"} 1',
        'e_dot_1{e_dot_1="x"} 1',
    ],
    "values": [
        'U__http_2e_gr_f6__df_e__total{a_b="q\\"",U__n_e4_me="v",x="1"} 2',
        'U__h_2e_1__bucket{le="1.0",m="v"} 1',
        'plain_gauge{U__a_2e_b="v"} 1',
        "U__no_20_label 3",
        'U__i_2e_1__info{U__la_2e_bel="v"} 1',
        'U__e_2e_1{U__e_2e_1="x"} 1',
    ],
    "allow-utf-8": [
        '{"http.größe_total",a_b="q\\"","näme"="v",x="1"} 2',
        '{"h.1_bucket",le="1.0",m="v"} 1',
        'plain_gauge{"a.b"="v"} 1',
        '{"no label"} 3',
        '{"i.1_info","la.bel"="v"} 1',
        '{"e.1","e.1"="x"} 1',
    ],
}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("format", [Text, OpenMetrics])
def test_escaping(utf8: CollectorRegistry, scheme: str, format: Any) -> None:
    """Each scheme writes names of metrics and labels as Prometheus's proposal on UTF-8 names says."""
    lines = render(utf8, format(escaping=scheme)).decode().splitlines()
    for line in SCHEMES[scheme]:
        assert line in lines
    if format is Text:
        assert generate_latest(utf8, scheme).decode().splitlines() == lines


@pytest.mark.parametrize("scheme", SCHEMES)
def test_escaping_in_descriptions(utf8: CollectorRegistry, scheme: str) -> None:
    """HELP and TYPE name the family as its series are named."""
    names = {
        "underscores": "http_gr__e_total",
        "dots": "http_dot_gr____e__total",
        "values": "U__http_2e_gr_f6__df_e__total",
        "allow-utf-8": '"http.größe_total"',
    }
    page = generate_latest(utf8, scheme).decode()
    assert page.startswith(f"# HELP {names[scheme]} help\n# TYPE {names[scheme]} counter\n")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_collectors_are_escaped_alike(utf8: CollectorRegistry, scheme: str) -> None:
    """Families of cells and families of collectors are written in the same way."""
    copy = CollectorRegistry(policy=utf8.policy)

    class Copy:
        def collect(self) -> list[Metric]:
            return list(utf8.collect())

    copy.register(Copy())
    for format in (Text(escaping=scheme), Text("1.0.0", scheme), OpenMetrics(escaping=scheme)):
        assert render(copy, format) == render(utf8, format)


# --- chosen names ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "text", "openmetrics"),
    [
        (
            ["view_total"],
            ["view_total", "view_total"],
            ["view_total", "view_total"],
        ),
        (["view_created"], ["view_created", "view_created"], ["view_created", "view_created"]),
        (["view"], [], []),
        (["duration_seconds_sum", "task"], ["duration_seconds_sum", "task", "task"], None),
        (["build_info", "nowhere"], ["build_info"], None),
        (["view_total\n", "ü", ""], [], []),
    ],
)
def test_names(registry: CollectorRegistry, names: list[str], text: list[str], openmetrics: list[str] | None) -> None:
    """A page of chosen names has their series alone; unknown names are no error."""
    restricted = registry.restricted_registry(names)
    for format, expected in ((Text(), text), (OpenMetrics(), text if openmetrics is None else openmetrics)):
        page = render(restricted, format).decode()
        lines = [line for line in page.splitlines() if not line.startswith("#")]
        assert [line.partition("{")[0] for line in lines] == expected
        assert set(lines) <= set(render(registry, format).decode().splitlines())


def test_names_and_descriptions(registry: CollectorRegistry) -> None:
    """Families of which nothing was chosen are not announced."""
    restricted = registry.restricted_registry(["task"])
    assert generate_latest(restricted).decode() == TEXT[TEXT.index("# HELP task") :]
    assert render(restricted, OpenMetrics()).decode() == OPENMETRICS[OPENMETRICS.index("# HELP task") :]


# --- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "short", "go"),
    [
        (0.0, "0", "0.0"),
        (-0.0, "-0", "-0.0"),
        (8.0, "8", "8.0"),
        (-8.0, "-8", "-8.0"),
        (0.1, "0.1", "0.1"),
        (1e-7, "1e-07", "1e-07"),
        (123456.0, "123456", "123456.0"),
        (1e6, "1000000", "1e+06"),
        (1234567.5, "1234567.5", "1.2345675e+06"),
        (-1e6, "-1000000", "-1000000.0"),
        (1e15, "1000000000000000", "1e+15"),
        (1e16, "1e+16", "1e+16"),
        (5e-324, "5e-324", "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308", "1.7976931348623157e+308"),
        (2**53 + 0.0, "9007199254740992", "9.007199254740992e+15"),
        (math.inf, "+Inf", "+Inf"),
        (-math.inf, "-Inf", "-Inf"),
        (math.nan, "NaN", "NaN"),
    ],
)
def test_numbers(value: float, short: str, go: str) -> None:
    """Numbers are Python's shortest, integers without `.0`; as prometheus_client writes them where the policy says so.

    Cells and the families of collectors are written alike.
    """

    class Collector:
        def collect(self) -> list[Metric]:
            return [GaugeMetricFamily("g", "help", value=value)]

    for policy, text in ((Policy(), short), (Policy(numbers="go"), go)):
        registry = CollectorRegistry(policy=policy)
        Gauge("g", "help", registry=registry).set(value)
        other = CollectorRegistry(policy=policy)
        other.register(Collector())
        expected = f"# HELP g help\n# TYPE g gauge\ng {text}\n".encode()
        assert generate_latest(registry) == expected
        assert generate_latest(other) == expected
    assert float(short) == value or value != value


# --- what only collectors give ---------------------------------------------------------------------------------------


class Families:
    """A collector of given families."""

    def __init__(self, *families: Metric) -> None:
        self.families = families

    def collect(self) -> list[Metric]:
        return list(self.families)


def page_of(*families: Metric, format: Any = None) -> str:
    """The page of families."""
    registry = CollectorRegistry(policy=Policy(isolate_errors=False, numbers="go"))
    registry.register(Families(*families))
    return render(registry, Text() if format is None else format).decode()


def families() -> list[Metric]:
    """Families with what metrics do not have: timestamps, quantiles, gauge histograms, native histograms."""
    counter = CounterMetricFamily("c", "help", labels=["a"])
    counter.add_metric(["x"], 3, created=123.5, timestamp=1.5, exemplar=Exemplar({"t": "1"}, 2, Timestamp(5, 6)))
    gauge = GaugeMetricFamily("g", "help", labels=["a"], unit="bytes")
    gauge.add_metric(["x"], 4, timestamp=Timestamp(12, 345_678_901))
    summary = SummaryMetricFamily("s", "help", count_value=2, sum_value=3.5)
    summary.add_sample("s", {"quantile": "0.5"}, 1.5)
    buckets = GaugeHistogramMetricFamily("gh", "help", buckets=[("1.0", 2), ("+Inf", 3)], gsum_value=7)
    states = StateSetMetricFamily("st", "help", value={"up": True, "down": False})
    unknown = UnknownMetricFamily("u", "help", value=5)
    native = Metric("n", "help", "histogram")
    spans = [BucketSpan(0, 2), BucketSpan(3, 1)]
    exemplars = [Exemplar({"t": "1"}, 0.5, 1.25), Exemplar({"t": "2"}, 0.75)]
    native.add_sample(
        "n",
        {"a": "x"},
        0,
        None,
        None,
        NativeHistogram(6, 12.5, 3, 0.001, 1, spans, spans, [1, 2, -1], [1, 0, 0], exemplars),
    )
    native.add_sample("n", {"a": "y"}, 0, None, None, NativeHistogram(0, 0, 3, 0.001, 0))
    return [counter, gauge, summary, buckets, states, unknown, native]


def test_families_of_collectors_in_text() -> None:
    """Timestamps in milliseconds, quantiles, _gsum and _gcount behind their family, unknown as untyped."""
    import prometheus_client

    metrics = families()[:-1]
    theirs: Any = Families(*metrics)
    assert page_of(*metrics) == prometheus_client.generate_latest(theirs).decode()
    assert 'c_total{a="x"} 3.0 1500\n' in page_of(*metrics)
    assert "# TYPE u untyped\nu 5.0\n" in page_of(*metrics)
    assert "# HELP gh_gcount help\n# TYPE gh_gcount gauge\ngh_gcount 3.0\n# HELP gh_gsum help\n" in page_of(*metrics)


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0"])
def test_families_of_collectors_in_openmetrics(version: str) -> None:
    """As prometheus_client writes them; native histograms in 2.0.0 alone."""
    metrics = families()
    ours = page_of(*metrics, format=OpenMetrics(version))
    write: Any = their_openmetrics.generate_latest
    expected = write(Families(*metrics), version=version).decode()
    if version == "1.0.0":
        assert ours == expected
        assert "count:" not in ours
        return
    # Several exemplars of a native histogram need a space between them, which is all that may differ.
    assert ours.replace(" # {", "#{") == expected.replace(" # {", "#{")
    assert (
        'n{a="x"} {count:6,sum:12.5,schema:3,zero_threshold:0.001,zero_count:1,negative_spans:[0:2,3:1],'
        'negative_deltas:[1,0,0],positive_spans:[0:2,3:1],positive_deltas:[1,2,-1]} # {t="1"} 0.5 1.25 # {t="2"} 0.75\n'
    ) in ours


def test_exemplars_where_none_may_be() -> None:
    """An exemplar that OpenMetrics does not allow is an error of the collector."""
    gauge = GaugeMetricFamily("g", "help")
    gauge.add_sample("g", {}, 1, None, Exemplar({"t": "1"}, 1))
    with pytest.raises(ValueError, match='gauge "g": g has an exemplar, which only'):
        page_of(gauge, format=OpenMetrics())
    assert page_of(gauge) == "# HELP g help\n# TYPE g gauge\ng 1.0\n"


@pytest.mark.parametrize("format", [Text(), OpenMetrics()])
def test_surrogates_of_collectors(format: Any) -> None:
    """Lone surrogates in a collector's help, label values and exemplars become U+FFFD instead of an error."""
    counter = CounterMetricFamily("c", "he\ud800lp", labels=["a"])
    counter.add_metric(["x\udfff"], 3, exemplar=Exemplar({"t": "\ud800"}, 1))
    page = page_of(counter, format=format)
    assert "he\ufffdlp" in page
    assert 'c_total{a="x\ufffd"} 3.0' in page


def test_labels_that_are_no_str() -> None:
    """A collector's label values are written as their str(), as labels() takes them."""
    metric = Metric("g", "help", "gauge")
    labels: Any = {"b": 1, "a": None, "c": True}
    metric.add_sample("g", labels, 1)
    assert 'g{a="None",b="1",c="True"} 1.0\n' in page_of(metric)
