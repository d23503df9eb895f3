"""The demo, run as a user runs it: it sells, it shows that nothing is lost, and it leaves nothing behind.

Four workers serve it, and some are killed meanwhile.
"""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fixtures_shop import ROOT, SHOP, clean_environment, fetch
from servers import DEADLINE, wait_until
from workers.pages import NO_ANSWER, value
from workers.processes import children_of

WORKERS = 4
COMMAND = [sys.executable, str(SHOP.with_name("demo.py"))]
ALL = re.compile(r"^all((?: +[\d,]+){4})$", re.MULTILINE)
WORKER = re.compile(r"^worker (\d+) +([\d,]+) +([\d,]+) +([\d,]+)$", re.MULTILINE)


class Demo:
    """One run of the demo in a session of its own, as a terminal would give it; what it prints goes to a file."""

    def __init__(self, log: Path, *options: str) -> None:
        self.mark = uuid.uuid4().hex
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [*COMMAND, "--port", "0", *options],
                cwd=ROOT,
                env=clean_environment(DEMO_MARK=self.mark),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self._log.read_text()

    @property
    def address(self) -> str:
        """Where the demo says that the shop is."""
        (address,) = re.findall(r"^The shop is open: (http://127\.0\.0\.1:\d+)/$", self.text, re.MULTILINE)
        return str(address)

    def descendants(self) -> list[int]:
        """The processes that the demo started and that still run: they all inherit its mark."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                marked = self.mark.encode() in (process / "environ").read_bytes()
            except OSError:  # it ended while we looked, or it is not ours
                continue
            if marked and int(process.name) != self.process.pid:
                found.append(int(process.name))
        return found

    @property
    def gunicorn(self) -> int:
        """The process id of gunicorn's master."""
        (pid,) = children_of(self.process.pid)
        return pid

    def table(self) -> list[int]:
        """The last line of the first final table: views answered and in /metrics, sales answered and in /metrics."""
        (cells,) = ALL.findall(self.text)
        return [number(cell) for cell in cells.split()]

    def workers(self) -> dict[int, list[int]]:
        """The second final table: for each worker what it answered, and the views and sales of its /metrics."""
        return {int(worker): [number(cell) for cell in cells] for worker, *cells in WORKER.findall(self.text)}


def number(cell: str) -> int:
    return int(cell.replace(",", ""))


@contextmanager
def demo(log: Path, *options: str) -> Iterator[Demo]:
    """The demo, open for business; killed with all it started when the test left it running."""
    running = Demo(log, *options)
    try:
        wait_until(lambda: "requests/s" in running.text or running.process.poll() is not None, "the demo to open")
        assert "requests/s" in running.text, running.text
        yield running
    finally:
        for pid in [*running.descendants(), running.process.pid] if running.process.poll() is None else []:
            os.kill(pid, signal.SIGKILL)
        running.process.wait()


def test_duration(tmp_path: Path) -> None:
    """`--duration 3` sells for three seconds, ends by itself with status 0, and every answer is in /metrics."""
    with demo(tmp_path / "demo.log", "--duration", "3") as running:
        assert running.process.wait(DEADLINE) == 0, running.text
        viewed, viewed_metrics, bought, bought_metrics = running.table()
        assert viewed == viewed_metrics > 20
        assert bought == bought_metrics > 5
        assert "is in /metrics of every worker.\nstopped\n" in running.text
        assert not running.descendants()


def test_workers_are_shown(tmp_path: Path) -> None:
    """It names its four workers when it opens; when it closes, each says the totals, of which it answered a part."""
    with demo(tmp_path / "demo.log", "--duration", "3") as running:
        (names,) = re.findall(r"^4 workers serve it:  ([\d, ]+?) \(", running.text, re.MULTILINE)
        named = {int(name) for name in names.split(", ")}
        assert named == set(children_of(running.gunicorn))
        assert running.process.wait(DEADLINE) == 0, running.text
        viewed, _, bought, _ = running.table()
        workers = running.workers()
        assert set(workers) == named
        assert {(views, sales) for _, views, sales in workers.values()} == {(viewed, bought)}
        assert sum(answered for answered, *_ in workers.values()) == viewed + bought
        assert sum(answered > 0 for answered, *_ in workers.values()) > 1


