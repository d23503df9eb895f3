"""What all tests share: which core is under test, and the real servers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from servers import Missing, Programs, Prometheus, check_metrics, prometheus_programs

if TYPE_CHECKING:
    from pyrometer import CollectorRegistry

if "--core=interpreted" in sys.argv:  # before anything imports Pyrometer, which a conftest.py further down may do
    os.environ["PYROMETER_NO_EXT"] = "1"

NOT_RUN = "NOT RUN: "  # a reason that begins so is counted apart, and fails in CI

hypothesis.settings.register_profile("pyrometer", deadline=None)
hypothesis.settings.load_profile("pyrometer")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--core",
        choices=["compiled", "interpreted"],
        help="stop unless Pyrometer's core is of this kind; without the option, whichever is there is tested",
    )


def pytest_configure(config: pytest.Config) -> None:
    core = config.getoption("--core")
    if core is not None:
        from pyrometer import _core

        found = "compiled" if _core.COMPILED else "interpreted"
        if found != core:
            raise pytest.UsageError(f"the core is {found}, {core} was asked for ({_core.__file__})")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "programs" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.server)


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry of the test's own."""
    from pyrometer import CollectorRegistry

    return CollectorRegistry()


@pytest.fixture(scope="session")
def programs() -> Programs:
    """Prometheus 3 and its promtool; where they cannot be had the test counts as not run."""
    try:
        return prometheus_programs()
    except Missing as reason:
        pytest.skip(NOT_RUN + str(reason))


@pytest.fixture
def prometheus(programs: Programs, tmp_path: Path) -> Iterator[Callable[..., Prometheus]]:
    """Start a Prometheus for the length of the test: `prometheus({"target": "127.0.0.1:8000"}, ...)`."""
    with ExitStack() as stack:

        def start(*scrapes: Mapping[str, Any], **options: Any) -> Prometheus:
            directory = tmp_path / f"prometheus{len(list(tmp_path.glob('prometheus*')))}"
            directory.mkdir()
            server = Prometheus(programs, directory, scrapes, **options)
            stack.enter_context(server)
            return server

        yield start


@pytest.fixture
def promtool(programs: Programs) -> Callable[[bytes], str]:
    """What promtool finds wrong with a page in the text format: nothing where it is clean."""
    return lambda page: check_metrics(programs, page)
