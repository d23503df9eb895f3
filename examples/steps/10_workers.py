"""Step 10: several workers are one application: /metrics from any of them has the totals of all.

    gunicorn --workers 4 --chdir examples/steps 10_workers:app

Ask for

    8 x /view/product1
    2 x /view/product2
    3 x /buy/product1

and /metrics, whichever worker answers, has below what it says of the processes and of Python

    # HELP view_total Product view
    # TYPE view_total counter
    view_total{product="product1"} 8
    view_total{product="product2"} 2
    # HELP buy_total Product buy
    # TYPE buy_total counter
    buy_total{product="product1"} 3
    # HELP last_sale_euros What the last buyer paid
    # TYPE last_sale_euros gauge
    last_sale_euros 9
    # HELP workers Processes that serve
    # TYPE workers gauge
    workers 4

Nothing is set up for it: what a worker counts lies in memory that all of them have. Each visitor is told which process
answered; kill that one with -9, and what it counted is still there. A gauge is one value for all, too: last_sale_euros
is what the last buyer paid, whoever sold. With a multiprocess_mode each process has a value of its own, and the page
has what they make together: here the sum over those that live.
"""

import os

from flask import Flask, Response

from pyrometer import CONTENT_TYPE_LATEST, Counter, Gauge, generate_latest

app = Flask(__name__)
views = Counter("view", "Product view", ["product"])
buys = Counter("buy", "Product buy", ["product"])
last_sale = Gauge("last_sale_euros", "What the last buyer paid")
workers = Gauge("workers", "Processes that serve", multiprocess_mode="livesum")
workers.set(1)  # by each


@app.get("/view/<product>")
def view(product: str) -> dict[str, str | int]:
    views.labels(product).inc()
    return {"viewed": product, "worker": os.getpid()}


@app.get("/buy/<product>")
def buy(product: str) -> dict[str, str | int]:
    buys.labels(product).inc()
    last_sale.set(9)
    return {"bought": product, "worker": os.getpid()}


@app.get("/metrics")
def metrics() -> Response:
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)
