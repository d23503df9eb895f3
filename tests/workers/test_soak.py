"""`make soak`, a few seconds of it: servers whose workers are killed and reloaded under load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tools.soak import GROWTH, Phase
from tools.soak import soak as run_phase

ROOT = Path(__file__).resolve().parents[2]

# the fixture has these tests left out where processes cannot share
pytestmark = pytest.mark.usefixtures("serve")


def soak(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.soak", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_short_soak() -> None:
    """A short soak of two kinds of servers ends well, and says so with a line for each and one with the totals."""
    done = soak("--minutes", "0.1", "--only", "gthread", "--only", "uvicorn")
    assert done.returncode == 0, done.stdout + done.stderr
    first, *phases, last = done.stdout.splitlines()
    assert [line.split()[0] for line in phases] == ["gthread", "uvicorn"]
    assert all(line.endswith(" MB  ok") for line in phases)
    assert last.startswith("soak: 2 phases, ") and last.endswith(": ok")


def test_soak_of_what_does_not_hold() -> None:
    """With workers that each count for themselves, no page is right: the exit status is 1 and the output says why."""
    done = soak("--minutes", "0.03", "--only", "sync", "--arena", "off")
    assert done.returncode == 1, done.stdout + done.stderr
    assert ", not in " in done.stdout
    assert done.stdout.splitlines()[-1].endswith(": 1 FAILED")


def test_server_that_does_not_start() -> None:
    """A phase whose server cannot be started has failed, with the reason."""
    phase = run_phase("sync", 1, Random(1), GUNICORN_CMD_ARGS="--no-such-option")
    assert "no-such-option" in "".join(phase.failures())
    assert str(phase).endswith("FAILED")


@pytest.mark.parametrize(
    ("counted", "memory", "words"),
    [
        (10.0, (0, GROWTH), []),
        (12.0, (0, GROWTH), []),
        (9.0, (0, 0), ["counted 9, expected 10 ... 12"]),
        (13.0, (0, 0), ["counted 13, expected 10 ... 12"]),
        (10.0, (0, GROWTH + 1), [f"the arena grew from 0 to {GROWTH + 1:,} bytes"]),
    ],
)
def test_verdict(counted: float, memory: tuple[int, int], words: list[str]) -> None:
    """What was answered has to be counted, a failed request may be; and the arena stays as large as it was."""
    phase = Phase("sync", 1, asked=12, answered=10, counted=counted, pages=1, kills=1, memory=memory)
    assert phase.failures() == words
    assert str(phase).endswith("FAILED" if words else "ok")
