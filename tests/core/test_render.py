"""Numbers and pages: to the byte, whatever the value, and without keeping other threads waiting."""

from __future__ import annotations

import math
import random
import struct
import sys
import threading
import time

import pytest
from core.engine import (
    BUCKET,
    COUNT,
    CREATED,
    STATE,
    VALUE,
    Arena,
    CounterBase,
    Family,
    Page,
    Snapshot,
    child,
    counter,
    gauge,
    histogram,
    page_of,
)
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.utils import floatToGoString

from pyrometer._core import native
from pyrometer._core.render_cy import number

EDGES = [0.0, -0.0, 1.0, -1.0, 0.1, 0.5, 1e-5, 9.9999e-5, 1e-4, 123456.0, 999999.0, 1e6, 1234567.5, 1e15, 1e16, 1e17]
EDGES += [999999999999999.0, 999999999999.999, 1e12 - 0.001, 2.0**53, 2.0**53 + 2, 0.001, 0.0005, 1e22, 1e100, 1e-100]
EDGES += [5e-324, sys.float_info.min, sys.float_info.max, math.pi, 1732000000.123, 0.30000000000000004]
EDGES += [value + step for value in (1e3, 1e12, 1e15, 1e16) for step in (-0.5, 0.25, 0.0625)]
EDGES += [float("inf"), float("nan")]


def plain(value: float) -> str:
    """The rule: as repr, without `.0`; with the words of the text formats for what is no number."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value).removesuffix(".0")


def check(value: float) -> None:
    assert number(value) == native.number(value, False) == plain(value).encode()
    assert number(value, True) == native.number(value, True) == str(floatToGoString(value)).encode()  # type: ignore[no-untyped-call]


@given(st.floats())
def test_number(value: float) -> None:
    """Any float is written as the rule says, by the compiled code and by its twin, and reads back the same."""
    check(value)
    assert math.isnan(value) or float(number(value)) == value == float(number(value, True))


@pytest.mark.parametrize("value", EDGES)
def test_number_at_the_edges(value: float) -> None:
    """So are the numbers where the way of writing changes, and their neighbours."""
    for near in (value, -value, *(() if math.isnan(value) else neighbours(value))):
        check(near)


def neighbours(value: float) -> list[float]:
    """The floats next to a value."""
    (bits,) = struct.unpack("<q", struct.pack("<d", value))
    return [struct.unpack("<d", struct.pack("<q", max(0, min(bits + step, 2**63 - 1))))[0] for step in (-2, -1, 1, 2)]


def test_number_of_any_bits() -> None:
    """So are 60,000 floats of random bits, and as many with few decimals."""
    chance = random.Random(7)
    for _ in range(60_000):
        check(struct.unpack("<d", struct.pack("<Q", chance.getrandbits(64)))[0])
        check(round(chance.uniform(0, 10.0 ** chance.randrange(14)), chance.randrange(6)))


def test_page_of_counters() -> None:
    """Series come in the order of their making, labels in that of their names, values escaped."""
    metric = counter("b", "a")
    child(metric, "1", 'q"\\\n').inc(8)
    child(metric, b="é", a="").inc(0.5)
    assert page_of(metric) == 'c_total{a="q\\"\\\\\\n",b="1"} 8\nc_total{a="",b="é"} 0.5\n'


@pytest.mark.parametrize(
    ("labelname", "labels"),
    [("a", 'a="x",le="1.0"'), ("z", 'le="1.0",z="x"'), ("lea", 'le="1.0",lea="x"'), ("ld", 'ld="x",le="1.0"')],
)
def test_extra_label_is_in_its_place(labelname: str, labels: str) -> None:
    """The label that a kind adds stands where it sorts among those of the family."""
    metric = histogram(labelname)
    metric.labels("x").observe(1.5)  # type: ignore[attr-defined]
    lines = page_of(metric).splitlines()
    assert lines[0] == f"h_bucket{{{labels}}} 0"
    assert [line.rpartition(" ")[2] for line in lines] == ["0", "1", "1", "1", "1", "1.5"]


def test_extra_label_between_others() -> None:
    """The added label may stand between two of the family's."""
    metric = histogram("z", "a")
    metric.labels("1", "2").observe(1)  # type: ignore[attr-defined]
    assert page_of(metric).splitlines()[0] == 'h_bucket{a="2",le="1.0",z="1"} 1'


def test_states_and_times() -> None:
    """A state is 1 for the current one alone; a series' time is that of its making; `go` writes them as Go does."""
    lines = (("", "off", STATE, 0), ("", "on", STATE, 1), ("_created", None, CREATED, 0))
    family = Family(Arena(), "stateset", "s", "", "", (), lines, 1, "s")
    metric = CounterBase()
    metric._attach(family, True)
    metric.inc(1)
    metric._set_created(1732000000.5)
    assert page_of(metric) == 's{s="off"} 0\ns{s="on"} 1\ns_created 1732000000.5\n'
    assert page_of(metric, go=True) == 's{s="off"} 0.0\ns{s="on"} 1.0\ns_created 1.7320000005e+09\n'


