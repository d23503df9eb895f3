"""The compiled and the interpreted core do the same: one program, run with either, prints the same."""

from __future__ import annotations

import pytest
from core.engine import COMPILED, run

PROGRAM = """
import logging, random, struct, sys
from pyrometer import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Policy, Summary
from pyrometer._core.render_cy import number
from pyrometer.exposition import OpenMetrics, Text, render

logging.basicConfig(stream=sys.stdout, format="%(message)s")
chance = random.Random({seed})
registry = CollectorRegistry(policy=Policy(created_series=False))
values = ["", "a", "é", '"', "\\\\", "\\n", "\\ud800", "a,b", "\\U0001f600", "x" * 700, 1, 1.0, True, None]
view = Counter("view", "Views", ["product", "colour"], registry=registry, max_series=60)
level = Gauge("level", "Levels", ["l"], registry=registry, max_series=8)
size = Summary("size", "Sizes", ["zone"], registry=registry)
spread = Histogram("spread", "Spread", ["zone"], registry=registry, buckets=[0.1, 1, 2.5, 1e6, 1e7])
plain = Histogram("plain", "Plain", registry=registry)
state = Enum("state", "States", ["tool"], registry=registry, states=["on", "off"])
text = Info("text", "Text", ["tool"], registry=registry)
many = Counter("many", "Many labels", ["l%d" % i for i in range(11)], registry=registry)
held = []
def tried(use, *args, **named):
    try:
        return use(*args, **named)
    except Exception as error:
        print(type(error).__name__, error)
for turn in range(3000):
    value, other = chance.choice(values), chance.choice(values)
    amount = struct.unpack("<d", struct.pack("<Q", chance.getrandbits(64)))[0]
    action = chance.randrange(16)
    if action < 4:
        view.labels(value, other).inc(turn)
    elif action == 4:
        view.remove(value, other)
    elif action == 5:
        tried(view.labels(colour=value, product=other).inc, amount)
    elif action == 6:
        level.labels(value).set(amount)
        level.labels(other).dec(turn)
    elif action == 7:
        tried(size.labels(zone=value).observe, amount)
    elif action == 8:
        tried(spread.labels(value).observe, chance.choice([0.1, 0.05, 1, 2.4999, 1e7, 1e8, amount]))
    elif action == 9:
        plain.observe(chance.random() * 12)
    elif action == 10:
        state.labels(value).state(chance.choice(["on", "off"]))
    elif action == 11:
        text.labels(value).info({{"version": str(other), "turn": str(turn)}})
    elif action == 12:
        many.labels(*[chance.choice(values[:3]) for _ in range(11)]).inc()
    elif action == 13:
        held.append(view.labels(value, other))
        held[turn % len(held)].inc()
    elif action == 14 and turn % 5 == 0:
        view.remove_by_labels({{"colour": value}})
        level.clear() if turn % 3 else None
    else:
        tried(chance.choice([view, level, many]).labels, *[value] * chance.randrange(4))
        tried(view.labels, product=value, shape=other)
        print(number(amount), number(amount, True), number(round(abs(amount) % 1e6, 3)))
print(render(registry, Text()).decode())
print(render(registry, OpenMetrics()).decode())
for family in registry.collect():
    print(family)
"""


@pytest.mark.compiled
@pytest.mark.parametrize("seed", range(2))
def test_twins(seed: int) -> None:
    """Random uses of every kind of metric give the same errors, numbers, pages and samples with either core."""
    program = PROGRAM.format(seed=seed)
    compiled, interpreted = run(program, interpreted=False), run(program, interpreted=True)
    assert COMPILED and "view_total{" in compiled
    assert compiled == interpreted
