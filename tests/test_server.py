"""The HTTP server for the metrics page, over real sockets."""

from __future__ import annotations

import errno
import gzip
import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import pyrometer.server
from pyrometer import CollectorRegistry, Counter
from pyrometer.families import GaugeMetricFamily, Metric
from pyrometer.server import MetricsServer, start_http_server

DEADLINE = 10.0
HOST = "127.0.0.1"


@pytest.fixture
def registry() -> CollectorRegistry:
    """Enough series for a page that is worth compressing."""
    registry = CollectorRegistry()
    view = Counter("view", "Product view", ["product"], registry=registry)
    for number in range(100):
        view.labels(f"product{number}").inc(8)
    return registry


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Iterator[MetricsServer]:
    """A running server."""
    with start_http_server(0, HOST, registry) as metrics:
        yield metrics


class Answer(NamedTuple):
    """What the server answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


def ask(
    metrics: MetricsServer,
    path: str = "/metrics",
    method: str = "GET",
    host: str = HOST,
    body: bytes | None = None,
    context: ssl.SSLContext | None = None,
    **headers: str,
) -> Answer:
    """Send one request with the standard library's client."""
    connection: http.client.HTTPConnection
    if context is None:
        connection = http.client.HTTPConnection(host, metrics.server_port, timeout=DEADLINE)
    else:
        connection = http.client.HTTPSConnection(host, metrics.server_port, timeout=DEADLINE, context=context)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def exchange(metrics: MetricsServer, sent: bytes) -> bytes:
    """Send bytes as they are, and read until the server closes the connection."""
    with socket.create_connection((HOST, metrics.server_port), DEADLINE) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_the_page(metrics: MetricsServer) -> None:
    """GET answers the registry with its content type, its length, and nothing about the Python behind it."""
    answer = ask(metrics)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert answer.headers["Vary"] == "Accept, Accept-Encoding"
    assert answer.headers["Connection"] == "close"
    assert answer.headers["Server"] == "pyrometer"
    assert b'view_total{product="product1"} 8\n' in answer.body


def test_what_wsgi_answers(metrics: MetricsServer) -> None:
    """Negotiation, compression, filters and methods are those of the WSGI application."""
    accept = "application/openmetrics-text;version=1.0.0;escaping=values"
    assert ask(metrics, Accept=accept).headers["Content-Type"].endswith("; escaping=values")
    packed = ask(metrics, Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == ask(metrics).body
    assert ask(metrics, "/metrics?name[]=nothing").body == b""
    assert ask(metrics, "/metrics?name%5B%5D=view_total").body.count(b"view_total{") == 100
    assert ask(metrics, "/favicon.ico").body == b""
    head = ask(metrics, method="HEAD")
    assert (head.headers["Content-Length"], head.body) == (str(len(ask(metrics).body)), b"")
    assert ask(metrics, method="OPTIONS").headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "get"])
def test_other_methods(metrics: MetricsServer, method: str) -> None:
    """A method the page does not have, known to HTTP or not, is a 405 that names those it has."""
    answer = ask(metrics, method=method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_bodies(metrics: MetricsServer, method: str) -> None:
    """A client that sends a body nobody asked for still reads its answer."""
    for size in (1, 100_000, 500_000):
        assert ask(metrics, method=method, body=b"x" * size).status == (200 if method == "GET" else 405)


def test_two_headers_are_one(metrics: MetricsServer) -> None:
    """Accept headers that came apart count together."""
    accept = b"Accept: text/plain;q=0.1\r\naccept: application/openmetrics-text;version=1.0.0\r\n"
    answer = exchange(metrics, b"GET / HTTP/1.1\r\nHost: x\r\n" + accept + b"\r\n")
    assert b"\r\nContent-Type: application/openmetrics-text; version=1.0.0" in answer
    assert answer.endswith(b"# EOF\n")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"GET /\xff?name[]=\xff\xfe HTTP/1.1\r\nAccept: \xff\xfe\r\nAccept-Encoding: \x80\r\n\r\n", 200),
        (b"GET /?%zz&name[]=%ff HTTP/1.0\r\n\r\n", 200),
        (b"GET http://[bad/metrics HTTP/1.1\r\n\r\n", 200),
        (b"GET //metrics HTTP/1.1\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nAccept: " + b"a," * 30_000 + b"\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 200),
        (b"GET / HTTP/1.1\r\nAccept: " + b"a," * 40_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/9.9\r\n\r\n", 505),
        (b"GET / NONSENSE\r\n\r\n", 400),
        (b"\x00\x01\x02 \x03\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
    ],
)
def test_hostile_requests(metrics: MetricsServer, sent: bytes, expected: int) -> None:
    """Undecodable bytes and huge headers get the page or an error that is the client's, never a 500."""
    status = re.match(rb"HTTP/1\.1 (\d+) ", exchange(metrics, sent))
    assert status is not None and int(status[1]) == expected
    assert ask(metrics).status == 200


def test_nothing_is_an_answer_to_nothing(metrics: MetricsServer) -> None:
    """A connection that is closed without a request is closed without an answer."""
    assert exchange(metrics, b"") == b""
    assert ask(metrics).status == 200


class FailingCollector:
    """A collector that raises."""

    def collect(self) -> Iterable[Metric]:
        raise RuntimeError("no metrics today: password=hunter2")


def test_a_page_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """When rendering raises, the client gets a 500 at once and the log has the traceback."""
    with start_http_server(0, HOST, FailingCollector()) as metrics:
        answer = ask(metrics)
    assert answer.status == 500
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "no metrics today" in caplog.text


def test_it_unpacks(registry: CollectorRegistry) -> None:
    """As from the official client: server and thread, which end by shutdown and server_close."""
    server, thread = start_http_server(0, addr=HOST, registry=registry)
    assert thread.daemon and thread.is_alive()
    with socket.create_connection((HOST, server.server_port), DEADLINE):
        pass
    server.shutdown()
    thread.join(DEADLINE)
    assert not thread.is_alive()
    server.server_close()


def test_closing(registry: CollectorRegistry) -> None:
    """Leaving the block stops the thread and frees the port, at once; closing again does nothing."""
    with start_http_server(0, HOST, registry) as metrics:
        port = metrics.server_port
    assert not metrics.thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port), DEADLINE)
    metrics.close()
    metrics.close()
    with start_http_server(port, HOST, registry) as again:
        assert ask(again).status == 200


