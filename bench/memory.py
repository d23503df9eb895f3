"""Resident memory per labelled counter, each library in a process of its own.

The label strings are made inside and count: a library that keeps them pays for them. Resident memory is read from
/proc/self/statm after a collection, before and after the series are made, and once more after a scrape whose page was
thrown away, because what a scrape leaves behind stays resident in an application that is scraped.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
from pathlib import Path

from bench.libraries import load


def resident() -> int:
    """Bytes of this process that are in memory now."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def grow(name: str, series: int) -> tuple[float, float]:
    """Bytes per series after they were made, and after one scrape."""
    library = load(name)
    if isinstance(library, str):
        raise SystemExit(library)
    registry = library.registry()
    family = library.counter("requests", ["product"], registry)
    family.labels("first").inc()
    library.page(registry)
    before = resident()
    for number in range(series):
        family.labels(f"product{number}").inc()
    made = resident() - before
    library.page(registry)
    return made / series, (resident() - before) / series


if __name__ == "__main__":
    print(json.dumps(grow(sys.argv[1], int(sys.argv[2]))))
