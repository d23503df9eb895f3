"""What a test takes that a machine may lack: the test then counts as not run, which is a failure in CI."""

from __future__ import annotations

import functools
import importlib.util
import os
import shlex
import shutil
import subprocess
from typing import NoReturn

import pytest
from conftest import NOT_RUN

DEADLINE = 20.0


def not_run(reason: str) -> NoReturn:
    """The test counts as not run."""
    pytest.skip(NOT_RUN + reason)


def need_root() -> None:
    """The test takes root's rights."""
    if os.geteuid() != 0:
        not_run("it takes root's rights")


def need_module(name: str) -> None:
    """The test takes a Python package."""
    if importlib.util.find_spec(name) is None:
        not_run(f"{name} is not installed")


def need_program(name: str) -> None:
    """The test takes a program on PATH."""
    if shutil.which(name) is None:
        not_run(f"{name} is not installed")


def need_permission(*command: str) -> None:
    """The test takes a command that runs another, as `unshare` and its options, and that may not be permitted."""
    refused = _refused(*command)
    if refused:
        not_run(f"{shlex.join(command)} is not permitted: {refused}")


@functools.cache
def _refused(*command: str) -> str:
    try:
        done = subprocess.run([*command, "true"], capture_output=True, text=True, timeout=DEADLINE)
    except OSError as error:
        return str(error)
    return (done.stderr[-200:] or f"exit status {done.returncode}") if done.returncode else ""
