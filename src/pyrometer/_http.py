"""The metrics page over HTTP, without any server: what was asked in, what is to be answered out.

Every door (`wsgi`, `asgi`, `server`) turns its own request into a `Request`, asks its `MetricsPage`, and writes the
`Response`. So negotiation, filters, methods and failures are the same behind all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pyrometer._policy import Policy
from pyrometer.exposition import render, render_async
from pyrometer.exposition.negotiation import accepts_gzip, negotiate
from pyrometer.registry import CollectorRegistry

if TYPE_CHECKING:
    from pyrometer.exposition.format import Format
    from pyrometer.registry import Collector

_METHODS = "GET, HEAD, OPTIONS"
_PLAIN = "text/plain; charset=utf-8"
# Below this a page fits one network packet, compressed or not.
_GZIP_FROM = 1024
# On exposition text, level 3 packs to within a tenth of level 6 at more than twice its speed.
_GZIP_LEVEL = 3


class Request(NamedTuple):
    """What a client asked: `query` as it came over the wire, a header as all its fields joined by commas or None."""

    method: str
    path: str
    query: bytes
    accept: str | None
    accept_encoding: str | None


class Response(NamedTuple):
    """What to answer. `headers` always has Content-Type and Content-Length; `body` is empty for HEAD."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes


class _Asked(NamedTuple):
    """A page that was asked for: of what, how, and whether the client wants it packed and with its body."""

    registry: Collector
    format: Format
    gzip: bool
    head: bool


class MetricsPage:
    """The page of a registry (or of any collector), for any number of threads and event loops at once."""

    def __init__(self, registry: Collector, *, disable_compression: bool = False) -> None:
        """TypeError for a `registry` without `collect()`; nothing is collected yet."""
        if not callable(getattr(registry, "collect", None)) or isinstance(registry, type):
            raise TypeError(f"metrics page: expected a registry or a collector, got {registry!r}")
        self._registry = registry
        self._compress = not disable_compression

    def answer(self, request: Request) -> Response:
        """Answer a request.

        GET on any path is the page, `name[]` in the query keeps the series of these names alone; HEAD is the same
        without the body; OPTIONS and other methods (405) are told what is allowed; /favicon.ico is empty. If the page
        cannot be rendered the answer is a 500 with a short text, and the traceback goes to the logger "pyrometer".
        Raises nothing that is an `Exception`.
        """
        try:
            asked = self._asked(request)
            if isinstance(asked, Response):
                return asked
            page = render(asked.registry, asked.format)
            return _page(asked, page, _gzip(page) if _worth_packing(asked, page) else None)
        except Exception:
            return _failure(request)

    async def answer_async(self, request: Request) -> Response:
        """As `answer`, without blocking the running asyncio loop: rendering and compression happen in worker threads,
        asynchronous collectors run on this loop. Cancelling it cancels those collectors.
        """
        import asyncio

        try:
            asked = self._asked(request)
            if isinstance(asked, Response):
                return asked
            page = await render_async(asked.registry, asked.format)
            return _page(asked, page, await asyncio.to_thread(_gzip, page) if _worth_packing(asked, page) else None)
        except Exception:
            return _failure(request)

    def _asked(self, request: Request) -> Response | _Asked:
        head = request.method == "HEAD"
        if request.method == "OPTIONS":
            return _text(200, "OK", "", [("Allow", _METHODS)])
        if not head and request.method != "GET":
            # The method is the client's own text: cut, and written so that it cannot be anything but text.
            message = f"method {request.method[:20]!a} is not allowed here, expected one of {_METHODS}\n"
            return _text(405, "Method Not Allowed", message, [("Allow", _METHODS)])
        if request.path == "/favicon.ico":
            return _text(200, "OK", "", [])
        names = _names(request.query)
        registry = _restricted(self._registry, names) if names else self._registry
        return _Asked(
            registry, negotiate(request.accept), self._compress and accepts_gzip(request.accept_encoding), head
        )


def _names(query: bytes) -> list[str]:
    """The values of `name[]`; bytes that are not UTF-8 become U+FFFD, which is no family's name."""
    if not query:
        return []
    from urllib.parse import parse_qs

    return parse_qs(query.decode("utf-8", "replace")).get("name[]", [])


def _restricted(registry: Collector, names: list[str]) -> Collector:
    restrict = getattr(registry, "restricted_registry", None)
    if restrict is None:
        # Any collector may stand for a registry, and a client may filter its page all the same.
        whole = CollectorRegistry(policy=Policy(isolate_errors=False))
        whole.register(registry)
        restrict = whole.restricted_registry
    restricted: Collector = restrict(names)
    return restricted


def _worth_packing(asked: _Asked, page: bytes) -> bool:
    return asked.gzip and len(page) >= _GZIP_FROM


def _gzip(page: bytes) -> bytes:
    import zlib

    # 16 more than the largest window asks zlib for gzip's wrapping; no file name, no time: same page, same bytes.
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return packer.compress(page) + packer.flush()


def _page(asked: _Asked, page: bytes, packed: bytes | None) -> Response:
    headers = [("Content-Type", asked.format.content_type), ("Vary", "Accept, Accept-Encoding")]
    if packed is not None:
        headers.append(("Content-Encoding", "gzip"))
        page = packed
    headers.append(("Content-Length", str(len(page))))
    return Response(200, "OK", headers, b"" if asked.head else page)


def _text(status: int, reason: str, text: str, headers: list[tuple[str, str]]) -> Response:
    body = text.encode()
    always = [("Content-Type", _PLAIN), ("Content-Length", str(len(body)))]
    return Response(status, reason, [*always, *headers], body)


def _failure(request: Request) -> Response:
    import logging

    logging.getLogger("pyrometer").exception("a scrape failed: %s %r", request.method, request.path[:200])
    # What went wrong may name hosts and queries: it is for the application's log, not for whoever can reach the page.
    message = "the metrics could not be rendered; the application's log says why\n"
    response = _text(500, "Internal Server Error", message, [])
    return response._replace(body=b"") if request.method == "HEAD" else response
