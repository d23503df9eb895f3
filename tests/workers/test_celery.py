"""Celery's prefork pool: what its processes count is one total, in the main process that serves it and in each."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from workers.pages import Connection, value
from workers.puppets import Puppet
from workers.running import Workers, python

Serve = Callable[..., Workers]
Start = Callable[..., Puppet]

PRODUCER = """
import tasks
def results(sent):
    tasks.deliver()
    return [result.get(timeout=20) for result in sent]
def do(times):
    return results([tasks.work.delay("a") for _ in range(times)])
def scrapes(times):
    return results([tasks.scrape.delay() for _ in range(times)])
"""


def celery(log: Path, *options: str, **variables: str) -> Workers:
    """A worker of Celery with the tasks of tasks.py, its metrics served by its main process. Raises Missing."""
    command = python("celery", "-A", "tasks", "worker", "--pool=prefork", "--concurrency=3")
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=INFO", *options]
    listening = r"metrics on http://127\.0\.0\.1:(\d+) "
    # to end as it would takes it five seconds, and nothing here is about that
    return Workers(command, variables, listening=listening, log=log, ends=signal.SIGKILL)


@pytest.mark.parametrize("options", [[], ["--max-tasks-per-child=5"]], ids=["", "recycled"])
def test_prefork(options: list[str], serve: Serve, puppet: Start, tmp_path: Path) -> None:
    """After 60 tasks the page of the main process says 60, and so does a page of each process of the pool.

    The program that gave the tasks is another one, and has counted nothing.
    """
    directory = str(tmp_path / "tasks")
    server = serve(celery, *options, TASKS_DIRECTORY=directory)
    producer = puppet(PRODUCER, TASKS_DIRECTORY=directory)
    pids = producer.ask("do(60)")
    assert len(pids) == 60
    assert len(set(pids)) > (3 if options else 1)
    answer = Connection(server.port).get("/metrics", last=True)
    assert value(answer.body, "done_total") == 60
    asked = producer.ask("scrapes(12)")
    assert {said for _, said in asked} == {60}
    assert len({pid for pid, _ in asked}) > 1
    assert producer.ask("tasks.total()") == 0
