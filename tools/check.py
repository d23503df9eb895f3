"""`make test`, `make lint` and `make test-all`: every check there is, and the totals of all of them in the last line.

python -m tools.check lint | test | all
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tools import environment, tree, wheel
from tools.totals import Totals

PYTHON = Path(sys.executable)
WORKERS = "tests/workers"
TYPED = ("src", "tests", "tools", "examples", "bench")
OTHER_PYTHONS = ("python3.10", "python3.11", "python3.12", "python3.13", "python3.14")


def main(what: str) -> int:
    """Run the checks that `what` names; return the exit status."""
    plan: dict[str, list[Callable[[Totals], None]]] = {
        "lint": [lint],
        "test": [lint, whole_suite, interpreted_core, built_wheel],
        "all": [lint, whole_suite, interpreted_core, built_wheel, other_pythons],
    }
    totals = Totals()
    for step in plan[what]:
        step(totals)
    if what == "lint":
        return int(totals.failed > 0)
    totals.print()
    return totals.exit_code(strict=os.environ.get("CI") == "true")


def lint(totals: Totals) -> None:
    """Style, formatting, types and the order of the floors."""
    typed = [name for name in TYPED if any((tree.ROOT / name).rglob("*.py"))]
    for name, program, *arguments in [
        ("style", "ruff", "check", "."),
        ("formatting", "ruff", "format", "--check", "."),
        ("types", "mypy", "--strict", *typed),
        ("floors", "lint-imports"),
    ]:
        totals.check(name, [PYTHON.parent / program, *arguments], cwd=tree.ROOT)


def whole_suite(totals: Totals) -> None:
    """Every test, with the compiled core where there is one; those of several processes in a run of their own."""
    core = "compiled" if environment.built(PYTHON) else "interpreted"
    if core == "interpreted":
        needed = " ".join(environment.lacking(PYTHON))
        totals.leave_out("the compiled core", f"it could not be built here; apt-get install {needed}")
    rest = [f"--core={core}", f"--ignore={WORKERS}", "tests"]
    totals.pytest(f"one process, {core} core", PYTHON, rest, cwd=tree.ROOT)
    totals.pytest(f"several processes, {core} core", PYTHON, [f"--core={core}", WORKERS], cwd=tree.ROOT)


def interpreted_core(totals: Totals) -> None:
    """The tests of the core again, without the extension, and those of several processes that need not share."""
    arguments = ["--core=interpreted", *tree.core_tests(tree.ROOT), WORKERS]
    totals.pytest("core, interpreted", PYTHON, arguments, cwd=tree.ROOT)


def built_wheel(totals: Totals) -> None:
    """The tests that need no server, against the wheel, where the source is out of reach."""
    _against_wheel(totals, "wheel", PYTHON)


def other_pythons(totals: Totals) -> None:
    """The same with every other Python found on PATH or under pyenv."""
    for name, python in _other_pythons().items():
        _against_wheel(totals, f"wheel, {name}", python)


def _against_wheel(totals: Totals, name: str, base: Path) -> None:
    missing = environment.lacking(base)
    if missing:
        totals.leave_out(name, f"no wheel can be built here; apt-get install {' '.join(missing)}")
        return
    with tempfile.TemporaryDirectory(prefix="pyrometer-outside-") as directory:
        outside = Path(directory)
        print(f"\n== {name}: building and installing", flush=True)
        try:
            python = wheel.installed(base, outside / "venv")
        except subprocess.CalledProcessError as error:
            totals.fail(name, f"{' '.join(map(str, error.cmd))}: exit status {error.returncode}")
            return
        tests = tree.copy_tests(outside / "tree")
        variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        arguments = ["--core=compiled", "-m", "not server and not tree", "tests"]
        totals.pytest(name, python, arguments, cwd=tests, env=variables)


def _other_pythons() -> dict[str, Path]:
    """Interpreters of other versions than this one: their version and path."""
    found: dict[str, Path] = {}
    pyenv = sorted(Path.home().glob(".pyenv/versions/*/bin/python3.[0-9]*"))
    for candidate in [*map(shutil.which, OTHER_PYTHONS), *map(str, pyenv)]:
        if candidate is None or Path(candidate).name not in OTHER_PYTHONS:
            continue
        ask = "import sys, venv, ensurepip; print(sys.version.split()[0], sys.executable)"
        done = subprocess.run([candidate, "-c", ask], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            version, path = done.stdout.split(maxsplit=1)
            if not version.startswith(f"{sys.version_info[0]}.{sys.version_info[1]}."):
                found.setdefault(version.rpartition(".")[0], Path(path.strip()))
    return found


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
