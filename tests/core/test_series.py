"""From label values to children: look-up, what values are, removal, and the order of it all."""

from __future__ import annotations

import copy
import enum
import itertools
import pickle
import random
import sys
from typing import Any

import pytest
from core.engine import NAMES, MetricBase, child, counted, counter, gauge, page_of, together
from hypothesis import example, given
from hypothesis import strategies as st

VALUES = st.text(st.characters(exclude_categories=()), max_size=12)  # surrogates, too


class Colour(str, enum.Enum):
    RED = "red"


class Shouted(str):
    def __str__(self) -> str:
        return self.upper()


class Markup(str):
    pass


class Own:
    def __str__(self) -> str:
        return Markup("own é")


def written(value: str) -> str:
    return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in value)


@pytest.mark.parametrize("count", range(1, 13))
def test_by_position_and_by_name(count: int) -> None:
    """One to twelve labels find the same child by position and by name, in any order, fresh strings or not."""
    names = NAMES[:count]
    metric = counter(*names)
    values = [f"v{number}" for number in range(count)]
    first = metric.labels(*values)
    orders = itertools.islice(itertools.permutations(zip(names, values)), 50)
    for order in orders:
        assert metric.labels(**dict(order)) is first
        assert metric.labels(**{("x" + name)[1:]: (value + " ")[:-1] for name, value in order}) is first
    assert metric.labels(*[str(value) for value in values]) is first
    other = metric.labels(*values[:-1], "another")
    assert other is not first and list(counted(metric)) == [tuple(values), (*values[:-1], "another")]


@given(st.lists(VALUES, min_size=1, max_size=10, unique=True))
@example(["", "\0", "\\", '"', "\n", "\\n", "\\\\", '\\"', "\ud800", "\udc00", "\ud83d\ude00", "\U0001f600", "\ufeff"])
def test_any_value(values: list[str]) -> None:
    """Any text is a label value of its own and reads back, a surrogate as U+FFFD."""
    metric = counter("a", "b")
    for first in values:
        for second in values:
            child(metric, first, second).inc()
            assert metric.labels(b=second, a=first) is metric.labels(first, second)
            assert metric.labels(first, second)._labelvalues == (written(first), written(second))
    expected: dict[tuple[str, str], float] = {}
    for pair in itertools.product(values, values):
        key = (written(pair[0]), written(pair[1]))
        expected[key] = expected.get(key, 0.0) + 1
    assert counted(metric) == expected


@pytest.mark.parametrize(
    "value",
    [
        "red",
        "é",
        1,
        True,
        1.0,
        None,
        Colour.RED,
        Shouted("red"),
        Markup("é"),
        Own(),
        b"red",
        (),
        sys.maxsize,
        float("nan"),
    ],
    ids=repr,
)
def test_value_is_what_str_gives(value: object) -> None:
    """A label value is what `str()` gives for it, as an exact str, and found again by it."""
    metric = counter("l")
    made = metric.labels(value)
    assert made._labelvalues == (str(value),) and type(made._labelvalues[0]) is str
    assert metric.labels(value) is made and metric.labels(l=value) is made and metric.labels(str(value)) is made


def test_equal_values_that_str_tells_apart() -> None:
    """1, True and 1.0 are three series although they are equal."""
    metric = counter("l")
    assert len({metric.labels(value)._address for value in (1, True, 1.0)}) == 3


def test_values_are_not_confused_over_labels() -> None:
    """Values that look like label text, or share their bytes with a neighbour, are series of their own."""
    metric = counter("a", "b")
    pairs = [("x", "y"), ('x",b="y', ""), ("", 'x",b="y'), ("xy", ""), ("", "xy"), ("x\\", "y"), ("x", "\\y")]
    for number, pair in enumerate(pairs):
        child(metric, *pair).inc(number)
    assert counted(metric) == {pair: number for number, pair in enumerate(pairs)}


