"""The benchmark measures what it says, and prints what it measured."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.crew import Crew
from bench.libraries import Library, load
from bench.lock import Ticker, recurring
from bench.measure import Contender, Measurement, interleave, statement
from bench.pages import Page
from bench.reference import reference
from bench.table import cell, markdown
from bench.targets import TARGETS, Key, Target
from bench.threads import Hammered
from pyrometer._core import COMPILED

ROOT = Path(__file__).resolve().parent.parent


def library(name: str) -> Library:
    loaded = load(name)
    assert isinstance(loaded, Library), loaded
    return loaded


def test_slower_statement_measures_slower() -> None:
    """A statement that does a hundred times the work is measured as many times slower."""
    taken = interleave(
        {"few": statement("sum(r)", {"r": range(100)}), "many": statement("sum(r)", {"r": range(10_000)})},
        rounds=5,
        seconds=0.002,
    )
    assert 20 < taken["many"].over(taken["few"]) < 500


def test_statement_executes_as_often_as_asked() -> None:
    """A timed statement runs exactly as many times as it is told, with its values in turn."""
    seen: list[str] = []
    elapsed = statement("seen.append(value)", {"seen": seen}, ("a", "b")).run(5)
    assert seen == ["a", "b", "a", "b", "a"]
    assert elapsed > 0


def test_contenders_take_turns() -> None:
    """Every round runs each contender once, beginning with another one, and averages over its executions."""
    order: list[str] = []

    def costs(name: str, nanoseconds: float) -> Contender:
        def run(count: int) -> float:
            order.append(name)
            return count * nanoseconds

        return Contender(run, loop=lambda count: count * 2.0)

    contenders = {"a": costs("a", 10.0), "b": costs("b", 50.0)}
    taken = interleave(contenders, rounds=4, seconds=0.001)
    assert order[-8:] == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert taken["a"].rounds == pytest.approx([10.0] * 4)
    assert taken["b"].over(taken["a"]) == pytest.approx(5.0)
    assert taken["b"].net().over(taken["a"].net()) == pytest.approx(6.0)


def test_ratio_is_taken_round_by_round() -> None:
    """A machine that slows down for a round changes both contenders' figures and not their ratio."""
    fast = Measurement((10.0, 10.0, 30.0, 30.0, 10.0), group=1)
    slow = Measurement((20.0, 20.0, 60.0, 60.0, 20.0), group=1)
    assert slow.over(fast) == 2.0
    assert Measurement((20.0, 90.0, 100.0)).over(fast) == 9.0


def test_ratio_of_different_units_is_refused() -> None:
    """Bytes over nanoseconds is no ratio."""
    with pytest.raises(ValueError, match="one unit, got B and ns"):
        Measurement((1.0,), unit="B").over(Measurement((1.0,)))


def test_reference_is_an_empty_call() -> None:
    """The reference costs something, and less than a call that formats a number."""
    taken = interleave(
        {"empty": reference().contender, "format": statement("n.__format__(f)", {"n": 1.5, "f": ".3f"})}, 5, 0.002
    )
    assert 0 < taken["empty"].median < taken["format"].median


def test_table_shows_figures_and_ratios() -> None:
    """A row has each contender's median with its unit, Pyrometer's ratio to an empty call, others' to Pyrometer."""
    results: dict[Key, Measurement] = {
        ("inc", "empty"): Measurement((20.0, 20.0, 20.0)),
        ("inc", "pyrometer"): Measurement((30.0, 30.0, 30.0)),
        ("inc", "prometheus_client"): Measurement((600.0, 601.0, 599.0)),
        ("scrape", "prometheus_client"): Measurement((2_000_000.0,)),
    }
    table = markdown({"inc": "`c.inc()`", "scrape": "scrape", "other": "never measured"}, results).splitlines()
    assert [part.strip() for part in table[2].split("|")[1:-1]] == [
        "`c.inc()`",
        "20.0 ns",
        "30.0 ns (1.50x)",
        "600 ns (20.0x)",
    ]
    assert cell(("scrape", "prometheus_client"), results) == "2.00 ms"
    assert len(table) == 4


@pytest.mark.parametrize(("pyrometer", "word"), [(29.0, "met"), (31.0, "MISSED")])
def test_target_compares_what_was_measured(pyrometer: float, word: str) -> None:
    """A target is met or missed by the measured ratio, which its line shows beside the limit."""
    results: dict[Key, Measurement] = {
        ("inc", "empty"): Measurement((20.0,), loop=(10.0,)),
        ("inc", "pyrometer"): Measurement((pyrometer,), loop=(10.0,)),
    }
    target = Target("c.inc() / empty C call", ("inc", "pyrometer"), 1.5, ("inc", "empty"))
    line = target.verdict(results)
    assert line.split()[0] == word
    assert f"{pyrometer / 20:.2f}x (at most 1.50x); without the loop around both: {(pyrometer - 10) / 10:.2f}x" in line


def test_target_without_a_measurement_is_neither_met_nor_missed() -> None:
    """What could not be measured is said to be not measured."""
    assert TARGETS[0].verdict({}).startswith("not measured")


@pytest.mark.parametrize("name", ["pyrometer", "prometheus_client"])
@pytest.mark.parametrize("kind", ["counters", "histograms"])
def test_measured_page_holds_every_series(name: str, kind: str) -> None:
    """The page that is timed has been found complete, and both libraries write the same number of lines."""
    per_series = {"counters": 2, "histograms": 15 + 3}[kind]
    assert Page(library(name), kind, 300).lines == 300 * per_series


