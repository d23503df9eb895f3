r"""Step 1: what Prometheus reads is a page of plain text, and a function of twenty lines can write it.

    flask --app examples/steps/01_by_hand.py run

Ask for

    8 x /view/product1
    2 x /view/product2
    1 x /view/say%20%22hi%22
    3 x /buy/product1

and /metrics answers

    # HELP view_total Product view
    # TYPE view_total counter
    view_total{product="product1"} 8
    view_total{product="product2"} 2
    view_total{product="say \"hi\""} 1
    # HELP buy_total Product buy
    # TYPE buy_total counter
    buy_total{product="product1"} 3

The app keeps a list of everything that happened and counts it when it is asked. The list grows for ever: see step 2.
"""

from collections import Counter

from flask import Flask, Response

app = Flask(__name__)
views: list[str] = []
buys: list[str] = []


def family_text(name: str, documentation: str, values: dict[str, int]) -> str:
    """One metric family: a HELP line, a TYPE line, and a line for each product."""
    documentation = documentation.replace("\\", r"\\").replace("\n", r"\n")
    lines = [f"# HELP {name} {documentation}", f"# TYPE {name} counter"]
    for product, value in values.items():
        product = product.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
        lines.append(f'{name}{{product="{product}"}} {value}')
    return "\n".join(lines) + "\n"


@app.get("/view/<product>")
def view(product: str) -> dict[str, str]:
    views.append(product)
    return {"viewed": product}


@app.get("/buy/<product>")
def buy(product: str) -> dict[str, str]:
    buys.append(product)
    return {"bought": product}


@app.get("/metrics")
def metrics() -> Response:
    page = family_text("view_total", "Product view", Counter(views))
    page += family_text("buy_total", "Product buy", Counter(buys))
    # Without this content type Flask says text/html, and Prometheus 3 refuses the page.
    return Response(page, content_type="text/plain; version=0.0.4; charset=utf-8")
