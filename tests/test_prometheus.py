"""A real Prometheus scrapes the shop while many visit it, and has counted what they were answered."""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import pytest
from fixtures_shop import EXAMPLES, fetch, flask_run, gunicorn_shop
from servers import DEADLINE, Programs, Prometheus, wait_until

pytestmark = pytest.mark.server

TEXT = "text/plain; version=0.0.4; charset=utf-8"
STEPS = sorted((EXAMPLES / "steps").glob("[0-9]*.py"))
PRODUCTS = [f"product{number}" for number in range(1, 7)]
# A scrape configuration for each: what its `scrape_protocols` names, and the content type that this gets.
PROTOCOLS = {
    "default": ([], "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"),
    "openmetrics1": (
        ["OpenMetricsText1.0.0"],
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
    ),
    "openmetrics0": (["OpenMetricsText0.0.1"], TEXT),  # nobody writes this draft any more: the text that all can read
    "text1": (["PrometheusText1.0.0"], "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"),
    "text0": (["PrometheusText0.0.4"], TEXT),
    "protobuf": (["PrometheusProto", "PrometheusText0.0.4"], TEXT),  # not offered: the next on the list
}
Start = Callable[..., Prometheus]
Answered = Counter[tuple[str, str, int]]  # (event, product, status) -> how many


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[str]:
    """The address of a shop that has just opened."""
    with gunicorn_shop(tmp_path) as server:
        yield server.url


def visit(shop: str, seed: int, enough: Event) -> Answered:
    """One visitor with one connection, who views and buys at random until it is enough; what the answers were."""
    address = urlsplit(shop)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=DEADLINE)
    choose = random.Random(seed)
    answered: Answered = Counter()
    while not enough.is_set():
        event, product = choose.choice(["view", "view", "view", "buy"]), choose.choice([*PRODUCTS, "teapot"])
        connection.request("POST" if event == "buy" else "GET", f"/{event}/{product}")
        response = connection.getresponse()
        response.read()
        answered[event, product, response.status] += 1
    connection.close()
    return answered


def target(shop: str) -> str:
    """`host:port`, as a scrape configuration has it."""
    return urlsplit(shop).netloc


def every_format(shop: str) -> list[dict[str, Any]]:
    """A scrape configuration for each of PROTOCOLS; its job's name is in the query, and so in the shop's access log."""
    common = {"target": target(shop)}
    return [
        {"job_name": job, "params": {"job": [job]}, **({"scrape_protocols": protocols} if protocols else {}), **common}
        for job, (protocols, _) in PROTOCOLS.items()
    ]


def test_every_answer_is_counted(shop: str, prometheus: Start) -> None:
    """In every format, under load: the target stays up, and view_total and buy_total are the requests answered 200."""
    server = prometheus(*every_format(shop))
    enough = Event()
    with ThreadPoolExecutor() as crowd:
        visits = [crowd.submit(visit, shop, seed, enough) for seed in range(6)]
        try:
            for _ in range(3):
                server.wait_for_scrapes()
        finally:
            enough.set()
    answered = sum((visit.result() for visit in visits), Answered())
    assert {status for *_, status in answered} <= {200, 404, 409}
    expected = {
        (f"{event}_total", product, job): n
        for (event, product, status), n in answered.items()
        for job in PROTOCOLS
        if status == 200
    }
    assert len(expected) == 2 * len(PRODUCTS) * len(PROTOCOLS), "every product was viewed and bought"

    def is_counted() -> bool:
        found = [(sample.labels, sample.value) for sample in server.query('{__name__=~"view_total|buy_total"}')]
        return {(labels["__name__"], labels["product"], labels["job"]): value for labels, value in found} == expected

    def agree(query: str, value: float) -> bool:
        found = {sample.labels["job"]: sample.value for sample in server.query(query)}
        return found == dict.fromkeys(PROTOCOLS, value)

    wait_until(is_counted, "every job to count what was answered")
    refused = sum(n for (*_, status), n in answered.items() if status == 409)
    sold = sum(n for (event, _, status), n in answered.items() if (event, status) == ("buy", 200))
    for query, value in (
        ("min by (job) (min_over_time(up[5m]))", 1),
        ("sum by (job) (resets(view_total[5m]))", 0),
        ("compute_exception_total", refused),
        ("duration_compute_seconds_count", refused + sold),
        ("sum by (job) (stock_total) - sum by (job) (stock_left)", sold),
    ):
        wait_until(partial(agree, query, value), f"{query} to be {value:g} for every job")


