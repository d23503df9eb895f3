"""What deployments of `prometheus_client` with several processes have goes on working, and right."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import wait_until
from workers.loads import view
from workers.pages import value
from workers.puppets import Puppet
from workers.running import Workers, gunicorn

from pyrometer.multiprocess import MultiProcessCollector

Serve = Callable[..., Workers]
Start = Callable[..., Puppet]
Run = Callable[..., Any]

HOOK = """
from pyrometer import multiprocess

def child_exit(server, worker):
    multiprocess.mark_process_dead(worker.pid)
    print("marked", worker.pid, flush=True)
"""


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
@pytest.mark.parametrize("directory", [True, False], ids=["PROMETHEUS_MULTIPROC_DIR", "no directory"])
def test_the_usual_recipe_under_gunicorn(directory: bool, preload: list[str], serve: Serve, tmp_path: Path) -> None:
    """A registry for each scrape, a collector in it, a hook in gunicorn.conf.py: every page has the exact totals.

    They stay when a worker is killed and when all are replaced, and so does what living workers have, of those alone.
    """
    (tmp_path / "gunicorn.conf.py").write_text(HOOK)
    (tmp_path / "multiproc").mkdir()
    variables = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "multiproc")} if directory else {}
    server = serve(gunicorn, "--workers=3", *preload, app="recipe:app", **variables)
    first = server.wait_for_workers(3)
    assert len(view(server, 1_000).workers) > 1
    assert server.totals(20) == {1_000: 20}
    page = server.scrape().body
    assert (value(page, "took_seconds_count"), value(page, "took_seconds_sum")) == (1_000, 750)
    assert value(page, "took_seconds_bucket", le="0.5") == 0
    assert value(page, "living") == 3
    types = [line for line in page.splitlines() if line.startswith("# TYPE ")]
    assert len(types) == len(set(types)) and "# TYPE view_total counter" in types

    killed = min(first)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: f"marked {killed}\n" in server.log.read_text(), "gunicorn calls its hook")
    assert value(server.scrape().body, "living") == 2
    assert server.totals(10) == {1_000: 10}
    server.wait_for_workers(1, without=first)
    assert value(server.scrape().body, "living") == 3

    before = set(server.workers())
    os.kill(server.pid, signal.SIGHUP)
    wait_until(lambda: not before & set(server.workers()), "the workers from before the reload end")
    view(server, 500)
    assert server.totals(20) == {1_500: 20}
    assert "Traceback" not in server.log.read_text()


COLLECT = """
from pyrometer import REGISTRY, CollectorRegistry, Gauge, multiprocess
def shown(*path, name="view_total", **labels):
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, *path)
    return value(pyrometer.generate_latest(registry).decode(), name, **labels)
"""


def test_a_path(puppet: Start, tmp_path: Path) -> None:
    """Programs whose collectors have one path count together from then on, what they counted before included."""
    path = str(tmp_path / "multiproc")
    one, two = puppet(COLLECT), puppet(COLLECT)
    assert [each.ask("views.labels('p').inc(3) or total()") for each in (one, two)] == [3, 3]
    assert [each.ask(f"shown({path!r})") for each in (one, two)] == [3, 6]
    assert [each.ask("views.labels('q').inc(10) or total()") for each in (one, two)] == [16, 26]
    assert [each.ask(f"shown({path!r})") for each in (one, two)] == [26, 26]
    assert [each.ask("shown(product='q')") for each in (one, two)] == [20, 20]
    assert one.stderr == two.stderr == ""


def test_a_path_as_an_object(run: Run, tmp_path: Path) -> None:
    """A path may be a pathlib.Path, and the place is where PROMETHEUS_MULTIPROC_DIR would have it."""
    program = """
