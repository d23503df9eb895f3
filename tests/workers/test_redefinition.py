"""A family that workers define in different ways, as they do while an application is reloaded: pages have the last."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
from workers.conformance import EXITS, KILLED, InForks
from workers.puppets import Puppet

from pyrometer.exposition.text_parser import text_string_to_metric_families

SAID = "is defined in two ways"
RECORDS = "len([1 for record in registry._arena.definitions.values() if record[2] == 'jobs' and not record[-1]])"
"""How many families of that name the arena has, as the worker that is asked knows it."""
FIRST, SECOND, OTHER = range(3)  # the workers


class Way(NamedTuple):
    """A definition, what counts one event in it, and the series that it has then."""

    define: str
    event: str
    series: dict[str, float]


PLAIN = Way("Counter('jobs', 'Jobs')", "jobs.inc()", {"jobs_total": 1.0})
LABELLED = Way("Counter('jobs', 'Jobs', ['kind'])", "jobs.labels('a').inc()", {"jobs_total{kind=a}": 1.0})
OTHER_LABEL = Way("Counter('jobs', 'Jobs', ['of'])", "jobs.labels('a').inc()", {"jobs_total{of=a}": 1.0})
GAUGE = Way("Gauge('jobs', 'Jobs')", "jobs.inc()", {"jobs": 1.0})
SUM = Way("Gauge('jobs', 'Jobs', multiprocess_mode='sum')", "jobs.inc()", {"jobs": 1.0})
BUCKETS = Way(
    "Histogram('jobs', 'Jobs', buckets=[1, 5])",
    "jobs.observe(3)",
    {"jobs_bucket{le=1.0}": 0, "jobs_bucket{le=5.0}": 1, "jobs_bucket{le=+Inf}": 1, "jobs_count": 1, "jobs_sum": 3},
)
OTHER_BUCKETS = Way(
    "Histogram('jobs', 'Jobs', buckets=[2])",
    "jobs.observe(3)",
    {"jobs_bucket{le=2.0}": 0, "jobs_bucket{le=+Inf}": 1, "jobs_count": 1, "jobs_sum": 3},
)
STATES = Way("Enum('jobs', 'Jobs', states=['a', 'b'])", "jobs.state('b')", {"jobs{jobs=a}": 0, "jobs{jobs=b}": 1})
OTHER_STATES = Way("Enum('jobs', 'Jobs', states=['b', 'c'])", "jobs.state('b')", {"jobs{jobs=b}": 1, "jobs{jobs=c}": 0})
INFO = Way("Info('jobs', 'Jobs')", "jobs.info({'v': '1'})", {"jobs_info{v=1}": 1.0})

CHANGES = {
    "another label": (LABELLED, OTHER_LABEL),
    "labels": (PLAIN, LABELLED),
    "no labels": (LABELLED, PLAIN),
    "buckets": (BUCKETS, OTHER_BUCKETS),
    "another kind": (LABELLED, GAUGE),
    "another kind back": (GAUGE, PLAIN),
    "to a histogram": (GAUGE, BUCKETS),
    "states": (STATES, OTHER_STATES),
    "from an info": (INFO, STATES),
    "a mode": (GAUGE, SUM),
    "no mode": (SUM, GAUGE),
}
CHANGE = pytest.mark.parametrize(("old", "new"), list(CHANGES.values()), ids=list(CHANGES))


@pytest.fixture
def workers(puppet: Callable[..., Puppet]) -> InForks:
    """Three forks of a program that has defined nothing."""
    return InForks(puppet, False)


def define(workers: InForks, worker: int, way: Way, times: int = 1) -> None:
    """Have a worker define the family that way, and count so many events."""
    workers.do(worker, f"jobs = {way.define}")
    count(workers, worker, way, times)


def count(workers: InForks, worker: int, way: Way, times: int = 1) -> None:
    """Have a worker count in the family that it has defined."""
    for _ in range(times):
        workers.do(worker, way.event)


def page(workers: InForks, worker: int) -> dict[str, float]:
    """The series on a worker's page, `name{label=value}`. Raises AssertionError where a family is there twice."""
    text = workers.page(worker, None, False)
    assert text.count("# TYPE ") <= 1, text
    series: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            series[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
    return series


@CHANGE
def test_newest_is_exposed_by_every_worker(old: Way, new: Way, workers: InForks) -> None:
    """Once a worker defines a family otherwise, every page has its definition and nothing of the older one, in which
    its workers count on without an error."""
    define(workers, FIRST, old)
    assert [page(workers, worker) for worker in (FIRST, SECOND, OTHER)] == [old.series] * 3
    define(workers, SECOND, new)
    assert [page(workers, worker) for worker in (FIRST, SECOND, OTHER)] == [new.series] * 3
    count(workers, FIRST, old, 5)
    assert [page(workers, worker) for worker in (FIRST, SECOND, OTHER)] == [new.series] * 3
    assert [workers.get(worker, RECORDS) for worker in (FIRST, SECOND, OTHER)] == [2] * 3


@CHANGE
def test_older_goes_with_its_last_process(old: Way, new: Way, workers: InForks) -> None:
    """When the last process that has the older definition ends, it leaves the arena with all that was counted in it;
    who defines it so again begins anew, and has the newest."""
    define(workers, FIRST, old)
    page(workers, OTHER)
    define(workers, SECOND, new)
    assert page(workers, OTHER) == new.series
    workers.end(FIRST, KILLED)
    assert [page(workers, worker) for worker in (SECOND, OTHER)] == [new.series] * 2
    assert [workers.get(worker, RECORDS) for worker in (SECOND, OTHER)] == [1] * 2
    define(workers, OTHER, old)
    assert [page(workers, worker) for worker in (SECOND, OTHER)] == [old.series] * 2


@pytest.mark.parametrize("how", [EXITS, KILLED])
def test_older_stays_until_its_last_process(how: str, workers: InForks) -> None:
    """Of two processes that have the older definition, the end of the first leaves it in the arena."""
    define(workers, FIRST, LABELLED)
    define(workers, OTHER, LABELLED)
    define(workers, SECOND, OTHER_BUCKETS)
    workers.end(FIRST, how)
    assert page(workers, SECOND) == OTHER_BUCKETS.series
    assert workers.get(SECOND, RECORDS) == 2
    workers.end(OTHER, how)
    assert page(workers, SECOND) == OTHER_BUCKETS.series
    assert workers.get(SECOND, RECORDS) == 1


def test_nobody_had_it_meanwhile(workers: InForks) -> None:
    """A definition of which no process is left goes at once when another is made, though nobody saw both."""
    define(workers, FIRST, LABELLED)
    workers.end(FIRST, EXITS)
    define(workers, SECOND, OTHER_BUCKETS)
    assert page(workers, SECOND) == page(workers, OTHER) == OTHER_BUCKETS.series
    assert workers.get(SECOND, RECORDS) == 1


def test_newest_ends_first(workers: InForks) -> None:
    """When nobody is left who has the newer definition, and the older is defined once more, pages have that one again,
    with all that was counted in it."""
    define(workers, FIRST, LABELLED)
    define(workers, SECOND, OTHER_LABEL)
    workers.end(SECOND, KILLED)
    define(workers, OTHER, LABELLED)
    assert page(workers, FIRST) == page(workers, OTHER) == {"jobs_total{kind=a}": 2.0}


def test_said_once(puppet: Callable[..., Puppet], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each worker's log says once that a family has two definitions, however often it is asked for pages."""
    place = str(tmp_path_factory.mktemp("place"))
    definitions = [
        "jobs = pyrometer.Counter('jobs', 'Jobs', ['kind'])",
        "jobs = pyrometer.Counter('jobs', 'Jobs', ['of'])",
        "",
        "jobs = pyrometer.Histogram('jobs', 'Jobs')",
    ]
    programs: list[Puppet] = []
    for definition in definitions:
        programs.append(puppet(definition, PYROMETER_ARENA=place))
        for program in programs * 2:
            program.ask("total()")
    assert [program.stderr.count(SAID) for program in programs] == [1] * 4
    assert 'counter "jobs" is defined in two ways' in programs[0].stderr


def test_words_that_make_no_other_family(workers: InForks) -> None:
    """Another help or another cap make no other family: workers count in one, and the log says nothing."""
    define(workers, FIRST, LABELLED)
    define(workers, SECOND, LABELLED._replace(define="Counter('jobs', 'All jobs', ['kind'], max_series=5)"), 2)
    assert [page(workers, worker) for worker in (FIRST, SECOND, OTHER)] == [{"jobs_total{kind=a}": 3.0}] * 3
    assert SAID not in workers.program.stderr


def test_series_of_one_name(workers: InForks) -> None:
    """Of families of different names whose series have one name, every page has the newest alone."""
    define(workers, FIRST, PLAIN, 5)
    define(workers, SECOND, PLAIN._replace(define="Gauge('jobs_total', 'Jobs')"))
    assert [page(workers, worker) for worker in (FIRST, SECOND, OTHER)] == [{"jobs_total": 1.0}] * 3


def test_within_one_process(workers: InForks) -> None:
    """Within one process a second definition remains an error, and changes nothing for others."""
    define(workers, FIRST, PLAIN)
    workers.do(SECOND, f"jobs = {PLAIN.define}")
    workers.do(SECOND, f"try: {GAUGE.define}\nexcept ValueError as error: said = str(error)")
    assert "is already defined" in workers.get(SECOND, "said")
    assert page(workers, FIRST) == page(workers, OTHER) == {"jobs_total": 1.0}