def test_every_format_is_negotiated(shop: str, prometheus: Start, tmp_path: Path) -> None:
    """Prometheus gets the best format among those it names and we write, and reads the same families from each."""
    assert fetch(f"{shop}/view/product1").status == fetch(f"{shop}/buy/product2").status == 200
    server = prometheus(*every_format(shop))
    server.wait_for_scrapes()
    scrapes = [line.split("\t") for line in (tmp_path / "access.log").read_text().splitlines() if "/metrics" in line]
    for job, (_, content_type) in PROTOCOLS.items():
        answers = {(status, answered) for status, request, _, answered in scrapes if f"?job={job} " in request}
        assert answers == {("200", content_type)}, job
        (viewed,) = server.query(f'view_total{{product="product1", job="{job}"}}')
        assert viewed.value == 1
        metadata = server.api("targets/metadata", match_target=f'{{job="{job}"}}')
        types = {entry["metric"].removesuffix("_total"): entry["type"] for entry in metadata}
        expected = {"view": "counter", "duration_compute_seconds": "summary", "stock": "counter", "stock_left": "gauge"}
        assert {name: types[name] for name in expected} == expected, job


def test_shipped_configuration(programs: Programs) -> None:
    """The scrape configuration beside the shop is valid, and reads a page whose content type was forgotten."""
    config = EXAMPLES / "shop" / "prometheus.yml"
    done = subprocess.run(
        [programs.promtool, "check", "config", config], capture_output=True, text=True, timeout=DEADLINE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.strip() for line in config.read_text().splitlines()]
    assert lines.count("fallback_scrape_protocol: PrometheusText0.0.4") == sum("job_name:" in line for line in lines)


def test_promtool_finds_the_shop_clean(shop: str, promtool: Callable[[bytes], str]) -> None:
    """promtool has nothing to say about the shop's page, before the first visit and after many kinds of them."""
    assert promtool(fetch(f"{shop}/metrics").text.encode()) == ""
    statuses = [fetch(f"{shop}{path}").status for path in ["/view/product1", "/view/teapot", *["/buy/product2"] * 21]]
    assert set(statuses) == {200, 404, 409}
    assert promtool(fetch(f"{shop}/metrics").text.encode()) == ""


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.stem)
def test_promtool_finds_the_steps_clean(step: Path, promtool: Callable[[bytes], str], tmp_path: Path) -> None:
    """promtool has nothing to say about the page of any step, the hand-written ones and odd products included."""
    with flask_run(step, tmp_path / "flask.log") as server:
        for path in ("/view/product1", "/view/a%5Cb%22c%0Ad%C3%A9", "/buy/product2"):
            assert fetch(server.url + path).status in (200, 500)
        assert promtool(fetch(f"{server.url}/metrics").text.encode()) == ""


@pytest.mark.parametrize("step", [STEPS[0], STEPS[-1]], ids=lambda step: step.stem)
def test_prometheus_reads_the_steps(step: Path, prometheus: Start, tmp_path: Path) -> None:
    """Prometheus reads the page of the first step and of the last, which are text whatever it would rather have."""
    with flask_run(step, tmp_path / "flask.log") as shop:
        for _ in range(8):
            assert fetch(f"{shop.url}/view/product1").status == 200
        server = prometheus({"target": target(shop.url)})
        server.wait_for_scrapes()
        (viewed,) = server.query("view_total")
        assert (viewed.labels["product"], viewed.value) == ("product1", 8)


BARE = """
from flask import Flask
from pyrometer import generate_latest

app = Flask(__name__)
app.add_url_rule("/metrics", view_func=generate_latest)
"""


def test_page_without_its_content_type(prometheus: Start, tmp_path: Path) -> None:
    """A Flask view that returns the page bare is refused by Prometheus, unless the configuration has the fallback."""
    app = tmp_path / "bare.py"
    app.write_text(BARE)
    with flask_run(app, tmp_path / "flask.log") as shop:
        assert fetch(f"{shop.url}/metrics").headers["content-type"] == "text/html; charset=utf-8"
        server = prometheus(
            {"job_name": "with", "target": target(shop.url)},
            {"job_name": "without", "target": target(shop.url), "fallback_scrape_protocol": ""},
        )

        def said() -> dict[str, tuple[str, str]]:
            found = {one["labels"]["job"]: (one["health"], one["lastError"]) for one in server.targets()}
            return {job: answer for job, answer in found.items() if answer[0] != "unknown"}

        wait_until(lambda: len(said()) == 2, "both to be scraped")
        health, error = said()["without"]
        assert said()["with"] == ("up", "")
    assert health == "down"
    assert 'unsupported Content-Type "text/html; charset=utf-8" and no fallback_scrape_protocol' in error
