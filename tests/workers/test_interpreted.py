"""Without the compiled core nothing is shared: each process counts for itself, and says so once where that matters."""

from __future__ import annotations

from pathlib import Path

import pytest
from workers.puppets import Puppet, run

INTERPRETED = {"PYROMETER_NO_EXT": "1"}
SAID = "metrics are not shared by all processes as they should be: the compiled core is missing"


@pytest.mark.parametrize("variable", ["PYROMETER_ARENA", "PROMETHEUS_MULTIPROC_DIR"])
def test_said_once_where_a_place_is_given(variable: str, tmp_path: Path) -> None:
    """Programs that were told where to meet each say once that they do not, and count for themselves."""
    variables = {**INTERPRETED, variable: str(tmp_path / "place")}
    with Puppet(tmp_path, **variables) as one, Puppet(tmp_path, **variables) as two:
        assert [one.ask("views.labels('p').inc(3) or total()"), two.ask("views.labels('p').inc(4) or total()")] == [
            3,
            4,
        ]
        for each in (one, two):
            each.ask("pyrometer.Gauge('more', 'More').set(1)")
            each.ask(f"pyrometer.join({str(tmp_path / 'place')!r})")
            assert each.ask("total('more')") == 1
            assert each.stderr.count(SAID) == each.stderr.count("\n") == 1, each.stderr
    assert not (tmp_path / "place").exists()


def test_said_once_by_who_joins(tmp_path: Path) -> None:
    """A program that joins a place in code says once that it does not."""
    with Puppet(tmp_path, **INTERPRETED) as one:
        assert one.ask("views.labels('p').inc(3) or total()") == 3
        assert one.stderr == ""
        for place in ("place", "another"):
            one.ask(f"pyrometer.join({str(tmp_path / place)!r})")
        assert one.ask("total()") == 3
        assert one.stderr.count(SAID) == one.stderr.count("\n") == 1, one.stderr


@pytest.mark.parametrize("variables", [{}, {"PYROMETER_ARENA": "off"}], ids=["", "off"])
def test_quiet_where_nobody_misses_it(variables: dict[str, str], tmp_path: Path) -> None:
    """A program of one process says nothing, and neither does one that was told not to share."""
    with Puppet(tmp_path, **INTERPRETED, **variables) as one:
        assert one.ask("views.labels('p').inc(3) or total()") == 3
        assert one.stderr == ""


CHILDREN = """
import logging, multiprocessing, sys
import pyrometer
from apps import views
from workers.pages import value

said = []
class Log(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())
logging.getLogger("pyrometer").addHandler(Log())
logging.getLogger("pyrometer").propagate = False

def total():
    return value(pyrometer.generate_latest().decode())

def work(pipe):
    pyrometer.Counter("more", "More").inc()
    views.labels("p").inc(10)
    pipe.send([total(), total(), len(said)])

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    views.labels("p").inc(1)
    children = []
    for _ in range(2):
        here, there = context.Pipe()
        process = context.Process(target=work, args=(there,))
        process.start()
        children.append(here.recv())
        process.join()
    print((children, total()))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing(method: str, tmp_path: Path) -> None:
    """Each of them says once that it counts for itself; what they count, their parent does not see."""
    begins = 1 if method == "fork" else 0
    children, total = run(tmp_path, CHILDREN, method, PYROMETER_NO_EXT="1")
    assert children == [[begins + 10, begins + 10, 1]] * 2
    assert total == 1
