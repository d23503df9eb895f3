"""Servers with workers: how each kind is started, and what it is asked."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from fixtures_shop import clean_environment
from servers import DEADLINE, Missing, Server, wait_until
from workers.loads import Load
from workers.pages import NO_ANSWER, Answer, Connection, value
from workers.processes import children_of, is_helper, listening

HERE = Path(__file__).resolve().parent
WORKER_CLASSES = {"=gevent": "gevent", "=uvicorn_worker.UvicornWorker": "uvicorn_worker"}
"""What a worker class of gunicorn's takes beside gunicorn, by the end of the option that names it."""


def environment(**variables: str) -> dict[str, str]:
    """The environment for a server or program under test, plus `variables`: apps.py and its like can be imported."""
    env = clean_environment(**variables)
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), str(HERE.parent), env.get("PYTHONPATH")]))
    return env


class Workers(Server):
    """A server of several processes; standard output and error go to `log`."""

    def __init__(
        self,
        command: Iterable[str],
        variables: Mapping[str, str],
        *,
        listening: str,
        log: Path,
        ends: signal.Signals = signal.SIGTERM,
        patience: float = DEADLINE,
    ) -> None:
        super().__init__(
            list(command),
            listening=listening,
            log=log,
            ready="/metrics",
            env=environment(**variables),
            cwd=log.parent,
            ends=ends,
            patience=patience,
        )

    def _has_port(self) -> bool:
        if super()._has_port() and self.port == 0:  # it says the port that it was told
            self.port = max(map(listening, self.workers()), default=0)
        return self.port != 0

    def get(self, path: str) -> Answer:
        """Ask for `path` on a connection of its own. Raises one of NO_ANSWER where a worker dies meanwhile."""
        return Connection(self.port).get(path, last=True)

    def scrape(self) -> Answer:
        """The page of metrics, asked for until a worker answers. Raises AssertionError for a status but 200."""
        answers: list[Answer] = []

        def answered() -> bool:
            try:
                answers.append(self.get("/metrics"))
            except NO_ANSWER:
                return False
            return True

        wait_until(answered, "a worker answers /metrics")
        assert answers[-1].status == 200, answers[-1]
        return answers[-1]

    def totals(self, scrapes: int = 20) -> dict[float, int]:
        """Views, as so many scrapes say, and how many scrapes say so: `{2000: 20}` where all agree."""
        said: dict[float, int] = {}
        for _ in range(scrapes):
            total = value(self.scrape().body)
            said[total] = said.get(total, 0) + 1
        return said

    def total(self, scrapes: int = 20) -> float:
        """Views, as so many scrapes say. Raises AssertionError where they do not all say the same."""
        totals = self.totals(scrapes)
        assert len(totals) == 1, f"scrapes differ: {totals}"
        return totals.popitem()[0]

    def workers(self) -> list[int]:
        """The processes that the server started to do its work."""
        return [pid for pid in children_of(self.pid) if not is_helper(pid)]

    def wait_for_workers(self, number: int, without: Iterable[int] = ()) -> set[int]:
        """Ask until that many workers have answered, none of `without` among them; return who answered."""
        gone = set(without)
        seen: set[int] = set()

        def all_answered() -> bool:
            # many at a time: one busy worker leaves the rest to others
            with Load(self.port, 40, threads=8, path="/") as load:
                load.join()
            seen.update(load.workers - gone)
            return len(seen) >= number

        wait_until(all_answered, f"{number} workers answer")
        return seen


def need(*modules: str) -> None:
    """Raise Missing where one of the packages is not installed."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise Missing(f"{module} is not installed")


def python(module: str, *options: str) -> list[str]:
    """The command that runs a package with options. Raises Missing where it is not installed."""
    need(module)
    return [sys.executable, "-m", module, *options]


def gunicorn(log: Path, *options: str, app: str = "apps:wsgi", **variables: str) -> Workers:
    """gunicorn with that application of apps.py. Raises Missing where it, or a worker class, is not installed."""
    need(*(module for option in options for name, module in WORKER_CLASSES.items() if option.endswith(name)))
    command = python("gunicorn", "--bind", "127.0.0.1:0", "--no-control-socket")
    command += ["--graceful-timeout=1", *options, app]
    return Workers(
        command, variables, listening=r"Listening at: http://127\.0\.0\.1:(\d+)", log=log, ends=signal.SIGQUIT
    )


def uvicorn(log: Path, *options: str, app: str = "apps:asgi", **variables: str) -> Workers:
    """uvicorn with that application of apps.py. Raises Missing where it is not installed."""
    command = python("uvicorn", "--port", "0", "--no-access-log", *options, app)
    return Workers(command, variables, listening=r"running on http://127\.0\.0\.1:(\d+)", log=log)


def granian(log: Path, *options: str, app: str = "apps:wsgi", **variables: str) -> Workers:
    """Granian with that application of apps.py. Raises Missing where it is not installed."""
    command = python("granian", "--port", "0", "--interface", app.partition(":")[2], *options, app)
    return Workers(command, variables, listening=r"Listening at: http://127\.0\.0\.1:(\d+)", log=log)


def hypercorn(log: Path, *options: str, app: str = "apps:asgi", **variables: str) -> Workers:
    """hypercorn with that application of apps.py. Raises Missing where it is not installed."""
    command = python("hypercorn", "--bind", "127.0.0.1:0", *options, app)
    return Workers(command, variables, listening=r"Running on http://127\.0\.0\.1:(\d+)", log=log)


def uwsgi(log: Path, *options: str, app: str = "apps:wsgi", **variables: str) -> Workers:
    """uWSGI with that application of apps.py. Raises Missing where it is not installed."""
    program = Path(sys.executable).with_name("uwsgi")
    if not program.exists():
        raise Missing("uwsgi is not installed")
    # where a worker is just being started again when it is told to end, it leaves that one alone, until told once more
    command = [str(program), "--http-socket", "127.0.0.1:0", "--need-app"]
    command += ["--die-on-term", "--reload-mercy=1", "--worker-reload-mercy=1", "--disable-logging"]
    command += ["--virtualenv", sys.prefix, "--module", app, *options]
    return Workers(command, variables, listening=r"bound to TCP address 127\.0\.0\.1:(\d+)", log=log, patience=3)
