"""`make soak`: servers under load for minutes while their workers are killed and reloaded; is everything counted?

python -m tools.soak [--minutes 5] [--only gevent ...]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools.tree import ROOT

sys.path[:0] = [str(ROOT / "tests")]

from servers import wait_until  # noqa: E402 - it lies in the directory named above
from workers.loads import Load, Watch, kill_one  # noqa: E402
from workers.running import Workers, gunicorn  # noqa: E402

from pyrometer._arena_reader import Unreadable, directories, files_in, read_arena  # noqa: E402

KINDS = {
    "sync": ("apps:wsgi", ["--worker-class=sync"]),
    "gthread": ("apps:wsgi", ["--worker-class=gthread", "--threads=4"]),
    "gevent": ("apps:wsgi", ["--worker-class=gevent"]),
    "uvicorn": ("apps:asgi", ["--worker-class=uvicorn_worker.UvicornWorker"]),
}
"""Each worker class of gunicorn: its application and its options."""

WORKERS = 4
PAUSES = (0.05, 0.4)
RELOADS = 0.08  # of all disturbances; the others are kills
SILENCE = 10.0  # seconds within which a page has to come, whatever happens to the workers
GROWTH = 1 << 18  # bytes by which an arena may be larger in the end than when the load had begun
CRASH = re.compile(r".*(?:was sent SIG(?!KILL|TERM|QUIT|INT|HUP)\w+|Fatal Python error|not shared by all).*")


class Phase(NamedTuple):
    """What one kind of server did under load."""

    kind: str
    seconds: float
    asked: int = 0
    answered: int = 0
    counted: float = 0.0
    pages: int = 0
    workers: int = 0
    kills: int = 0
    reloads: int = 0
    memory: tuple[int, int] = (0, 0)  # bytes of the arena early in the phase, and at its end
    wrong: tuple[str, ...] = ()

    def failures(self) -> list[str]:
        """What was not as it has to be."""
        found = list(self.wrong[:5])
        if len(self.wrong) > 5:
            found.append(f"and {len(self.wrong) - 5} more")
        if not self.answered <= self.counted <= self.asked:
            found.append(f"counted {self.counted:,.0f}, expected {self.answered:,} ... {self.asked:,}")
        if not (self.pages and self.answered and self.kills):
            found.append("nothing happened: pages, answers and kills are needed")
        if self.memory[1] > self.memory[0] + GROWTH:
            found.append(f"the arena grew from {self.memory[0]:,} to {self.memory[1]:,} bytes")
        return found

    def __str__(self) -> str:
        before, after = (f"{size / 1e6:.2f}" for size in self.memory)
        return (
            f"{self.kind:8} {self.seconds:5.0f} s  {self.answered:8,} answered  {self.counted:8,.0f} counted  "
            f"{self.asked - self.answered:6,} failed  {self.pages:6,} pages  {self.workers:4,} workers  "
            f"{self.kills:4,} killed  {self.reloads:3,} reloads  arena {before} -> {after} MB  "
            f"{'FAILED' if self.failures() else 'ok'}"
        )


def main(arguments: list[str]) -> int:
    """Run the phases that are asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.soak", description="Kill and reload workers under load.")
    parser.add_argument("--minutes", type=float, default=5.0, help="under load, in all (5)")
    parser.add_argument("--only", action="append", choices=list(KINDS), metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--arena", default="", help="PYROMETER_ARENA for the servers")
    parser.add_argument("--seed", type=int, default=None, help="of the instants and kinds of the disturbances")
    options = parser.parse_args(arguments)
    kinds = list(dict.fromkeys(options.only or KINDS))
    seed = random.randrange(1 << 32) if options.seed is None else options.seed
    variables = {"PYROMETER_ARENA": options.arena} if options.arena else {}
    print(f"soak: {options.minutes:g} minutes over {', '.join(kinds)}; --seed {seed}", flush=True)
    phases = []
    for number, kind in enumerate(kinds):
        phases.append(soak(kind, options.minutes * 60 / len(kinds), random.Random(seed + number), **variables))
        print(phases[-1], flush=True)
        for failure in phases[-1].failures():
            print(f"         {failure}", flush=True)
    failed = sum(1 for phase in phases if phase.failures())
    answered, asked = sum(phase.answered for phase in phases), sum(phase.asked for phase in phases)
    print(
        f"soak: {len(phases)} phases, {answered:,} answered, {sum(phase.counted for phase in phases):,.0f} counted, "
        f"{asked - answered:,} failed requests, {sum(phase.pages for phase in phases):,} pages, "
        f"{sum(phase.kills for phase in phases):,} workers killed, {sum(phase.reloads for phase in phases):,} reloads: "
        + (f"{failed} FAILED" if failed else "ok")
    )
    return 1 if failed else 0


def soak(kind: str, seconds: float, chance: random.Random, **variables: str) -> Phase:
    """One phase. What fails, the start of the server included, is in `wrong`."""
    app, options = KINDS[kind]
    with tempfile.TemporaryDirectory(prefix="pyrometer-soak-") as directory, _failures_of_threads() as raised:
        log = Path(directory) / f"{kind}.log"
        try:
            with gunicorn(log, f"--workers={WORKERS}", *options, app=app, **variables) as server:
                phase = _under_load(server, kind, seconds, chance)
        except Exception as error:
            phase = Phase(kind, seconds, wrong=(f"{type(error).__name__}: {error}",))
        crashes = CRASH.findall(log.read_text(errors="replace")) if log.exists() else []
    return phase._replace(wrong=(*phase.wrong, *raised, *crashes))


def _under_load(server: Workers, kind: str, seconds: float, chance: random.Random) -> Phase:
    kills = reloads = 0
    wrong: list[str] = []
    begun = time.monotonic()
    end = begun + seconds
    pages, page_at = 0, begun
    early = 0
    with Load(server.port, threads=4) as load, Watch(server, load) as watch:
        while (now := time.monotonic()) < end and not wrong:
            time.sleep(chance.uniform(*PAUSES))  # how far apart the disturbances are, nothing is waited for
            if chance.random() < RELOADS:
                os.kill(server.pid, signal.SIGHUP)
                reloads += 1
            else:
                kill_one(server)
                kills += 1
            if watch.pages > pages:
                pages, page_at = watch.pages, now
            elif now - page_at > SILENCE:
                wrong.append(f"no page for {now - page_at:.0f} s")
            if now < begun + max(seconds / 10, 1):
                early = _memory(server) or early
        if not wrong:
            wait_until(lambda: watch.pages > 0, "a scrape is answered")
    totals = {0.0: 0}
    try:
        totals = server.totals(10)
    except AssertionError as error:
        wrong.append(f"{error}; {server.tail(5)}")
    if len(totals) > 1:
        wrong.append(f"scrapes differ in the end: {totals}")
    return Phase(
        kind,
        seconds,
        load.asked,
        load.answered,
        max(totals),
        watch.pages,
        len(load.workers | watch.workers),
        kills,
        reloads,
        (early, _memory(server)),
        (*wrong, *watch.wrong),
    )


def _memory(server: Workers) -> int:
    """Bytes of the arena that the server's workers are attached to; 0 where there is none at this moment."""
    workers = set(server.workers())
    for directory in directories():
        with contextlib.suppress(OSError):
            for file in files_in(directory):
                with contextlib.suppress(OSError, Unreadable):
                    arena = read_arena(file)
                    if workers & {process.pid for process in arena.processes}:
                        return arena.memory
    return 0


@contextlib.contextmanager
def _failures_of_threads() -> Iterator[list[str]]:
    """What ended a thread meanwhile: a page that does not parse, above all."""
    raised: list[str] = []

    def note(failure: threading.ExceptHookArgs) -> None:
        raised.append(f"{failure.exc_type.__name__}: {failure.exc_value}")

    before, threading.excepthook = threading.excepthook, note
    try:
        yield raised
    finally:
        threading.excepthook = before


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
