"""Step 6: a line above a function measures how long it takes and how often it fails.

    flask --app examples/steps/06_decorators.py run

Ask for

    8 x /view/product1
    2 x /view/product2
    1 x /view/teapot
    3 x /buy/product1

and /metrics answers, below what it says of the process and of Python,

    # HELP duration_compute_seconds Time spent in compute()
    # TYPE duration_compute_seconds summary
    duration_compute_seconds_count 14
    # HELP compute_exception_total Exceptions that left compute()
    # TYPE compute_exception_total counter
    compute_exception_total 1

with duration_compute_seconds_sum, the seconds of all 14 calls together, below the count: sum / count is the mean.
compute() fails for the teapot, whose name does not end in a number: the visitor sees error 500, and it is counted.
"""

from flask import Flask, Response

from pyrometer import CONTENT_TYPE_LATEST, Counter, Summary, generate_latest

app = Flask(__name__)
duration = Summary("duration_compute_seconds", "Time spent in compute()")
exception = Counter("compute_exception", "Exceptions that left compute()")


@duration.time()
@exception.count_exceptions()
def compute(product: str) -> int:
    """The price of a product: nine euros times its number."""
    return 9 * int(product.removeprefix("product"))


@app.get("/view/<product>")
def view(product: str) -> dict[str, str | int]:
    return {"viewed": product, "price": compute(product)}


@app.get("/buy/<product>")
def buy(product: str) -> dict[str, str | int]:
    return {"bought": product, "paid": compute(product)}


@app.get("/metrics")
def metrics() -> Response:
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)
