"""The shop under gunicorn with four workers: its page, what it sells, and what it counts while many visit at once."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from fixtures_shop import SHOP, fetch, flask_run, gunicorn_shop
from servers import DEADLINE, wait_until

PRODUCTS = [f"product{number}" for number in range(1, 7)]
TEXT = "text/plain; version=0.0.4; charset=utf-8"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[str]:
    """The address of a shop that has just opened."""
    with gunicorn_shop(tmp_path) as server:
        yield server.url


def samples(shop: str) -> dict[str, float]:
    """The page of metrics: a value for each series, written as on the page."""
    page = fetch(f"{shop}/metrics").text.splitlines()
    return {series: float(value) for series, value in (line.rsplit(" ", 1) for line in page if line[:1] != "#")}


def pages_by_worker(shop: str) -> dict[str, str]:
    """A page of metrics from each of the four workers."""
    pages: dict[str, str] = {}

    def every_worker_has_answered() -> bool:
        page = fetch(f"{shop}/metrics")
        pages[page.headers["x-worker"]] = page.text
        return len(pages) == 4

    wait_until(every_worker_has_answered, "every worker answers")
    return pages


def test_page_has_every_product(shop: str) -> None:
    """The page lists the products with a view link and a buy button each, and everything it refers to is served."""
    page = fetch(f"{shop}/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for product in PRODUCTS:
        assert f'href="/view/{product}"' in page.text
        assert f'<form method="post" action="/buy/{product}">' in page.text
    references = set(re.findall(r'(?:href|src)="([^"]*)"', page.text))
    assert len(references) > 2 * len(PRODUCTS)
    for reference in references:
        assert reference.startswith("/"), "nothing comes from another host"
        assert fetch(shop + reference).status == 200, reference


def test_views_and_sales_are_counted(shop: str) -> None:
    """Eight views and three sales are on the page of metrics as eight and three, written without a decimal point."""
    for _ in range(8):
        assert fetch(f"{shop}/view/product1").status == 200
    for method in ("POST", "POST", "GET"):
        assert fetch(f"{shop}/buy/product2", method).status == 200
    page = fetch(f"{shop}/metrics").text
    for line in (
        '# TYPE view_total counter\nview_total{product="product1"} 8\n',
        '# TYPE buy_total counter\nbuy_total{product="product2"} 3\n',
        "# TYPE duration_compute_seconds summary\nduration_compute_seconds_count 3\n",
        "compute_exception_total 0\n",
        'stock_total{product="product2"} 20\n',
        'stock_left{product="product2"} 17\n',
        "last_sale_euros 34\n",
    ):
        assert line in page


def test_what_is_not_sold_is_not_counted(shop: str) -> None:
    """Products that do not exist are error 404 and make no series, whatever is asked for."""
    for path in ("/view/teapot", "/buy/teapot", "/view/%FF", "/view/a%22b%0A"):
        answer = fetch(shop + path)
        assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert fetch(f"{shop}/view/%3Cscript%3E").text.count("<script>") == 0
    assert not [series for series in samples(shop) if series.startswith(("view_total", "buy_total"))]


def test_sold_out(shop: str) -> None:
    """The buyer after the last piece gets a 409, counted as an exception and not as a sale; then a delivery comes."""
    statuses = [fetch(f"{shop}/buy/product3", "POST").status for _ in range(22)]
    assert statuses == [200] * 20 + [409] + [200]
    found = samples(shop)
    assert found['buy_total{product="product3"}'] == 21
    assert found["compute_exception_total"] == 1
    assert found["duration_compute_seconds_count"] == 22
    assert found['stock_total{product="product3"}'] == 40
    assert found['stock_left{product="product3"}'] == 19


def test_crowd(shop: str) -> None:
    """Eight visitors at once, and scrapes between their requests: every request answered with 200 is counted once."""

    def visit(number: int) -> tuple[str, str, int]:
        event, product = ("buy" if number % 4 == 0 else "view"), PRODUCTS[number * 7 % 6]
        if number % 20 == 0:
            assert fetch(f"{shop}/metrics").status == 200
        return event, product, fetch(f"{shop}/{event}/{product}").status

    with ThreadPoolExecutor(8) as visitors:
        visits = list(visitors.map(visit, range(600)))
    answered = Counter((event, product) for event, product, status in visits if status == 200)
    refused = sum(status == 409 for *_, status in visits)
    assert answered.total() + refused == 600
    found = samples(shop)
    assert {key: found[f'{key[0]}_total{{product="{key[1]}"}}'] for key in answered} == answered
    assert found["compute_exception_total"] == refused


def test_every_worker_has_the_totals(shop: str) -> None:
    """Whichever of four workers answers, its page has what all of them counted, and the stock that the database has."""
    assert len(pages_by_worker(shop)) == 4  # all have started
    with ThreadPoolExecutor(8) as visitors:
        answers = list(visitors.map(lambda number: fetch(f"{shop}/view/{PRODUCTS[number % 6]}"), range(120)))
    assert fetch(f"{shop}/buy/product1", "POST").status == 200
    assert len({answer.headers["x-worker"] for answer in answers}) > 1
    for page in pages_by_worker(shop).values():
        assert sorted(line for line in page.splitlines() if line.startswith("view_total")) == [
            f'view_total{{product="{product}"}} 20' for product in PRODUCTS
        ]
        for line in ('buy_total{product="product1"} 1', 'stock_left{product="product1"} 19', "last_sale_euros 29"):
            assert f"\n{line}\n" in page


def test_formats(shop: str) -> None:
    """The page of metrics comes in the format that the client asks for, and as text 0.0.4 to one that does not ask."""
    assert fetch(f"{shop}/metrics").headers["content-type"] == TEXT
    answer = fetch(f"{shop}/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert answer.text.endswith("# EOF\n")
    assert "# TYPE view counter\n" in answer.text
    head = fetch(f"{shop}/metrics", "HEAD")
    assert (head.status, head.text) == (200, "")


def test_flask_serves_it_too(tmp_path: Path) -> None:
    """Plain `flask run` serves the page, sells, and counts."""
    with flask_run(SHOP, tmp_path / "flask.log", SHOP_DATABASE=str(tmp_path / "there" / "shop.db")) as server:
        shop = server.url
        assert fetch(f"{shop}/").status == 200
        assert fetch(f"{shop}/view/product1").status == 200
        assert fetch(f"{shop}/buy/product1", "POST").status == 200
        assert fetch(f"{shop}/metrics").headers["content-type"] == TEXT
        found = samples(shop)
    assert found['view_total{product="product1"}'] == found['buy_total{product="product1"}'] == 1


def test_shelf_outlives_the_server(tmp_path: Path) -> None:
    """A shop opened again finds its shelf as it was: stock is in the database, counters begin at nothing."""
    with gunicorn_shop(tmp_path) as server:
        assert fetch(f"{server.url}/buy/product1").status == 200
    with gunicorn_shop(tmp_path) as server:
        found = samples(server.url)
    assert found['stock_left{product="product1"}'] == 19
    assert 'buy_total{product="product1"}' not in found


def test_first_start_of_several_processes(tmp_path: Path) -> None:
    """Processes that open the shop at the same time for the first time make one database, and none of them fails."""
    code = f"from pathlib import Path; from store import Store; Store(Path({str(tmp_path / 'shop.db')!r})).products()"
    starts = [subprocess.Popen([sys.executable, "-c", code], cwd=SHOP.parent) for _ in range(4)]
    assert [start.wait(DEADLINE) for start in starts] == [0] * 4
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        assert list(database.execute("SELECT product FROM product_stock ORDER BY product")) == [(p,) for p in PRODUCTS]