def test_hundred_thousand_series() -> None:
    """100,000 series are found again, each with its count and in the order of their making."""
    metric = counter("product", "colour")
    for number in range(100_000):
        child(metric, f"p{number}", "red").inc(number)
    assert child(metric, "p77777", "red")._read() == 77777.0
    assert counted(metric) == {(f"p{number}", "red"): number for number in range(100_000)}


@pytest.mark.compiled
def test_equal_hashes() -> None:
    """Series whose 32-bit hashes are equal are told apart by their values, and removed one by one."""
    seen: dict[int, str] = {}
    twins: list[tuple[str, str]] = []
    for number in range(400_000):
        value = f"v{number}"
        mixed = (hash(value) * 0x9E3779B97F4A7C15) >> 32 & 0xFFFFFFFF
        if mixed in seen:
            twins.append((seen[mixed], value))
        seen[mixed] = value
    assert twins
    metric = counter("l")
    for one, other in twins:
        assert metric.labels(one) is not metric.labels(other)
        child(metric, one).inc(1)
        child(metric, other).inc(2)
    for one, other in twins:
        metric._family.remove((one,))
        assert child(metric, other)._read() == 2.0
    assert counted(metric) == {(other,): 2.0 for _, other in twins}


def test_removal_and_making_again() -> None:
    """A series made again after its removal begins at zero, at the end; the order of the others stays."""
    metric = counter("l")
    for value in "abcd":
        child(metric, value).inc(5)
    assert metric._family.remove(("b",)) and not metric._family.remove(("b",))
    child(metric, "b").inc()
    assert list(counted(metric).items()) == [(("a",), 5), (("c",), 5), (("d",), 5), (("b",), 1)]
    assert metric._family.remove_where(lambda values: values[0] in "ad") == 2
    assert list(counted(metric)) == [("c",), ("b",)]
    assert metric._family.remove_where(None) == 2 and counted(metric) == {} and metric._family.table.live == 0


def test_stale_child_counts_unseen() -> None:
    """Who holds the child of a removed series may go on counting: no page shows it, and no series feels it."""
    metric = counter("l")
    stale = child(metric, "a")
    metric._family.remove(("a",))
    assert stale._removed
    fresh = child(metric, "a")
    for number in range(100):
        stale.inc(100)
        child(metric, f"n{number}")
    assert fresh is not stale and fresh._read() == 0 and stale._read() == 10_000
    assert set(counted(metric).values()) == {0.0}
    assert stale._labelvalues == ("a",)


def test_holes_are_closed_in_order() -> None:
    """Many removals, then new series: what was left keeps its order, its children and its counts."""
    chance = random.Random(1)
    metric = counter("l")
    children = {f"{number}": child(metric, f"{number}") for number in range(2000)}
    gone = set(chance.sample(sorted(children), 1900))
    for value in gone:
        metric._family.remove((value,))
    for number in range(2000, 2100):
        children[f"{number}"] = child(metric, f"{number}")
    left = [value for value in children if value not in gone]
    for value in left:
        children[value].inc(float(value))
        assert metric.labels(value) is children[value]
    assert list(counted(metric).items()) == [((value,), float(value)) for value in left]


@pytest.mark.parametrize("seed", range(4))
def test_random_uses(seed: int) -> None:
    """Whatever is made, counted, removed, held and let go in whatever order, the family is as a dict would be."""
    chance = random.Random(seed)
    metric = counter("a", "b")
    model: dict[tuple[str, str], float] = {}
    held: list[MetricBase] = []
    pool = [text * length for text in ("x", "é", '"', "\n") for length in (0, 1, 3, 200, 600)]
    for _ in range(4000):
        key = (chance.choice(pool), chance.choice(pool))
        action = chance.random()
        if action < 0.6:
            child(metric, *key).inc(2)
            model[key] = model.get(key, 0.0) + 2
        elif action < 0.9:
            assert metric._family.remove(key) == (key in model)
            model.pop(key, None)
        elif action < 0.95 and key in model:
            held.append(metric.labels(*key))
        elif action < 0.96:
            held.clear()
        elif action < 0.965:
            metric._family.remove_where(None)
            model.clear()
    assert list(counted(metric).items()) == list(model.items())
    assert page_of(metric).count("\n") == len(model) == metric._family.table.live


