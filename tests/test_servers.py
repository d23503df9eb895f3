"""The machinery that other tests stand on: a real Prometheus starts, is asked, and stops."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from servers import Programs, Prometheus, Server

PAGE = b"# HELP hits_total Hits.\n# TYPE hits_total counter\nhits_total 3\n"


def test_a_real_prometheus_scrapes_and_answers(prometheus: Callable[..., Prometheus]) -> None:
    """Prometheus starts on a port of its own, scrapes a target (itself), and answers PromQL about it."""
    server = prometheus({"job_name": "page", "target": "localhost:0"})
    itself = prometheus({"job_name": "itself", "target": f"127.0.0.1:{server.port}"})
    itself.wait_for_scrapes()
    (up,) = itself.query('up{job="itself"}')
    assert up.value == 1
    assert up.labels["instance"] == f"127.0.0.1:{server.port}"


def test_a_query_with_an_error_is_refused_with_the_reason(prometheus: Callable[..., Prometheus]) -> None:
    """A query that Prometheus cannot parse raises an error with Prometheus's own words."""
    with pytest.raises(AssertionError, match="parse error"):
        prometheus().query("sum(")


def test_promtool_tells_a_clean_page_from_others(promtool: Callable[[bytes], str]) -> None:
    """promtool has nothing to say about a clean page and names what is wrong with others."""
    assert promtool(PAGE) == ""
    assert "counter metrics should have" in promtool(PAGE.replace(b"hits_total", b"hits"))
    assert "error while linting" in promtool(b"hits{ 3\n")


def test_programs_are_of_version_3_or_later(programs: Programs) -> None:
    """The Prometheus that tests use is recent enough to know all formats."""
    assert int(programs.version.partition(".")[0]) >= 3


def test_a_server_is_ready_in_its_block_and_gone_after_it(tmp_path: Path) -> None:
    """A server answers inside its block, on the port that it printed, and has ended after it."""
    command: list[str | Path] = [
        sys.executable,
        "-u",
        "-m",
        "http.server",
        "0",
        "--bind",
        "127.0.0.1",
        "--directory",
        tmp_path,
    ]
    with Server(command, listening=r"port (\d+)", log=tmp_path / "log") as server:
        assert server.port > 0
    assert not Path(f"/proc/{server.pid}").exists()


def test_a_server_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    """A server that fails to start raises an error with the end of what it printed."""
    command = [sys.executable, "-c", "raise SystemExit('no such setting')"]
    with pytest.raises(AssertionError, match="ended with status 1") as caught, contextlib.ExitStack() as stack:
        stack.enter_context(Server(command, listening=r"port (\d+)", log=tmp_path / "log"))
    assert "no such setting" in str(caught.value)
