"""A small shop that counts what happens in it: the steps in one application.

    flask --app examples/shop/app.py run                        on one's own, http://127.0.0.1:5000
    gunicorn --config examples/shop/gunicorn.conf.py            as in production, http://127.0.0.1:8000, four workers
    python examples/shop/demo.py                                the same, with shoppers

Nothing here is for the sake of several workers but the header X-Worker, which says whose answer one looks at.
SHOP_DATABASE names the SQLite file; without it the file is `instance/shop.db` beside this one. It is made when missing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, abort, render_template
from store import Product, SoldOut, Store
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from pyrometer import Counter, Gauge, Summary, make_wsgi_app

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def signed(application: WSGIApplication) -> WSGIApplication:
    """The same application, with the id of the process that answers in the header X-Worker."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Callable[[bytes], object]:
            return start_response(status, [*headers, ("X-Worker", str(os.getpid()))], *error)

        return application(environ, start)

    return answer


app = Flask(__name__)
with_metrics = DispatcherMiddleware(app.wsgi_app, {"/metrics": make_wsgi_app()})
app.wsgi_app = signed(with_metrics)  # type: ignore[assignment, method-assign]
store = Store(Path(os.environ.get("SHOP_DATABASE") or Path(app.instance_path, "shop.db")))


def compute_stock() -> dict[str, int]:
    """Pieces delivered since the shop first opened, by product."""
    with closing(store.connect()) as database:
        return dict(database.execute("SELECT product, delivered FROM product_stock ORDER BY product"))


def compute_left() -> dict[str, int]:
    """Pieces on the shelf now, by product."""
    return {product.id: product.left for product in store.products()}


views = Counter("view", "Product view", ["product"])
buys = Counter("buy", "Product buy", ["product"])
duration = Summary("duration_compute_seconds", "Time spent in compute_sale()")
exception = Counter("compute_exception", "Sales that failed because the product was sold out")
stock = Counter("stock", "Stock count: pieces ever delivered", ["product"])
stock.set_function(compute_stock)
left = Gauge("stock_left", "Pieces left on the shelf", ["product"])
left.set_function(compute_left)
last_sale = Gauge("last_sale_euros", "What the last buyer paid")


@app.get("/")
def home() -> str:
    return render_template("home.html", products=store.products())


@app.get("/view/<id>")
def view(id: str) -> str:
    page = render_template("view.html", product=find(id))
    views.labels(product=id).inc()
    return page


# A browser posts the form. GET is there for curl and for typing the address, as in the steps.
@app.route("/buy/<id>", methods=["GET", "POST"])
def buy(id: str) -> str | tuple[str, int]:
    try:
        product = compute_sale(find(id))
    except SoldOut as error:
        return render_template("sold_out.html", product=error.product), 409
    page = render_template("bought.html", product=product)
    buys.labels(product=id).inc()
    last_sale.set(product.cents / 100)
    return page


@duration.time()
@exception.count_exceptions(SoldOut)
def compute_sale(product: Product) -> Product:
    """Sell one piece. Raises SoldOut."""
    return store.sell(product)


def find(id: str) -> Product:
    """The product, or error 404. So a label value is always a product that exists, whatever visitors ask for."""
    return store.product(id) or abort(404, f"There is no {id} in this shop.")


@app.errorhandler(HTTPException)
def explain(error: HTTPException) -> tuple[str, int]:
    return render_template("error.html", error=error), error.code or 500
