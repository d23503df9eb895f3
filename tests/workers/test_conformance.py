"""N workers behave as one process: whatever they do in turn, each of them has the page that one process would have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from workers.conformance import InForks, InPrograms, OneProcess, Scenario, normal, play, random_script
from workers.puppets import Puppet

SCENARIOS = [
    Scenario(
        "counters",
        r"""
* hits = Counter("hits", "Hits", ["path", "code"])
* plain = Counter("plain_total", "Without labels")
0 hits.labels("/", 200).inc()
1 hits.labels("/", 200).inc(2.5)
2 hits.labels(code=404, path="/x").inc()
1 hits.labels("/x", "404").inc()
* plain.inc()
0 hits.labels("/reset", 1).inc(7)
2 hits.labels("/reset", 1).reset()
1 hits.labels("/reset", 1).inc(3)
""",
        r"""
text| # HELP hits_total Hits
text| # TYPE hits_total counter
open| # HELP hits Hits
open| # TYPE hits counter
hits_total{code="200",path="/"} 3.5
hits_total{code="404",path="/x"} 2
hits_total{code="1",path="/reset"} 3
text| # HELP plain_total Without labels
text| # TYPE plain_total counter
open| # HELP plain Without labels
open| # TYPE plain counter
plain_total 3
""",
    ),
    Scenario(
        "gauges",
        r"""
* level = Gauge("level", "Level", ["tank"], namespace="plant", unit="litres")
* last = Gauge("last", "The last one who sets it")
* jobs = Gauge("jobs", "Jobs that run")
0 level.labels("a").set(10)
1 level.labels("a").inc(5)
2 level.labels("a").dec(2.5)
2 level.labels("nan").set(float("nan"))
2 level.labels("low").set(float("-inf"))
* last.set(1)
1 last.set(-2)
0 tracked = jobs.track_inprogress()
0 tracked.__enter__()
1 tracked = jobs.track_inprogress()
1 tracked.__enter__()
2 jobs.inc(10)
0 tracked.__exit__(None, None, None)
""",
        r"""
# HELP jobs Jobs that run
# TYPE jobs gauge
jobs 11
# HELP last The last one who sets it
# TYPE last gauge
last -2
# HELP plant_level_litres Level
# TYPE plant_level_litres gauge
open| # UNIT plant_level_litres litres
plant_level_litres{tank="a"} 12.5
plant_level_litres{tank="nan"} NaN
plant_level_litres{tank="low"} -Inf
""",
    ),
    Scenario(
        "summaries and histograms",
        r"""
* size = Summary("size", "Sizes", ["kind"], unit="bytes")
* took = Histogram("took_seconds", "Durations", ["kind"], buckets=[0.1, 1, 10])
* cold = Histogram("cold", "Temperatures", buckets=[-10, 0])
0 size.labels("a").observe(3)
1 size.labels("a").observe(4)
2 size.labels("b")
0 took.labels("a").observe(0.1)
1 took.labels("a").observe(0.2)
2 took.labels("a").observe(100)
2 took.labels("b").observe(5)
1 cold.observe(-20)
0 cold.observe(5)
""",
        r"""
# HELP cold Temperatures
# TYPE cold histogram
cold_bucket{le="-10.0"} 1
cold_bucket{le="0.0"} 1
cold_bucket{le="+Inf"} 2
text| cold_count 2
# HELP size_bytes Sizes
# TYPE size_bytes summary
open| # UNIT size_bytes bytes
size_bytes_count{kind="a"} 2
size_bytes_sum{kind="a"} 7
size_bytes_count{kind="b"} 0
size_bytes_sum{kind="b"} 0
# HELP took_seconds Durations
# TYPE took_seconds histogram
took_seconds_bucket{kind="a",le="0.1"} 1
took_seconds_bucket{kind="a",le="1.0"} 2
took_seconds_bucket{kind="a",le="10.0"} 2
took_seconds_bucket{kind="a",le="+Inf"} 3
took_seconds_count{kind="a"} 3
took_seconds_sum{kind="a"} 100.3
took_seconds_bucket{kind="b",le="0.1"} 0
took_seconds_bucket{kind="b",le="1.0"} 0
took_seconds_bucket{kind="b",le="10.0"} 1
took_seconds_bucket{kind="b",le="+Inf"} 1
took_seconds_count{kind="b"} 1
took_seconds_sum{kind="b"} 5
""",
    ),
    Scenario(
        "infos and enums",
        r"""
