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


def test_unregistered_by_one_of_two(puppet: Callable[..., Puppet]) -> None:
    """A family is on every page while a worker has it registered; when the last has taken it out, on none, and what it
    counted is gone: who defines it again begins anew."""
    workers = InForks(puppet, False)
    for worker in (0, 1):
        workers.do(worker, "hits = Counter('hits', 'Hits')")
        workers.do(worker, "hits.inc()")
    workers.do(0, "registry.unregister(hits)")
    for worker in range(3):
        assert "hits_total 2\n" in workers.page(worker, None, False)
    workers.do(0, "hits.inc()")  # it counts on, like a series that was removed
    workers.do(1, "registry.unregister(hits)")
    for worker in range(3):
        assert workers.page(worker, None, False) == ""
    workers.do(2, "hits = Counter('hits', 'Hits')")
    workers.do(2, "hits.inc()")
    for worker in range(3):
        assert "hits_total 1\n" in workers.page(worker, None, False)


def test_a_page_restricted_to_what_others_have(puppet: Callable[..., Puppet]) -> None:
    """A page that was asked for some names has the series of these names alone, of families of other workers too."""
    workers = InForks(puppet, True)
    workers.do(0, "hits = Counter('hits', 'Hits')")
    workers.do(0, "build = Info('build', 'What runs')")
    workers.do(0, "build.info({'v': '1'})")
    workers.do(0, "took = Histogram('took', 'Durations', buckets=[1])")
    for worker in range(3):
        page = workers.page(worker, ("hits_total", "took_count", "build_info", "nothing"), False)
        assert [line for line in page.splitlines() if line[0] != "#"] == [
            "hits_total 0",
            'build_info{v="1"} 1',
            "took_count 0",
        ]


def test_a_callback_of_all_runs_in_the_one_that_answers(puppet: Callable[..., Puppet]) -> None:
    """Where several workers have a function for a value, the page has what the one that answers gets from its own."""
    workers = InForks(puppet, False)
    for worker in (0, 1):
        workers.do(worker, "level = Gauge('level', 'Level')")
        workers.do(worker, f"level.set_function(lambda: {worker + 10})")
    assert "level 10\n" in workers.page(0, None, False)
    assert "level 10\n" in workers.page(2, None, False)
    assert "level 11\n" in workers.page(1, None, False)
    assert "level 11\n" in workers.page(2, None, False)


def test_a_failing_callback_hides_its_series_from_all(puppet: Callable[..., Puppet]) -> None:
    """When a function fails, its series are off the page of every worker, and back when it succeeds; a worker that
    does not have the function never runs it, and never counts its failure."""
    workers = InForks(puppet, False)
    workers.do(0, "level, value = Gauge('level', 'Level', ['tank']), [0]")
    workers.do(0, "level.set_function(lambda: {'a': 1 / value[0]})")
    for _ in range(2):
        workers.do(0, "scrape()")
        pages = [workers.page(worker, ("level",), False) for worker in (1, 2)]
        assert not [page for page in pages if "level{" in page]
    workers.do(0, "value[0] = 0.5")
    workers.do(0, "scrape()")
    for worker in range(3):
        page = workers.page(worker, None, False)
        assert 'level{tank="a"} 2\n' in page
        assert 'pyrometer_scrape_errors_total{collector="level"} 2\n' in page


def test_a_collector_that_fails_serves_nothing_old(puppet: Callable[..., Puppet]) -> None:
    """When a collector fails, workers that do not have it serve nothing of it either, until it succeeds again."""
    workers = InForks(puppet, False)
    workers.do(0, "queue = Giving(GaugeMetricFamily('queue', 'Queue', value=4))")
    workers.do(0, "registry.register(queue)")
    workers.do(0, "scrape()")
    assert ["queue 4\n" in workers.page(worker, None, False) for worker in range(3)] == [True] * 3
    workers.do(0, "queue.families = None")
    workers.do(0, "scrape()")
    assert ["queue 4\n" in workers.page(worker, None, False) for worker in (1, 2)] == [False] * 2
    workers.do(0, "queue.families = [GaugeMetricFamily('queue', 'Queue', value=5)]")
    workers.do(0, "scrape()")
    assert ["queue 5\n" in workers.page(worker, None, False) for worker in range(3)] == [True] * 3
    workers.do(0, "registry.unregister(queue)")
    assert ["queue" in workers.page(worker, None, False) for worker in range(3)] == [False] * 3
