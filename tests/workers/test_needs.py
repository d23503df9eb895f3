"""What a machine lacks leaves tests out in a way that is counted, and fails in CI: it never looks as if they passed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import NOT_RUN
from servers import Missing
from workers.needs import need_module, need_permission, need_program
from workers.running import gunicorn, need, python


@pytest.mark.parametrize(
    ("lacks", "what"),
    [
        (lambda: need_module("nothing_like_it"), "nothing_like_it is not installed"),
        (lambda: need_program("nothing-like-it"), "nothing-like-it is not installed"),
        (lambda: need_permission("nothing-like-it", "--pid"), "nothing-like-it --pid is not permitted: "),
        (lambda: need_permission("false"), "false is not permitted: exit status 1"),
    ],
)
def test_a_test_counts_as_not_run(lacks: Callable[[], None], what: str) -> None:
    """A test that needs what is not there counts as not run, with the reason."""
    with pytest.raises(pytest.skip.Exception) as skipped:
        lacks()
    assert str(skipped.value).startswith(NOT_RUN + what)


def test_what_is_there_is_not_missed(tmp_path: Path) -> None:
    """What is there, with the worker classes that a server runs, lets a test run."""
    need_module("pytest")
    need_program("sh")
    need_permission("env")
    need("pytest", "hypothesis")
    assert python("pytest", "-q")[1:] == ["-m", "pytest", "-q"]


def test_a_server_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server is missing where it, or the worker class that it is to run, is not installed."""
    with pytest.raises(Missing, match="nothing_like_it is not installed"):
        python("nothing_like_it")
    monkeypatch.setattr("workers.running.WORKER_CLASSES", {"=gevent": "nothing_like_it"})
    with pytest.raises(Missing, match="nothing_like_it is not installed"):
        gunicorn(tmp_path / "log", "--worker-class=gevent")
