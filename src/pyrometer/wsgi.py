"""The metrics page as a WSGI application (PEP 3333), to be mounted in any WSGI server or framework."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyrometer._http import MetricsPage, Request
from pyrometer.registry import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from pyrometer.registry import Collector

__all__ = ["make_wsgi_app"]


def make_wsgi_app(registry: Collector = REGISTRY, disable_compression: bool = False) -> WSGIApplication:
    """A WSGI application that answers every path with the metrics of `registry` (or of any collector).

    The format is negotiated by Accept (see `pyrometer.exposition.negotiation.negotiate`), the page is compressed for
    clients that take gzip unless `disable_compression`, and `?name[]=a&name[]=b` keeps these series alone. HEAD and
    OPTIONS are answered, other methods get a 405, /favicon.ico is empty. A page that cannot be rendered is a 500, its
    traceback goes to the logger "pyrometer". The application may be called from many threads at once, and in every
    process of a server.

    Raises TypeError for a `registry` without `collect()`; nothing is collected before the first request.
    """
    page = MetricsPage(registry, disable_compression=disable_compression)

    def metrics_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(
            method=environ["REQUEST_METHOD"],
            path=environ.get("PATH_INFO", ""),
            # PEP 3333 hands bytes over as latin-1 text; from a server that decoded them itself this loses what is not.
            query=environ.get("QUERY_STRING", "").encode("latin-1", "replace"),
            accept=environ.get("HTTP_ACCEPT"),
            accept_encoding=environ.get("HTTP_ACCEPT_ENCODING"),
        )
        response = page.answer(request)
        start_response(f"{response.status} {response.reason}", response.headers)
        return [response.body]

    return metrics_app
