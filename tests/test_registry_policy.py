"""Policies: names, _created series, numbers, errors; and the switches for _created outside of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from pyrometer import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Policy,
    Summary,
    disable_created_metrics,
    enable_created_metrics,
    generate_latest,
)

PROGRAM = """
import pyrometer
pyrometer.Counter("c", "help").inc()
pyrometer.Histogram("h", "help", ["a"]).labels("x").observe(1)
page = pyrometer.generate_latest().decode()
print("c_created " in page, "h_created{" in page, "c_total 1\\n" in page)
"""


@pytest.mark.parametrize(
    ("variables", "created"),
    [
        ({}, True),
        ({"PYROMETER_CREATED_SERIES": "off"}, False),
        ({"PYROMETER_CREATED_SERIES": "OFF"}, False),
        ({"PYROMETER_CREATED_SERIES": "on"}, True),
        ({"PYROMETER_CREATED_SERIES": ""}, True),
        ({"PROMETHEUS_DISABLE_CREATED_SERIES": "True"}, False),
        ({"PROMETHEUS_DISABLE_CREATED_SERIES": "1"}, False),
        ({"PROMETHEUS_DISABLE_CREATED_SERIES": "false"}, True),
        ({"PROMETHEUS_DISABLE_CREATED_SERIES": "true", "PYROMETER_CREATED_SERIES": "on"}, True),
        ({"PROMETHEUS_DISABLE_CREATED_SERIES": "false", "PYROMETER_CREATED_SERIES": "off"}, False),
    ],
)
def test_variables(variables: dict[str, str], created: bool) -> None:
    """_created series are on unless a variable, ours before prometheus_client's, turns them off."""
    names = ("PYROMETER_CREATED_SERIES", "PROMETHEUS_DISABLE_CREATED_SERIES")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == [str(created), str(created), "True"]


def test_calls() -> None:
    """disable_created_metrics() and enable_created_metrics() act at once, but for policies that say otherwise."""
    usual = CollectorRegistry()
    always = CollectorRegistry(policy=Policy(created_series=True))
    never = CollectorRegistry(policy=Policy(created_series=False))
    for registry in (usual, always, never):
        Summary("s", "help", registry=registry)

    def shown() -> list[bool]:
        assert [registry.get_sample_value("s_created") is not None for registry in (usual, always, never)] == [
            b"s_created" in generate_latest(registry) for registry in (usual, always, never)
        ]
        return [b"s_created" in generate_latest(registry) for registry in (usual, always, never)]

    assert shown() == [True, True, False]
    disable_created_metrics()
    try:
        assert shown() == [False, True, False]
    finally:
        enable_created_metrics()
    assert shown() == [True, True, False]


def test_default_policy() -> None:
    """The native manner: classic names, isolated errors, short numbers; of REGISTRY too."""
    for policy in (Policy(), CollectorRegistry().policy, REGISTRY.policy):
        assert repr(policy) == ("Policy(utf8_names=False, created_series=None, isolate_errors=True, numbers='short')")


def test_unknown_numbers() -> None:
    """A manner of numbers that there is none of is refused."""
    wrong: Any = "long"
    with pytest.raises(ValueError, match="Policy: numbers must be 'short' or 'go', got 'long'"):
        Policy(numbers=wrong)


@pytest.mark.parametrize("name", ["a.b", "größe", "with blank", "1", "\U0001f525", 'q"uote', "new\nline"])
@pytest.mark.parametrize("kind", [Counter, Gauge, Summary])
def test_utf8_names(kind: Callable[..., Any], name: str) -> None:
    """Names outside the classic character set are for registries whose policy allows them."""
    registry = CollectorRegistry(policy=Policy(utf8_names=True))
    metric = kind(name, "help", [name + "label"], registry=registry)
    child = metric.labels(**{name + "label": "x"})
    assert metric.labels("x") is child
    child.inc(2) if hasattr(child, "inc") else child.observe(2)
    suffix = {"Counter": "_total", "Gauge": "", "Summary": "_sum"}[getattr(kind, "__name__", "")]
    assert registry.get_sample_value(name + suffix, {name + "label": "x"}) == 2
    strict = CollectorRegistry()
    with pytest.raises(ValueError, match="expected ASCII letters, digits"):
        kind(name, "help", registry=strict)
    with pytest.raises(ValueError, match="expected ASCII letters, digits"):
        kind("m", "help", [name + "label"], registry=strict)


@pytest.mark.parametrize("name", ["__reserved", "", "\ud800"])
def test_utf8_label_names_that_are_refused(name: str) -> None:
    """Reserved, empty and unencodable label names are refused by every policy."""
    registry = CollectorRegistry(policy=Policy(utf8_names=True))
    with pytest.raises(ValueError, match='counter "c": '):
        Counter("c", "help", [name], registry=registry)