* build = Info("build", "What runs")
* node = Info("node", "Nodes", ["rack"])
* task = Enum("task", "Tasks", ["queue"], states=["new", "running", "done"])
* mood = Enum("mood", "Moods", states=["good", "bad"])
0 build.info({"version": "1", "branch": "main"})
1 build.info({"version": "2"})
2 node.labels("a").info({"cpu": "arm"})
0 node.labels("b").info({"cpu": "x86"})
1 node.labels("a").info({"cpu": "arm", "memory": "a text that is a good deal longer than what was there before"})
0 task.labels("q").state("running")
1 task.labels("q").state("done")
2 task.labels("r")
2 mood.state("bad")
""",
        r"""
text| # HELP build_info What runs
text| # TYPE build_info gauge
open| # HELP build What runs
open| # TYPE build info
build_info{version="2"} 1
# HELP mood Moods
text| # TYPE mood gauge
open| # TYPE mood stateset
mood{mood="good"} 0
mood{mood="bad"} 1
text| # HELP node_info Nodes
text| # TYPE node_info gauge
open| # HELP node Nodes
open| # TYPE node info
node_info{cpu="arm",memory="a text that is a good deal longer than what was there before",rack="a"} 1
node_info{cpu="x86",rack="b"} 1
# HELP task Tasks
text| # TYPE task gauge
open| # TYPE task stateset
task{queue="q",task="new"} 0
task{queue="q",task="running"} 0
task{queue="q",task="done"} 1
task{queue="r",task="new"} 1
task{queue="r",task="running"} 0
task{queue="r",task="done"} 0
""",
    ),
    Scenario(
        "exemplars",
        r"""
* hits = Counter("hits", "Hits", ["path"])
* took = Histogram("took", "Durations", buckets=[1, 2])
0 hits.labels("a").inc(1, exemplar={"trace": "first"})
1 hits.labels("a").inc(2, exemplar={"trace": "second"})
2 hits.labels("b").inc(1, exemplar={"trace": "\"quoted\"\n\u00fc"})
0 took.observe(0.5, exemplar={"trace": "x"})
1 took.observe(1.5, exemplar={"trace": "y"})
2 took.observe(9, exemplar={"trace": "z"})
1 took.observe(8)
""",
        r"""
text| # HELP hits_total Hits
text| # TYPE hits_total counter
open| # HELP hits Hits
open| # TYPE hits counter
hits_total{path="a"} 3 # {trace="second"} 2 T
hits_total{path="b"} 1 # {trace="\"quoted\"\nü"} 1 T
# HELP took Durations
# TYPE took histogram
took_bucket{le="1.0"} 1 # {trace="x"} 0.5 T
took_bucket{le="2.0"} 2 # {trace="y"} 1.5 T
took_bucket{le="+Inf"} 4 # {trace="z"} 9 T
took_count 4
took_sum 19
""",
    ),
    Scenario(
        "exemplars of what was removed",
        r"""
* hits = Counter("hits", "Hits", ["path"])
0 hits.labels("a").inc(1, exemplar={"trace": "before"})
1 scrape()
1 hits.remove("a")
2 hits.labels("a").inc()
0 hits.labels("b").inc(1, exemplar={"trace": "b"})
""",
        r"""
text| # HELP hits_total Hits
text| # TYPE hits_total counter
open| # HELP hits Hits
open| # TYPE hits counter
hits_total{path="a"} 1
hits_total{path="b"} 1 # {trace="b"} 1 T
""",
    ),
    Scenario(
        "_created series",
        r"""
* hits = Counter("hits", "Hits", ["path"])
* plain = Counter("plain", "Without labels")
* size = Summary("size", "Sizes")
* took = Histogram("took", "Durations", ["kind"], buckets=[1])
0 hits.labels("a").inc()
1 hits.labels("a").inc()
2 hits.labels("b").inc()
1 plain.inc()
1 plain.reset()
2 size.observe(1)
0 took.labels("x").observe(1)
""",
        r"""
