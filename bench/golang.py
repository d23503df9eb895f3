"""client_golang, measured by a Go program that takes its turns through a pipe."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure import Contender

NAME = "client_golang"
_SOURCE = Path(__file__).parent / "go" / "main.go"
_DEBIAN_GOPATH = "/usr/share/gocode"
_IMPORT = "github.com/prometheus/client_golang"


@dataclass
class Program:
    """A running Go program; it does nothing between two requests."""

    command: list[str]
    version: str
    process: subprocess.Popen[str] = field(init=False)
    lines: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, name: str, count: int) -> float:
        """Does ``name`` so many times; returns nanoseconds (or what else the action answers) in all."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{name} {count}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if len(answer) != 2 or answer[0] == "unknown":
            raise RuntimeError(f"{NAME} program was asked for {name!r} and answered {' '.join(answer)!r}")
        self.lines[name] = int(answer[1])
        return float(answer[0])

    def contender(self, name: str, least: int = 1) -> Contender:
        """An action to time. Nothing is taken off: an empty loop of Go's costs a fraction of a nanosecond."""
        return Contender(lambda count: self.do(name, count), least=least)

    def again(self) -> Program:
        """A fresh process of the same program."""
        return Program(self.command, self.version)

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


def start(cache: Path, counters: int, histograms: int) -> Program | str:
    """Builds and starts the program, with pages of so many series; where that is impossible, says why."""
    go = shutil.which("go")
    if go is None:
        return "Go is not installed (Debian: golang-go golang-github-prometheus-client-golang-dev)"
    paths = [path for path in os.environ.get("GOPATH", "").split(os.pathsep) if path]
    paths.append(_DEBIAN_GOPATH)
    if not any((Path(path) / "src" / _IMPORT).is_dir() for path in paths):
        return f"no source of {_IMPORT} in {':'.join(paths)} (Debian: golang-github-prometheus-client-golang-dev)"
    target = (cache / "go" / "bench").absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "GOPATH": os.pathsep.join(paths),
        "GOCACHE": str(target.parent / "build"),
        "GO111MODULE": "off",
        "GOFLAGS": "",
    }
    if not target.exists() or target.stat().st_mtime < _SOURCE.stat().st_mtime:
        built = subprocess.run(
            [go, "build", "-o", str(target), str(_SOURCE)], env=environment, capture_output=True, text=True
        )
        if built.returncode:
            return f"the Go program does not build: {built.stderr.strip().splitlines()[-1]}"
    return Program([str(target), str(counters), str(histograms)], _version(go))


def _version(go: str) -> str:
    compiler = subprocess.run([go, "version"], capture_output=True, text=True).stdout.split()
    described = f"{compiler[2]}" if len(compiler) > 2 else "unknown Go"
    if shutil.which("dpkg-query"):
        package = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", "golang-github-prometheus-client-golang-dev"],
            capture_output=True,
            text=True,
        )
        if package.returncode == 0:
            return f"{package.stdout}, {described}"
    return described
