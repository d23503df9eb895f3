"""``python -m bench``: measures, prints the table and the targets."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

from bench import golang, interpreter, libraries
from bench.instructions import instructions
from bench.reference import Reference, reference
from bench.sections import FULL, QUICK, SECTIONS, Bench
from bench.table import LEGEND, markdown
from bench.targets import TARGETS, Target


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    if not options.here:
        interpreter.replace_process(options.python, arguments)
    started = time.monotonic()
    names = {name: libraries.load(name) for name in libraries.NAMES}
    available = {name: library for name, library in names.items() if isinstance(library, libraries.Library)}
    sizes = QUICK if options.quick else FULL
    go = golang.start(interpreter.CACHE, sizes.counters, sizes.histograms)
    empty = reference()
    print(_heading(names, go, empty, options.quick), flush=True)

    bench = Bench(available, go if isinstance(go, golang.Program) else None, empty.contender, sizes)
    for section in options.only or SECTIONS:
        print(f"measuring {section} ...", file=sys.stderr, flush=True)
        SECTIONS[section](bench)
    if isinstance(go, golang.Program):
        go.close()

    print(markdown(bench.titles, bench.results) + "\n\n" + LEGEND)
    if bench.notes:
        print("\n" + "\n".join(f"- {note}" for note in bench.notes))
    if options.callgrind:
        print("\n" + instructions(list(available), options.only))
    about = [target for target in TARGETS if not options.only or target.of[0] in bench.titles]
    missed = [target for target in about if not target.missing(bench.results) and not target.met(bench.results)]
    if about:
        print("\nTargets\n\n" + "\n".join(f"- {target.verdict(bench.results)}" for target in about))
        print("\n" + _summary(about, missed, bench))
    print(f"\n{time.monotonic() - started:.0f} s, load average {os.getloadavg()[0]:.1f} at the end")
    if options.json:
        Path(options.json).write_text(json.dumps(_document(bench, about), indent=2) + "\n")
    return 1 if options.check and missed else 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Pyrometer beside other clients.")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, about half a minute; ratios are rough")
    parser.add_argument("--only", action="append", choices=list(SECTIONS), metavar="NAME", help=", ".join(SECTIONS))
    parser.add_argument("--json", metavar="FILE", help="also write every round of every measurement")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    parser.add_argument("--callgrind", action="store_true", help="also count instructions of the hot path (valgrind)")
    parser.add_argument("--python", metavar="PATH", help="measure with this Python, in an environment made for it")
    parser.add_argument(
        "--here", action="store_true", help="measure with the Python that runs this, as it is; wins over --python"
    )
    return parser.parse_args(arguments)


def _heading(names: dict[str, libraries.Library | str], go: golang.Program | str, empty: Reference, quick: bool) -> str:
    optimised = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    built = "with" if optimised else "without"
    python = f"Python {platform.python_version()} ({sys.executable}), {built} profile-guided optimisation"
    lines = [
        f"{python}, {platform.machine()}, {os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}",
        f"empty C call: {empty.description}",
    ]
    for name, library in names.items():
        lines.append(f"{name}: {library if isinstance(library, str) else library.version}")
    lines.append(f"client_golang: {go if isinstance(go, str) else go.version}")
    if quick:
        lines.append("QUICK: small sizes and few rounds, ratios are rough")
    return "\n".join(f"- {line}" for line in lines) + "\n"


def _summary(about: list[Target], missed: list[Target], bench: Bench) -> str:
    unmeasured = sum(1 for target in about if target.missing(bench.results))
    return f"{len(about) - unmeasured - len(missed)} met, {len(missed)} MISSED, {unmeasured} not measured"


def _document(bench: Bench, about: list[Target]) -> dict[str, Any]:
    return {
        "python": sys.version,
        "measurements": [
            {
                "row": row,
                "contender": who,
                "unit": measurement.unit,
                "median": measurement.median,
                "spread": measurement.spread,
                "rounds": measurement.rounds,
            }
            for (row, who), measurement in bench.results.items()
        ],
        "targets": [
            {
                "text": target.text,
                "limit": target.limit,
                "measured": None if target.missing(bench.results) else target.measured(bench.results),
                "met": None if target.missing(bench.results) else target.met(bench.results),
            }
            for target in about
        ],
        "notes": bench.notes,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
