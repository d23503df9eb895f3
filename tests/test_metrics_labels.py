"""Labels: from values to children, and the removal of children."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pyrometer import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary, generate_latest

KINDS: list[Any] = [Counter, Gauge, Summary, Histogram]


def touch(child: Any) -> None:
    """Change a child of any kind."""
    if hasattr(child, "observe"):
        child.observe(1)
    else:
        child.inc()


def label_sets(metric: Any) -> list[tuple[str, ...]]:
    """The label sets of the first line of each series, in order."""
    seen: dict[tuple[str, ...], None] = {}
    for family in metric.collect():
        for sample in family.samples:
            seen[tuple(value for name, value in sample.labels.items() if name != "le")] = None
    return list(seen)


# --- by position and by name -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_position_and_name_are_one_child(kind: Any) -> None:
    """The same values by position, by name and by name in another order give the same object."""
    metric = kind("m", "help", ["a", "b"], registry=None)
    child = metric.labels("1", "2")
    assert metric.labels(a="1", b="2") is child
    assert metric.labels(b="2", a="1") is child
    built = {"".join(["", letter]).lower(): value for letter, value in (("B", "2"), ("A", "1"))}
    assert metric.labels(**built) is child
    assert metric.labels("2", "1") is not child


@pytest.mark.parametrize("count", [1, 2, 3, 8, 9, 20])
def test_any_number_of_labels(count: int, registry: CollectorRegistry) -> None:
    """Families of one and of many labels keep every series apart, by position and by name."""
    names = [f"l{i}" for i in range(count)]
    counter = Counter("c", "help", names, registry=registry)
    for row in range(30):
        values = [f"{row}-{i}" for i in range(count)]
        counter.labels(*values).inc(row)
        counter.labels(**dict(reversed(list(zip(names, values))))).inc(1)
    for row in range(30):
        labels = {name: f"{row}-{i}" for i, name in enumerate(names)}
        assert registry.get_sample_value("c_total", labels) == row + 1


def test_values_that_only_differ_in_their_borders() -> None:
    """Label sets whose concatenations are equal are different series."""
    counter = Counter("c", "help", ["a", "b"], registry=None)
    children = [counter.labels(*values) for values in (("ab", "c"), ("a", "bc"), ("abc", ""), ("", "abc"))]
    assert len({id(child) for child in children}) == 4
    quoted = [counter.labels(*values) for values in (('a",b="c', ""), ("a", 'c",b="'), ("a\\", '"'), ('a\\"', ""))]
    assert len({id(child) for child in quoted}) == 4


def test_children_survive_growth() -> None:
    """A child stays the child of its values while thousands of others are made."""
    counter = Counter("c", "help", ["a"], registry=None)
    first = counter.labels("0")
    for i in range(5000):
        counter.labels(str(i)).inc()
    assert counter.labels("0") is first
    assert len(label_sets(counter)) == 5000
    assert {sample.value for sample in counter.collect()[0].samples if sample.name == "c_total"} == {1.0}


def test_series_begin_with_their_child(registry: CollectorRegistry) -> None:
    """A family with labels has no series before the first labels(); a child is a series before it counts."""
    counter = Counter("c", "help", ["a"], registry=registry)
    assert generate_latest(registry) == b"# HELP c_total help\n# TYPE c_total counter\n"
    counter.labels("x")
    assert registry.get_sample_value("c_total", {"a": "x"}) == 0


def test_same_child_in_subclass() -> None:
    """A subclass of a metric has children of that subclass."""

    class Loud(Counter):
        def shout(self) -> None:
            self.inc(10)

    counter = Loud("c", "help", ["a"], registry=None)
    child = counter.labels("x")
    assert type(child) is Loud
    child.shout()
    assert counter.collect()[0].samples[0].value == 10


# --- what str() gives ------------------------------------------------------------------------------------------------


class Color(str, enum.Enum):
    """Equal to its value, while str() says `Color.RED`."""

    RED = "red"


class Plain(str, enum.Enum):
    """Equal to its value, and str() says so too."""

    RED = "red"

    def __str__(self) -> str:
        return str(self.value)


class Odd:
    def __str__(self) -> str:
        return "odd"


class Text(str):
    """A str of its own type, whose str() is not what its characters are."""

    def __str__(self) -> str:
        return "other"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (True, "True"),
        (1.0, "1.0"),
        (None, "None"),
        (b"x", "b'x'"),
        ("", ""),
        (Color.RED, str(Color.RED)),
        (Plain.RED, "red"),
        (Odd(), "odd"),
        (Text("mine"), "other"),
        ("\ud800", "\ufffd"),
        ("a\udfffb\ud83d", "a\ufffdb\ufffd"),
        ("\U0001f525 grün\0", "\U0001f525 grün\0"),
        ('q"\\\n', 'q"\\\n'),
    ],
)
def test_label_value_is_what_str_gives(value: object, text: str, registry: CollectorRegistry) -> None:
    """By position or by name, a label value is its str(), with lone surrogates replaced."""
    counter = Counter("c", "help", ["a"], registry=registry)
    child = counter.labels(value)
    assert counter.labels(a=value) is child
    assert counter.labels(text) is child
    child.inc()
    assert registry.get_sample_value("c_total", {"a": text}) == 1
    counter.remove(value)
    assert registry.get_sample_value("c_total", {"a": text}) is None


def test_equal_values_of_different_text_are_different_series(registry: CollectorRegistry) -> None:
    """1, True and 1.0 are equal to one another, and three series; a (str, Enum) is apart from the str it equals."""
    gauge = Gauge("g", "help", ["a"], registry=registry)
    for number, value in enumerate([1, True, 1.0, "red", Color.RED]):
        gauge.labels(value).set(number)
    got = [(sample.labels["a"], sample.value) for sample in gauge.collect()[0].samples]
    assert got == [("1", 0), ("True", 1), ("1.0", 2), ("red", 3), (str(Color.RED), 4)]


def test_error_of_a_values_str_is_the_users(registry: CollectorRegistry) -> None:
    """What str() of a label value raises comes through, and makes no series."""

    class Broken:
        def __str__(self) -> str:
            raise LookupError("no text")

    counter = Counter("c", "help", ["a"], registry=registry)
    with pytest.raises(LookupError, match="no text"):
        counter.labels(Broken())
    assert label_sets(counter) == []


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: c.labels("a", "b"), "counter \"view\" has 1 label (product), got 2 values: ('a', 'b')"),
        (lambda c: c.labels(), 'counter "view" has 1 label (product), got 0 values: ()'),
        (
            lambda c: c.labels(item="a"),
            "counter \"view\" has 1 label (product), got {'item': 'a'}: no product, unknown item",
        ),
        (
            lambda c: c.labels(product="a", item="b"),
            "counter \"view\" has 1 label (product), got {'product': 'a', 'item': 'b'}: unknown item",
        ),
        (
            lambda c: c.labels("a", product="a"),
            "counter \"view\" has 1 label (product), got values ('a',) and names {'product': 'a'}: give either",
        ),
        (
            lambda c: c.labels("a").labels("b"),
            "counter \"view\": labels() is called on the family, and this is its series {'product': 'a'}",
        ),
    ],
)
def test_wrong_labels(call: Any, message: str) -> None:
    """labels() that the family does not have is a ValueError that names metric, expectation and what came."""
    counter = Counter("view", "help", ["product"], registry=None)
    with pytest.raises(ValueError) as caught:
        call(counter)
    assert str(caught.value) == message
    assert label_sets(counter) in ([], [("a",)])


def test_labels_of_a_family_without() -> None:
    """labels() on a family without labels says that it has none, even for no values."""
    counter = Counter("view", "help", registry=None)
    calls: list[Callable[[], object]] = [counter.labels, lambda: counter.labels("a"), lambda: counter.labels(a="b")]
    for call in calls:
        with pytest.raises(ValueError, match='counter "view" has no labels, got'):
            call()


@pytest.mark.parametrize(
    ("metric", "call"),
    [
        (Counter("m", "help", ["a", "b"], registry=None), lambda m: m.inc()),
        (Counter("m", "help", ["a", "b"], registry=None), lambda m: m.reset()),
        (Counter("m", "help", ["a", "b"], registry=None), lambda m: m.count_exceptions()),
        (Gauge("m", "help", ["a", "b"], registry=None), lambda m: m.inc()),
        (Gauge("m", "help", ["a", "b"], registry=None), lambda m: m.dec()),
        (Gauge("m", "help", ["a", "b"], registry=None), lambda m: m.set(1)),
        (Gauge("m", "help", ["a", "b"], registry=None), lambda m: m.set_to_current_time()),
        (Gauge("m", "help", ["a", "b"], registry=None), lambda m: m.track_inprogress()),
        (Summary("m", "help", ["a", "b"], registry=None), lambda m: m.observe(1)),
        (Histogram("m", "help", ["a", "b"], registry=None), lambda m: m.observe(1)),
        (Info("m", "help", ["a", "b"], registry=None), lambda m: m.info({})),
        (Enum("m", "help", ["a", "b"], registry=None, states=["x"]), lambda m: m.state("x")),
    ],
)
def test_family_with_labels_does_not_count(metric: Any, call: Any) -> None:
    """Counting on a family with labels, of which no series was named, is refused with the labels it has."""
    with pytest.raises(ValueError, match=r'"m" has 2 labels \(a, b\): name a series with labels\(\) first'):
        call(metric)


# --- removal ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def metric() -> Iterator[Counter]:
    """A counter with four series."""
    counter = Counter("c", "help", ["a", "b"], registry=None)
    for a in ("1", "2"):
        for b in ("x", "y"):
            counter.labels(a, b).inc()
    yield counter


def test_remove(metric: Counter) -> None:
    """remove() takes out the series of these values, as str() gives them; one that is not there is no error."""
    metric.remove(1, "y")
    assert label_sets(metric) == [("1", "x"), ("2", "x"), ("2", "y")]
    metric.remove("1", "y")
    metric.remove("never", "there")
    assert len(label_sets(metric)) == 3


def test_removed_series_begins_anew(metric: Counter) -> None:
    """After remove(), labels() makes a new series from zero; the old child counts on unseen."""
    old = metric.labels("1", "x")
    metric.remove("1", "x")
    old.inc(100)
    assert ("1", "x") not in label_sets(metric)
    new = metric.labels("1", "x")
    assert new is not old
    old.inc(100)
    assert [sample.value for sample in metric.collect()[0].samples if sample.labels == {"a": "1", "b": "x"}][0] == 0
    new.inc(3)
    assert [sample.value for sample in metric.collect()[0].samples if sample.labels == {"a": "1", "b": "x"}][0] == 3


@pytest.mark.parametrize(
    ("labels", "left"),
    [
        ({"a": "1"}, [("2", "x"), ("2", "y")]),
        ({"b": "y"}, [("1", "x"), ("2", "x")]),
        ({"a": 1, "b": "y"}, [("1", "x"), ("2", "x"), ("2", "y")]),
        ({"a": "3"}, [("1", "x"), ("1", "y"), ("2", "x"), ("2", "y")]),
        ({}, [("1", "x"), ("1", "y"), ("2", "x"), ("2", "y")]),
    ],
)
def test_remove_by_labels(metric: Counter, labels: dict[str, object], left: list[tuple[str, ...]]) -> None:
    """remove_by_labels() takes out every series that has these values; an empty mapping none."""
    metric.remove_by_labels(labels)
    assert label_sets(metric) == left


def test_clear(metric: Counter) -> None:
    """clear() takes out all series; those made afterwards begin at zero. Without labels it does nothing."""
    metric.clear()
    assert label_sets(metric) == []
    metric.labels("1", "x").inc(7)
    assert metric.collect()[0].samples[0].value == 7
    plain = Counter("c", "help", registry=None)
    plain.inc()
    plain.clear()
    assert plain.collect()[0].samples[0].value == 1


@pytest.mark.parametrize("kind", KINDS)
def test_many_removals(kind: Any) -> None:
    """Series keep their order and their numbers when most of a family is removed and made again."""
    metric = kind("m", "help", ["a"], registry=None)
    for i in range(500):
        touch(metric.labels(i))
    for i in range(500):
        if i % 10:
            metric.remove(i)
    assert label_sets(metric) == [(str(i),) for i in range(0, 500, 10)]
    for i in range(500, 900):
        touch(metric.labels(i))
    expected = [(str(i),) for i in (*range(0, 500, 10), *range(500, 900))]
    assert label_sets(metric) == expected
    for (value,) in expected:
        touch(metric.labels(value))
    wanted = {"m", "m_total", "m_count"}
    assert {sample.value for sample in metric.collect()[0].samples if sample.name in wanted} == {2.0}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda c: c.remove("1"), ValueError, "has 2 labels (a, b), got 1 value to remove: ('1',)"),
        (lambda c: c.remove("1", "2", "3"), ValueError, "got 3 values to remove: ('1', '2', '3')"),
        (lambda c: c.remove_by_labels({"z": "1"}), ValueError, "has labels a, b, got ['z'] to remove by"),
        (lambda c: c.remove_by_labels(["a"]), TypeError, "takes a mapping of label names to values, got ['a']"),
        (lambda c: c.labels("1", "x").remove("1", "x"), ValueError, "remove() is for families with labels"),
        (
            lambda c: c.labels("1", "x").remove_by_labels({"a": "1"}),
            ValueError,
            "remove_by_labels() is for families with labels",
        ),
    ],
)
def test_wrong_removals(metric: Counter, call: Any, error: type[Exception], message: str) -> None:
    """A removal that makes no sense names the metric, and removes nothing."""
    with pytest.raises(error) as caught:
        call(metric)
    assert str(caught.value).startswith('counter "c"')
    assert message in str(caught.value)
    assert len(label_sets(metric)) == 4


def test_removal_from_a_family_without_labels() -> None:
    """remove() and remove_by_labels() on a family without labels are ValueErrors."""
    counter = Counter("c", "help", registry=None)
    calls: list[Callable[[], object]] = [
        lambda: counter.remove("a"),
        lambda: counter.remove_by_labels({"a": "b"}),
    ]
    for call in calls:
        with pytest.raises(ValueError, match='counter "c": .* is for families with labels'):
            call()


def test_removal_takes_exemplars_and_info_along(registry: CollectorRegistry) -> None:
    """What was attached to a removed series is not on the series that takes its place."""
    counter = Counter("c", "help", ["a"], registry=registry)
    counter.labels("x").inc(1, {"trace": "1"})
    info = Info("i", "help", ["a"], registry=registry)
    info.labels("x").info({"version": "1"})
    counter.remove("x")
    info.remove("x")
    counter.labels("x").inc(1)
    assert all(sample.exemplar is None for sample in counter.collect()[0].samples)
    assert info.collect()[0].samples == []
    info.labels("x")
    assert [sample.labels for sample in info.collect()[0].samples] == [{"a": "x"}]
