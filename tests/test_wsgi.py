"""The metrics page as a WSGI application."""

from __future__ import annotations

import gzip
import logging
import subprocess
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from pyrometer import CollectorRegistry, Counter
from pyrometer.families import GaugeMetricFamily, Metric
from pyrometer.wsgi import make_wsgi_app

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class Answer:
    """What a WSGI application answered."""

    def __init__(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = dict(headers)
        self.body = body
        assert len(self.headers) == len(headers), f"a header came twice: {headers}"


def ask(app: WSGIApplication, path: str = "/metrics", method: str = "GET", query: str = "", **headers: str) -> Answer:
    """Call `app` through the standard library's checker of PEP 3333."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "" if path else "/mounted",
        "PATH_INFO": path,
        "QUERY_STRING": query,
    }
    setup_testing_defaults(environ)
    environ.update({f"HTTP_{name.upper()}": value for name, value in headers.items()})
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None, /) -> Any:
        started.append((status, headers))

    answer: Any = validator(app)(environ, start_response)
    body = b"".join(answer)
    answer.close()
    assert len(started) == 1
    return Answer(*started[0], body)


@pytest.fixture
def registry() -> CollectorRegistry:
    """Eight views of one product, one sale of another."""
    registry = CollectorRegistry()
    view = Counter("view", "Product view", ["product"], registry=registry)
    view.labels("product1").inc(8)
    buy = Counter("buy", "Product sale", ["product"], registry=registry)
    buy.labels("product2").inc()
    return registry


@pytest.fixture
def large(registry: CollectorRegistry) -> CollectorRegistry:
    """Enough series for a page that is worth compressing."""
    hits = Counter("hits", "Requests", ["route"], registry=registry)
    for number in range(100):
        hits.labels(f"/route/{number}").inc()
    return registry


def test_the_page(registry: CollectorRegistry) -> None:
    """GET answers the registry in text 0.0.4 with its content type, length and what it varies by."""
    answer = ask(make_wsgi_app(registry))
    assert answer.status == "200 OK"
    assert answer.headers == {
        "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
        "Content-Length": str(len(answer.body)),
        "Vary": "Accept, Accept-Encoding",
    }
    assert b"# HELP view_total Product view\n# TYPE view_total counter\n" in answer.body
    assert b'view_total{product="product1"} 8\n' in answer.body


def test_openmetrics(registry: CollectorRegistry) -> None:
    """A client that asks for OpenMetrics gets it, with its content type and its end mark."""
    answer = ask(make_wsgi_app(registry), accept="application/openmetrics-text;version=1.0.0;escaping=dots")
    assert answer.headers["Content-Type"] == (
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=dots"
    )
    assert answer.body.endswith(b"# EOF\n")


@pytest.mark.parametrize("path", ["", "/", "/metrics", "/anything/else"])
def test_any_path(registry: CollectorRegistry, path: str) -> None:
    """The page is served wherever the application is mounted."""
    assert b"view_total" in ask(make_wsgi_app(registry), path).body


def test_head_is_get_without_the_body(large: CollectorRegistry) -> None:
    """HEAD answers the status and headers of GET, the length included, and no body."""
    app = make_wsgi_app(large)
    asked: list[dict[str, str]] = [{}, {"accept_encoding": "gzip"}, {"accept": "application/openmetrics-text"}]
    for headers in asked:
        get, head = ask(app, **headers), ask(app, method="HEAD", **headers)
        assert (head.status, head.headers) == (get.status, get.headers)
        assert head.headers["Content-Length"] == str(len(get.body))
        assert head.body == b""


def test_options(registry: CollectorRegistry) -> None:
    """OPTIONS tells which methods there are."""
    answer = ask(make_wsgi_app(registry), method="OPTIONS")
    assert (answer.status, answer.headers["Allow"], answer.body) == ("200 OK", "GET, HEAD, OPTIONS", b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_other_methods(registry: CollectorRegistry, method: str) -> None:
    """A method the page does not have is a 405 that names those it has."""
    answer = ask(make_wsgi_app(registry), method=method)
    assert answer.status == "405 Method Not Allowed"
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.body == f"method '{method}' is not allowed here, expected one of GET, HEAD, OPTIONS\n".encode()


def test_favicon_is_empty(registry: CollectorRegistry) -> None:
    """What browsers ask for by themselves costs no scrape."""
    answer = ask(make_wsgi_app(registry), "/favicon.ico")
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == ("200 OK", b"", "0")


def test_gzip(large: CollectorRegistry) -> None:
    """A client that takes gzip gets the same page smaller, with the length of what is sent."""
    app = make_wsgi_app(large)
    plain, packed = ask(app), ask(app, accept_encoding="gzip, deflate")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Content-Length"] == str(len(packed.body))
    assert len(packed.body) < len(plain.body) / 2
    assert gzip.decompress(packed.body) == plain.body


@pytest.mark.parametrize("accept_encoding", ["", "identity", "gzip;q=0", "gzip;q=0, *;q=0", "br", "*", "gzip;q=x"])
def test_no_gzip(large: CollectorRegistry, accept_encoding: str) -> None:
    """A client that refuses gzip or does not name it gets the page as it is."""
    answer = ask(make_wsgi_app(large), accept_encoding=accept_encoding)
    assert "Content-Encoding" not in answer.headers
    assert b"view_total" in answer.body


def test_small_pages_stay_plain() -> None:
    """A page of less than a kilobyte is not worth compressing."""
    registry = CollectorRegistry()
    Counter("view", "Product view", registry=registry)
    assert "Content-Encoding" not in ask(make_wsgi_app(registry), accept_encoding="gzip").headers


def test_compression_can_be_left_out(large: CollectorRegistry) -> None:
    """With disable_compression nobody gets gzip, for servers that compress by themselves."""
    answer = ask(make_wsgi_app(large, disable_compression=True), accept_encoding="gzip")
    assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize(
    "query", ["name[]=view_total", "name%5B%5D=view_total", "name[]=view_total&name[]=nothing", "a=b&name[]=view_total"]
)
def test_name_filter(registry: CollectorRegistry, query: str) -> None:
    """name[] keeps the named families alone, also written with percent signs."""
    body = ask(make_wsgi_app(registry), query=query).body
    assert b'view_total{product="product1"} 8\n' in body
    assert b"buy" not in body


def test_name_filter_of_a_collector() -> None:
    """Where a bare collector stands for the registry, name[] filters it all the same."""
    app = make_wsgi_app(TwoFamilies())
    assert ask(app, query="name[]=humidity").body.endswith(b"\nhumidity 40\n")
    assert b"temperature" not in ask(app, query="name[]=humidity").body
    assert ask(app, query="name[]=nothing").body == b""


class TwoFamilies:
    """A collector with two families."""

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("temperature", "Of the room", 21)
        yield GaugeMetricFamily("humidity", "Of the room", 40)


def test_restricted_registries(registry: CollectorRegistry) -> None:
    """A registry that is restricted already can be narrowed by a client, not widened."""
    app = make_wsgi_app(registry.restricted_registry(["view_total"]))
    assert b"buy" not in ask(app).body
    assert b"view_total{" in ask(app, query="name[]=view_total").body
    assert ask(app, query="name[]=buy_total").body == b""


@pytest.mark.parametrize("registry", [None, "registry", CollectorRegistry])
def test_what_is_no_registry(registry: Any) -> None:
    """What cannot be collected is refused where the application is made, not at the first scrape."""
    with pytest.raises(TypeError, match="expected a registry or a collector, got "):
        make_wsgi_app(registry)


def test_two_names(registry: CollectorRegistry) -> None:
    """name[] given twice keeps both families."""
    body = ask(make_wsgi_app(registry), query="name[]=view_total&name[]=buy_total").body
    assert b"view_total{" in body and b"buy_total{" in body


@pytest.mark.parametrize(
    "query", ["name[]=nothing", "name[]=%ff%fe", "name[]=\xff", "name[]=%00", "name[]=" + "x" * 65536]
)
def test_unknown_names_are_an_empty_page(registry: CollectorRegistry, query: str) -> None:
    """A name nobody has, readable or not, is answered by an empty page that is valid in its format."""
    app = make_wsgi_app(registry)
    answer = ask(app, query=query)
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == ("200 OK", b"", "0")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert ask(app, query=query, accept="application/openmetrics-text").body == b"# EOF\n"


@pytest.mark.parametrize("query", ["%", "%zz", "&&&=;", "name[]", "name[]=", "name[", "\x00", "=" * 10_000])
def test_queries_that_say_nothing(registry: CollectorRegistry, query: str) -> None:
    """A query string without a name in name[] is the whole page."""
    answer = ask(make_wsgi_app(registry), query=query)
    assert answer.status == "200 OK"
    assert b"view_total{" in answer.body and b"buy_total{" in answer.body


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text; version=abc",
        "application/openmetrics-text; version=9.9.9",
        "application/openmetrics-text; version=",
        "text/plain;version=\x80\xff",
        "*;q=0",
        ";;,,==",
        '"',
        "text/plain;q=" + "9" * 10_000,
        "text/plain," * 10_000,
    ],
)
def test_no_accept_is_an_error(registry: CollectorRegistry, accept: str) -> None:
    """Whatever a client sends as Accept, the page comes with a content type scrapers know."""
    answer = ask(make_wsgi_app(registry), accept=accept, accept_encoding=accept)
    assert answer.status == "200 OK"
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"view_total{" in answer.body


class FailingCollector:
    """A collector that raises."""

    def collect(self) -> Iterable[Metric]:
        raise RuntimeError("no metrics today: password=hunter2")


def test_a_page_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """When rendering raises, the answer is a short 500 without the reason, and the log has the traceback."""
    app = make_wsgi_app(FailingCollector())
    with caplog.at_level(logging.ERROR, logger="pyrometer"):
        answer = ask(app)
    assert answer.status == "500 Internal Server Error"
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert b"hunter2" not in answer.body and answer.body.count(b"\n") == 1
    (record,) = caplog.records
    assert record.exc_info is not None and "hunter2" in str(record.exc_info[1])


def test_a_failing_head_has_no_body(caplog: pytest.LogCaptureFixture) -> None:
    """A HEAD that fails is a 500 with the headers of the failing GET alone."""
    app = make_wsgi_app(FailingCollector())
    get, head = ask(app), ask(app, method="HEAD")
    assert (head.status, head.headers, head.body) == (get.status, get.headers, b"")


class AsyncCollector:
    """A collector whose collect is a coroutine function."""

    async def collect(self) -> Iterable[Metric]:
        return [GaugeMetricFamily("temperature", "Of the room", 21)]


def test_async_collectors(registry: CollectorRegistry) -> None:
    """An asynchronous collector is served from WSGI too."""
    registry.register(AsyncCollector())
    assert b"temperature 21" in ask(make_wsgi_app(registry)).body


def test_import_is_light() -> None:
    """Importing the WSGI door brings no server, no TLS and no event loop."""
    heavy = ["http.server", "wsgiref", "ssl", "asyncio", "socketserver", "gzip"]
    code = f"import sys, pyrometer.wsgi; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
