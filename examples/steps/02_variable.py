r"""Step 2: a variable kept up to date: only the totals stay, so memory grows with the products and not with the visits.

    flask --app examples/steps/02_variable.py run

Ask for

    8 x /view/product1
    2 x /view/product2
    3 x /buy/product1

and /metrics answers

    # HELP view_total Product view
    # TYPE view_total counter
    view_total{product="product1"} 8
    view_total{product="product2"} 2
    # HELP buy_total Product buy
    # TYPE buy_total counter
    buy_total{product="product1"} 3

The dictionary dies with its process: a restart begins at 0, and each worker process has its own. See step 3.
"""

from threading import Lock

from flask import Flask, Response

app = Flask(__name__)
lock = Lock()  # the server answers in several threads, and += is a read and a write: two of them can lose a count
totals: dict[str, dict[str, int]] = {"view": {}, "buy": {}}


def add_one(event: str, product: str) -> None:
    with lock:
        totals[event][product] = totals[event].get(product, 0) + 1


@app.get("/view/<product>")
def view(product: str) -> dict[str, str]:
    add_one("view", product)
    return {"viewed": product}


@app.get("/buy/<product>")
def buy(product: str) -> dict[str, str]:
    add_one("buy", product)
    return {"bought": product}


@app.get("/metrics")
def metrics() -> Response:
    lines = []
    with lock:
        for event, by_product in totals.items():
            lines += [f"# HELP {event}_total Product {event}", f"# TYPE {event}_total counter"]
            for product, total in by_product.items():
                product = product.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
                lines.append(f'{event}_total{{product="{product}"}} {total}')
    return Response("\n".join(lines) + "\n", content_type="text/plain; version=0.0.4; charset=utf-8")
