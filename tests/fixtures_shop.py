"""The examples as real servers: each is started as a user would start it, on a free port, and stopped by its pid."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from servers import DEADLINE, Server

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
SHOP = EXAMPLES / "shop" / "app.py"


class Answer(NamedTuple):
    """What a server answered: the status, the header fields with names in lower case, the body as text."""

    status: int
    headers: dict[str, str]
    text: str


def fetch(url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Answer:
    """Ask for `url` on a connection of its own. Raises OSError when nobody answers."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=DEADLINE)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, headers=dict(headers or {}))
        response = connection.getresponse()
        body = response.read().decode()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)
    finally:
        connection.close()


def clean_environment(**more: str) -> dict[str, str]:
    """The environment for a child: this one's, without what would make the examples behave otherwise, plus `more`."""
    dropped = {
        "GUNICORN_CMD_ARGS",
        "PROMETHEUS_DISABLE_CREATED_SERIES",
        "PROMETHEUS_MULTIPROC_DIR",
        "PYROMETER_ARENA",
        "PYROMETER_CREATED_SERIES",
        "SHOP_DATABASE",
    }
    kept = {k: v for k, v in os.environ.items() if k not in dropped and not k.startswith(("FLASK_", "WERKZEUG_"))}
    return kept | {"PYTHONUNBUFFERED": "1"} | more


def flask_run(app: Path, log: Path, **environment: str) -> Server:
    """`flask --app APP run` on a free port, as a context manager."""
    command = [sys.executable, "-m", "flask", "--app", str(app), "run", "--port", "0"]
    listening = r"Running on http://127\.0\.0\.1:(\d+)"
    return Server(command, listening=listening, log=log, env=clean_environment(**environment), cwd=ROOT)


def gunicorn_shop(directory: Path) -> Server:
    """The shop under gunicorn on a free port, as a context manager; its database and its logs are in `directory`.

    `access.log` gets a line for each request: status, request line, Accept header, content type answered; tabs between.
    """
    command = [sys.executable, "-m", "gunicorn", "--config", str(SHOP.with_name("gunicorn.conf.py"))]
    command += ["--bind", "127.0.0.1:0", "--access-logfile", str(directory / "access.log")]
    command += ["--access-logformat", "%(s)s\t%(r)s\t%({accept}i)s\t%({content-type}o)s"]
    environment = clean_environment(SHOP_DATABASE=str(directory / "shop.db"))
    listening = r"Listening at: http://127\.0\.0\.1:(\d+)"
    return Server(command, listening=listening, log=directory / "shop.log", env=environment, cwd=ROOT)
