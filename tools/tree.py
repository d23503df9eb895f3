"""Where things are in the repository, which of them belong to the package, and copies of them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
CORE = ROOT / "src" / "pyrometer" / "_core"
INSTALLED_FROM = ("pyproject.toml", "setup.py")
METADATA = (*INSTALLED_FROM, "MANIFEST.in", "README.md", "LICENSE")
CORE_TESTS = ("tests/core", "tests/test_metrics*.py", "tests/test_registry*.py")
TEST_TREES = ("tests", "tools", "examples", "bench")
GENERATED = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info", ".*_cache", ".hypothesis")


def metadata() -> list[Path]:
    """The files at the top of the repository that decide what is built and installed."""
    return [ROOT / name for name in METADATA if (ROOT / name).exists()]


def installed_from() -> list[Path]:
    """The files that decide which packages and extensions there are."""
    return [ROOT / name for name in INSTALLED_FROM if (ROOT / name).exists()]


def core_tests(root: Path) -> list[str]:
    """The tests that every core has to pass, below the copy of the tests at `root`, relative to it."""
    found = (path for pattern in CORE_TESTS for path in sorted(root.glob(pattern)))
    return [str(path.relative_to(root)) for path in found]


def core_sources() -> list[Path]:
    """The files that the extension is built from."""
    kinds = ("*.py", "*.pxd", "*.h", "*.cpp", "*.c")
    found = [path for kind in kinds for path in CORE.glob(kind)]
    return sorted(found) + installed_from()


def package_sources() -> list[Path]:
    """The files that a wheel is built from."""
    found = (path for path in (ROOT / "src" / "pyrometer").rglob("*") if path.is_file())
    return sorted(path for path in found if path.suffix not in {".so", ".pyc"}) + metadata()


class Stamp:
    """A file that says what something was made from, so that it is made again only when that has changed."""

    def __init__(self, path: Path, sources: Iterable[Path], *also: str) -> None:
        self.path = path
        digest = hashlib.sha256()
        for word in also:
            digest.update(word.encode() + b"\0")
        for source in sources:
            content = source.read_bytes()
            digest.update(f"{source.relative_to(ROOT)} {len(content)}\n".encode() + content)
        self._now = digest.hexdigest()

    def fresh(self) -> bool:
        """Whether what the stamp stands for was made from the present sources."""
        return self.path.exists() and self.path.read_text() == self._now

    def set(self) -> None:
        """Say that it has now been made from them."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(self._now)


@contextlib.contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Let one process at a time, the one in the block, fill `directory`, which is made if need be; the others wait."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def copy_package(into: Path) -> Path:
    """Copy what a wheel is built from, without anything already built, into `into`; return it."""
    into.mkdir(parents=True, exist_ok=True)
    for path in metadata():
        shutil.copy2(path, into)
    shutil.copytree(ROOT / "src", into / "src", ignore=GENERATED)
    return into


def copy_tests(into: Path) -> Path:
    """Copy the tests and what they use, but not the package, into `into`; return it."""
    into.mkdir(parents=True, exist_ok=True)
    shutil.copy2(ROOT / "pyproject.toml", into)
    for name in TEST_TREES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, into / name, ignore=GENERATED)
    return into
