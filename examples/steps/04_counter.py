"""Step 4: the library keeps the number, safe in any thread, and writes the page.

    flask --app examples/steps/04_counter.py run

Ask for

    8 x /view/product1
    2 x /view/product2
    3 x /buy/product1

and /metrics answers, below what it says of the process and of Python,

    # HELP view_total Product view
    # TYPE view_total counter
    view_total 10
    # HELP buy_total Product buy
    # TYPE buy_total counter
    buy_total 3

A counter's series ends in _total. Beside it stands view_created: the time at which the counter began.
"""

from flask import Flask, Response

from pyrometer import CONTENT_TYPE_LATEST, Counter, generate_latest

app = Flask(__name__)
views = Counter("view", "Product view")
buys = Counter("buy", "Product buy")


@app.get("/view/<product>")
def view(product: str) -> dict[str, str]:
    views.inc()
    return {"viewed": product}


@app.get("/buy/<product>")
def buy(product: str) -> dict[str, str]:
    buys.inc()
    return {"bought": product}


@app.get("/metrics")
def metrics() -> Response:
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)
