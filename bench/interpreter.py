"""The Python that measures: one for which every library exists, with an environment of its own."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "bench"
PACKAGES = ("prometheus-client==0.26.*", "promrs==0.0.2")
_WITH_WHEELS = ("3.13", "3.12")
"""The Pythons promrs 0.0.2 has wheels for, the preferred one first."""

_DESCRIBE = (
    "import sys, sysconfig;"
    "print('%d.%d' % sys.version_info[:2] + ('t' if sysconfig.get_config_var('Py_GIL_DISABLED') else ''))"
)


def replace_process(python: str | None, arguments: list[str]) -> None:
    """Goes on in an environment of ``python``, or of a Python that promrs exists for, in the place of this process.

    Returns where this process should measure itself: when it has promrs and no other Python was asked for, or when no
    better Python is on this machine.
    """
    if python is None:
        if importlib.util.find_spec("promrs") is not None:
            return
        found = next(_candidates(), None)
        if found is None:
            print(f"No Python {' or '.join(_WITH_WHEELS)} with venv found: promrs is left out.\n", file=sys.stderr)
            return
        python, version = found
    else:
        described = _describe(python)
        if described is None:
            raise SystemExit(f"--python {python}: no such Python, or it does not start")
        version = described
    executable = _environment(python, version)
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    os.chdir(ROOT)
    sys.stdout.flush()
    os.execve(executable, [str(executable), "-m", "bench", *arguments, "--here"], environment)


def _candidates() -> Iterator[tuple[str, str]]:
    for version in _WITH_WHEELS:
        paths = [sys.executable, shutil.which(f"python{version}")]
        versions = Path.home() / ".pyenv" / "versions"
        paths += sorted(map(str, versions.glob(f"{version}.*/bin/python")), reverse=True)
        for path in paths:
            if path is not None and _describe(path) == version:
                yield path, version


def _describe(python: str) -> str | None:
    try:
        done = subprocess.run([python, "-c", _DESCRIBE], capture_output=True, text=True, timeout=60)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _environment(python: str, version: str) -> Path:
    """An environment with the libraries and Pyrometer built from this tree; built again when the source changed."""
    directory = CACHE / f"python{version}"
    executable = directory / "bin" / "python"
    if not executable.exists():
        print(f"Creating an environment for Python {version} ...", file=sys.stderr)
        subprocess.run([python, "-m", "venv", str(directory)], check=True)
    for package in PACKAGES:
        _install(executable, directory, package, package)
    _install_tree(executable, directory)
    return executable


def _install(executable: Path, directory: Path, package: str, fingerprint: str, *options: str) -> None:
    name = package if "/" not in package else "tree"
    stamp = directory / f"installed-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    if stamp.exists() and stamp.read_text() == fingerprint:
        return
    print(f"Installing {package} ...", file=sys.stderr)
    command = [str(executable), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *options, package]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        stamp.write_text(fingerprint)
        return
    print(f"{package} could not be installed, it is left out:", file=sys.stderr)
    print("\n".join((done.stderr or done.stdout).strip().splitlines()[-8:]), file=sys.stderr)


def _install_tree(executable: Path, directory: Path) -> None:
    """Installs a copy of the tree, so that what building leaves behind does not land in the tree."""
    files = [path for path in sorted((ROOT / "src").rglob("*")) if _is_source(path)]
    files += [path for path in sorted(ROOT.iterdir()) if path.is_file() and not path.name.startswith(".")]
    fingerprint = hashlib.sha256()
    for path in files:
        fingerprint.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    copy = directory / "tree"
    shutil.rmtree(copy, ignore_errors=True)
    for path in files:
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    _install(executable, directory, str(copy), fingerprint.hexdigest(), "--force-reinstall", "--no-deps")


def _is_source(path: Path) -> bool:
    built = path.suffix in (".so", ".pyc") or any(part.endswith(".egg-info") for part in path.parts)
    return path.is_file() and not built
