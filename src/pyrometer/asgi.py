"""The metrics page as an ASGI 3 application, to be mounted in any ASGI server or framework that runs on asyncio.

The interface: https://asgi.readthedocs.io/en/latest/specs/main.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from pyrometer._http import MetricsPage, Request, Response
from pyrometer.registry import REGISTRY

if TYPE_CHECKING:
    from pyrometer.registry import Collector

__all__ = ["make_asgi_app"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


def make_asgi_app(registry: Collector = REGISTRY, disable_compression: bool = False) -> ASGIApp:
    """An ASGI application that answers every path with the metrics of `registry`, as `make_wsgi_app` does.

    The loop is never blocked: pages are rendered and compressed in worker threads, and asynchronous collectors run on
    the server's loop. When the client leaves before the page is ready, its scrape is cancelled. `lifespan` is answered
    (there is nothing to start or stop), a websocket is closed before it opens. Any other protocol is a ValueError, as
    the interface asks of applications that do not know it.
    """
    page = MetricsPage(registry, disable_compression=disable_compression)

    async def metrics_app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
        else:
            raise ValueError(f"the metrics page serves http, lifespan and websocket, got {scope['type']!r}")

    async def _http(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(
            method=scope["method"],
            # A framework that mounts the page leaves its prefix on the path and says how long it is.
            path=scope.get("path", "").removeprefix(scope.get("root_path", "")),
            query=scope.get("query_string", b""),
            accept=_header(scope, b"accept"),
            accept_encoding=_header(scope, b"accept-encoding"),
        )
        response = await _unless_disconnected(page.answer_async(request), receive)
        if response is not None:
            await _send(response, send)

    return metrics_app


async def _unless_disconnected(answer: Awaitable[Response], receive: Receive) -> Response | None:
    """The answer, or None (and the answer's work cancelled) where the client left before it was there."""
    import asyncio

    work = asyncio.ensure_future(answer)
    left = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait((work, left), return_when=asyncio.FIRST_COMPLETED)
        if not work.done() and left.result():
            return None
        return await work
    finally:
        work.cancel()
        left.cancel()
        await asyncio.gather(work, left, return_exceptions=True)


async def _disconnected(receive: Receive) -> bool:
    """Read and drop the client's body; True when the client has left, False when there is nothing left to learn."""
    import asyncio

    body_ended = False
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return True
        if body_ended:
            # After the body only a disconnect may follow: whatever gives this would give it for ever.
            return False
        body_ended = not message.get("more_body", False)
        # A `receive` that has its answer ready never gives the loop a turn by itself.
        await asyncio.sleep(0)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _send(response: Response, send: Send) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    try:
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})
    except OSError:
        # The interface's way of saying that the client has left; nobody is there to be told anything.
        return


def _header(scope: Scope, name: bytes) -> str | None:
    values = [value.decode("latin-1") for key, value in scope.get("headers", ()) if key.lower() == name]
    return ",".join(values) if values else None
