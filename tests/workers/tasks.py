"""Tasks of Celery that count, over a broker and a store of results that are directories below TASKS_DIRECTORY."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from celery import Celery  # type: ignore[import-untyped]
from celery.signals import worker_ready  # type: ignore[import-untyped]
from workers.pages import value

from pyrometer import Counter, generate_latest, start_http_server

HOME = Path(os.environ["TASKS_DIRECTORY"])
SENT = HOME / "sent"
QUEUE = HOME / "queue"
RESULTS = HOME / "results"
CONTROL = HOME / "control"
for directory in (SENT, QUEUE, RESULTS, CONTROL):
    directory.mkdir(parents=True, exist_ok=True)

done = Counter("done", "Tasks done", ["kind"])

app = Celery("tasks", broker="filesystem://", backend=f"file://{RESULTS}")
app.conf.broker_transport_options = {
    "data_folder_in": str(QUEUE),
    "data_folder_out": str(SENT),
    "control_folder": str(CONTROL),
    "polling_interval": 0.02,
}
app.conf.broker_connection_retry_on_startup = True


def deliver() -> None:
    """Put what was sent into the queue, each message whole: whoever looks there reads it at once."""
    for message in SENT.iterdir():
        message.rename(QUEUE / message.name)


def total() -> float:
    """Tasks done, as a scrape of this process says."""
    return value(generate_latest().decode(), "done_total")


@app.task  # type: ignore[untyped-decorator]
def work(kind: str) -> int:
    """Count one; the process that did."""
    done.labels(kind).inc()
    return os.getpid()


@app.task  # type: ignore[untyped-decorator]
def scrape() -> tuple[int, float]:
    """The process that was asked, and what its page says."""
    return os.getpid(), total()


@worker_ready.connect  # type: ignore[untyped-decorator]
def serve(**_: Any) -> None:
    """Serve the metrics in the main process, which runs no task."""
    server, _thread = start_http_server(0, addr="127.0.0.1")
    print(f"metrics on http://127.0.0.1:{server.server_port} ", flush=True)
