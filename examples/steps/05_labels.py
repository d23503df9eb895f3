"""Step 5: a label splits a counter into one series for each product.

    flask --app examples/steps/05_labels.py run

Ask for

    8 x /view/product1
    2 x /view/product2
    3 x /buy/product1

and /metrics answers, below what it says of the process and of Python,

    # HELP view_total Product view
    # TYPE view_total counter
    view_total{product="product1"} 8
    view_total{product="product2"} 2
    # HELP buy_total Product buy
    # TYPE buy_total counter
    buy_total{product="product1"} 3

Each new label value costs memory here and in Prometheus: a label is for what is few. (Past 10,000 label sets a counter
gathers the rest under product="__overflow__", so that nobody can fill the memory by asking for what is not there.)
"""

from flask import Flask, Response

from pyrometer import CONTENT_TYPE_LATEST, Counter, generate_latest

app = Flask(__name__)
views = Counter("view", "Product view", ["product"])
buys = Counter("buy", "Product buy", ["product"])


@app.get("/view/<product>")
def view(product: str) -> dict[str, str]:
    views.labels(product).inc()
    return {"viewed": product}


@app.get("/buy/<product>")
def buy(product: str) -> dict[str, str]:
    buys.labels(product=product).inc()  # by name or by position, as you like it
    return {"bought": product}


@app.get("/metrics")
def metrics() -> Response:
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)