def test_closing_after_shutdown(registry: CollectorRegistry) -> None:
    """close() after shutdown() and server_close() does nothing."""
    metrics = start_http_server(0, HOST, registry)
    metrics.server.shutdown()
    metrics.server.server_close()
    metrics.close()
    assert not metrics.thread.is_alive()


def test_closing_in_a_fork() -> None:
    """A fork that closes what it inherited neither hangs nor stops its parent's server."""
    code = (
        "import os, urllib.request\n"
        "from pyrometer.server import start_http_server\n"
        "metrics = start_http_server(0, '127.0.0.1')\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    metrics.close()\n"
        "    os._exit(7)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\n"
        "print(urllib.request.urlopen(f'http://127.0.0.1:{metrics.server_port}').status)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE)
    assert (done.stdout, done.returncode) == ("200\n", 0), done.stderr


def test_a_process_ends_with_its_server_running() -> None:
    """A program that never closes its server exits all the same."""
    code = "import pyrometer.server as s; s.start_http_server(0, '127.0.0.1')"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=DEADLINE)


def test_a_taken_port(metrics: MetricsServer, registry: CollectorRegistry) -> None:
    """A port in use is an OSError that names the address and the port."""
    with pytest.raises(OSError, match=rf"cannot serve metrics on 127\.0\.0\.1 port {metrics.server_port}: ") as caught:
        start_http_server(metrics.server_port, HOST, registry)
    assert caught.value.errno == errno.EADDRINUSE


def test_a_bad_address(registry: CollectorRegistry) -> None:
    """An address that is not this machine's, or is no address, is an OSError that names it."""
    with pytest.raises(OSError, match=r"cannot serve metrics on 192\.0\.2\.1 port 0: "):
        start_http_server(0, "192.0.2.1", registry)
    with pytest.raises(socket.gaierror, match=r"cannot serve metrics on no such host port 0: "):
        start_http_server(0, "no such host", registry)


@pytest.mark.parametrize("port", [-1, 65536, "8000", None])
def test_a_bad_port(port: Any) -> None:
    """A port out of range, or that is no number, is refused with its value."""
    with pytest.raises(ValueError, match=f"an int from 0 to 65535, got {port!r}"):
        start_http_server(port, HOST)


@pytest.mark.parametrize(("addr", "host"), [("::1", "::1"), ("localhost", "localhost"), ("0.0.0.0", HOST), ("", HOST)])
def test_address_families(registry: CollectorRegistry, addr: str, host: str) -> None:
    """IPv6 and IPv4 are told by the address, and a name is resolved."""
    with start_http_server(0, addr, registry) as metrics:
        assert ask(metrics, host=host).status == 200


def test_slow_clients_do_not_hold_others(metrics: MetricsServer) -> None:
    """While many clients say nothing or half of something, others are served."""
    idle = [socket.create_connection((HOST, metrics.server_port), DEADLINE) for _ in range(50)]
    try:
        for client in idle[::2]:
            client.sendall(b"GET /metr")
        assert ask(metrics).status == 200
    finally:
        for client in idle:
            client.close()