def test_removal_while_others_count(often: None) -> None:
    """Threads that make, count in and remove the same series get children that work, and leave a whole family."""
    metric = counter("l")

    def work(number: int) -> None:
        for turn in range(1500):
            value = f"{turn % 7}"
            if number % 2:
                metric._family.remove((value,))
            else:
                child(metric, value).inc()
            if turn % 100 == 0:
                assert page_of(metric).count("\n") <= 7

    together(work, threads=4)
    assert set(counted(metric)) <= {(f"{number}",) for number in range(7)}
    metric._family.remove_where(None)
    child(metric, "3").inc()
    assert counted(metric) == {("3",): 1.0}


def test_cap() -> None:
    """Past `max_series` counters go to one child named `__overflow__`, and gauges to one that no page shows."""
    told: list[tuple[str, ...]] = []
    metric, level = counter("l", max_series=2), gauge("l", max_series=2)
    for family in (metric._family, level._family):
        family.on_overflow = lambda _, values: told.append(values)
    for value in "abcd":
        child(metric, value).inc()
        metric.labels(value)
        level.labels(value)
    assert counted(metric) == {("a",): 1, ("b",): 1, ("__overflow__",): 2}
    assert list(counted(level)) == [("a",), ("b",)] and level.labels("x") is level.labels("y")
    assert set(told) == {("c",), ("d",), ("x",), ("y",)}
    with pytest.raises(ValueError, match="on the family"):
        level.labels("x").labels("z")


@pytest.mark.parametrize(
    ("values", "named", "message"),
    [
        (("a",), {}, r'counter "c" has 2 labels \(a, b\), got 1 value: '),
        (("a", "b", "c"), {}, "got 3 values"),
        ((), {}, "got 0 values"),
        ((), {"a": 1}, "no b"),
        ((), {"a": 1, "c": 1}, "no b, unknown c"),
        (("a",), {"b": 1}, "give either"),
    ],
)
def test_wrong_labels(values: tuple[object, ...], named: dict[str, object], message: str) -> None:
    """Labels that the family does not have are an error that names the family, what it has and what came."""
    metric = counter("a", "b")
    with pytest.raises(ValueError, match=message):
        metric.labels(*values, **named)
    assert counted(metric) == {}


def test_value_whose_str_fails_or_calls_back() -> None:
    """An error in `str()` of a value comes out; a `str()` that uses the same family is no trouble."""
    metric = counter("l")

    class Bad:
        def __str__(self) -> str:
            raise KeyError("bad")

    class Busy:
        def __str__(self) -> str:
            for number in range(100):
                child(metric, f"{number}").inc()
            metric._family.remove(("busy",))
            return "busy"

    with pytest.raises(KeyError, match="bad"):
        metric.labels(Bad())
    child(metric, Busy()).inc()
    child(metric, Busy()).inc()
    assert counted(metric)[("busy",)] == 1 and counted(metric)[("7",)] == 2


def test_no_construction() -> None:
    """A metric that was allocated and never constructed is refused by every method, and nothing crashes."""
    empty: Any = type(counter()).__new__(type(counter()))
    for use in (empty.inc, empty.labels, lambda: empty.labels("x"), empty._read, empty._created_at):
        with pytest.raises(ValueError, match="used before it was constructed"):
            use()
    assert empty._labelvalues == () and not empty._removed


def test_construction_is_once() -> None:
    """A metric that belongs to a family cannot be made the handle of another: its cell would be without an owner."""
    made = child(counter("l"), "a")
    with pytest.raises(ValueError, match="already"):
        made._attach(counter("x")._family, False)
    made.inc()


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps], ids=lambda way: str(way.__name__))
@pytest.mark.compiled
def test_no_copies(duplicate: Any) -> None:
    """Metrics, families and arenas are not copied and not pickled: two owners of one cell cannot be."""
    metric = counter("l")
    for thing in (metric, metric.labels("a"), metric._family, metric._family.arena):
        with pytest.raises(TypeError):
            duplicate(thing)
