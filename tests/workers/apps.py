"""Applications that the servers run: they count the pages they answer, and each answer says which process gave it."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any

from pyrometer import REGISTRY, Counter, Metric, make_asgi_app, make_wsgi_app

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from flask import Flask

    Message = MutableMapping[str, Any]

VIEW = "/view/"  # /view/p1 counts one view of p1
METRICS = "/metrics"
FATAL = "/metrics/fatal"  # the process is killed in the middle of this scrape, and answers nothing
BODY = b"seen\n"

views = Counter("view", "Product view", ["product"])
metrics = make_wsgi_app()
async_metrics = make_asgi_app()


class Fatal:
    """A collector that, once armed, kills the process that scrapes."""

    armed = False

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        if self.armed:
            os.kill(os.getpid(), signal.SIGKILL)
        return ()


fatal = Fatal()
REGISTRY.register(fatal)


def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The application for servers of WSGI."""
    path = environ["PATH_INFO"]

    def start(status: str, headers: list[tuple[str, str]], error: Any = None, /) -> Callable[[bytes], object]:
        return start_response(status, [*headers, ("X-Worker", str(os.getpid()))], error)

    fatal.armed = path == FATAL
    if path.startswith(METRICS):
        return metrics(environ, start)
    if path.startswith(VIEW):
        views.labels(path.removeprefix(VIEW)).inc()
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))])
    return [BODY]


async def asgi(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """The application for servers of ASGI."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    path = scope["path"]

    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"x-worker", b"%d" % os.getpid())]}
        await send(message)

    fatal.armed = path == FATAL
    if path.startswith(METRICS):
        await async_metrics(scope, receive, answer)
        return
    if path.startswith(VIEW):
        views.labels(path.removeprefix(VIEW)).inc()
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(BODY))]
    await answer({"type": "http.response.start", "status": 200, "headers": headers})
    await answer({"type": "http.response.body", "body": BODY})


def flask() -> Flask:
    """The same as a Flask application, the metrics beside it as a WSGI application."""
    from flask import Flask, Response
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    app = Flask(__name__)

    @app.get("/view/<product>")
    def view(product: str) -> str:
        views.labels(product=product).inc()
        return BODY.decode()

    @app.after_request
    def tell(response: Response) -> Response:
        response.headers["X-Worker"] = str(os.getpid())
        return response

    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {METRICS: wsgi_metrics})  # type: ignore[method-assign]
    return app


def wsgi_metrics(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The page of metrics alone, wherever it is mounted."""
    return wsgi({**environ, "PATH_INFO": METRICS}, start_response)
