"""Debian packages of another suite than the machine's own, fetched and unpacked without root.

apt is given a configuration, package lists and a cache of its own below the cache directory; nothing is installed and
nothing of the system's changes. Signatures are checked against the machine's Debian keyring as usual.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
APT_TIMEOUT = 600


class DebianError(Exception):
    """A package could not be fetched or unpacked; the message says which and why."""


def mirror(etc_apt: Path = Path("/etc/apt")) -> str:
    """The Debian mirror the machine's apt uses; DebianError where it uses none."""
    for path in [etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*"))]:
        if path.suffix not in {".list", ".sources"} or not path.is_file():
            continue
        for line in path.read_text(errors="replace").splitlines():
            for uri in re.findall(r"(?:https?|file|mirror\+\w+)://?\S+", line.partition("#")[0]):
                if urlsplit(uri).path.rstrip("/").endswith("/debian"):
                    return str(uri).rstrip("/")
    raise DebianError(f"the apt of this machine names no mirror of Debian in {etc_apt}")


class Suite:
    """One suite (`sid`, `trixie`) of the Debian archive, seen through a private apt below `directory`."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.directory = directory.absolute() / "apt" / name
        self._updated = False

    def download(self, packages: list[str], into: Path) -> list[Path]:
        """Fetch the binary packages into the directory `into`; return the files, in the packages' order."""
        into.mkdir(parents=True, exist_ok=True)
        self._update()
        self._apt("download", *packages, cwd=into)
        return [_newest(into, f"{package}_*.deb") for package in packages]

    def source(self, package: str, into: Path) -> Path:
        """Fetch the source package into the directory `into`; return its upstream archive (`*.orig.tar.xz`)."""
        into.mkdir(parents=True, exist_ok=True)
        self._update()
        self._apt("source", "--download-only", package, cwd=into)
        return _newest(into, f"{package}_*.orig.tar.[gx]z")

    def _update(self) -> None:
        if self._updated:
            return
        for part in ("lists/partial", "cache/archives/partial", "state"):
            (self.directory / part).mkdir(parents=True, exist_ok=True)
        (self.directory / "status").touch()
        signed = f"signed-by={KEYRING}" if KEYRING.is_file() else ""
        lines = [f"{kind} [{signed}] {mirror()} {self.name} main\n".replace("[] ", "") for kind in ("deb", "deb-src")]
        (self.directory / "sources.list").write_text("".join(lines))
        self._apt("update")
        self._updated = True

    def _apt(self, *arguments: str, cwd: Path | None = None) -> None:
        if shutil.which("apt-get") is None:
            raise DebianError(f"apt-get is not on this machine: packages of Debian {self.name} cannot be fetched")
        options = {
            "Dir::Etc::SourceList": self.directory / "sources.list",
            "Dir::Etc::SourceParts": "-",
            "Dir::State": self.directory / "state",
            "Dir::State::Lists": self.directory / "lists",
            "Dir::State::Status": self.directory / "status",
            "Dir::Cache": self.directory / "cache",
            "Acquire::Languages": "none",
            "APT::Update::Error-Mode": "any",
            "APT::Sandbox::User": "root",
            "APT::Get::Assume-Yes": "true",
        }
        settings = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        command = ["apt-get", "-q", *settings, *arguments]
        try:
            done = subprocess.run(
                command, cwd=cwd, capture_output=True, text=True, errors="replace", timeout=APT_TIMEOUT,
                stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise DebianError(f"apt-get {' '.join(arguments)}: no answer within {APT_TIMEOUT} s") from None
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip())[-1500:]
            raise DebianError(f"apt-get {' '.join(arguments)} (Debian {self.name}, {mirror()}) failed: {said}")


def unpack(package: Path, into: Path) -> None:
    """Lay the files of `package` below the directory `into`, made if need be; run none of its scripts."""
    into.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["dpkg", "-x", package, into], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DebianError(f"dpkg -x {package} failed: {done.stderr.strip()}")


def _newest(directory: Path, pattern: str) -> Path:
    found = sorted(directory.glob(pattern), key=lambda path: path.stat().st_mtime)
    if not found:
        raise DebianError(f"no {pattern} in {directory} after apt had fetched it")
    return found[-1]