import pathlib, subprocess, sys, os
from pyrometer import CollectorRegistry, generate_latest, multiprocess
from apps import views
from workers.pages import value
registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry, pathlib.Path(sys.argv[1]))
views.labels("p").inc(3)
other = "from apps import views; views.labels('p').inc(4)"
subprocess.run([sys.executable, "-c", other], env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": sys.argv[1]}, check=True)
print(value(generate_latest(registry).decode()))
"""
    assert run(program, str(tmp_path / "multiproc")) == 7


def test_in_the_default_registry(puppet: Start) -> None:
    """A collector in REGISTRY itself, even two, changes nothing: it shows each family once, and its value once."""
    one = puppet(COLLECT)
    one.ask("views.labels('p').inc(3)")
    one.ask("[multiprocess.MultiProcessCollector(REGISTRY) for _ in range(2)] and None")
    assert one.ask("total()") == 3
    assert one.ask("pyrometer.generate_latest().decode().count('# TYPE view_total')") == 1
    assert one.ask("[shown(), shown()]") == [3, 3]


def test_registries_that_come_and_go(puppet: Start) -> None:
    """A registry for each scrape leaves no descriptor, no mapping and no object behind."""
    one = puppet(COLLECT + "import gc\n")
    one.ask("views.labels('p').inc(3)")
    held = "(len(os.listdir('/proc/self/fd')), len(open('/proc/self/maps').readlines()), gc.collect() and 0, "
    held += "sum(isinstance(each, CollectorRegistry) for each in gc.get_objects()))"
    one.ask("[shown() for _ in range(20)]")
    before = one.ask(held)
    assert one.ask("set(shown() for _ in range(300))") == {3}
    after = one.ask(held)
    assert after[0] == before[0] and after[3] == before[3]
    assert after[1] < before[1] + 50


@pytest.mark.parametrize("variable", ["PROMETHEUS_MULTIPROC_DIR", "PYROMETER_ARENA", None])
def test_in_forks(variable: str | None, run: Run, tmp_path: Path) -> None:
    """A fork that ends, whether it is marked as dead or not, leaves what it counted, and nothing of livesum."""
    program = """
import os, signal
from pyrometer import CollectorRegistry, Gauge, generate_latest, multiprocess
from apps import views
from workers.pages import value
living = Gauge("living", "Living", multiprocess_mode="livesum")
def shown(name="view_total"):
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return value(generate_latest(registry).decode(), name)
living.set(1)
seen = []
for mark in (True, False):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        views.labels("p").inc(10)
        living.set(1)
        os.write(writing, repr((shown(), shown("living"))).encode())
        signal.pause()
    seen.append(eval(os.read(reading, 100)))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    if mark:
        multiprocess.mark_process_dead(pid)
    seen.append((shown(), shown("living")))
print(seen)
"""
    variables = {variable: str(tmp_path / "place")} if variable else {}
    assert run(program, **variables) == [(10, 2), (10, 1), (20, 2), (20, 1)]


def test_marking_the_living(puppet: Start) -> None:
    """To mark a process that lives, one that never was, or one of a path, takes nothing from anybody."""
    one = puppet(COLLECT + "living = Gauge('living', 'Living', multiprocess_mode='livesum')\n")
    one.ask("multiprocess.mark_process_dead(2**22 - 1)")
    one.ask("living.set(5) or views.labels('p').inc(3)")
    one.ask("multiprocess.mark_process_dead(os.getpid()) or multiprocess.mark_process_dead(1, path='/nowhere')")
    assert one.ask("[shown(), shown(name='living')]") == [3, 5]


def test_what_is_no_registry() -> None:
    """It is a TypeError that says so."""
    for wrong in (None, "registry"):
        with pytest.raises(TypeError, match="MultiProcessCollector: registry must be a CollectorRegistry, got"):
            MultiProcessCollector(wrong)  # type: ignore[arg-type]


def test_a_path_that_cannot_be_had(puppet: Start, tmp_path: Path) -> None:
    """A path at which there is a file is an OSError that names it, and the program counts on where it was."""
    (tmp_path / "file").touch()
    one = puppet(
        COLLECT
        + """
def refused(path):
    try:
        shown(path)
    except OSError as error:
        return str(error)
"""
    )
    one.ask("views.labels('p').inc(3)")
    assert str(tmp_path / "file") in one.ask(f"refused({str(tmp_path / 'file')!r})")
    assert one.ask("views.labels('p').inc(3) or shown()") == 6
