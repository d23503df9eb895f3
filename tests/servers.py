"""Real servers for tests: where their programs come from, how they are started, asked and stopped."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeVar
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from tools.debian import DebianError, Suite, unpack
from tools.tree import CACHE, alone

SUITES = ("sid", "forky")  # where Debian keeps Prometheus 3; the first whose programs run on this machine is used
OLDEST = 3
DEADLINE = 30.0

S = TypeVar("S", bound="Server")


class Missing(Exception):
    """A server cannot be had on this machine; the message says what was tried."""


class Programs(NamedTuple):
    """The two programs of a Prometheus of version 3 or later, and that version."""

    prometheus: Path
    promtool: Path
    version: str


@functools.cache
def prometheus_programs() -> Programs:
    """Prometheus and promtool: those on PATH if recent enough, else Debian's, unpacked below `.cache/servers`, once.

    Raises Missing, always the same way within one process, where neither runs here.
    """
    tried = []
    on_path = [shutil.which(name) for name in ("prometheus", "promtool")]
    if on_path[0] and on_path[1]:
        try:
            return _programs(Path(on_path[0]), Path(on_path[1]))
        except Missing as reason:
            tried.append(str(reason))
    for suite in SUITES:
        try:
            return _from_debian(suite)
        except (Missing, DebianError, OSError) as reason:
            tried.append(str(reason))
    raise Missing(f"no Prometheus {OLDEST} on this machine: " + "; ".join(tried))


def _from_debian(suite: str) -> Programs:
    home = CACHE / "servers" / suite
    binaries = home / "usr" / "bin"
    with alone(home):
        if not (home / "complete").exists():
            packages = home / "packages"
            for package in Suite(suite, CACHE).download(["prometheus", "promtool"], packages):
                unpack(package, home)
            shutil.rmtree(packages)
            (home / "complete").touch()
    return _programs(binaries / "prometheus", binaries / "promtool")


def _programs(prometheus: Path, promtool: Path) -> Programs:
    versions = []
    for program in (prometheus, promtool):
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=DEADLINE, check=False)
        said = (done.stdout + done.stderr).strip()
        match = re.search(r"version (\d+)(\.\S+)", said)
        if done.returncode != 0 or match is None:
            raise Missing(f"{program} does not run here: {said[-300:]}")
        if int(match[1]) < OLDEST:
            raise Missing(f"{program} is of version {match[1]}{match[2]}, {OLDEST} is needed")
        versions.append(match[1] + match[2])
    return Programs(prometheus, promtool, versions[0])


def wait_until(condition: Callable[[], bool], what: str, deadline: float = DEADLINE) -> None:
    """Return as soon as `condition()` is true; raise AssertionError naming `what` after `deadline` seconds."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"not within {deadline:g} s: {what}"
        time.sleep(0.02)


class Server:
    """A program that listens on a port the system assigns, run for the length of a `with` block.

    `command` makes it listen on port 0 of 127.0.0.1; `listening` is a pattern that finds the port, its only group, in
    what it prints; `ready` is a path where it answers with a status under 500 once it serves. Standard output and error
    go to `log`. The process leads a group of its own and is stopped with all of it: asked to end by `ends`, and again
    after `patience` seconds, where it does not listen the first time.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        listening: str,
        log: Path,
        ready: str = "/",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        deadline: float = DEADLINE,
        ends: signal.Signals = signal.SIGTERM,
        patience: float = DEADLINE,
    ) -> None:
        self.command = [str(word) for word in command]
        self.log = log
        self.port = 0
        self._listening = re.compile(listening)
        self._ready = ready
        self._env = None if env is None else dict(env)
        self._cwd = cwd
        self._deadline = deadline
        self._ends = ends
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self: S) -> S:
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )
        try:
            wait_until(self._has_port, f"{self.command[0]} prints its port", self._deadline)
            wait_until(self._answers, f"{self.command[0]} answers {self._ready}", self._deadline)
        except BaseException as error:
            self.stop()
            error.args = (f"{error}\n{self.tail()}", *error.args[1:])
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the program."""
        assert self._process is not None, "not started"
        return self._process.pid

    def tail(self, lines: int = 30) -> str:
        """The last lines that the program printed, for the message of an error."""
        end = self.log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join([f"the end of {self.log.name}:", *end])

    def stop(self) -> int:
        """Ask the program to end, insist after the deadline; return its exit status. What it left running ends too."""
        assert self._process is not None, "not started"
        end = time.monotonic() + self._deadline
        while self._process.poll() is None:
            self._process.send_signal(self._ends if time.monotonic() < end else signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self._patience)
        status = self._process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return status

    def _has_port(self) -> bool:
        self._still_runs()
        found = self._listening.search(self.log.read_text(errors="replace"))
        if found is not None:
            self.port = int(found[1])
        return found is not None

    def _answers(self) -> bool:
        self._still_runs()
        try:
            with urlopen(self.url + self._ready, timeout=self._deadline) as answer:
                return bool(answer.status < 500)
        except URLError as error:
            return getattr(error, "code", 500) < 500
        except OSError:
            return False

    def _still_runs(self) -> None:
        assert self._process is not None
        status = self._process.poll()
        assert status is None, f"{self.command[0]} ended with status {status} before it was ready"


