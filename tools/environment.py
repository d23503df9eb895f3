"""Set up `.venv`, the packages in it and the extension, each only where it is missing or out of date.

    python3 -m tools.environment [EXTRA ...]

Runs under any Python 3.10 or later without third-party packages. What the machine lacks is named with its Debian
package. Without a compiler or Python's headers the extension is left out and Pyrometer runs interpreted.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tools import tree
from tools.wheel import PIP_INSTALL

EXTRAS = ("dev",)


def main(extras: list[str]) -> int:
    """Bring `.venv` up to date with the extras given, `dev` always among them; return the exit status."""
    venv = tree.ROOT / ".venv"
    python = venv / "bin" / "python"
    if not _runs(python):
        if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
            return _stop(f"this Python cannot make virtual environments: apt-get install {_package('venv')}")
        print(f"creating {venv.name} with {sys.executable}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
    for extra in dict.fromkeys([*EXTRAS, *extras]):
        stamp = tree.Stamp(venv / f"installed-{extra}", tree.installed_from(), str(venv))
        if not stamp.fresh():
            print(f"installing pyrometer[{extra}] into {venv.name}", flush=True)
            command: list[str | Path] = [python, *PIP_INSTALL, "-e", f"{tree.ROOT}[{extra}]"]
            subprocess.run(command, env={**os.environ, "PYROMETER_NO_EXT": "1"}, check=True)
            stamp.set()
    return _extension(python)


def lacking(python: Path) -> list[str]:
    """The Debian packages without which `python` cannot compile an extension here."""
    missing = [] if any(shutil.which(name) for name in _compilers("CXX", "c++", "g++", "clang++")) else ["g++"]
    if not missing and not any(shutil.which(name) for name in _compilers("CC", "cc", "gcc", "clang")):
        missing.append("gcc")
    include = _ask(python, "sysconfig.get_path('include')")
    return missing if (Path(include) / "Python.h").exists() else [*missing, _package("dev")]


def built(python: Path) -> list[Path]:
    """The compiled modules that `python` would load from the source tree."""
    return sorted((tree.ROOT / "src").rglob("*" + _ask(python, "sysconfig.get_config_var('EXT_SUFFIX')")))


def _extension(python: Path) -> int:
    """Compile the extension in place where its source has changed since; leave it out where that cannot be done."""
    modules = built(python)
    stamp = tree.Stamp(
        tree.ROOT / "build" / "extension", tree.core_sources(), _ask(python, "sys.version"), str(tree.ROOT)
    )
    if modules and stamp.fresh():
        return 0
    for path in modules:  # made from an older source: worse than none
        path.unlink()
    missing = lacking(python)
    if missing:
        needed = " ".join(missing)
        print(f"no compiled core, Pyrometer goes on interpreted; for it: apt-get install {needed}", flush=True)
        return 0
    print("compiling the core", flush=True)
    command: list[str | Path] = [python, "setup.py", "--quiet", "build_ext", "--inplace", "--force"]
    variables = {**os.environ, "PYROMETER_REQUIRE_EXT": "1", "CYTHON_FORCE_REGEN": "1"}
    done = subprocess.run(command, cwd=tree.ROOT, env=variables, check=False)
    if done.returncode != 0:
        return _stop("the core does not compile")
    stamp.set()
    return 0


def _ask(python: Path, expression: str) -> str:
    command: list[str | Path] = [python, "-c", f"import sys, sysconfig; print({expression})"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return str(done.stdout.strip())


def _compilers(variable: str, *usual: str) -> list[str]:
    words = [os.environ.get(variable, "").split(), str(sysconfig.get_config_var(variable) or "").split()]
    return [name for word in words for name in word[:1]] + list(usual)


def _package(part: str) -> str:
    """The Debian package of this Python's `venv` or `dev`."""
    debian_own = Path("/usr/bin/python3").resolve() == Path(sys.executable).resolve()
    version = "3" if debian_own else f"{sys.version_info[0]}.{sys.version_info[1]}"
    return f"python{version}-{part}"


def _runs(python: Path) -> bool:
    if not python.exists():
        return False
    return subprocess.run([python, "-c", "import pip"], capture_output=True, check=False).returncode == 0


def _stop(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.CalledProcessError as error:
        sys.exit(_stop(f"{' '.join(map(str, error.cmd))} failed with exit status {error.returncode}"))
    except KeyboardInterrupt:
        sys.exit(_stop("interrupted; the next make goes on from here"))
