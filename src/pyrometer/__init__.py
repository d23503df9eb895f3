"""Application metrics for Prometheus that cost next to nothing to take.

    from pyrometer import Counter, start_http_server

    view = Counter("view", "Product view", ["product"])
    view.labels(product="p1").inc()
    start_http_server(8000)

The names are those of `prometheus_client`. What a program needs only once it serves or parses something is imported
when it is first asked for.
"""

from __future__ import annotations

from pyrometer._holdings import join
from pyrometer._policy import Policy, disable_created_metrics, enable_created_metrics
from pyrometer.metrics import Counter, Enum, Gauge, Histogram, Info, Summary
from pyrometer.registry import REGISTRY, CollectorRegistry, DuplicateTimeseries

__version__ = "0.1.0.dev0"

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrometer.asgi import make_asgi_app
    from pyrometer.collectors import GCCollector, PlatformCollector, ProcessCollector
    from pyrometer.exposition import (
        CONTENT_TYPE_LATEST,
        CONTENT_TYPE_PLAIN_0_0_4,
        CONTENT_TYPE_PLAIN_1_0_0,
        generate_latest,
        generate_latest_async,
    )
    from pyrometer.families import Metric
    from pyrometer.push.textfile import write_to_textfile
    from pyrometer.server import start_http_server, start_wsgi_server
    from pyrometer.wsgi import make_wsgi_app

    GC_COLLECTOR: GCCollector
    PLATFORM_COLLECTOR: PlatformCollector
    PROCESS_COLLECTOR: ProcessCollector

_LATER = {
    "CONTENT_TYPE_LATEST": "pyrometer.exposition",
    "CONTENT_TYPE_PLAIN_0_0_4": "pyrometer.exposition",
    "CONTENT_TYPE_PLAIN_1_0_0": "pyrometer.exposition",
    "GCCollector": "pyrometer.collectors",
    "Metric": "pyrometer.families",
    "PlatformCollector": "pyrometer.collectors",
    "ProcessCollector": "pyrometer.collectors",
    "generate_latest": "pyrometer.exposition",
    "generate_latest_async": "pyrometer.exposition",
    "make_asgi_app": "pyrometer.asgi",
    "make_wsgi_app": "pyrometer.wsgi",
    "start_http_server": "pyrometer.server",
    "start_wsgi_server": "pyrometer.server",
    "write_to_textfile": "pyrometer.push.textfile",
}

_DEFAULT_COLLECTORS = {
    "GC_COLLECTOR": ("gc", "GCCollector"),
    "PLATFORM_COLLECTOR": ("platform", "PlatformCollector"),
    "PROCESS_COLLECTOR": ("process", "ProcessCollector"),
}

__all__ = [
    "CONTENT_TYPE_LATEST",
    "CONTENT_TYPE_PLAIN_0_0_4",
    "CONTENT_TYPE_PLAIN_1_0_0",
    "GC_COLLECTOR",
    "PLATFORM_COLLECTOR",
    "PROCESS_COLLECTOR",
    "REGISTRY",
    "CollectorRegistry",
    "Counter",
    "DuplicateTimeseries",
    "Enum",
    "GCCollector",
    "Gauge",
    "Histogram",
    "Info",
    "Metric",
    "PlatformCollector",
    "Policy",
    "ProcessCollector",
    "Summary",
    "disable_created_metrics",
    "enable_created_metrics",
    "generate_latest",
    "generate_latest_async",
    "join",
    "make_asgi_app",
    "make_wsgi_app",
    "start_http_server",
    "start_wsgi_server",
    "write_to_textfile",
]


def __getattr__(name: str) -> object:
    import importlib

    if name in _LATER:
        value = getattr(importlib.import_module(_LATER[name]), name)
    elif name in _DEFAULT_COLLECTORS:
        key, class_name = _DEFAULT_COLLECTORS[name]
        collectors = importlib.import_module("pyrometer.collectors")
        # One that PYROMETER_COLLECTORS leaves out exists nevertheless: register() adds it.
        value = REGISTRY.default_collectors.get(key) or getattr(collectors, class_name)(registry=None)
    else:
        raise AttributeError(f"module 'pyrometer' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