class Sample(NamedTuple):
    """One series of the answer to a query: its labels, the metric's name among them as `__name__`, and its value."""

    labels: dict[str, str]
    value: float


class Prometheus(Server):
    """A real Prometheus that scrapes what `scrapes` says, its data below `directory`.

    Each item of `scrapes` is a scrape configuration as in its configuration file, where `target="host:port"` may stand
    for `static_configs`. Unless said otherwise it scrapes every second and reads an answer without a content type as
    text.
    """

    def __init__(
        self,
        programs: Programs,
        directory: Path,
        scrapes: Sequence[Mapping[str, Any]],
        *,
        interval: str = "1s",
        flags: Sequence[str] = (),
    ) -> None:
        config = directory / "prometheus.yml"
        config.write_text(json.dumps(self.config(scrapes, interval), indent=2))  # JSON is YAML
        super().__init__(
            [
                programs.prometheus,
                f"--config.file={config}",
                f"--storage.tsdb.path={directory / 'data'}",
                "--web.listen-address=127.0.0.1:0",
                *flags,
            ],
            listening=r'msg="Listening on" .*?address=127\.0\.0\.1:(\d+)',
            log=directory / "prometheus.log",
            ready="/-/ready",
        )

    @staticmethod
    def config(scrapes: Sequence[Mapping[str, Any]], interval: str) -> dict[str, Any]:
        """The configuration file, as an object."""
        configs = []
        for number, scrape in enumerate(scrapes):
            config = {"job_name": f"job{number}", "fallback_scrape_protocol": "PrometheusText0.0.4", **scrape}
            target = config.pop("target", None)
            if target is not None:
                config["static_configs"] = [{"targets": [target]}]
            configs.append(config)
        timing = {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval}
        return {"global": timing, "scrape_configs": configs}

    def query(self, promql: str) -> list[Sample]:
        """What the instant query `promql`, a vector or a scalar, answers now. Raises AssertionError where refused."""
        data = self.api("query", query=promql)
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        return [Sample(dict(one["metric"]), float(one["value"][1])) for one in data["result"]]

    def targets(self) -> list[dict[str, Any]]:
        """What Prometheus knows of each target: `health`, `lastError`, `scrapeUrl`, `labels`, ..."""
        active: list[dict[str, Any]] = self.api("targets", state="active")["activeTargets"]
        return active

    def wait_for_scrapes(self, deadline: float = DEADLINE) -> None:
        """Wait until every target has been scraped at least once with success, from now on."""
        seen = {target["scrapeUrl"]: target["lastScrape"] for target in self.targets()}

        def scraped() -> bool:
            targets = self.targets()
            return bool(targets) and all(
                target["health"] == "up" and target["lastScrape"] != seen.get(target["scrapeUrl"]) for target in targets
            )

        try:
            wait_until(scraped, "every target is scraped", deadline)
        except AssertionError as error:
            said = [f"{target['scrapeUrl']}: {target['health']} {target['lastError']}" for target in self.targets()]
            raise AssertionError("\n".join([str(error), *said])) from None

    def api(self, method: str, **parameters: str) -> Any:
        """The `data` that `/api/v1/METHOD` answers. Raises AssertionError with Prometheus's words where it refuses."""
        try:
            with urlopen(f"{self.url}/api/v1/{method}?{urlencode(parameters)}", timeout=DEADLINE) as answer:
                return json.load(answer)["data"]
        except URLError as error:
            said = error.read().decode() if hasattr(error, "read") else str(error)
            raise AssertionError(f"Prometheus refused {method} {parameters}: {said}") from None


def check_metrics(programs: Programs, page: bytes) -> str:
    """What `promtool check metrics` has to say about the page, in the text format: nothing where it is clean."""
    done = subprocess.run(
        [programs.promtool, "check", "metrics"], input=page, capture_output=True, timeout=DEADLINE, check=False
    )
    said = (done.stdout + done.stderr).decode(errors="replace").strip()
    return said or ("" if done.returncode == 0 else f"promtool ended with status {done.returncode}")
