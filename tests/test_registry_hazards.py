"""What must not wedge, spoil or lose a page: scrapes inside scrapes, odd families, subclasses, memory that runs out."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

import prometheus_client.openmetrics.parser
import prometheus_client.parser
import pytest
from custom_collectors import Plain, gauge

from pyrometer import (
    CollectorRegistry,
    Counter,
    Gauge,
    generate_latest,
    generate_latest_async,
    make_asgi_app,
    make_wsgi_app,
)
from pyrometer.exposition import OpenMetrics, Text, openmetrics_parser, render, text_parser
from pyrometer.families import Metric, Sample

T = TypeVar("T")

ERRORS = "pyrometer_scrape_errors_total"
WITHIN = 10.0
"""Seconds: far longer than anything here takes, and less than a scrape waits for another one's run."""
FORMATS: list[Text | OpenMetrics] = [
    Text(),
    Text("1.0.0", "allow-utf-8"),
    OpenMetrics(),
    OpenMetrics("1.0.0", "allow-utf-8"),
    OpenMetrics("2.0.0", "allow-utf-8"),
]


def within(work: Callable[[], T]) -> T:
    """What `work` returns or raises; a TimeoutError where it hangs, in a thread that is left behind."""
    done: Future[T] = Future()

    def start() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=start, daemon=True).start()
    return done.result(WITHIN)


def run_within(main: Callable[[], Awaitable[T]]) -> T:
    """As `within`, for a coroutine on a loop of its own."""

    async def bounded() -> T:
        return await asyncio.wait_for(main(), WITHIN)

    return within(lambda: asyncio.run(bounded()))


def parsed(page: bytes, form: Text | OpenMetrics) -> list[Any]:
    """The families of a page, read by prometheus_client and by our own parser."""
    ours: Any = openmetrics_parser if isinstance(form, OpenMetrics) else text_parser
    theirs: Any = prometheus_client.openmetrics.parser if isinstance(form, OpenMetrics) else prometheus_client.parser
    list(ours.text_string_to_metric_families(page.decode()))
    return list(theirs.text_string_to_metric_families(page.decode()))


def lines_of(page: bytes, start: str) -> list[str]:
    """The lines of a page that start so."""
    return [line for line in page.decode().splitlines() if line.startswith(start)]


def wsgi_page(registry: CollectorRegistry) -> bytes:
    """The page of the WSGI application."""
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/metrics", "QUERY_STRING": ""}
    start_response: Any = lambda *_: None  # noqa: E731
    return b"".join(make_wsgi_app(registry)(environ, start_response))


