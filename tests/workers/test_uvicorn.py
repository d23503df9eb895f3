"""`uvicorn --workers`, whose workers are spawned: /metrics from any of them is the exact total of all."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from servers import wait_until
from workers.loads import Load, Watch, disturb, kill_one, view
from workers.running import Workers, uvicorn

Serve = Callable[..., Workers]


def test_every_worker_has_the_total(serve: Serve) -> None:
    """1,000 views answered by four workers are 1,000 on every scrape."""
    server = serve(uvicorn, "--workers=4")
    server.wait_for_workers(4)
    load = view(server, 1_000)
    assert len(load.workers) > 1
    assert server.totals(20) == {1_000: 20}


def test_one_process(serve: Serve) -> None:
    """Without workers there is one process, and it counts all."""
    server = serve(uvicorn)
    load = view(server, 500)
    assert load.workers == {server.pid}
    assert server.totals(5) == {500: 5}


def test_recycled_workers(serve: Serve) -> None:
    """Workers that end after a number of requests take nothing with them."""
    server = serve(uvicorn, "--workers=2", "--limit-max-requests=200")
    workers = server.wait_for_workers(2)
    with Load(server.port, 1_000, threads=4) as load, Watch(server, load) as watch:
        load.join()
    assert not watch.wrong
    assert load.workers - workers
    assert 1_000 <= server.total(10) <= load.asked


def test_reload(serve: Serve) -> None:
    """After a HUP, which replaces the workers one by one, the total goes on from where it was."""
    server = serve(uvicorn, "--workers=2")
    view(server, 500)
    before = set(server.workers())
    os.kill(server.pid, signal.SIGHUP)
    wait_until(lambda: not before & set(server.workers()), "the workers from before the reload end")
    assert server.totals(10) == {500: 10}
    view(server, 500)
    assert server.totals(10) == {1_000: 10}


def test_killed_at_random(serve: Serve, seconds: float) -> None:
    """Under load no page goes back or misses an answer while workers are killed with -9 at random instants."""
    server = serve(uvicorn, "--workers=3")
    server.wait_for_workers(3)
    disturb(server, lambda: kill_one(server), seconds).check()
