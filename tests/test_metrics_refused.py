"""What is wrong is refused at once, by an error that names the metric, what was expected, and what came."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from pyrometer import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Policy, Summary, generate_latest

KINDS: dict[str, Callable[..., Any]] = {
    "counter": Counter,
    "gauge": Gauge,
    "summary": Summary,
    "histogram": Histogram,
    "info": Info,
    "stateset": lambda *args, **kwargs: Enum(*args, states=["x", "y"], **kwargs),
}


def untyped(value: Any) -> Any:
    """A value whose type a checker of types would refuse."""
    return value


# --- definitions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": ""}, ValueError, "a metric name must not be empty"),
        ({"name": 5}, TypeError, "a metric name must be a str, got int: 5"),
        ({"name": None}, TypeError, "a metric name must be a str, got NoneType: None"),
        ({"name": b"m"}, TypeError, "a metric name must be a str, got bytes: b'm'"),
        ({"name": "a.b"}, ValueError, "metric name 'a.b' has '.' at position 2: expected ASCII letters, digits, '_'"),
        ({"name": "1a"}, ValueError, "metric name '1a' has '1' at position 1"),
        ({"name": "a\n"}, ValueError, "metric name 'a\\n' has '\\n' at position 2"),
        ({"name": "grün"}, ValueError, "metric name 'grün' has 'ü' at position 3"),
        ({"name": "a\ud800"}, ValueError, "metric name 'a\\ud800' has a lone surrogate at position 2"),
        ({"namespace": 5}, TypeError, "namespace must be a str, got int: 5"),
        ({"namespace": "a b"}, ValueError, "metric name 'a b_m' has ' ' at position 2"),
        ({"subsystem": ["a"]}, TypeError, "subsystem must be a str, got list: ['a']"),
        ({"subsystem": "-"}, ValueError, "metric name '-_m' has '-' at position 1"),
        ({"unit": 5}, TypeError, "unit must be a str, got int: 5"),
        ({"documentation": None}, TypeError, "documentation must be a str, got NoneType: None"),
        ({"documentation": ["a"]}, TypeError, "documentation must be a str, got list: ['a']"),
        ({"labelnames": "ab"}, TypeError, "labelnames must be a sequence of names, got one str: 'ab'"),
        ({"labelnames": b"ab"}, TypeError, "labelnames must be a sequence of names, got one bytes: b'ab'"),
        ({"labelnames": 5}, TypeError, "labelnames must be a sequence of names, got 5"),
        ({"labelnames": [5]}, TypeError, "a label name must be a str, got int: 5"),
        ({"labelnames": [None]}, TypeError, "a label name must be a str, got NoneType: None"),
        ({"labelnames": ["a", ""]}, ValueError, "a label name must not be empty"),
        ({"labelnames": ["a-b"]}, ValueError, "label name 'a-b' has '-' at position 2"),
        ({"labelnames": ["a:b"]}, ValueError, "label name 'a:b' has ':' at position 2"),
        ({"labelnames": ["a\n"]}, ValueError, "label name 'a\\n' has '\\n' at position 2"),
        ({"labelnames": ["__a"]}, ValueError, "label name '__a' begins with '__', which is reserved"),
        ({"labelnames": ["a", "b", "a"]}, ValueError, "label name 'a' stands twice in ('a', 'b', 'a')"),
        ({"max_series": 0}, ValueError, "max_series must be a positive int or None, got 0"),
        ({"max_series": -1}, ValueError, "max_series must be a positive int or None, got -1"),
        ({"max_series": 1.5}, ValueError, "max_series must be a positive int or None, got 1.5"),
        ({"registry": "default"}, TypeError, "registry must be a CollectorRegistry or None, got 'default'"),
        ({"registry": 5}, TypeError, "registry must be a CollectorRegistry or None, got 5"),
        ({"registry": False}, TypeError, "registry must be a CollectorRegistry or None, got False"),
        ({"registry": ["a"]}, TypeError, "registry must be a CollectorRegistry or None, got ['a']"),
    ],
)
def test_definition(
    kind: str, arguments: dict[str, Any], error: type[Exception], message: str, registry: CollectorRegistry
) -> None:
    """A definition that cannot be one is refused by the constructor, and the registry stays as it was."""
    given: dict[str, Any] = {"name": "m", "documentation": "help", "registry": registry, **arguments}
    with pytest.raises(error) as caught:
        KINDS[kind](**given)
    assert type(caught.value) is error
    assert message in str(caught.value)
    assert generate_latest(registry) == b""


@pytest.mark.parametrize("kind", KINDS)
def test_definition_names_the_metric(kind: str, registry: CollectorRegistry) -> None:
    """Errors about labels, documentation, unit, cap and registry name kind and metric."""
    wrong: list[dict[str, Any]] = [
        {"labelnames": ["a-b"]},
        {"labelnames": [5]},
        {"documentation": 5},
        {"unit": 5},
        {"max_series": 0},
        {"registry": 5},
    ]
    for arguments in wrong:
        given: dict[str, Any] = {"name": "m", "documentation": "help", "registry": registry, **arguments}
        with pytest.raises((TypeError, ValueError)) as caught:
            KINDS[kind](**given)
        assert str(caught.value).startswith((f'{kind} "m"', f"{kind} 'm'"))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda r: Counter("_total", "help", registry=r), ValueError, "counter '_total': nothing is left of the name"),
        (lambda r: Info("i", "help", unit="seconds", registry=r), ValueError, 'info "i" cannot have a unit'),
        (
            lambda r: Enum("e", "help", unit="seconds", states=["a"], registry=r),
            ValueError,
            "stateset \"e\" cannot have a unit, got 'seconds'",
        ),
        (lambda r: Enum("e", "help", registry=r), ValueError, "states must be a sequence of at least one str"),
        (lambda r: Enum("e", "help", registry=r, states=[]), ValueError, "states must be a sequence of at least one"),
        (lambda r: Enum("e", "help", registry=r, states="ab"), ValueError, "at least one str, got 'ab'"),
        (
            lambda r: Enum("e", "help", registry=r, states=untyped(["a", 5])),
            ValueError,
            "at least one str, got ['a', 5]",
        ),
        (lambda r: Enum("e", "help", registry=r, states=["a", "a"]), ValueError, "states must differ, got ['a', 'a']"),
        (
            lambda r: Enum("e", "help", ["e"], registry=r, states=["a"]),
            ValueError,
            'stateset "e": its own name cannot be a label name',
        ),
        (
            lambda r: Enum("e", "help", ["n_e"], namespace="n", registry=r, states=["a"]),
            ValueError,
            'stateset "n_e": its own name cannot be a label name',
        ),
        (
            lambda r: Histogram("h", "help", ["le"], registry=r),
            ValueError,
            "histogram \"h\": label name 'le' is reserved, a histogram writes it itself",
        ),
        (
            lambda r: Summary("s", "help", ["quantile"], registry=r),
            ValueError,
            "summary \"s\": label name 'quantile' is reserved, a summary writes it itself",
        ),
        (
            lambda r: Histogram("h", "help", registry=r, buckets=[2, 1]),
            ValueError,
            "histogram 'h': buckets must ascend, got [2, 1]",
        ),
        (lambda r: Histogram("h", "help", registry=r, buckets=[1, 1]), ValueError, "buckets must ascend, got [1, 1]"),
        (lambda r: Histogram("h", "help", registry=r, buckets=[]), ValueError, "at least one bound below +Inf, got []"),
        (
            lambda r: Histogram("h", "help", registry=r, buckets=[math.inf]),
            ValueError,
            "at least one bound below +Inf, got [inf]",
        ),
        (lambda r: Histogram("h", "help", registry=r, buckets=[math.nan]), ValueError, "must ascend, got [nan]"),
        (lambda r: Histogram("h", "help", registry=r, buckets=[1, math.nan]), ValueError, "must ascend, got [1, nan]"),
        (lambda r: Histogram("h", "help", registry=r, buckets=["a"]), ValueError, "must be numbers, got ['a']"),
        (
            lambda r: Histogram("h", "help", registry=r, buckets=untyped([None])),
            ValueError,
            "must be numbers, got [None]",
        ),
        (lambda r: Histogram("h", "help", registry=r, buckets=untyped(5)), ValueError, "must be numbers, got 5"),
        (
            lambda r: Gauge("g", "help", registry=r, multiprocess_mode=untyped("some")),
            ValueError,
            "gauge 'g': multiprocess_mode must be one of all, liveall, min,",
        ),
    ],
)
def test_definition_of_one_kind(
    make: Callable[[CollectorRegistry], object], error: type[Exception], message: str, registry: CollectorRegistry
) -> None:
    """What only one kind can get wrong is refused by its constructor."""
    with pytest.raises(error) as caught:
        make(registry)
    assert message in str(caught.value)
    assert generate_latest(registry) == b""


@pytest.mark.parametrize("scheme_twins", [("a.b", "a_b"), ("a b", "a-b"), ("ä", "ö")])
@pytest.mark.parametrize("kind", KINDS)
def test_label_names_that_pages_write_alike(kind: str, scheme_twins: tuple[str, str]) -> None:
    """Where the policy allows UTF-8, two labels of one family that an escaping scheme makes equal are refused."""
    registry = CollectorRegistry(policy=Policy(utf8_names=True))
    with pytest.raises(ValueError, match=f'{kind} "m": label name {scheme_twins[0]!r} stands twice in'):
        KINDS[kind]("m", "help", list(scheme_twins), registry=registry)


# --- amounts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("amount", [-1.5, -math.inf, math.nan, -5e-324])
@pytest.mark.parametrize("labelled", [False, True])
def test_counter_refuses(amount: float, labelled: bool) -> None:
    """A negative or NaN increment is a ValueError that names counter and amount, and counts nothing."""
    counter = Counter("view", "help", ["a"] if labelled else [], registry=None)
    child = counter.labels("x") if labelled else counter
    with pytest.raises(ValueError) as caught:
        child.inc(amount)
    assert str(caught.value) == f'counter "view": inc() takes an amount that is not negative, got {amount!r}'
    assert counter.collect()[0].samples[0].value == 0


@pytest.mark.parametrize("kind", ["summary", "histogram"])
def test_nan_is_not_observed(kind: str) -> None:
    """NaN would spoil a sum for good: a ValueError that names the metric, and nothing is counted."""
    metric = KINDS[kind]("m", "help", registry=None)
    with pytest.raises(ValueError, match=f'{kind} "m": observe\\(\\) takes a number, got nan'):
        metric.observe(math.nan)
    assert {sample.value for sample in metric.collect()[0].samples if sample.name != "m_created"} == {0}


@pytest.mark.parametrize("amount", ["5", "x", b"5", None, [], {}, 1j, object()])
@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("counter", "inc"),
        ("gauge", "inc"),
        ("gauge", "dec"),
        ("gauge", "set"),
        ("summary", "observe"),
        ("histogram", "observe"),
    ],
)
def test_what_is_no_number(kind: str, method: str, amount: object) -> None:
    """What is no number is a TypeError at the call, and changes nothing."""
    metric = KINDS[kind]("m", "help", registry=None)
    with pytest.raises(TypeError):
        getattr(metric, method)(amount)
    assert {sample.value for sample in metric.collect()[0].samples if sample.name != "m_created"} == {0}


# --- exemplars -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exemplar", "error", "message"),
    [
        (["a"], TypeError, "exemplar must be a mapping of label names to values, got ['a']"),
        ("trace", TypeError, "exemplar must be a mapping of label names to values, got 'trace'"),
        ({"a": 1}, TypeError, "exemplar: label 'a' must have a str, got int: 1"),
        ({"a": None}, TypeError, "exemplar: label 'a' must have a str, got NoneType: None"),
        ({5: "a"}, TypeError, "exemplar: a label name must be a str, got int: 5"),
        ({"": "a"}, ValueError, "exemplar: a label name must not be empty"),
        ({"__a": "a"}, ValueError, "exemplar: label name '__a' begins with '__'"),
        ({"a" * 64: "b" * 65}, ValueError, "exemplar labels have 129 characters, expected at most 128"),
    ],
)
@pytest.mark.parametrize("kind", ["counter", "histogram"])
def test_wrong_exemplar(kind: str, exemplar: Any, error: type[Exception], message: str) -> None:
    """An exemplar that a page could not show is refused where it is given."""
    metric = KINDS[kind]("m", "help", registry=None)
    with pytest.raises(error) as caught:
        (metric.inc if kind == "counter" else metric.observe)(1, exemplar)
    assert str(caught.value).startswith(f'{kind} "m": ')
    assert message in str(caught.value)
    assert all(sample.exemplar is None for sample in metric.collect()[0].samples)


# --- info and enum ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ({"v": 1}, TypeError, "info \"build\": label 'v' must have a str, got int: 1"),
        ({"v": None}, TypeError, "info \"build\": label 'v' must have a str, got NoneType: None"),
        ({"v": b"1"}, TypeError, "info \"build\": label 'v' must have a str, got bytes: b'1'"),
        ({5: "1"}, TypeError, 'info "build": a label name must be a str, got int: 5'),
        ({"": "1"}, ValueError, 'info "build": a label name must not be empty'),
        ({"__v": "1"}, ValueError, "info \"build\": label name '__v' begins with '__'"),
        ({"part": "1"}, ValueError, "info \"build\": 'part' is a label of the family (part)"),
        (["v"], TypeError, "info \"build\": expected a mapping of label names to text, got ['v']"),
        ("v", TypeError, "info \"build\": expected a mapping of label names to text, got 'v'"),
        (None, TypeError, 'info "build": expected a mapping of label names to text, got None'),
    ],
)
def test_wrong_info(value: Any, error: type[Exception], message: str) -> None:
    """Text that a page could not show is refused by info(), and the text before it stays."""
    info = Info("build", "help", ["part"], registry=None)
    child = info.labels("web")
    child.info({"v": "0"})
    with pytest.raises(error) as caught:
        child.info(value)
    assert message in str(caught.value)
    assert [sample.labels for sample in info.collect()[0].samples] == [{"part": "web", "v": "0"}]


@pytest.mark.parametrize("twins", [{"a.b": "1", "a_b": "2"}, {"a b": "1", "a-b": "2"}])
def test_info_labels_that_pages_write_alike(twins: dict[str, str], registry: CollectorRegistry) -> None:
    """Label names of an info that a page would write alike are refused: Prometheus would refuse the whole page."""
    info = Info("build", "help", registry=registry)
    with pytest.raises(ValueError, match='info "build"'):
        info.info(twins)


def test_info_label_that_pages_write_like_one_of_the_family(registry: CollectorRegistry) -> None:
    """A name that an escaping scheme makes equal to a label of the family is refused by info()."""
    info = Info("build", "help", ["a_b"], registry=registry)
    with pytest.raises(ValueError, match='info "build"'):
        info.labels("x").info({"a.b": "1"})


@pytest.mark.parametrize("state", ["sleeping", "", None, 5, 0, True])
def test_wrong_state(state: Any) -> None:
    """A state that the definition does not have is refused with those that it has; the state stays."""
    enum = Enum("task", "help", registry=None, states=["starting", "running"])
    enum.state("running")
    with pytest.raises(ValueError) as caught:
        enum.state(state)
    assert str(caught.value) == f'stateset "task": expected one of starting, running, got {state!r}'
    assert [sample.value for sample in enum.collect()[0].samples] == [0, 1]


# --- functions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [5, None, "f", [len]])
@pytest.mark.parametrize("kind", ["counter", "gauge"])
def test_function_that_is_none(kind: str, function: Any) -> None:
    """set_function() takes what can be called, and says what came."""
    metric = KINDS[kind]("m", "help", registry=None)
    with pytest.raises(TypeError) as caught:
        metric.set_function(function)
    assert str(caught.value) == f'{kind} "m": set_function() takes a function, got {function!r}'


@pytest.mark.parametrize("kind", ["summary", "histogram", "info", "stateset"])
def test_kinds_without_functions(kind: str) -> None:
    """Only counters and gauges have a value that a function could give."""
    assert not hasattr(KINDS[kind]("m", "help", registry=None), "set_function")
