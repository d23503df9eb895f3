"""Import time, each in a fresh process, timed around the import: the interpreter's own start is not in it."""

from __future__ import annotations

import json
import sys
import time

STATEMENTS = {
    "import": "import {name}",
    "import_counter": 'from {name} import Counter, generate_latest; Counter("views", "What is counted.").inc()',
}


def milliseconds(source: str) -> float:
    code = compile(source, "<import>", "exec")
    start = time.perf_counter_ns()
    exec(code, {})
    return (time.perf_counter_ns() - start) / 1e6


if __name__ == "__main__":
    print(json.dumps(milliseconds(STATEMENTS[sys.argv[1]].format(name=sys.argv[2]))))