class SlowCollector:
    """A collector that blocks its thread until it is told to go on."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.go_on = threading.Event()

    def collect(self) -> Iterable[Metric]:
        self.started.set()
        assert self.go_on.wait(DEADLINE)
        yield GaugeMetricFamily("slow", "Comes late", 1)


def test_a_slow_scrape_does_not_hold_others(registry: CollectorRegistry) -> None:
    """While a collector blocks one scrape, requests that do not need it are answered."""
    slow = SlowCollector()
    registry.register(slow)
    answers: list[Answer] = []
    with start_http_server(0, HOST, registry) as metrics:
        scrape = threading.Thread(target=lambda: answers.append(ask(metrics)))
        scrape.start()
        assert slow.started.wait(DEADLINE)
        assert ask(metrics, method="OPTIONS").status == 200
        slow.go_on.set()
        scrape.join(DEADLINE)
    assert b"\nslow 1" in answers[0].body


@pytest.mark.parametrize("sent", [b"", b"GET /metr", b"GET / HTTP/1.1\r\nAccept: ", b"GET / HTTP/1.1\r\nX: y\r\n"])
def test_a_request_has_a_deadline(metrics: MetricsServer, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    """A client that does not finish its request is let go of."""
    monkeypatch.setattr(pyrometer.server, "_REQUEST_TIMEOUT", 0.1)
    with socket.create_connection((HOST, metrics.server_port), DEADLINE) as client:
        client.sendall(sent)
        assert client.recv(100) == b""


def test_the_deadline_is_for_the_whole_request() -> None:
    """A client that sends a byte now and then does not move its deadline."""
    here, there = socket.socketpair()
    with here, there:
        there.sendall(b"G")
        reader = pyrometer.server._DeadlineReader(here, time.monotonic() + DEADLINE)
        assert reader.read(1) == b"G"
        there.sendall(b"E")
        late = pyrometer.server._DeadlineReader(here, time.monotonic())
        with pytest.raises(TimeoutError, match="took longer than 10 s"):
            late.read(1)


def test_a_client_that_leaves_is_no_error(metrics: MetricsServer, caplog: pytest.LogCaptureFixture) -> None:
    """A client that resets its connection leaves no word in the log above debug."""
    for _ in range(5):
        client = socket.create_connection((HOST, metrics.server_port), DEADLINE)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        client.close()
    assert ask(metrics).status == 200
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []


def test_scrapes_at_once(metrics: MetricsServer) -> None:
    """Twenty clients at once each get their whole page."""
    answers: list[Answer] = []
    clients = [threading.Thread(target=lambda: answers.append(ask(metrics))) for _ in range(20)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(DEADLINE)
    assert [answer.body.count(b"view_total{") for answer in answers] == [100] * 20


class Certificates(NamedTuple):
    """PEM files: an authority, a server and a client it signed, a client somebody else signed."""

    authority: str
    server: str
    server_key: str
    client: str
    client_key: str
    stranger: str
    stranger_key: str


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Real certificates, made by openssl."""
    where = tmp_path_factory.mktemp("certificates")
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

    def make(name: str, *options: str) -> tuple[str, str]:
        pem, key = f"{where / name}.pem", f"{where / name}.key"
        files = ["-subj", f"/CN={name}", "-out", pem, "-keyout", key]
        subprocess.run([*new, *files, *options], check=True, capture_output=True, timeout=60)
        return pem, key

    # What Python 3.13 and later ask of an authority.
    authority, authority_key = make("authority", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    signed = ["-CA", authority, "-CAkey", authority_key, "-addext", "basicConstraints=critical,CA:FALSE"]
    server, server_key = make("server", *signed, "-addext", f"subjectAltName=IP:{HOST}")
    client, client_key = make("client", *signed)
    stranger, stranger_key = make("stranger")
    return Certificates(authority, server, server_key, client, client_key, stranger, stranger_key)


def trusting(certificates: Certificates) -> ssl.SSLContext:
    """A client's context that verifies the server, its address included."""
    return ssl.create_default_context(cafile=certificates.authority)


def test_tls(registry: CollectorRegistry, certificates: Certificates) -> None:
    """With a certificate the page is served over TLS to a client that verifies it, and not in the clear."""
    with start_http_server(0, HOST, registry, certificates.server, certificates.server_key) as metrics:
        answer = ask(metrics, context=trusting(certificates))
        assert answer.status == 200
        assert answer.body.count(b"view_total{") == 100
        with pytest.raises((http.client.BadStatusLine, ConnectionError)):
            ask(metrics)
        assert ask(metrics, context=trusting(certificates), method="POST", body=b"x" * 100_000).status == 405


def test_a_key_beside_its_certificate(registry: CollectorRegistry, certificates: Certificates, tmp_path: Path) -> None:
    """One file may hold certificate and key."""
    both = tmp_path / "both.pem"
    both.write_bytes(Path(certificates.server).read_bytes() + Path(certificates.server_key).read_bytes())
    with start_http_server(0, HOST, registry, certfile=str(both)) as metrics:
        assert ask(metrics, context=trusting(certificates)).status == 200


def test_client_certificates(registry: CollectorRegistry, certificates: Certificates, tmp_path: Path) -> None:
    """A server that requires certificates serves clients of its authority, and neither others nor those without."""
    known, stranger = trusting(certificates), trusting(certificates)
    known.load_cert_chain(certificates.client, certificates.client_key)
    stranger.load_cert_chain(certificates.stranger, certificates.stranger_key)
    shutil.copy(certificates.authority, tmp_path / "authority.pem")
    subprocess.run(["openssl", "rehash", str(tmp_path)], check=True, timeout=60)
    for cafile, capath in ((certificates.authority, None), (None, str(tmp_path))):
        with start_http_server(
            0,
            HOST,
            registry,
            certificates.server,
            certificates.server_key,
            client_cafile=cafile,
            client_capath=capath,
            client_auth_required=True,
        ) as metrics:
            assert ask(metrics, context=known).status == 200
            for refused in (stranger, trusting(certificates)):
                with pytest.raises((ssl.SSLError, ConnectionError)):
                    ask(metrics, context=refused)


def test_tls_versions(registry: CollectorRegistry, certificates: Certificates) -> None:
    """A client below the least version or above the greatest is refused."""
    old, new = trusting(certificates), trusting(certificates)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    new.minimum_version = ssl.TLSVersion.TLSv1_3
    pair = (certificates.server, certificates.server_key)
    with start_http_server(0, HOST, registry, *pair, tls_min_version=ssl.TLSVersion.TLSv1_3) as metrics:
        assert ask(metrics, context=new).status == 200
        with pytest.raises(ssl.SSLError):
            ask(metrics, context=old)
    with start_http_server(0, HOST, registry, *pair, tls_max_version=ssl.TLSVersion.TLSv1_2) as metrics:
        assert ask(metrics, context=old).status == 200
        with pytest.raises(ssl.SSLError):
            ask(metrics, context=new)


def test_a_stalled_handshake_holds_nobody(
    registry: CollectorRegistry, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While clients do not finish their TLS handshake others are served, and they are let go of."""
    with start_http_server(0, HOST, registry, certificates.server, certificates.server_key) as metrics:
        idle = [socket.create_connection((HOST, metrics.server_port), DEADLINE) for _ in range(20)]
        try:
            assert ask(metrics, context=trusting(certificates)).status == 200
        finally:
            for client in idle:
                client.close()
        monkeypatch.setattr(pyrometer.server, "_REQUEST_TIMEOUT", 0.1)
        with socket.create_connection((HOST, metrics.server_port), DEADLINE) as client:
            assert client.recv(100) == b""


def test_missing_certificates(registry: CollectorRegistry, certificates: Certificates) -> None:
    """A file that is not there or holds no certificate is an error that names it."""
    with pytest.raises(FileNotFoundError, match=r"cannot load certificate '/none\.pem' with key '/none\.key'"):
        start_http_server(0, HOST, registry, "/none.pem", "/none.key")
    with pytest.raises(ssl.SSLError, match=rf"cannot load certificate '{re.escape(__file__)}'"):
        start_http_server(0, HOST, registry, __file__)
    with pytest.raises(FileNotFoundError, match=r"cannot load client authorities from file '/none\.pem'"):
        start_http_server(0, HOST, registry, certificates.server, certificates.server_key, client_cafile="/none.pem")


@pytest.mark.parametrize(
    "options",
    [{"keyfile": "x.key"}, {"client_cafile": "x.pem"}, {"client_capath": "x"}, {"client_auth_required": True}],
)
def test_tls_options_need_a_certificate(options: dict[str, Any]) -> None:
    """What was meant to be protected is not served in the clear because the certificate was forgotten."""
    with pytest.raises(ValueError, match="need certfile"):
        start_http_server(0, HOST, **options)


def test_no_descriptor_is_left_open(registry: CollectorRegistry) -> None:
    """Servers and connections give their descriptors back."""
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        with start_http_server(0, HOST, registry) as metrics:
            ask(metrics)
            ask(metrics, method="POST", body=b"x")
    deadline = time.monotonic() + DEADLINE
    while len(os.listdir("/proc/self/fd")) > before:
        assert time.monotonic() < deadline
