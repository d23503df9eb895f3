"""Step 7: a number that lives elsewhere is not kept twice: a function gets it when Prometheus asks.

    flask --app examples/steps/07_callback.py run

Ask for

    8 x /view/product1
    3 x /buy/product1
    1 x /buy/product2

and /metrics answers, below what it says of the process and of Python,

    # HELP stock_total Stock count
    # TYPE stock_total counter
    stock_total 54

The table product_stock has a line for each delivery: 50 pieces came in before the shop opened, and whatever is bought
is ordered again. The sum only grows, so it is a Counter. What also goes down is a Gauge, which takes a function too.
"""

import sqlite3

from flask import Flask, Response

from pyrometer import CONTENT_TYPE_LATEST, Counter, generate_latest

app = Flask(__name__)
# One connection for all threads of the server: SQLite makes them take turns.
database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
database.execute("CREATE TABLE product_stock (product TEXT NOT NULL, pieces INTEGER NOT NULL)")
database.execute("INSERT INTO product_stock VALUES ('product1', 30), ('product2', 20)")


def compute_stock() -> int:
    (pieces,) = database.execute("SELECT sum(pieces) FROM product_stock").fetchone()
    return int(pieces)


stock = Counter("stock", "Stock count")
stock.set_function(compute_stock)


@app.get("/view/<product>")
def view(product: str) -> dict[str, str]:
    return {"viewed": product}


@app.get("/buy/<product>")
def buy(product: str) -> dict[str, str]:
    database.execute("INSERT INTO product_stock VALUES (?, 1)", (product,))
    return {"bought": product}


@app.get("/metrics")
def metrics() -> Response:
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)
