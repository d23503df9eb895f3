"""The wheel as users get it: built from the source distribution, from a copy of the tree, and installed elsewhere."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from tools import tree

PIP_INSTALL = ("-m", "pip", "install", "-qq", "--disable-pip-version-check", "--prefer-binary")


def installed(base: str | Path, venv: Path) -> Path:
    """Install Pyrometer's wheel, with the extension, and what its tests need into `venv`; return its interpreter.

    The virtual environment `venv` is made by the interpreter `base` where it is not there yet, and the wheel is built
    in it. Raises subprocess.CalledProcessError where a step fails.
    """
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([base, "-m", "venv", venv], check=True)
    subprocess.run([python, *PIP_INSTALL, "build"], check=True)
    with tempfile.TemporaryDirectory(prefix="pyrometer-wheel-") as directory:
        wheel = build(python, Path(directory))
        subprocess.run([python, *PIP_INSTALL, "--force-reinstall", "--no-deps", wheel], check=True)
        subprocess.run([python, *PIP_INSTALL, f"pyrometer[test] @ {wheel.as_uri()}"], check=True)
    return python


def build(python: Path, into: Path) -> Path:
    """Build the source distribution, and from it the wheel with the extension, into `into`; return the wheel.

    `python` is an interpreter that has the package `build`. Raises subprocess.CalledProcessError where the build fails.
    """
    variables = {**os.environ, "PYROMETER_REQUIRE_EXT": "1"}
    variables.pop("PYROMETER_NO_EXT", None)
    with tempfile.TemporaryDirectory(prefix="pyrometer-source-") as directory:
        source = tree.copy_package(Path(directory) / "pyrometer")
        command: list[str | Path] = [python, "-m", "build", "--outdir", into, source]
        done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        print(done.stdout)
        done.check_returncode()
    (wheel,) = into.glob("pyrometer-*.whl")
    return wheel
