"""Runs of pytest and of other checks, and what they come to together."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

NOT_RUN = "NOT RUN: "
RUN_TIMEOUT = 600.0
SIGNALLED = "ended by signal"
PYTEST_COUNTED = (0, 1)  # everything passed; some failed: in both the report is complete


class Totals:
    """Counts over several runs. A check that is no test (a linter, a build) counts only when it fails."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0
        self.skipped = 0
        self.not_run: list[tuple[str, str]] = []
        self._lines: list[str] = []

    def check(
        self, name: str, command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str] | None = None
    ) -> bool:
        """Run `command`; a non-zero exit status counts as one failure of `name`. Return whether it was 0."""
        started = _announce(name)
        status = _run(command, cwd, env)
        if status != 0:
            self.failed += 1
        self._note(name, started, "ok" if status == 0 else f"FAILED ({_said(status)})")
        return status == 0

    def pytest(
        self,
        name: str,
        python: Path,
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str] | None = None,
    ) -> bool:
        """Run pytest under the interpreter `python` and add its counts; return whether nothing failed.

        A run without a complete report (a crash, a collection error, no tests) counts as one failure at least.
        """
        started = _announce(name)
        with tempfile.TemporaryDirectory(prefix="pyrometer-report-") as directory:
            report = Path(directory) / "report.xml"
            command: list[str | Path] = [
                python,
                "-m",
                "pytest",
                "-q",
                "--continue-on-collection-errors",
                f"--junitxml={report}",
                "-o",
                "junit_logging=no",
                *arguments,
            ]
            status = _run(command, cwd, env)
            passed, failed, skipped, not_run = _read(report)
        if status not in PYTEST_COUNTED:
            failed = max(failed, 1)
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        self.not_run += not_run
        counted = f"{passed} passed, {failed} failed, {skipped} skipped, {len(not_run)} not run"
        self._note(name, started, counted if status in PYTEST_COUNTED else f"{counted} ({_said(status)})")
        return failed == 0

    def fail(self, name: str, reason: str) -> None:
        """Count `name` as one failure, because of `reason`."""
        self.failed += 1
        self._lines.append(f"{name}: FAILED ({reason})")

    def leave_out(self, name: str, reason: str) -> None:
        """Count `name` as not run, because of `reason`."""
        self.not_run.append((name, reason))
        self._lines.append(f"{name}: not run: {reason}")

    def print(self) -> None:
        """Print a line for each run, what was not run, and last, alone on its line, the totals."""
        print("\n" + "\n".join(self._lines))
        for reason in dict.fromkeys(reason for _, reason in self.not_run):
            names = [name for name, its_reason in self.not_run if its_reason == reason]
            print(f"  {reason}\n    leaves out " + ", ".join(dict.fromkeys(names)))
        if self.not_run:
            print(f"{NOT_RUN}{len(self.not_run)}")
        skipped = self.skipped + len(self.not_run)
        tail = f", {skipped} skipped" if skipped else ""
        print(f"{self.passed} passed, {self.failed} failed{tail}", flush=True)

    def exit_code(self, *, strict: bool = False) -> int:
        """0 where all is well. Where `strict`, something not run is a failure too; no test at all always is."""
        return int(bool(self.failed or self.passed == 0 or (strict and self.not_run)))

    def _note(self, name: str, started: float, outcome: str) -> None:
        self._lines.append(f"{name}: {outcome} ({time.monotonic() - started:.0f} s)")


def _announce(name: str) -> float:
    print(f"\n== {name}", flush=True)
    return time.monotonic()


def _run(command: Sequence[str | Path], cwd: Path, env: Mapping[str, str] | None) -> int:
    try:
        done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, timeout=RUN_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        print(f"not finished within {RUN_TIMEOUT:.0f} s: stopped")
        return -9
    return done.returncode


def _said(status: int) -> str:
    return f"{SIGNALLED} {-status}" if status < 0 else f"exit status {status}"


def _read(report: Path) -> tuple[int, int, int, list[tuple[str, str]]]:
    """From a JUnit report of pytest's: how many tests passed, failed and were skipped; which were not run, and why."""
    if not report.exists():
        return 0, 0, 0, []
    passed = failed = skipped = 0
    not_run = []
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        reasons = [element.get("message", "") for element in case.findall("skipped")]
        missing = [reason.removeprefix(NOT_RUN) for reason in reasons if reason.startswith(NOT_RUN)]
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif missing:
            not_run.append((f"{case.get('classname')}.{case.get('name')}", missing[0]))
        elif reasons:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped, not_run
