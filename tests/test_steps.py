"""Each step of the tutorial, started as its docstring says, gives the page that its docstring promises."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
from pathlib import Path
from typing import NamedTuple

import pytest
from fixtures_shop import EXAMPLES, fetch, flask_run
from servers import Server, wait_until
from workers.pages import value
from workers.processes import parent_of
from workers.running import Workers, gunicorn

STEPS = sorted((EXAMPLES / "steps").glob("[0-9]*.py"))
TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Promise(NamedTuple):
    """What a docstring promises: after these requests the page has these lines in this order."""

    requests: list[tuple[int, str]]
    lines: list[str]


def promise(step: Path) -> Promise:
    """Read the requests ("8 x /view/product1") and the lines of the page from the indented blocks of the docstring."""
    docstring = ast.get_docstring(ast.parse(step.read_text())) or ""
    indented = [line.strip() for line in docstring.splitlines() if line.startswith("    ")]
    requests = [(int(m[1]), m[2]) for line in indented if (m := re.fullmatch(r"(\d+) x (/\S+)", line))]
    page = [line for line in indented if line.startswith("# ") or re.fullmatch(r"\w+(\{.*\})? \d+", line)]
    assert len(indented) == 1 + len(requests) + len(page), f"{step.name} has a line that is neither request nor page"
    assert indented[0] == command(step)
    return Promise(requests, page)


def command(step: Path) -> str:
    """What starts the step, as it stands in its docstring."""
    if step.stem.endswith("_workers"):
        return f"gunicorn --workers 4 --chdir examples/steps {step.stem}:app"
    return f"flask --app examples/steps/{step.name} run"


def started(step: Path, log: Path) -> Server:
    """The step, started by this command on a free port, as a context manager."""
    if step.stem.endswith("_workers"):
        return four_workers(step, log)
    return flask_run(step, log)


def four_workers(step: Path, log: Path) -> Workers:
    return gunicorn(log, "--workers=4", f"--chdir={step.parent}", app=f"{step.stem}:app")


def test_all_steps_are_there() -> None:
    """The steps are numbered in order, no number twice, and each promises requests and lines."""
    numbers = [step.name[:3] for step in STEPS]
    assert [f"{number:02}_" for number in [*range(1, 9), 10]] == [number for number in numbers if number != "09_"]
    assert len(set(numbers)) == len(numbers)
    assert all(promise(step).requests and promise(step).lines for step in STEPS)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.stem)
def test_step_keeps_its_promise(step: Path, tmp_path: Path) -> None:
    """The step, asked what its docstring names, answers the lines of the docstring in their order."""
    requests, expected = promise(step)
    with started(step, tmp_path / "step.log") as server:
        shop = server.url
        if isinstance(server, Workers):
            wait_until(lambda: value(server.scrape().body, "workers") == 4, "four workers serve")
        for times, path in requests:
            for _ in range(times):
                status = 500 if "teapot" in path else 200
                assert fetch(shop + path).status == status, path
        answer = fetch(f"{shop}/metrics")
    assert (answer.status, answer.headers["content-type"]) == (200, TEXT)
    page = answer.text.splitlines()
    if step.name < "04":
        assert page == expected, "a page written by hand has what is promised and nothing else"
    rest = iter(page)
    for line in expected:
        assert line in rest, f"{line!r} is missing, or in the wrong place, in\n{answer.text}"


@pytest.mark.parametrize("step", [step for step in STEPS if step.stem[3:] in ("by_hand", "variable", "sql", "labels")])
def test_step_escapes_what_visitors_ask_for(step: Path, tmp_path: Path) -> None:
    """A backslash, a quote, a new line and a letter outside ASCII in a product arrive escaped as the format says."""
    with flask_run(step, tmp_path / "flask.log") as server:
        shop = server.url
        assert fetch(f"{shop}/view/a%5Cb%22c%0Ad%C3%A9").status == 200
        page = fetch(f"{shop}/metrics").text.splitlines()
    assert r'view_total{product="a\\b\"c\ndé"} 1' in page


def test_decorators_give_the_seconds_and_the_errors(tmp_path: Path) -> None:
    """The summary's sum is between nothing and the time the test took, and the failing call was timed as well."""
    (step,) = (step for step in STEPS if step.stem == "06_decorators")
    with flask_run(step, tmp_path / "flask.log") as server:
        shop = server.url
        assert fetch(f"{shop}/view/product3").status == 200
        assert fetch(f"{shop}/view/teapot").status == 500
        page = fetch(f"{shop}/metrics").text
    (total,) = re.findall(r"^duration_compute_seconds_sum (\S+)$", page, re.MULTILINE)
    assert 0 < float(total) < 10
    assert "\nduration_compute_seconds_count 2\n" in page


def test_callback_is_asked_at_every_scrape(tmp_path: Path) -> None:
    """What the table says now is on the page now: the function runs when the page is asked for, not before."""
    (step,) = (step for step in STEPS if step.stem == "07_callback")
    with flask_run(step, tmp_path / "flask.log") as server:
        shop = server.url
        assert "\nstock_total 50\n" in fetch(f"{shop}/metrics").text
        assert fetch(f"{shop}/buy/product1").status == 200
        assert "\nstock_total 51\n" in fetch(f"{shop}/metrics").text


def test_worker_that_is_killed(tmp_path: Path) -> None:
    """What a worker counted stays when it is killed with -9, and the gauge of workers is at four again."""
    (step,) = (step for step in STEPS if step.stem == "10_workers")
    with four_workers(step, tmp_path / "gunicorn.log") as server:
        wait_until(lambda: value(server.scrape().body, "workers") == 4, "four workers serve")
        worker = json.loads(fetch(f"{server.url}/view/product1").text)["worker"]
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: parent_of(worker) == 0, "the worker is dead")
        wait_until(lambda: value(server.scrape().body, "workers") == 4, "four workers serve again")
        assert value(server.scrape().body) == 1
        assert worker not in server.workers()
