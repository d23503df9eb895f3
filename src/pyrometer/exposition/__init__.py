"""Pages: what `/metrics` serves, in the formats that Prometheus reads.

`generate_latest` is the plain way; `render` takes a format, which `negotiation.negotiate` finds for a client.
"""

from __future__ import annotations

from pyrometer._names import UNDERSCORES
from pyrometer._policy import Policy
from pyrometer.exposition.openmetrics import OpenMetrics
from pyrometer.exposition.text import Text
from pyrometer.registry import REGISTRY, CollectorRegistry

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrometer._scrape import Scrape
    from pyrometer.exposition.format import Format
    from pyrometer.registry import Collector

__all__ = [
    "CONTENT_TYPE_LATEST",
    "CONTENT_TYPE_PLAIN_0_0_4",
    "CONTENT_TYPE_PLAIN_1_0_0",
    "OpenMetrics",
    "Text",
    "generate_latest",
    "generate_latest_async",
    "render",
    "render_async",
]

CONTENT_TYPE_PLAIN_0_0_4 = "text/plain; version=0.0.4; charset=utf-8"
CONTENT_TYPE_PLAIN_1_0_0 = "text/plain; version=1.0.0; charset=utf-8"
CONTENT_TYPE_LATEST = CONTENT_TYPE_PLAIN_0_0_4
"""The content type of what `generate_latest` returns. A response without it is refused by Prometheus 3."""


def generate_latest(registry: Collector = REGISTRY, escaping: str = UNDERSCORES) -> bytes:
    """The page of a registry in the text format 0.0.4, as UTF-8; its content type is CONTENT_TYPE_LATEST.

    registry: a registry, a restricted one, or any collector.
    escaping: how names outside the classic character set are written: "underscores", "dots", "values" or "allow-utf-8".

    Asynchronous collectors run on a private event loop, in a thread of its own if this one has a loop running. What was
    counted before the call is in the page. Safe from any thread; raises what the registry's policy does not isolate.
    """
    return render(registry, Text("0.0.4", escaping))


async def generate_latest_async(registry: Collector = REGISTRY, escaping: str = UNDERSCORES) -> bytes:
    """As `generate_latest`, without blocking the running asyncio loop: asynchronous collectors run on it, plain ones
    and the writing of the page in worker threads."""
    return await render_async(registry, Text("0.0.4", escaping))


def render(registry: Collector, format: Format) -> bytes:
    """The page of a registry (or of any collector) in a format."""
    scrape = _scrape_of(registry)
    return format.page(scrape, scrape.run())


async def render_async(registry: Collector, format: Format) -> bytes:
    """As `render`, without blocking the running asyncio loop."""
    import asyncio

    scrape = _scrape_of(registry)
    return await asyncio.to_thread(format.page, scrape, await scrape.run_async())


def _scrape_of(registry: Collector) -> Scrape:
    """A scrape of a registry, or of one that has this collector alone and lets its errors through."""
    make = None if isinstance(registry, type) else getattr(registry, "_scrape", None)
    if make is None:
        alone = CollectorRegistry(policy=Policy(isolate_errors=False))
        alone.register(registry)
        make = alone._scrape
    scrape: Scrape = make(None)
    return scrape
