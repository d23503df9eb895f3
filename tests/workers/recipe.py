"""An application as deployments of `prometheus_client` with several processes have it, with another import."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pyrometer import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

views = Counter("view", "Product view", ["product"])
took = Histogram("took_seconds", "Time", buckets=[0.5, 1])
living = Gauge("living", "Workers that have answered", multiprocess_mode="livesum")


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """/metrics has a registry of its own for each scrape; everything else counts."""
    worker = ("X-Worker", str(os.getpid()))
    if environ["PATH_INFO"] == "/metrics":
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
        page = generate_latest(registry)
        start_response("200 OK", [("Content-Type", CONTENT_TYPE_LATEST), ("Content-Length", str(len(page))), worker])
        return [page]
    living.set(1)
    if environ["PATH_INFO"].startswith("/view/"):
        views.labels(environ["PATH_INFO"].removeprefix("/view/")).inc()
        took.observe(0.75)
    start_response("200 OK", [("Content-Length", "0"), worker])
    return []
