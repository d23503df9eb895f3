"""gunicorn, without any setting for metrics: /metrics from any worker is the exact total of all."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from servers import wait_until
from workers.loads import Load, Watch, disturb, kill_one, kill_scraping, view
from workers.pages import NO_ANSWER, value
from workers.processes import parent_of
from workers.puppets import Puppet
from workers.running import Workers, gunicorn

Serve = Callable[..., Workers]

KINDS = {
    "sync": ("apps:wsgi", ["--worker-class=sync"]),
    "gthread": ("apps:wsgi", ["--worker-class=gthread", "--threads=4"]),
    "gevent": ("apps:wsgi", ["--worker-class=gevent"]),
    "uvicorn": ("apps:asgi", ["--worker-class=uvicorn_worker.UvicornWorker"]),
}
PRELOAD = pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
KIND = pytest.mark.parametrize("kind", KINDS)


@PRELOAD
@KIND
def test_every_worker_has_the_total(kind: str, preload: list[str], serve: Serve) -> None:
    """1,000 views answered by four workers are 1,000 on every scrape, whichever worker answers it."""
    app, options = KINDS[kind]
    server = serve(gunicorn, "--workers=4", *options, *preload, app=app)
    workers = server.wait_for_workers(4)
    load = view(server, 1_000)
    assert len(load.workers) > 1
    assert load.answered == load.asked
    assert server.totals(20) == {1_000: 20}
    assert workers == set(server.workers())


def test_ten_thousand_views(serve: Serve) -> None:
    """After 10,000 answered requests over four workers, 50 of 50 scrapes say 10,000, product by product too."""
    server = serve(gunicorn, "--workers=4")
    server.wait_for_workers(4)
    load = view(server, 10_000)
    assert (load.answered, load.asked, len(load.workers)) == (10_000, 10_000, 4)
    assert server.totals(50) == {10_000: 50}
    page = server.scrape().body
    assert sum(value(page, product=f"p{number}") for number in range(5)) == 10_000
    assert page.count("\nview_total{") == 5


def test_connections_that_stay_open(serve: Serve) -> None:
    """Views and scrapes over connections that are kept open, so that one worker has many, are counted alike."""
    server = serve(gunicorn, "--workers=4", "--worker-class=gthread", "--threads=4")
    server.wait_for_workers(4)
    with Load(server.port, 1_000, threads=12, keep=True) as load, Watch(server, load) as watch:
        load.join()
    assert not watch.wrong
    assert server.totals(20) == {1_000: 20}


def test_flask(serve: Serve) -> None:
    """A Flask application, its metrics mounted beside it, needs nothing either."""
    server = serve(gunicorn, "--workers=4", app="apps:flask()")
    load = view(server, 1_000)
    assert len(load.workers) > 1
    assert server.totals(20) == {1_000: 20}


def test_pages_while_counting(serve: Serve) -> None:
    """Every page that comes while others count has all that was answered before it, and nothing that was not asked."""
    server = serve(gunicorn, "--workers=4")
    server.wait_for_workers(4)
    with Load(server.port, 1_000) as load, Watch(server, load) as watch:
        load.join()
    assert not watch.wrong
    assert len(watch.workers) > 1


@PRELOAD
def test_recycled_workers(preload: list[str], serve: Serve) -> None:
    """Workers that end after 50 requests take nothing with them, and no page goes back meanwhile."""
    server = serve(gunicorn, "--workers=4", "--max-requests=50", *preload)
    server.wait_for_workers(4)
    with Load(server.port, 600, threads=4) as load, Watch(server, load) as watch:
        load.join()
    assert not watch.wrong
    assert len(load.workers) > 8
    assert 600 <= server.total(20) <= load.asked


@PRELOAD
def test_one_worker_for_each_request(preload: list[str], serve: Serve) -> None:
    """With one worker, which ends after every request, each scrape has all the views before it."""
    server = serve(gunicorn, "--workers=1", "--max-requests=1", *preload)
    answers = []
    for number in range(1, 6):
        answers.append(server.get("/view/p1"))
        answers.append(server.scrape())
        assert value(answers[-1].body) == number
    assert len({answer.worker for answer in answers}) == len(answers)


@PRELOAD
def test_a_moment_without_workers(preload: list[str], serve: Serve, tmp_path: Path) -> None:
    """What the only worker counted outlives it, although another program looks for remains before the next one comes.

    Stopped, the master cannot start another worker.
    """
    server = serve(gunicorn, "--workers=1", *preload)
    view(server, 100, threads=2)
    (worker,) = server.workers()
    os.kill(server.pid, signal.SIGSTOP)
    try:
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: parent_of(worker) == 0, "the worker is dead")
        with Puppet(tmp_path) as other:
            assert other.ask("views.labels('p1').inc() or total()") == 1
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert server.totals(5) == {100: 5}
    assert server.workers() != [worker]
    view(server, 100, threads=2)
    assert server.totals(5) == {200: 5}


@PRELOAD
def test_reload(preload: list[str], serve: Serve) -> None:
    """After a HUP, which replaces all workers, the total goes on from where it was."""
    server = serve(gunicorn, "--workers=4", *preload)
    view(server, 500)
    before = set(server.workers())
    os.kill(server.pid, signal.SIGHUP)
    server.wait_for_workers(4, without=before)
    wait_until(lambda: not before & set(server.workers()), "the workers from before the reload end")
    assert server.totals(10) == {500: 10}
    view(server, 500)
    assert server.totals(20) == {1_000: 20}


@KIND
def test_killed_at_random(kind: str, serve: Serve, seconds: float) -> None:
    """Under load no page goes back or misses an answer while workers are killed with -9 at random instants."""
    app, options = KINDS[kind]
    server = serve(gunicorn, "--workers=4", *options, app=app)
    server.wait_for_workers(4)
    disturb(server, lambda: kill_one(server), seconds).check()


def test_killed_at_random_with_preload(serve: Serve, seconds: float) -> None:
    """The same where the master has the arena too, and workers are there again at once."""
    server = serve(gunicorn, "--workers=4", "--preload")
    disturb(server, lambda: kill_one(server), seconds, pauses=(0.01, 0.1)).check()


def test_only_worker_killed_at_random(serve: Serve, seconds: float) -> None:
    """The same with one worker: there are moments with none, and nothing is lost in them."""
    server = serve(gunicorn, "--workers=1")
    disturb(server, lambda: kill_one(server), seconds).check()


def test_scraping_worker_dies(serve: Serve, seconds: float) -> None:
    """The same while it is the worker that scrapes which is killed, in the middle of it."""
    server = serve(gunicorn, "--workers=4")
    disturb(server, lambda: kill_scraping(server), seconds).check()


@PRELOAD
def test_reloaded_under_load(preload: list[str], serve: Serve, seconds: float) -> None:
    """The same while the application is reloaded by HUP again and again."""
    server = serve(gunicorn, "--workers=3", *preload)
    disturb(server, lambda: os.kill(server.pid, signal.SIGHUP), seconds, pauses=(0.5, 1.0)).check()


def _upgrade(server: Workers) -> None:
    """Replace the server by a new instance of itself on the same port: USR2, then an end to the old one."""
    before = set(server.workers())
    os.kill(server.pid, signal.SIGUSR2)
    server.wait_for_workers(2, without=before)
    os.kill(server.pid, signal.SIGTERM)

    def gone() -> bool:
        try:
            return server.get("/").worker not in before and all(parent_of(pid) == 0 for pid in before)
        except NO_ANSWER:
            return False

    wait_until(gone, "the new instance alone answers")


def test_upgraded_instance_starts_at_zero(serve: Serve) -> None:
    """A gunicorn that executes itself anew on USR2 is a new instance: its workers start at zero, as one."""
    server = serve(gunicorn, "--workers=2")
    view(server, 100)
    _upgrade(server)
    # a page without a view has no sample of it
    assert server.totals(10) == {0: 10}
    view(server, 300)
    assert server.totals(10) == {300: 10}


def test_upgraded_instance_with_a_place(serve: Serve, tmp_path: Path) -> None:
    """With a place of its own in PYROMETER_ARENA the new instance goes on from where the old one was."""
    server = serve(gunicorn, "--workers=2", PYROMETER_ARENA=str(tmp_path / "arena"))
    view(server, 100)
    _upgrade(server)
    assert server.totals(10) == {100: 10}
    view(server, 300)
    assert server.totals(10) == {400: 10}
