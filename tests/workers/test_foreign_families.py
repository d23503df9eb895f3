"""What only one worker has defined, registered or set is on every worker's page, and stays when that one ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from workers.conformance import InForks, InPrograms, OneProcess, Scenario, play
from workers.puppets import Puppet

SCENARIOS = [
    Scenario(
        "one worker has a family",
        r"""
0 hits = Counter("hits", "Hits", ["path"])
1 size = Summary("size", "Sizes", unit="bytes")
2 took = Histogram("took", "Durations", buckets=[1])
0 build = Info("build", "What runs")
1 task = Enum("task", "Tasks", ["queue"], states=["new", "done"])
2 level = Gauge("level", "Level \\ \n", ["tank"])
0 hits.labels("a").inc(1, exemplar={"trace": "x"})
1 size.observe(3)
2 took.observe(0.5)
0 build.info({"v": "1"})
1 task.labels("q\n").state("done")
2 level.labels("\u00fc").set(4)
0 hits.labels("b").inc()
0 hits.remove("a")
""",
        r"""
text| # HELP build_info What runs
text| # TYPE build_info gauge
open| # HELP build What runs
open| # TYPE build info
build_info{v="1"} 1
text| # HELP hits_created Hits
text| # TYPE hits_created gauge
open| # HELP hits Hits
open| # TYPE hits counter
open| hits_total{path="b"} 1
hits_created{path="b"} T
text| # HELP hits_total Hits
text| # TYPE hits_total counter
text| hits_total{path="b"} 1
# HELP level Level \\ \n
# TYPE level gauge
level{tank="ü"} 4
# HELP size_bytes Sizes
# TYPE size_bytes summary
open| # UNIT size_bytes bytes
size_bytes_count 1
size_bytes_sum 3
text| # HELP size_bytes_created Sizes
text| # TYPE size_bytes_created gauge
size_bytes_created T
# HELP task Tasks
text| # TYPE task gauge
open| # TYPE task stateset
task{queue="q\n",task="new"} 0
task{queue="q\n",task="done"} 1
# HELP took Durations
# TYPE took histogram
took_bucket{le="1.0"} 1
took_bucket{le="+Inf"} 1
took_count 1
took_sum 0.5
text| # HELP took_created Durations
text| # TYPE took_created gauge
took_created T
""",
        created=True,
    ),
    Scenario(
        "it comes later",
        r"""
0 hits = Counter("hits", "Hits", ["path"])
0 hits.labels("a").inc(1, exemplar={"trace": "x"})
1 scrape()
2 hits = Counter("hits", "Hits", ["path"])
2 hits.labels("a").inc()
1 scrape()
1 hits = Counter("hits", "Hits", ["path"])
1 hits.labels("b").inc()
""",
        r"""
text| # HELP hits_total Hits
text| # TYPE hits_total counter
open| # HELP hits Hits
open| # TYPE hits counter
hits_total{path="a"} 2 # {trace="x"} 1 T
hits_total{path="b"} 1
""",
    ),
    Scenario(
        "the worker exits",
        r"""
1 hits = Counter("hits", "Hits", ["path"])
1 build = Info("build", "What runs")
1 hits.labels("a").inc(2)
1 build.info({"v": "1"})
1 exits
0 scrape()
2 level = Gauge("level", "Level")
2 level.set(1)
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
hits_total{path="a"} 2
# HELP level Level
# TYPE level gauge
level 1
""",
    ),
    Scenario(
        "the worker is killed",
        r"""
0 scrape()
1 hits = Counter("hits", "Hits", ["path"])
1 task = Enum("task", "Tasks", states=["new", "done"])
1 hits.labels("a").inc(2, exemplar={"trace": "x"})
1 task.state("done")
1 is killed
2 hits = Counter("hits", "Hits", ["path"])
2 hits.labels("a").inc()
""",
        r"""
text| # HELP hits_total Hits
text| # TYPE hits_total counter
open| # HELP hits Hits
open| # TYPE hits counter
hits_total{path="a"} 3 # {trace="x"} 2 T
# HELP task Tasks
text| # TYPE task gauge
open| # TYPE task stateset
task{task="new"} 0
task{task="done"} 1
""",
    ),
    Scenario(
        "removed by another",
        r"""
0 hits = Counter("hits", "Hits", ["path"])
0 hits.labels("a").inc()
0 hits.labels("b").inc()
1 scrape()
1 hits = Counter("hits", "Hits", ["path"])
1 hits.clear()
2 scrape()
0 hits.labels("b").inc()
""",
        r"""
text| # HELP hits_total Hits
text| # TYPE hits_total counter
open| # HELP hits Hits
open| # TYPE hits counter
hits_total{path="b"} 1
""",
    ),
    Scenario(
        "unregistered by the one that has it",
        r"""
0 hits = Counter("hits", "Hits")
0 level = Gauge("level", "Level")
0 hits.inc()
1 scrape()
0 registry.unregister(hits)
""",
        r"""
