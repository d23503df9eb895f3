"""`make nogil`: a free-threaded CPython 3.13 from Debian's source package, and the core's tests on it.

The interpreter is built once, below `.cache/nogil`, and kept. Pyrometer is built and installed into a virtual
environment of its own beside it, whenever its source has changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import tree, wheel
from tools.debian import Suite
from tools.totals import Totals

SUITE = "trixie"
PACKAGE = "python3.13"
HEADERS = {"zlib.h": "zlib1g-dev", "openssl/ssl.h": "libssl-dev", "ffi.h": "libffi-dev"}
PROGRAMS = {"cc": "gcc", "g++": "g++", "make": "make", "tar": "tar", "xz": "xz-utils"}
HOME = tree.CACHE / "nogil"


def main() -> int:
    """Build what is missing, run the threads and the tests; return the exit status."""
    python = interpreter()
    venv = environment(python)
    variables = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYROMETER_"))}
    with tempfile.TemporaryDirectory(prefix="pyrometer-nogil-") as directory:
        tests = tree.copy_tests(Path(directory))
        totals = Totals()
        totals.check("free-threaded, eight threads", [venv, "-m", "tools.free_threaded"], cwd=tests, env=variables)
        totals.pytest(
            "core, free-threaded", venv, ["--core=compiled", *tree.core_tests(tests)], cwd=tests, env=variables
        )
    totals.print()
    return totals.exit_code()


def interpreter() -> Path:
    """The path of the free-threaded interpreter, built first where it is not there yet."""
    built = HOME / "python" / "bin" / "python3.13t"
    with tree.alone(HOME):
        if not (HOME / "built").exists():
            _build(HOME / "python")
            (HOME / "built").touch()
    return built


def environment(python: Path) -> Path:
    """The interpreter of a virtual environment of `python` with Pyrometer, from the present source, and test tools."""
    venv = HOME / "venv"
    with tree.alone(HOME):
        stamp = tree.Stamp(venv / "installed", tree.package_sources())
        if not stamp.fresh():
            wheel.installed(python, venv)
            stamp.set()
    return venv / "bin" / "python"


def _build(prefix: Path) -> None:
    _require()
    archive = Suite(SUITE, tree.CACHE).source(PACKAGE, HOME / "source")
    build = HOME / "build"
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir(parents=True)
    subprocess.run(["tar", "-xf", archive, "-C", build], check=True)
    (source,) = build.iterdir()
    log = HOME / "build.log"
    print(f"building a free-threaded CPython from {archive.name}: about four minutes, once (log: {log})", flush=True)
    jobs = str(len(os.sched_getaffinity(0)))
    steps = [
        [
            "./configure",
            "--quiet",
            "--disable-gil",
            "--disable-test-modules",
            "--with-ensurepip=no",
            f"--prefix={prefix}",
        ],
        ["make", "-s", "-j", jobs],
        ["make", "-s", "altinstall"],
    ]
    with log.open("w") as output:
        for step in steps:
            done = subprocess.run(
                ["nice", *step], cwd=source, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
            )
            if done.returncode != 0:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
                sys.exit(f"{' '.join(step)} failed; the end of {log}:\n{tail}")
    shutil.rmtree(build)
    shutil.rmtree(archive.parent)


def _require() -> None:
    """Stop with the Debian packages to install where a program or header that the build needs is missing."""
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if "gcc" not in missing:
        missing += [package for header, package in HEADERS.items() if not _compiles(header)]
    if missing:
        sys.exit(f"to build a free-threaded Python, install first: apt-get install {' '.join(missing)}")


def _compiles(header: str) -> bool:
    done = subprocess.run(["cc", "-E", "-"], input=f"#include <{header}>\n".encode(), capture_output=True, check=False)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
