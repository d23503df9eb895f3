"""Granian, Hypercorn, uWSGI in all its manners: /metrics from any worker is the exact total of all."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from servers import wait_until
from workers.loads import disturb, kill_one, view
from workers.running import Workers, granian, hypercorn, uwsgi

Serve = Callable[..., Workers]

LAZY = pytest.mark.parametrize("lazy", [[], ["--lazy-apps"]], ids=["", "lazy-apps"])
PROCESSES = "--processes=8"  # when it has started twice that many within seconds, it pauses for seconds itself
MASTER = pytest.mark.parametrize("master", [[], ["--master"]], ids=["", "master"])


@pytest.mark.parametrize("app", ["apps:wsgi", "apps:asgi"])
def test_granian(app: str, serve: Serve) -> None:
    """Four workers of Granian, which are spawned, have one total, with WSGI and with ASGI."""
    server = serve(granian, "--workers=4", app=app)
    server.wait_for_workers(4)
    load = view(server, 1_000)
    assert len(load.workers) > 1
    assert server.totals(20) == {1_000: 20}


def test_granian_killed_at_random(serve: Serve, seconds: float) -> None:
    """Under load no page goes back or misses an answer while Granian's workers are killed with -9.

    Each once alone: Granian gives up where one is killed again soon.
    """
    server = serve(granian, "--workers=4", "--respawn-failed-workers", "--respawn-interval=0.1")
    server.wait_for_workers(4)
    first = server.workers()

    def kill_first() -> None:
        if first:
            os.kill(first.pop(), signal.SIGKILL)

    disturb(server, kill_first, seconds).check()


def test_hypercorn(serve: Serve) -> None:
    """Four workers of Hypercorn, which are spawned, have one total."""
    server = serve(hypercorn, "--workers=4")
    server.wait_for_workers(4)
    load = view(server, 1_000)
    assert len(load.workers) > 1
    assert server.totals(20) == {1_000: 20}


@LAZY
@MASTER
def test_uwsgi(master: list[str], lazy: list[str], serve: Serve) -> None:
    """Four processes of uWSGI have one total, be they forked by a master or by one of themselves, before or after
    the application is loaded."""
    server = serve(uwsgi, "--processes=4", *master, *lazy)
    workers = server.wait_for_workers(4)
    assert (server.pid in workers) == (not master)
    load = view(server, 1_000)
    assert len(load.workers) > 1
    assert server.totals(20) == {1_000: 20}


@LAZY
def test_uwsgi_recycled(lazy: list[str], serve: Serve) -> None:
    """uWSGI's workers that end after 100 requests take nothing with them."""
    server = serve(uwsgi, PROCESSES, "--master", "--max-requests=100", "--min-worker-lifetime=0", *lazy)
    first = set(server.workers())
    load = view(server, 500)
    assert load.workers & first
    wait_until(lambda: bool(set(server.workers()) - first), "a worker is replaced")
    assert 500 <= server.total(20) <= load.asked


@LAZY
def test_uwsgi_killed_at_random(lazy: list[str], serve: Serve, seconds: float) -> None:
    """Under load no page goes back or misses an answer while uWSGI's workers are killed with -9."""
    server = serve(uwsgi, PROCESSES, "--master", *lazy)
    disturb(server, lambda: kill_one(server), seconds).check()
