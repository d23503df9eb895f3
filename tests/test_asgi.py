"""The metrics page as an ASGI application."""

from __future__ import annotations

import asyncio
import gzip
import logging
import threading
from collections.abc import Awaitable, Iterable
from typing import Any, NamedTuple

import pytest

from pyrometer import CollectorRegistry, Counter
from pyrometer.asgi import ASGIApp, Message, make_asgi_app
from pyrometer.families import GaugeMetricFamily, Metric

DEADLINE = 10.0


class Answer(NamedTuple):
    """What an ASGI application sent."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One client's side of an ASGI connection."""

    def __init__(self, *messages: Message) -> None:
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: list[Message] = []
        for message in messages or ({"type": "http.request", "body": b"", "more_body": False},):
            self.incoming.put_nowait(message)

    async def receive(self) -> Message:
        return await self.incoming.get()

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    def answer(self) -> Answer:
        start, *rest = self.sent
        assert start["type"] == "http.response.start"
        assert [message["type"] for message in rest] == ["http.response.body"]
        names = [name for name, _ in start["headers"]]
        assert names == [name.lower() for name in names] and len(set(names)) == len(names)
        headers = {name.decode("ascii"): value.decode("ascii") for name, value in start["headers"]}
        return Answer(start["status"], headers, rest[0]["body"])


def scope(
    path: str = "/metrics", method: str = "GET", query: bytes = b"", headers: Iterable[tuple[bytes, bytes]] = ()
) -> dict[str, Any]:
    """A connection scope of an HTTP request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": list(headers),
    }


def ask(app: ASGIApp, asked: dict[str, Any]) -> Answer:
    """Send one request to `app` on a loop of its own."""

    async def main() -> Answer:
        client = Client()
        await asyncio.wait_for(app(asked, client.receive, client.send), DEADLINE)
        return client.answer()

    return asyncio.run(main())


@pytest.fixture
def registry() -> CollectorRegistry:
    """Enough series for a page that is worth compressing."""
    registry = CollectorRegistry()
    view = Counter("view", "Product view", ["product"], registry=registry)
    for number in range(100):
        view.labels(f"product{number}").inc(8)
    return registry


def test_the_page(registry: CollectorRegistry) -> None:
    """GET answers the registry in text 0.0.4 with its content type, length and what it varies by."""
    answer = ask(make_asgi_app(registry), scope())
    assert answer.status == 200
    assert answer.headers == {
        "content-type": "text/plain; version=0.0.4; charset=utf-8",
        "content-length": str(len(answer.body)),
        "vary": "Accept, Accept-Encoding",
    }
    assert b'view_total{product="product1"} 8\n' in answer.body


def test_several_headers_are_one(registry: CollectorRegistry) -> None:
    """Accept headers that came apart count together, in any case of letters."""
    headers = [(b"Accept", b"text/plain;q=0.1"), (b"accept", b"application/openmetrics-text;version=1.0.0")]
    answer = ask(make_asgi_app(registry), scope(headers=headers))
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0;")
    assert answer.body.endswith(b"# EOF\n")


def test_gzip(registry: CollectorRegistry) -> None:
    """A client that takes gzip gets the same page smaller, unless compression is disabled."""
    plain = ask(make_asgi_app(registry), scope())
    asked = scope(headers=[(b"accept-encoding", b"gzip")])
    packed = ask(make_asgi_app(registry), asked)
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert ask(make_asgi_app(registry, disable_compression=True), asked) == plain


def test_methods(registry: CollectorRegistry) -> None:
    """HEAD is GET without the body, OPTIONS says what is allowed, anything else is a 405."""
    app = make_asgi_app(registry)
    get, head = ask(app, scope()), ask(app, scope(method="HEAD"))
    assert head == get._replace(body=b"")
    options = ask(app, scope(method="OPTIONS"))
    assert (options.status, options.headers["allow"], options.body) == (200, "GET, HEAD, OPTIONS", b"")
    post = ask(app, scope(method="POST"))
    assert (post.status, post.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize("root_path", ["", "/mounted"])
def test_favicon_is_empty(registry: CollectorRegistry, root_path: str) -> None:
    """What browsers ask for by themselves costs no scrape, below a mount point too."""
    answer = ask(make_asgi_app(registry), scope(root_path + "/favicon.ico") | {"root_path": root_path})
    assert (answer.status, answer.body) == (200, b"")


def test_name_filter(registry: CollectorRegistry) -> None:
    """name[] keeps the named families alone; names nobody has, readable or not, are an empty page."""
    Counter("buy", "Product sale", registry=registry)
    app = make_asgi_app(registry)
    assert b"view" not in ask(app, scope(query=b"name[]=buy_total")).body
    for query in (b"name[]=nothing", b"name[]=\xff\xfe", b"name[]=%ff", b"name%5b%5d=%00"):
        assert ask(app, scope(query=query))[::2] == (200, b"")


@pytest.mark.parametrize(
    "value", [b"\xff\xfe\x00", b"text/plain;version=\x80", b"a," * 50_000, b"*;q=0", b"gzip;q=0", b'"']
)
def test_no_header_is_an_error(registry: CollectorRegistry, value: bytes) -> None:
    """Bytes that are no text, huge headers and malformed ones still get the page."""
    answer = ask(make_asgi_app(registry), scope(headers=[(b"accept", value), (b"accept-encoding", value)]))
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "content-encoding" not in answer.headers


def test_a_missing_query_string_and_headers(registry: CollectorRegistry) -> None:
    """A server that leaves out the optional parts of a scope is served."""
    assert ask(make_asgi_app(registry), {"type": "http", "method": "GET", "path": "/"}).status == 200


class FailingCollector:
    """A collector that raises."""

    def collect(self) -> Iterable[Metric]:
        raise RuntimeError("no metrics today: password=hunter2")


def test_a_page_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """When rendering raises, the answer is a short 500 without the reason, and the log has the traceback."""
    with caplog.at_level(logging.ERROR, logger="pyrometer"):
        answer = ask(make_asgi_app(FailingCollector()), scope())
    assert answer.status == 500
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert b"hunter2" not in answer.body
    (record,) = caplog.records
    assert record.exc_info is not None and "hunter2" in str(record.exc_info[1])


class SlowCollector:
    """A collector that blocks its thread until it is told to go on."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.go_on = threading.Event()
        self.threads: list[threading.Thread] = []

    def collect(self) -> Iterable[Metric]:
        self.threads.append(threading.current_thread())
        self.started.set()
        assert self.go_on.wait(DEADLINE), "the event loop did not run while the page was rendered"
        yield GaugeMetricFamily("slow", "Comes late", 1)