text| # HELP hits_created Hits
text| # TYPE hits_created gauge
open| # HELP hits Hits
open| # TYPE hits counter
open| hits_total{path="a"} 2
hits_created{path="a"} T
open| hits_total{path="b"} 1
hits_created{path="b"} T
text| # HELP hits_total Hits
text| # TYPE hits_total counter
text| hits_total{path="a"} 2
text| hits_total{path="b"} 1
text| # HELP plain_created Without labels
text| # TYPE plain_created gauge
open| # HELP plain Without labels
open| # TYPE plain counter
open| plain_total 0
plain_created T
text| # HELP plain_total Without labels
text| # TYPE plain_total counter
text| plain_total 0
# HELP size Sizes
# TYPE size summary
size_count 1
size_sum 1
text| # HELP size_created Sizes
text| # TYPE size_created gauge
size_created T
# HELP took Durations
# TYPE took histogram
took_bucket{kind="x",le="1.0"} 1
took_bucket{kind="x",le="+Inf"} 1
took_count{kind="x"} 1
took_sum{kind="x"} 1
text| # HELP took_created Durations
text| # TYPE took_created gauge
took_created{kind="x"} T
""",
        created=True,
    ),
    Scenario(
        "removal",
        r"""
* hits = Counter("hits", "Hits", ["path", "code"])
0 hits.labels("a", 1).inc(100)
0 hits.labels("b", 1).inc(100)
1 hits.labels("b", 2).inc(100)
2 hits.labels("c", 2).inc(100)
* held = hits.labels("a", 1)
1 hits.remove("a", 1)
2 held.inc()
0 held.inc()
0 hits.labels("a", 1).inc()
1 hits.labels("a", 1).inc()
2 hits.labels("a", 1).inc()
1 held.inc(50)
2 hits.remove_by_labels({"path": "b"})
0 hits.labels("b", 3).inc()
""",
        r"""
text| # HELP hits_total Hits
text| # TYPE hits_total counter
open| # HELP hits Hits
open| # TYPE hits counter
hits_total{code="2",path="c"} 100
hits_total{code="1",path="a"} 3
hits_total{code="3",path="b"} 1
""",
    ),
    Scenario(
        "clear",
        r"""
* level = Gauge("level", "Level", ["tank"])
* took = Histogram("took", "Durations", ["kind"], buckets=[1])
* node = Info("node", "Nodes", ["rack"])
* task = Enum("task", "Tasks", ["queue"], states=["new", "done"])
0 level.labels("a").set(1)
1 level.labels("b").set(2)
2 took.labels("a").observe(1)
0 node.labels("a").info({"cpu": "x"})
1 task.labels("a").state("done")
* held = level.labels("a")
2 level.clear()
1 took.clear()
2 node.clear()
2 task.clear()
0 held.set(9)
1 level.labels("c").set(3)
0 took.labels("a").observe(0.5)
1 node.labels("a")
0 task.labels("a")
""",
        r"""
# HELP level Level
# TYPE level gauge
level{tank="c"} 3
text| # HELP node_info Nodes
text| # TYPE node_info gauge
open| # HELP node Nodes
open| # TYPE node info
node_info{rack="a"} 1
# HELP task Tasks
text| # TYPE task gauge
open| # TYPE task stateset
task{queue="a",task="new"} 1
task{queue="a",task="done"} 0
# HELP took Durations
# TYPE took histogram
took_bucket{kind="a",le="1.0"} 1
took_bucket{kind="a",le="+Inf"} 1
took_count{kind="a"} 1
took_sum{kind="a"} 0.5
""",
    ),
    Scenario(
        "label values",
        r"""
* odd = Gauge("odd", "Backslash \\ and\nnewline", ["a", "B"])
0 odd.labels("ünï €", "").set(1)
1 odd.labels("say \"hi\"", "back\\slash").set(2)
2 odd.labels("two\nlines", "x").set(3)
2 odd.labels("ünï €", "").inc()
0 odd.labels("say \"hi\"", "back\\slash").inc()
1 odd.labels("two\nlines", "x").inc()
1 odd.labels("", "").set(5)
0 odd.labels("\ud800", 1.5).set(6)
1 odd.labels("\ud800", 1.5).inc()
2 odd.labels("removed\n", "").set(1)
0 odd.remove("removed\n", "")
""",
        r"""
# HELP odd Backslash \\ and\nnewline
# TYPE odd gauge
odd{B="",a="ünï €"} 2
odd{B="back\\slash",a="say \"hi\""} 3
odd{B="x",a="two\nlines"} 4
odd{B="",a=""} 5
odd{B="1.5",a="�"} 7
""",
    ),
    Scenario(
        "cap of all workers together",
        r"""