async def asgi_page(registry: CollectorRegistry) -> bytes:
    """The page of the ASGI application."""
    requests: list[dict[str, Any]] = [{"type": "http.request", "body": b"", "more_body": False}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not requests:
            await asyncio.Event().wait()  # a client that stays
        return requests.pop()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/metrics", "headers": [], "query_string": b""}
    app: Any = make_asgi_app(registry)
    await app(scope, receive, send)
    return b"".join(message.get("body", b"") for message in sent)


async def plain_page_on_a_loop(registry: CollectorRegistry) -> bytes:
    """The page of a plain function that is called on a running loop."""
    return generate_latest(registry)


PAGES: list[Callable[[CollectorRegistry], bytes]] = [
    lambda registry: within(lambda: generate_latest(registry)),
    lambda registry: run_within(lambda: generate_latest_async(registry)),
    lambda registry: run_within(lambda: plain_page_on_a_loop(registry)),
    lambda registry: within(lambda: wsgi_page(registry)),
    lambda registry: run_within(lambda: asgi_page(registry)),
]
every_page = pytest.mark.parametrize("page_of", PAGES, ids=["sync", "async", "sync on a loop", "wsgi", "asgi"])


class Held:
    """A plain collector that is held up until it is told to go on."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()

    def collect(self) -> Iterable[Metric]:
        self.entered.set()
        assert self.open.wait(WITHIN)
        return [gauge("held")]


class Giving:
    """A collector that gives what it was made with."""

    def __init__(self, *families: Any) -> None:
        self.families = families

    def collect(self) -> Iterable[Any]:
        return self.families


# --- scrapes beside and inside one another ---------------------------------------------------------------------------


def test_plain_scrape_amid_an_async_one(registry: CollectorRegistry) -> None:
    """generate_latest() on a loop ends, and is right, while an async scrape of the same function waits on that loop."""

    async def main() -> list[bytes]:
        entered, gate = asyncio.Event(), asyncio.Event()
        calls: list[int] = []

        async def compute() -> float:
            calls.append(len(calls))
            if len(calls) == 1:
                entered.set()
                await gate.wait()
            return 3

        Gauge("m", "help", registry=registry).set_function(compute)
        first = asyncio.create_task(generate_latest_async(registry))
        await entered.wait()
        page = generate_latest(registry)
        gate.set()
        return [page, await first, await generate_latest_async(registry)]

    for page in run_within(main):
        assert b"\nm 3\n" in page
        assert ERRORS.encode() not in page


@pytest.mark.parametrize("looks", ["get_sample_value", "collect", "collect of the metric"])
@every_page
def test_collector_that_looks_at_its_registry(
    page_of: Callable[[CollectorRegistry], bytes], looks: str, registry: CollectorRegistry
) -> None:
    """A collector that reads its registry, where an async function has begun before it, has the function's value."""

    async def compute() -> float:
        await asyncio.sleep(0)
        return 3

    metric = Gauge("m", "help", registry=registry)
    metric.set_function(compute)

    class Looking:
        def collect(self) -> Iterator[Metric]:
            if looks == "get_sample_value":
                value = registry.get_sample_value("m")
            else:
                families = registry.collect() if looks == "collect" else metric.collect()
                [value] = [sample.value for family in families for sample in family.samples if sample.name == "m"]
            assert value is not None
            yield gauge("seen", value)

    registry.register(Looking())
    page = page_of(registry)
    assert b"\nm 3\n" in page
    assert b"\nseen 3\n" in page


@pytest.mark.parametrize("when", ["at once", "with the loop"])
def test_scrape_that_timed_out(when: str, registry: CollectorRegistry) -> None:
    """An async scrape that was given up, whose loop ends while a plain collector runs, leaves the next one free."""
    held = Held()

    async def compute() -> float:
        return 3

    Gauge("m", "help", registry=registry).set_function(compute)
    registry.register(held)

    async def open_at_the_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            held.open.set()

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(generate_latest_async(registry), 0.05)
        assert held.entered.wait(WITHIN)
        if when == "at once":
            held.open.set()

    async def ended_by_the_loop() -> None:
        last = asyncio.create_task(open_at_the_end())  # cancelled together with what the scrape left running
        await main()
        assert not last.done()

    within(lambda: asyncio.run(ended_by_the_loop()))
    for page_of in PAGES:
        page = page_of(registry)
        assert b"\nm 3\n" in page and b"\nheld 1\n" in page
        assert ERRORS.encode() not in page


@every_page
def test_collector_whose_task_was_cancelled(
    page_of: Callable[[CollectorRegistry], bytes], registry: CollectorRegistry
) -> None:
    """What awaits a task that it cancelled itself fails alone: the other series stay, and the failure is counted."""

    async def cancelled() -> float:
        task = asyncio.ensure_future(asyncio.sleep(WITHIN))
        task.cancel()
        await task
        return 1

    async def compute() -> float:
        await asyncio.sleep(0.001)
        return 4

    class Cancelled:
        async def collect(self) -> Iterable[Metric]:
            return [gauge("lost_too", await cancelled())]

    Gauge("lost", "help", registry=registry).set_function(cancelled)
    registry.register(Cancelled())
    Gauge("m", "help", registry=registry).set_function(compute)
    registry.register(Plain())
    for scrape in (1, 2):
        page = page_of(registry)
        assert b"\nm 4\n" in page and b"\nplain 1\n" in page
        assert not lines_of(page, "lost")
        for name in ("lost", Cancelled.__qualname__):
            assert f'\n{ERRORS}{{collector="{name}"}} {scrape}\n'.encode() in page


def test_loop_of_the_thread_is_left_alone(registry: CollectorRegistry) -> None:
    """A plain scrape with async functions leaves the thread with the event loop that it had, or with none."""

    async def compute() -> float:
        return 3

    Gauge("m", "help", registry=registry).set_function(compute)

    def scrape(loop: asyncio.AbstractEventLoop | None) -> bytes:
        asyncio.set_event_loop(loop)
        page = generate_latest(registry)
        if loop is None:
            with pytest.raises(RuntimeError):
                asyncio.get_event_loop()
        else:
            assert asyncio.get_event_loop() is loop
            loop.close()
        return page

    for loop in (asyncio.new_event_loop(), None):
        assert b"\nm 3\n" in within(functools.partial(scrape, loop))


# --- registries in registries ----------------------------------------------------------------------------------------


class HeldReading:
    """A family that is held up where a thread reads its samples once more, when cells before it have been read."""

    name, documentation, type, unit = "held", "help", "gauge", ""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()
        self.readers: list[int] = []

    @property
    def samples(self) -> list[Sample]:
        if threading.get_ident() in self.readers:
            self.entered.set()
            assert self.open.wait(WITHIN)
        self.readers.append(threading.get_ident())
        return [Sample("held", {}, 1)]


@pytest.mark.parametrize("place", ["before", "behind", "inside", "reading"])
def test_registry_in_a_registry(place: str, registry: CollectorRegistry) -> None:
    """What a registry inside counted before a scrape is on its page, also while another scrape is being held up."""
    inner, arrived = CollectorRegistry(), threading.Event()
    held: Any = HeldReading() if place == "reading" else Held()
    pages: list[Future[bytes]] = [Future(), Future()]
    threads = [
        threading.Thread(target=lambda page=page: page.set_result(generate_latest(registry)), daemon=True)
        for page in pages
    ]

    def arrive() -> float:
        if threading.current_thread() is threads[1]:
            arrived.set()
        return 1

    counter = Counter("c", "help", registry=inner)
    labelled = Counter("d", "help", ["a"], registry=inner)
    collectors = [held, inner] if place == "before" else [inner, held] if place == "behind" else [inner]
    for collector in collectors:
        registry.register(collector)
    if place in ("inside", "reading"):
        inner.register(Giving(held) if place == "reading" else held)
    Gauge("m", "help", registry=registry).set_function(arrive)
    counter.inc(2)
    threads[0].start()
    assert held.entered.wait(WITHIN)
    counter.inc(3)
    labelled.labels("new").inc(4)
    threads[1].start()
    assert arrived.wait(WITHIN)
    held.open.set()
    assert lines_of(pages[0].result(WITHIN), "c_total ") in (["c_total 2"], ["c_total 5"])
    page = pages[1].result(WITHIN)
    assert lines_of(page, "c_total ") == ["c_total 5"]
    assert lines_of(page, "d_total{") == ['d_total{a="new"} 4']
    assert b"\nheld 1\n" in page and ERRORS.encode() not in page


def test_overflow_in_a_registry_in_a_registry(registry: CollectorRegistry) -> None:
    """A page has what overflowed in a registry inside, beside what overflowed in the registry itself."""
    inner = CollectorRegistry()
    registry.register(inner)
    for name, place in (("c", inner), ("d", registry)):
        counter = Counter(name, "help", ["a"], registry=place, max_series=1)
        counter.labels("1").inc()
        counter.labels("2").inc()
    for form in FORMATS:
        page = render(registry, form)
        parsed(page, form)
        assert sorted(lines_of(page, "pyrometer_series_overflow_total{")) == [
            'pyrometer_series_overflow_total{family="c"} 1',
            'pyrometer_series_overflow_total{family="d"} 1',
        ]
        assert 'c_total{a="__overflow__"} 1' in lines_of(page, "c_total")


def test_created_of_the_overflow(registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter whose function gives more than max_series keeps the creation time of what overflows."""
    now = 1_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    values = {"a": 1, "b": 5, "c": 6}
    Counter("c", "help", ["x"], registry=registry, max_series=1).set_function(lambda: values)
    first = generate_latest(registry)
    now = 2_000_000.0
    second = generate_latest(registry)
    created = lines_of(first, 'c_created{x="__overflow__"}')
    assert len(created) == 1
    assert lines_of(second, 'c_created{x="__overflow__"}') == created
    assert lines_of(second, 'c_total{x="__overflow__"}') == ['c_total{x="__overflow__"} 11']
