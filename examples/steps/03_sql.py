r"""Step 3: nothing is counted in Python; the database already knows, and is asked when Prometheus asks.

    flask --app examples/steps/03_sql.py run

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

In a file instead of ":memory:" the totals outlive a restart and are the same from every worker process.
"""

import sqlite3

from flask import Flask, Response

app = Flask(__name__)
# One connection for all threads of the server: SQLite makes them take turns.
database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
database.execute("CREATE TABLE view (product TEXT NOT NULL)")
database.execute("CREATE TABLE buy (product TEXT NOT NULL)")


@app.get("/view/<product>")
def view(product: str) -> dict[str, str]:
    database.execute("INSERT INTO view VALUES (?)", (product,))
    return {"viewed": product}


@app.get("/buy/<product>")
def buy(product: str) -> dict[str, str]:
    database.execute("INSERT INTO buy VALUES (?)", (product,))
    return {"bought": product}


@app.get("/metrics")
def metrics() -> Response:
    lines = []
    for table in ("view", "buy"):
        lines += [f"# HELP {table}_total Product {table}", f"# TYPE {table}_total counter"]
        for product, total in database.execute(f"SELECT product, count(*) FROM {table} GROUP BY product"):
            product = product.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
            lines.append(f'{table}_total{{product="{product}"}} {total}')
    return Response("\n".join(lines) + "\n", content_type="text/plain; version=0.0.4; charset=utf-8")
