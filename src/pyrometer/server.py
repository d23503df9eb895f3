"""A small HTTP server of its own for the metrics page, in daemon threads of the application.

It answers one request a connection and gives each connection a thread and a deadline, so that a slow or hostile client
costs its own thread and nobody else's scrape.
"""

from __future__ import annotations

import io
import logging
import socket
import ssl
import sys
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingMixIn
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from pyrometer._http import MetricsPage, Request
from pyrometer._standby import StandbyServer
from pyrometer.registry import REGISTRY

if TYPE_CHECKING:
    import threading
    from types import TracebackType

    from pyrometer.registry import Collector

__all__ = ["MetricsServer", "start_http_server", "start_wsgi_server"]

# Seconds for a client to finish its TLS handshake, then to send its whole request, then to take the whole answer.
_REQUEST_TIMEOUT = 10.0
_RESPONSE_TIMEOUT = 60.0
# Bytes of a request line, and of what a client sends after its request was answered.
_LONGEST_LINE = 65536
_LONGEST_REST = 1 << 20


class MetricsServer(NamedTuple):
    """A server that runs or stands by: unpacks into (server, thread); leaving it as a context manager closes it.

    `server` is a `socketserver.TCPServer`, so `server.shutdown()` and `server.server_close()` work; `thread` is the
    daemon thread that accepts connections, or waits for the port to take it over.
    """

    server: _Server
    thread: threading.Thread

    @property
    def server_port(self) -> int:
        """The TCP port it listens on or stands by for, also where port 0 was asked for."""
        return self.server.server_port

    def close(self) -> None:
        """Stop accepting or standing by, wait for the thread, free the port. Closing again does nothing.

        Answers on their way are neither waited for nor cut. In a fork of the process that started the server this
        closes the fork's copy of the socket alone.
        """
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self) -> MetricsServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def start_http_server(
    port: int,
    addr: str = "0.0.0.0",
    registry: Collector = REGISTRY,
    certfile: str | None = None,
    keyfile: str | None = None,
    client_cafile: str | None = None,
    client_capath: str | None = None,
    protocol: int = ssl.PROTOCOL_TLS_SERVER,
    client_auth_required: bool = False,
    tls_min_version: ssl.TLSVersion | None = None,
    tls_max_version: ssl.TLSVersion | None = None,
) -> MetricsServer:
    """Serve the metrics of `registry` over HTTP, in daemon threads.

    `port` is a TCP port, 0 for any free one; `addr` is a name, an IPv4 or an IPv6 address, "" for all addresses.

    With `certfile` (PEM; the key may be in `keyfile` or in the same file) it speaks TLS. `client_cafile` and
    `client_capath` say whom clients' certificates are verified by (neither: the system's authorities), and
    `client_auth_required` that a client must have one. Ciphers are those of `ssl.SSLContext(protocol)`.

    Returns when the port is bound: `with start_http_server(0) as metrics: metrics.server_port`, or
    `server, thread = start_http_server(8000)`. It answers what `make_wsgi_app` answers, one request a connection.

    Every process of a program may call it with the same port: one serves, the others return at once and stand by, and
    within about a second of its end, however it ended, another takes over. Its threads do not survive a fork, and the
    fork holds no port: it serves if it calls this itself.

    Raises OSError naming the address and port that cannot be bound, where no other process of this program serves that
    port (which of the two it is may take half a second to tell), or the file that cannot be loaded (ssl.SSLError for
    one that is no certificate); ValueError for a port out of range and for a key or client verification without
    `certfile`, which would serve in the clear what was meant to be protected; TypeError for a `registry` that is none.
    """
    if not isinstance(port, int) or not 0 <= port <= 65535:
        raise ValueError(f"port of the metrics server must be an int from 0 to 65535, got {port!r}")
    page = MetricsPage(registry)
    context = None
    if certfile is not None:
        context = ssl.SSLContext(protocol)
        _load_certificates(context, certfile, keyfile, client_cafile, client_capath)
        if client_auth_required:
            context.verify_mode = ssl.CERT_REQUIRED
        if tls_min_version is not None:
            context.minimum_version = tls_min_version
        if tls_max_version is not None:
            context.maximum_version = tls_max_version
    elif keyfile or client_cafile or client_capath or client_auth_required:
        raise ValueError("keyfile, client_cafile, client_capath and client_auth_required need certfile, got none")
    try:
        found = socket.getaddrinfo(addr or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        server = _Server(found[0][0], found[0][4], page, context)
    except OSError as error:
        # With the number of the first, this is of its class too (PermissionError, socket.gaierror).
        raise type(error)(error.errno, f"cannot serve metrics on {addr} port {port}: {error.strerror}") from error
    try:
        server.thread.start()
    except RuntimeError:
        server.server_close()
        raise
    return MetricsServer(server, server.thread)


start_wsgi_server = start_http_server
"""The same by its other name in `prometheus_client`."""


def _load_certificates(
    context: ssl.SSLContext, certfile: str, keyfile: str | None, cafile: str | None, capath: str | None
) -> None:
    """Load what is given; an OSError names the files, which those of `ssl` do not."""
    loading = f"certificate {certfile!r} with key {keyfile or certfile!r}"
    try:
        context.load_cert_chain(certfile, keyfile)
        loading = f"client authorities from file {cafile!r}, directory {capath!r}"
        if cafile is not None or capath is not None:
            context.load_verify_locations(cafile, capath)
        else:
            context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    except OSError as error:
        raise type(error)(error.errno, f"metrics server cannot load {loading}: {error.strerror}") from error


class _Server(ThreadingMixIn, StandbyServer):
    daemon_threads = True

    def __init__(self, family: int, address: Any, page: MetricsPage, context: ssl.SSLContext | None) -> None:
        self.page = page
        self._context = context
        super().__init__(family, address, _Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Runs in the connection's own thread, so a handshake that never ends keeps nobody else waiting."""
        if self._context is None:
            super().finish_request(request, client_address)
            return
        request.settimeout(_REQUEST_TIMEOUT)
        with self._context.wrap_socket(request, server_side=True) as encrypted:
            super().finish_request(encrypted, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves, stalls or speaks no TLS is no fault of the application; anything else is logged."""
        log = logging.getLogger("pyrometer")
        expected = isinstance(sys.exc_info()[1], OSError)
        log.log(
            logging.DEBUG if expected else logging.ERROR,
            "a client of the metrics server at %s was not served",
            client_address[0],
            exc_info=True,
        )


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    # Errors of requests that could not be read to the end are to have a status line too.
    default_request_version = "HTTP/1.0"
    error_content_type = "text/plain; charset=utf-8"
    error_message_format = "%(code)d %(message)s\n"
    # Head and body are two writes: the second is not to wait for the client to acknowledge the first.
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_DeadlineReader(self.connection, monotonic() + _REQUEST_TIMEOUT))

    def handle(self) -> None:
        """One request, of any method: which ones are allowed is not this class's to know."""
        self.raw_requestline = self.rfile.readline(_LONGEST_LINE + 1)
        if len(self.raw_requestline) > _LONGEST_LINE:
            self.requestline = self.request_version = self.command = ""
            self.send_error(414)
            self._read_rest()
        elif self.raw_requestline and self.parse_request():
            self._answer()
            length = self.headers.get("Content-Length", "")
            if "Transfer-Encoding" in self.headers or (length and not (length.isascii() and length.isdigit())):
                self._read_rest()
            elif length:
                self.rfile.read(min(int(length[:20]), _LONGEST_REST))
        else:
            self._read_rest()

    def _read_rest(self) -> None:
        """Closing a connection with something unread resets it, and the client may lose the answer."""
        self.rfile.read(_LONGEST_REST)

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        request = Request(
            method=self.command,
            path=path,
            query=query.encode("latin-1"),
            accept=self._header("Accept"),
            accept_encoding=self._header("Accept-Encoding"),
        )
        response = self.server.page.answer(request)
        self.connection.settimeout(_RESPONSE_TIMEOUT)
        self.send_response(response.status, response.reason)
        for name, value in response.headers:
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(response.body)

    def _header(self, name: str) -> str | None:
        values = self.headers.get_all(name)
        return ",".join(values) if values else None

    def version_string(self) -> str:
        """Which Python this is, is nobody's business."""
        return "pyrometer"

    def log_message(self, format: str, *args: Any) -> None:
        """A scrape every few seconds is not worth a line."""


class _DeadlineReader(io.RawIOBase):
    """Reads a socket until a deadline: with a timeout a read, a client sends one byte at a time for ever."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError(f"the client took longer than {_REQUEST_TIMEOUT:g} s to send its request")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)