def test_workers_that_are_killed(tmp_path: Path) -> None:
    """Of workers killed with -9 and replaced by HUP under load no page goes back, and all that was answered is counted.

    A request that was not answered may have been counted before its worker died.
    """
    chance = random.Random(4)
    with demo(tmp_path / "demo.log") as running:
        gunicorn = running.gunicorn
        seen: set[int] = set()
        before = [0.0, 0.0]
        pages = 0
        goal = 0.0

        def look() -> None:
            """One more page, which has no fewer views and sales than the one before."""
            nonlocal before, pages
            try:
                page = fetch(f"{running.address}/metrics")
            except NO_ANSWER:  # of the worker that was killed
                return
            assert page.status == 200, page.text
            seen.add(int(page.headers["x-worker"]))
            now = [value(page.text, "view_total"), value(page.text, "buy_total")]
            assert all(after >= earlier for earlier, after in zip(before, now)), f"{before} before, then {now}"
            before = now
            pages += 1

        def views_go_on() -> bool:
            look()
            return before[0] >= goal

        for disturbance in [signal.SIGKILL, signal.SIGKILL, signal.SIGHUP, signal.SIGKILL, signal.SIGHUP] * 2:
            workers = children_of(gunicorn)
            if disturbance == signal.SIGHUP:
                os.kill(gunicorn, disturbance)
            elif workers:
                os.kill(chance.choice(workers), disturbance)
            goal = before[0] + 15
            wait_until(views_go_on, "views go on")
        wait_until(lambda: len(children_of(gunicorn)) == WORKERS, "all workers are there again")
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(DEADLINE) == 0, running.text
        viewed, viewed_metrics, bought, bought_metrics = running.table()
        (failed,) = re.findall(r"^([\d,]+) requests failed\.$", running.text, re.MULTILINE) or ["0"]
        assert viewed <= viewed_metrics and bought <= bought_metrics
        assert viewed_metrics + bought_metrics <= viewed + bought + number(failed)
        assert before[0] <= viewed_metrics and before[1] <= bought_metrics
        assert len(seen) > WORKERS and pages > 20, (seen, pages)
        assert {(views, sales) for _, views, sales in running.workers().values()} == {(viewed_metrics, bought_metrics)}
        assert not running.descendants()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stops_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C, and SIGTERM, stop it at once with the final table, status 0, no traceback and no process left."""
    with demo(tmp_path / "demo.log") as running:
        assert fetch(f"{running.address}/").status == 200
        assert running.descendants(), "gunicorn runs"
        wait_until(lambda: bool(re.search(r"^ +3 s", running.text, re.MULTILINE)), "the first line of the table")
        os.killpg(running.process.pid, number)
        assert running.process.wait(DEADLINE) == 0, running.text
        assert running.text.endswith("stopped\n")
        assert "Traceback" not in running.text
        viewed, viewed_metrics, bought, bought_metrics = running.table()
        assert (viewed, bought) == (viewed_metrics, bought_metrics)
        assert not running.descendants()


def test_visitors_are_welcome(tmp_path: Path) -> None:
    """What somebody else looks at in a browser is in /metrics and not among the shoppers' answers."""
    with demo(tmp_path / "demo.log", "--duration", "2") as running:
        for _ in range(7):
            assert fetch(f"{running.address}/view/product1").status == 200
        assert running.process.wait(DEADLINE) == 0, running.text
        viewed, viewed_metrics, bought, bought_metrics = running.table()
        assert (viewed_metrics, bought_metrics) == (viewed + 7, bought)


def test_shop_that_dies(tmp_path: Path) -> None:
    """When gunicorn is killed the demo says that the shop does not answer, and ends with status 1."""
    with demo(tmp_path / "demo.log") as running:
        for pid in running.descendants():
            os.kill(pid, signal.SIGKILL)
        assert running.process.wait(DEADLINE) == 1
        assert "demo: the shop does not answer: " in running.text
        assert "Traceback" not in running.text
        assert not running.descendants()


def test_reader_that_goes_away() -> None:
    """Piped into something that stops reading, as `head` does, it closes the shop and ends without a traceback."""
    with subprocess.Popen(
        [*COMMAND, "--port", "0"], env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None and running.stderr is not None
        address = running.stdout.readline().split()[-1]
        running.stdout.close()
        assert running.wait(DEADLINE) == 1
        assert running.stderr.read() == ""
    with pytest.raises(OSError):
        fetch(address)


def test_port_that_is_taken() -> None:
    """A port that is taken is one line that names the port and says how to choose another, and status 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run([*COMMAND, "--port", str(port)], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(rf"demo: cannot use port {port} on .*: Address already in use\. .*PORT=\d+.*\n", done.stderr)


@pytest.mark.parametrize("options", [["--port", "65536"], ["--port", "-1"], ["--duration", "0"], ["--duration", "nan"]])
def test_options_that_are_wrong(options: list[str]) -> None:
    """An option out of its range is refused before anything starts, with what was expected and what came."""
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 2
    assert f"{options[0]} is a number" in done.stderr
    assert f"got {options[1]}" in done.stderr
