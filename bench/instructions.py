"""Instructions per statement of the hot path, counted by valgrind: they do not depend on what else the machine does.

Each statement runs in a fresh process, once with few and once with many executions, and the difference is divided by
the difference of the counts; so neither the interpreter's start nor the import is in it. Without the loop.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from bench import hot
from bench.libraries import load
from bench.measure import Measurement, statement
from bench.reference import reference
from bench.table import markdown

_FEW, _MANY = 2_000, 12_000
_ROOT = Path(__file__).resolve().parent.parent


def instructions(names: list[str], only: list[str] | None) -> str:
    """A table of instruction counts, or a line saying why there is none."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        return "instructions: not counted, valgrind is not installed (Debian: valgrind)"
    rows = [row for group, rows in hot.GROUPS.items() if not only or group in only for row in rows]
    results = {}
    loop = _per_execution(valgrind, "empty", "pass")
    for row in rows:
        for name in ["empty", *names]:
            each = _per_execution(valgrind, name, row.key) - loop
            results[row.key, name] = Measurement((each,), "instr.")
    return "Instructions per statement\n\n" + markdown({row.key: row.title for row in rows}, results)


def _per_execution(valgrind: str, name: str, row: str) -> float:
    counted = {count: _count(valgrind, name, row, count) for count in (_FEW, _MANY)}
    return (counted[_MANY] - counted[_FEW]) / (_MANY - _FEW)


def _count(valgrind: str, name: str, row: str, count: int) -> int:
    command = [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, "-m", __name__]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [*command, json.dumps([name, row, count])], cwd=_ROOT, env=environment, capture_output=True, text=True
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or found is None:
        raise RuntimeError(f"valgrind could not run {row} of {name}: {done.stderr.strip()[-300:]}")
    return int(found.group(1))


def _execute(name: str, row: str, count: int) -> None:
    if row == "pass":
        contender = statement("pass")
    elif name == "empty":
        contender = reference().contender
    else:
        library = load(name)
        if isinstance(library, str):
            raise SystemExit(library)
        chosen = next(one for group in hot.GROUPS.values() for one in group if one.key == row)
        contender = hot.Subject(library).contender(chosen)
    contender.run(count)


if __name__ == "__main__":
    _execute(*json.loads(sys.argv[1]))