* hits = Counter("hits", "Hits", ["path"], max_series=4)
* level = Gauge("level", "Level", ["tank"], max_series=2)
0 hits.labels("a").inc()
1 hits.labels("b").inc()
2 hits.labels("c").inc()
0 hits.labels("d").inc()
1 hits.labels("e").inc()
2 hits.labels("f").inc()
0 hits.labels("g").inc()
1 hits.labels("a").inc()
2 hits.labels("d").inc()
0 level.labels("a").set(1)
1 level.labels("b").set(2)
2 level.labels("c").set(3)
0 hits.remove("b")
2 hits.labels("h").inc()
1 hits.labels("i").inc()
""",
        r"""
text| # HELP hits_total Hits
text| # TYPE hits_total counter
open| # HELP hits Hits
open| # TYPE hits counter
hits_total{path="a"} 2
hits_total{path="c"} 1
hits_total{path="d"} 2
hits_total{path="__overflow__"} 4
hits_total{path="h"} 1
# HELP level Level
# TYPE level gauge
level{tank="a"} 1
level{tank="b"} 2
text| # HELP pyrometer_series_overflow_total Label sets past max_series
text| # TYPE pyrometer_series_overflow_total counter
open| # HELP pyrometer_series_overflow Label sets past max_series
open| # TYPE pyrometer_series_overflow counter
pyrometer_series_overflow_total{family="hits"} 4
pyrometer_series_overflow_total{family="level"} 1
""",
    ),
    Scenario(
        "target_info of all",
        r"""
* registry.set_target_info({"env": "prod", "region": "e\u00fc"})
* hits = Counter("hits", "Hits")
0 hits.inc()
""",
        r"""
text| # HELP hits_total Hits
text| # TYPE hits_total counter
open| # HELP hits Hits
open| # TYPE hits counter
hits_total 1
text| # HELP target_info Target metadata
text| # TYPE target_info gauge
open| # HELP target Target metadata
open| # TYPE target info
target_info{env="prod",region="eü"} 1
""",
    ),
    Scenario(
        "restricted page",
        r"""
* hits = Counter("hits", "Hits", ["path"])
* took = Histogram("took", "Durations", buckets=[1])
* build = Info("build", "What runs")
* level = Gauge("level", "Level")
0 hits.labels("a").inc()
1 hits.labels("b").inc()
2 took.observe(0.5)
0 build.info({"v": "1"})
1 level.set(1)
""",
        r"""
text| # HELP build_info What runs
text| # TYPE build_info gauge
open| # HELP build What runs
open| # TYPE build info
build_info{v="1"} 1
text| # HELP hits_total Hits
text| # TYPE hits_total counter
open| # HELP hits Hits
open| # TYPE hits counter
hits_total{path="a"} 1
hits_total{path="b"} 1
# HELP took Durations
# TYPE took histogram
took_sum 0.5
""",
        names=("hits_total", "took_sum", "build_info"),
    ),
]

EACH = pytest.mark.parametrize("scenario", SCENARIOS, ids=str)


@EACH
def test_in_one_process(scenario: Scenario) -> None:
    """One process has the expected page, which is what every number of workers is held to."""
    play(scenario, OneProcess(scenario.created))


@EACH
def test_in_forks(scenario: Scenario, puppet: Callable[..., Puppet]) -> None:
    """Three forks of a program have that page, each of them, and all three the same."""
    play(scenario, InForks(puppet, scenario.created))


@EACH
def test_in_programs(scenario: Scenario, puppet: Callable[..., Puppet], tmp_path: Path) -> None:
    """Three programs that share nothing but PYROMETER_ARENA have that page, each of them, and all three the same."""
    play(scenario, InPrograms(puppet, scenario.created, tmp_path / "arena"))


@pytest.mark.parametrize("seed", range(8))
def test_any_steps(seed: int, puppet: Callable[..., Puppet]) -> None:
    """Whatever three forks do in turn, each of them has the page that one process has when it does all of that."""
    script = random_script(seed)
    alone, forks = OneProcess(False), InForks(puppet, False)
    for worker, statement in Scenario("any", script, "").steps():
        alone.do(worker, statement)
        forks.do(worker, statement)
    for openmetrics in (False, True):
        expected = normal(alone.page(0, None, openmetrics))
        assert [normal(forks.page(worker, None, openmetrics)) for worker in range(3)] == [expected] * 3, script
