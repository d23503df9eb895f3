"""Step 8: all of it together; and a Gauge, for what goes down as well as up.

    flask --app examples/steps/08_mixed.py run

Ask for

    8 x /view/product1
    2 x /view/product2
    1 x /view/teapot
    3 x /buy/product2
    1 x /buy/product1

and /metrics answers, below what it says of the process and of Python,

    # HELP view_total Product view
    # TYPE view_total counter
    view_total{product="product1"} 8
    view_total{product="product2"} 2
    # HELP buy_total Product buy
    # TYPE buy_total counter
    buy_total{product="product2"} 3
    buy_total{product="product1"} 1
    # HELP duration_compute_seconds Time spent in compute()
    # TYPE duration_compute_seconds summary
    duration_compute_seconds_count 15
    # HELP compute_exception_total Exceptions that left compute()
    # TYPE compute_exception_total counter
    compute_exception_total 1
    # HELP stock_total Stock count
    # TYPE stock_total counter
    stock_total{product="product1"} 31
    stock_total{product="product2"} 23
    # HELP last_sale_euros What the last buyer paid
    # TYPE last_sale_euros gauge
    last_sale_euros 9

The function of a counter with labels gives a value for each product. The teapot fails before it is counted as viewed.
"""

import sqlite3

from flask import Flask, Response

from pyrometer import CONTENT_TYPE_LATEST, Counter, Gauge, Summary, generate_latest

app = Flask(__name__)
# One connection for all threads of the server: SQLite makes them take turns.
database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
database.execute("CREATE TABLE product_stock (product TEXT NOT NULL, pieces INTEGER NOT NULL)")
database.execute("INSERT INTO product_stock VALUES ('product1', 30), ('product2', 20)")


def compute_stock() -> dict[str, int]:
    return dict(database.execute("SELECT product, sum(pieces) FROM product_stock GROUP BY product"))


views = Counter("view", "Product view", ["product"])
buys = Counter("buy", "Product buy", ["product"])
duration = Summary("duration_compute_seconds", "Time spent in compute()")
exception = Counter("compute_exception", "Exceptions that left compute()")
stock = Counter("stock", "Stock count", ["product"])
stock.set_function(compute_stock)
last_sale = Gauge("last_sale_euros", "What the last buyer paid")


@duration.time()
@exception.count_exceptions()
def compute(product: str) -> int:
    """The price of a product: nine euros times its number."""
    return 9 * int(product.removeprefix("product"))


@app.get("/view/<product>")
def view(product: str) -> dict[str, str | int]:
    price = compute(product)
    views.labels(product).inc()
    return {"viewed": product, "price": price}


@app.get("/buy/<product>")
def buy(product: str) -> dict[str, str | int]:
    price = compute(product)
    database.execute("INSERT INTO product_stock VALUES (?, 1)", (product,))
    buys.labels(product).inc()
    last_sale.set(price)
    return {"bought": product, "paid": price}


@app.get("/metrics")
def metrics() -> Response:
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)