# HELP level Level
# TYPE level gauge
level 0
""",
    ),
    Scenario(
        "cap of one and no cap of another",
        r"""
0 hits = Counter("hits", "Hits", ["path"], max_series=1)
0 hits.labels("a").inc()
0 hits.labels("b").inc()
0 hits.labels("c").inc(2)
""",
        r"""
text| # HELP hits_total Hits
text| # TYPE hits_total counter
open| # HELP hits Hits
open| # TYPE hits counter
hits_total{path="a"} 1
hits_total{path="__overflow__"} 3
text| # HELP pyrometer_series_overflow_total Label sets past max_series
text| # TYPE pyrometer_series_overflow_total counter
open| # HELP pyrometer_series_overflow Label sets past max_series
open| # TYPE pyrometer_series_overflow counter
pyrometer_series_overflow_total{family="hits"} 2
""",
    ),
    Scenario(
        "callbacks",
        r"""
0 level = Gauge("level", "Level")
0 level.set_function(lambda: 4)
1 seen = Counter("seen", "Seen")
1 seen.set_function(lambda: 12)
2 tanks = Gauge("tanks", "Tanks", ["tank", "unit"])
2 tanks.set_function(lambda: {("a", "l"): 1, ("b", "l"): 2.5})
* scrape()
""",
        r"""
# HELP level Level
# TYPE level gauge
level 4
text| # HELP seen_total Seen
text| # TYPE seen_total counter
open| # HELP seen Seen
open| # TYPE seen counter
seen_total 12
# HELP tanks Tanks
# TYPE tanks gauge
tanks{tank="a",unit="l"} 1
tanks{tank="b",unit="l"} 2.5
""",
    ),
    Scenario(
        "callbacks of workers that have ended",
        r"""
0 level = Gauge("level", "Level")
0 level.set_function(lambda: 4)
1 tanks = Gauge("tanks", "Tanks", ["tank"])
1 tanks.set_function(lambda: {"a": 1, "b": 2.5})
0 scrape()
1 scrape()
0 exits
1 is killed
""",
        r"""
# HELP level Level
# TYPE level gauge
level 4
# HELP tanks Tanks
# TYPE tanks gauge
tanks{tank="a"} 1
tanks{tank="b"} 2.5
""",
    ),
    Scenario(
        "callbacks that fail",
        r"""
0 level = Gauge("level", "Level")
1 other = Gauge("other", "Other")
1 other.set(1)
0 broken = [True, True]
0 level.set_function(lambda: [1 / 0] if broken and broken.pop() else 3)
0 scrape()
0 scrape()
0 level.set_function(lambda: 3)
0 scrape()
""",
        r"""
# HELP level Level
# TYPE level gauge
level 3
# HELP other Other
# TYPE other gauge
other 1
text| # HELP pyrometer_scrape_errors_total Failures of collectors and callbacks
text| # TYPE pyrometer_scrape_errors_total counter
open| # HELP pyrometer_scrape_errors Failures of collectors and callbacks
open| # TYPE pyrometer_scrape_errors counter
pyrometer_scrape_errors_total{collector="level"} 2
""",
    ),
    Scenario(
        "errors of collectors",
        r"""
0 registry.register(Failing(2))
1 registry.register(Failing(1))
0 scrape()
0 scrape()
1 scrape()
2 scrape()
""",
        r"""
text| # HELP pyrometer_scrape_errors_total Failures of collectors and callbacks
text| # TYPE pyrometer_scrape_errors_total counter
open| # HELP pyrometer_scrape_errors Failures of collectors and callbacks
open| # TYPE pyrometer_scrape_errors counter
pyrometer_scrape_errors_total{collector="Failing"} 3
""",
    ),
    Scenario(
        "target_info of one",
        r"""
0 registry.set_target_info({"env": "prod"})
1 hits = Counter("hits", "Hits")
1 hits.inc()
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
target_info{env="prod"} 1
""",
    ),
    Scenario(
        "collector of one",
        r"""
0 registry.register(Giving(GaugeMetricFamily("queue", "Queue", value=4), CounterMetricFamily("jobs", "Jobs", value=5)))
0 scrape()
""",
        r"""
text| # HELP jobs_total Jobs
text| # TYPE jobs_total counter
open| # HELP jobs Jobs
open| # TYPE jobs counter
jobs_total 5
# HELP queue Queue
# TYPE queue gauge
queue 4
""",
    ),
    Scenario(
        "collector of a worker that has ended",
        r"""
0 registry.register(Giving(GaugeMetricFamily("queue", "Queue", value=4)))
0 scrape()
0 is killed
1 level = Gauge("level", "Level")
1 level.set(1)
""",
        r"""
# HELP level Level
# TYPE level gauge
level 1
# HELP queue Queue
# TYPE queue gauge
queue 4
""",
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