def test_incomplete_page_is_not_measured() -> None:
    """A library whose page lacks what was counted is refused instead of praised for its speed."""

    class Forgetful(Library):
        def page(self, registry: object) -> bytes:
            return super().page(registry).replace(b'requests_total{product="product7"}', b"#", 1)

    with pytest.raises(RuntimeError, match=r"9 requests_total samples .* expected 10"):
        Page(Forgetful("prometheus_client", __import__("prometheus_client")), "counters", 10)


def test_hammering_counts_what_arrives() -> None:
    """After threads have counted in one counter, the increments that arrived are compared with those made."""
    hammered = Hammered(library("pyrometer"))
    for source in ("inc", "labels"):
        assert hammered.contender(source, 4).run(10_000) > 0
    assert hammered.lost() == 0


def test_ticker_sees_who_holds_the_interpreter_lock() -> None:
    """One long C call that keeps the lock shows as a gap of its length; Python code, which hands it over, does not."""
    lengths: list[float] = []

    def keeps() -> None:
        start = time.process_time()
        sum(range(4_000_000))
        lengths.append((time.process_time() - start) * 1e3)

    def hands_over() -> None:
        until = time.perf_counter() + 0.1
        while time.perf_counter() < until:
            pass

    if hasattr(sys, "_is_gil_enabled") and not sys._is_gil_enabled():
        assert Ticker().during(keeps).wall >= 0  # nothing to hold
        return
    kept = Ticker().during(keeps)
    assert kept.wall > 0.5 * lengths[0]
    assert kept.held > 0.5 * lengths[0]
    assert Ticker().during(hands_over).held < 50


def test_recurring_gap_outweighs_accidents() -> None:
    """A gap that only some scrapes have is the machine's; the larger one of first and later scrapes counts."""
    assert recurring([2.0], [1.0, 1.0, 9.0, 1.0]) == 2.0
    assert recurring([2.0, 2.0, 30.0], [6.0, 6.0, 7.0]) == 6.0


@pytest.mark.parametrize("name", ["pyrometer", "prometheus_client"])
def test_crew_counts_together(name: str) -> None:
    """What several processes count, those that have ended included, is on the page of each; files lie between them."""
    sharing = COMPILED or name != "pyrometer"
    with Crew(name, 2) as crew:
        crew.all("fill", 10, 2)
        assert crew.all("counted") == [20 if sharing else 10] * 2
        crew.processes[0].ask("employ", 4, 5)
        assert crew.processes[0].ask("counted") == (40 if sharing else 10)
        assert (crew.files() > 0) == sharing
        assert crew.scrape().run(2) > 0


def test_crew_that_is_apart_does_not_pass_for_one_that_shares() -> None:
    """Processes that count each for itself are told from those that count together before anything is measured."""
    with Crew("pyrometer", 2, together=False) as crew:
        crew.all("fill", 10, 2)
        assert crew.all("counted") == [10, 10]
        assert crew.files() == 0
        with pytest.raises(RuntimeError, match="counts 10, expected 20"):
            crew.check(20)


@pytest.mark.parametrize("at_once", [False, True])
def test_crew_executes_as_often_as_asked(at_once: bool) -> None:
    """A statement runs as often as it is told, in the first process or in all, each in a series of its own."""
    with Crew("pyrometer", 2, together=False) as crew:
        contender = crew.counting("c.inc()", at_once=at_once)
        assert contender.run(30) > 0
        assert contender.loop is not None and contender.loop(30) > 0
        assert crew.all("counted") == [30, 30 if at_once else 0]


def test_crew_makes_and_removes_series() -> None:
    """Series that are made and removed have been counted in, and leave the page."""
    with Crew("pyrometer", 1) as crew:
        crew.all("fill", 3, 0)
        crew.all("churn", 100)
        crew.check(3)
        assert crew.processes[0].ask("private") > 1_000_000


def test_process_that_dies_is_missed() -> None:
    """A process of a crew that ended is an error, not an answer."""
    with Crew("pyrometer", 1) as crew, pytest.raises(RuntimeError, match="ended: status 1"):
        crew.all("no such action")


def test_sections_of_several_processes(tmp_path: Path) -> None:
    """Sections about workers fill their rows for both libraries, and their targets are measured."""
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "bench", "--quick", "--here", "--json", str(report)]
    command += ["--only", "workers_dead", "--only", "workers_churn"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    if not COMPILED:  # nothing is shared, and nothing measured that claims to be
        assert done.returncode == 1 and "expected" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    document = json.loads(report.read_text())
    measured = {(entry["row"], entry["contender"]) for entry in document["measurements"]}
    for row in ("live", "dead", "live_files", "dead_files", "churn_before", "churn_after", "churn_grown"):
        assert {(row, "pyrometer"), (row, "prometheus_client")} <= measured
    assert len(document["targets"]) == 3
    assert all(target["measured"] is not None for target in document["targets"])


def test_command_measures_and_prints(tmp_path: Path) -> None:
    """``python -m bench --quick --only inc`` prints the row, its targets, and writes every round as JSON."""
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "bench", "--quick", "--only", "inc", "--here", "--json", str(report)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if line.startswith("| `c.inc()`"))
    assert row.count("x)") >= 2
    assert "c.inc() / empty C call: " in done.stdout
    document = json.loads(report.read_text())
    measured = {entry["contender"]: entry for entry in document["measurements"] if entry["row"] == "inc"}
    assert {"empty", "pyrometer", "prometheus_client"} <= set(measured)
    assert len(measured["pyrometer"]["rounds"]) >= 5
    assert document["targets"][0]["measured"] == pytest.approx(
        measured["pyrometer"]["median"] / measured["empty"]["median"], rel=0.5
    )
