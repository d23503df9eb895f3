"""What the tests with several processes share: servers and programs that last as long as a test, how long it takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from servers import Missing
from workers import puppets
from workers.hazards import Begin, programs
from workers.needs import not_run
from workers.puppets import Puppet
from workers.running import Workers
from workers.takeover import Start, starting

SHARING = {"serve", "puppet", "run", "begin", "start"}  # fixtures of tests in which processes count together


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    from pyrometer import _core

    fixtures = {item: set(getattr(item, "fixturenames", ())) for item in items}
    for item in items:
        if "serve" in fixtures[item]:
            item.add_marker(pytest.mark.server)
    if not _core.COMPILED:  # it shares nothing, and says so
        apart = [item for item in items if fixtures[item] & SHARING]
        items[:] = [item for item in items if item not in apart]
        config.hook.pytest_deselected(items=apart)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Workers]]:
    """Start a server for the length of the test: `serve(gunicorn, "--workers=4", app=..., VARIABLE=...)`.

    Where it is not installed the test counts as not run.
    """
    with ExitStack() as stack:

        def start(kind: Callable[..., Workers], *options: str, **more: str) -> Workers:
            try:
                server = kind(tmp_path / f"{kind.__name__}{next(numbers)}.log", *options, **more)
            except Missing as reason:
                not_run(str(reason))
            return stack.enter_context(server)

        numbers = iter(range(100))
        yield start


@pytest.fixture
def puppet(tmp_path: Path) -> Iterator[Callable[..., Puppet]]:
    """Start a program that does as it is told, for the length of the test: `puppet("limit = 3", VARIABLE=...)`."""
    with ExitStack() as stack:
        yield lambda setup="", **variables: stack.enter_context(Puppet(tmp_path, setup, **variables))


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    """Run a program to its end, and give what it printed, a literal: `run(source, *arguments, VARIABLE=...)`."""
    return lambda source, *arguments, **more: puppets.run(tmp_path, source, *arguments, **more)


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Start programs under hazards for the length of the test: `begin("limit = 3", PYROMETER_ARENA=...)`."""
    with programs(tmp_path) as start:
        yield start


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start programs that serve their metrics for the length of the test."""
    with starting(tmp_path) as start:
        yield start


@pytest.fixture
def seconds() -> float:
    """How long to disturb a server under load: SOAK_SECONDS where that is set, else as long as a quick run allows."""
    return float(os.environ.get("SOAK_SECONDS", "1.5"))