def test_the_loop_is_not_blocked(registry: CollectorRegistry) -> None:
    """While a collector blocks, the event loop goes on with other work."""
    slow = SlowCollector()
    registry.register(slow)
    app = make_asgi_app(registry)

    async def main() -> Answer:
        client = Client()
        scrape = asyncio.ensure_future(app(scope(), client.receive, client.send))
        while not slow.started.is_set():
            await asyncio.sleep(0.001)
        slow.go_on.set()
        await asyncio.wait_for(scrape, DEADLINE)
        return client.answer()

    assert b"\nslow 1" in asyncio.run(main()).body
    assert threading.main_thread() not in slow.threads


class AsyncCollector:
    """A collector that notes the loop it runs on, and may be held there."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.started = asyncio.Event()
        self.go_on = asyncio.Event()

    async def collect(self) -> Iterable[Metric]:
        self.loop = asyncio.get_running_loop()
        self.started.set()
        await self.go_on.wait()
        return [GaugeMetricFamily("temperature", "Of the room", 21)]


def test_async_collectors_run_on_the_servers_loop() -> None:
    """An asynchronous collector is awaited on the loop that serves the request."""

    async def main() -> None:
        registry, collector, client = CollectorRegistry(), AsyncCollector(), Client()
        registry.register(collector)
        collector.go_on.set()
        await asyncio.wait_for(make_asgi_app(registry)(scope(), client.receive, client.send), DEADLINE)
        assert b"temperature 21" in client.answer().body
        assert collector.loop is asyncio.get_running_loop()

    asyncio.run(main())


def test_a_client_that_leaves() -> None:
    """A client that disconnects while its page is made ends the request, and nothing is sent."""

    async def main() -> None:
        registry, collector, client = CollectorRegistry(), AsyncCollector(), Client()
        registry.register(collector)
        scrape = asyncio.ensure_future(make_asgi_app(registry)(scope(), client.receive, client.send))
        await asyncio.wait_for(collector.started.wait(), DEADLINE)
        client.incoming.put_nowait({"type": "http.disconnect"})
        await asyncio.wait_for(scrape, DEADLINE)
        assert client.sent == []

    asyncio.run(main())


def test_a_server_that_gives_up() -> None:
    """A request that its server cancels is cancelled, and leaves no task behind."""

    async def main() -> None:
        registry, collector, client = CollectorRegistry(), AsyncCollector(), Client()
        registry.register(collector)
        scrape = asyncio.ensure_future(make_asgi_app(registry)(scope(), client.receive, client.send))
        await asyncio.wait_for(collector.started.wait(), DEADLINE)
        scrape.cancel()
        with pytest.raises(asyncio.CancelledError):
            await scrape
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_a_client_that_left_at_the_end(registry: CollectorRegistry) -> None:
    """A server that says by OSError that nobody listens any more ends the request quietly."""

    async def main() -> None:
        async def send(message: Message) -> None:
            raise OSError("connection lost")

        await asyncio.wait_for(make_asgi_app(registry)(scope(), Client().receive, send), DEADLINE)

    asyncio.run(main())


def test_a_body_is_read_and_dropped(registry: CollectorRegistry) -> None:
    """A client that sends a body, in parts, gets the page all the same."""

    async def main() -> Answer:
        parts = [{"type": "http.request", "body": b"x" * 1000, "more_body": True} for _ in range(50)]
        client = Client(*parts, {"type": "http.request"})
        await asyncio.wait_for(make_asgi_app(registry)(scope(), client.receive, client.send), DEADLINE)
        return client.answer()

    assert asyncio.run(main()).status == 200


@pytest.mark.parametrize("more_body", [True, False])
def test_a_receive_that_never_waits(registry: CollectorRegistry, more_body: bool) -> None:
    """A server whose receive is always ready, against the interface or under a flood, does not starve the loop."""

    async def main() -> Answer:
        client = Client()

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": more_body}

        await asyncio.wait_for(make_asgi_app(registry)(scope(), receive, client.send), DEADLINE)
        return client.answer()

    assert asyncio.run(main()).status == 200


def test_requests_at_once(registry: CollectorRegistry) -> None:
    """Many clients on one loop each get their whole page."""

    async def main() -> list[Answer]:
        app, clients = make_asgi_app(registry), [Client() for _ in range(20)]
        scrapes: list[Awaitable[None]] = [app(scope(), client.receive, client.send) for client in clients]
        await asyncio.wait_for(asyncio.gather(*scrapes), DEADLINE)
        return [client.answer() for client in clients]

    answers = asyncio.run(main())
    assert {answer.status for answer in answers} == {200}
    assert {answer.body.count(b"view_total{") for answer in answers} == {100}


def test_lifespan(registry: CollectorRegistry) -> None:
    """A server's start and end are acknowledged."""

    async def main() -> list[Message]:
        client = Client({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
        app = make_asgi_app(registry)
        await asyncio.wait_for(app({"type": "lifespan"}, client.receive, client.send), DEADLINE)
        return client.sent

    assert asyncio.run(main()) == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]


def test_websockets_are_refused(registry: CollectorRegistry) -> None:
    """A websocket is closed before it opens, which servers answer by a 403."""

    async def main() -> list[Message]:
        client = Client({"type": "websocket.connect"})
        app = make_asgi_app(registry)
        await asyncio.wait_for(app({"type": "websocket", "path": "/"}, client.receive, client.send), DEADLINE)
        return client.sent

    assert asyncio.run(main()) == [{"type": "websocket.close", "code": 1000}]


def test_unknown_protocols(registry: CollectorRegistry) -> None:
    """A protocol the page does not speak is an error that names it, so that the server knows."""
    with pytest.raises(ValueError, match="serves http, lifespan and websocket, got 'telnet'"):
        asyncio.run(make_asgi_app(registry)({"type": "telnet"}, Client().receive, Client().send))  # type: ignore[arg-type]
