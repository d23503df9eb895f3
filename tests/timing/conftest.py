"""Fixtures of the tests of timing."""

from __future__ import annotations

import pytest
from timing.instruments import Clock, Durations, Instruments, Number

from pyrometer import _timing


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that timers read during the test."""
    fake = Clock()
    monkeypatch.setattr(_timing, "clock", fake)
    return fake


@pytest.fixture
def durations() -> Durations:
    """An empty list of durations."""
    return Durations()


@pytest.fixture
def number() -> Number:
    """A number at zero."""
    return Number()


@pytest.fixture
def instruments() -> Instruments:
    """One of each instrument, unused."""
    return Instruments()