def test_exemplars_follow_their_line() -> None:
    """The text of an exemplar stands behind the number of its cell, in whatever order exemplars come."""
    metric = histogram("l")
    series = [metric.labels(value) for value in "abc"]
    texts = {
        (each._address, place): f" # {place}{each._labelvalues[0]}".encode() for each in series for place in (2, 1)
    }
    page = Page()
    lines = [(b"h{", b"", b"} ", BUCKET, 1), (b"h{", b"", b"} ", BUCKET, 2), (b"n{", b"", b"} ", COUNT, 0)]
    page.text(b"# begin\n")
    page.rows(Snapshot(metric._family), lines, texts)
    page.text(b"# end\n")
    expected = "".join(f'h{{l="{v}"}} 0 # 1{v}\nh{{l="{v}"}} 0 # 2{v}\nn{{l="{v}"}} 0\n' for v in "abc")
    assert page.finish().decode() == f"# begin\n{expected}# end\n"


def test_what_changes_after_rows_were_added() -> None:
    """Lines and exemplars are those of the moment they were added, whoever changes the list and the dict later."""
    metric = counter("l")
    series = child(metric, "a")
    lines = [(b"c{", b"", b"} ", VALUE, 0)]
    texts: dict[tuple[int, int], bytes] = {}
    page = Page()
    page.rows(Snapshot(metric._family), lines, texts)
    lines += [(b"x" * 10_000, b"", b"} ", VALUE, 0)] * 10
    texts[(series._address, 0)] = b"y" * 100_000
    assert page.finish() == b'c{l="a"} 0\n'


def test_exemplars_are_those_of_the_snapshot() -> None:
    """Exemplars that come while a page is being written do not change under the writer's hands."""
    metric = counter("l")
    series = child(metric, "a")
    before = Snapshot(metric._family)
    metric._family.put_note(series, 0, b"first", 1.0, 2.0)
    after = Snapshot(metric._family)
    metric._family.put_note(series, 0, b"second" * 100, 3.0, 4.0)
    assert before.notes == {}
    assert after.notes == {(series._address, 0): (b"first", 1.0, 2.0)}
    assert Snapshot(metric._family).notes == {(series._address, 0): (b"second" * 100, 3.0, 4.0)}


def test_longest_numbers_fit() -> None:
    """A page whose every number is as long as numbers get is whole."""
    metric = gauge("l")
    for number_ in range(2000):
        metric.labels(f"{number_}").set(-1.2345678901234568e-300)  # type: ignore[attr-defined]
    lines = page_of(metric).splitlines()
    assert lines == [f'g{{l="{number_}"}} -1.2345678901234568e-300' for number_ in range(2000)]


def test_hidden_series_are_left_out() -> None:
    """A series without a value at present is left out of pages, keeps its place, and comes back."""
    metric = counter("l")
    family = metric._family
    series = [child(metric, value) for value in "abc"]
    for _ in range(2):
        family.hide(series[1], True)
    assert page_of(metric) == 'c_total{l="a"} 0\nc_total{l="c"} 0\n'
    assert family.present() == [("a",), ("b",), ("c",)]
    for _ in range(2):
        family.hide(series[1], False)
    assert page_of(metric).count("\n") == 3
    family.hide(series[1], True)
    family.remove(("b",))
    family.hide(series[1], False)
    family.hide(series[1], True)
    child(metric, "b")
    assert page_of(metric) == 'c_total{l="a"} 0\nc_total{l="c"} 0\nc_total{l="b"} 0\n'


@pytest.mark.compiled
def test_other_threads_run_while_a_page_is_written() -> None:
    """The interpreter lock is free while bytes are written: a waiting thread runs before the page is done."""
    metric = counter("l")
    for number_ in range(100_000):
        child(metric, f"{number_}").inc(math.pi)
    interval = sys.getswitchinterval()
    for _ in range(5):
        page = Page()
        for _ in range(10):
            page.rows(Snapshot(metric._family), [(b"c_total{", b"", b"} ", VALUE, 0)])
        begin, ready = threading.Lock(), threading.Event()
        ran: list[float] = []

        def wait(begin: threading.Lock = begin, ready: threading.Event = ready, ran: list[float] = ran) -> None:
            ready.set()
            begin.acquire()
            ran.append(time.perf_counter())

        begin.acquire()
        thread = threading.Thread(target=wait)
        thread.start()
        ready.wait()
        sys.setswitchinterval(100)
        begin.release()
        page.finish()
        ended = time.perf_counter()
        sys.setswitchinterval(interval)
        thread.join()
        if ran[0] < ended:
            return
    raise AssertionError("no other thread ran before the page was done")
