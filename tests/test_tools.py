"""The scripts behind the make targets count, find and remember what they should."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import tree
from tools.debian import DebianError, mirror
from tools.totals import Totals

PYTHON = Path(sys.executable)
MIXED = """
import pytest

def test_passes(): pass
def test_fails(): assert False
def test_is_skipped(): pytest.skip("not today")
def test_has_no_server(): pytest.skip("NOT RUN: no server")
@pytest.fixture
def broken(): raise OSError
def test_has_a_broken_fixture(broken): pass
"""


def run(tmp_path: Path, source: str) -> Totals:
    """The totals of one run of pytest over a file of this source, apart from this repository's settings."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(source)
    totals = Totals()
    totals.pytest("it", PYTHON, ["test_it.py"], cwd=tmp_path)
    return totals


def test_totals_sum_what_passed_failed_and_was_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last line has the sums over all runs, after a line that counts what was not run."""
    totals = run(tmp_path, MIXED)
    totals.pytest("again", PYTHON, ["test_it.py"], cwd=tmp_path)
    totals.print()
    assert capsys.readouterr().out.splitlines()[-2:] == ["NOT RUN: 2", "2 passed, 4 failed, 4 skipped"]
    assert totals.exit_code() == 1


def test_what_was_not_run_fails_where_strict(tmp_path: Path) -> None:
    """A test without its server is no failure, except where strictness is asked for."""
    totals = run(tmp_path, "def test_passes(): pass\n")
    totals.leave_out("a server", "there is none")
    assert (totals.exit_code(), totals.exit_code(strict=True)) == (0, 1)


@pytest.mark.parametrize("source", ["import os\ndef test_dies(): os.abort()\n", "import nothing_like_it\n", ""])
def test_a_run_without_a_complete_report_is_a_failure(tmp_path: Path, source: str) -> None:
    """A crash, a file that cannot be imported, and a run without tests each count as a failure."""
    assert run(tmp_path, source).failed == 1


def test_a_run_of_nothing_is_no_success() -> None:
    """Where no test passed the exit status is not 0."""
    assert Totals().exit_code() == 1


def test_a_failed_check_counts(tmp_path: Path) -> None:
    """A linter that fails adds one failure, one that succeeds adds nothing."""
    totals = Totals()
    assert totals.check("good", [PYTHON, "-c", ""], cwd=tmp_path)
    assert not totals.check("bad", [PYTHON, "-c", "raise SystemExit(3)"], cwd=tmp_path)
    assert (totals.passed, totals.failed) == (0, 1)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("sources.list", "deb http://mirror.example/debian bookworm main\n", "http://mirror.example/debian"),
        ("sources.list", "deb [arch=amd64] https://mirror.example/debian/ sid main\n", "https://mirror.example/debian"),
        ("sources.list.d/debian.sources", "Types: deb\nURIs: http://one.example/debian\n", "http://one.example/debian"),
    ],
)
def test_mirror_is_the_one_that_apt_uses(tmp_path: Path, name: str, text: str, expected: str) -> None:
    """The Debian mirror is read from apt's sources in both of their forms."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    assert mirror(tmp_path) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sources.list", "# deb http://mirror.example/debian sid main\n"),
        ("sources.list.d/other.list", "deb http://other.example/ubuntu noble main\n"),
        ("sources.list.d/debian.save", "deb http://old.example/debian sid main\n"),
    ],
)
def test_no_mirror_of_debian(tmp_path: Path, name: str, text: str) -> None:
    """Where apt uses no mirror of Debian, that is said."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    with pytest.raises(DebianError, match="names no mirror of Debian"):
        mirror(tmp_path)


def test_a_stamp_is_fresh_until_a_source_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made from files is made again when one of them has other content, and only then."""
    monkeypatch.setattr(tree, "ROOT", tmp_path)
    source, path = tmp_path / "source", tmp_path / "made" / "stamp"
    source.write_text("one")
    stamp = tree.Stamp(path, [source])
    assert not stamp.fresh()
    stamp.set()
    source.touch()
    assert tree.Stamp(path, [source]).fresh()
    source.write_text("two")
    assert not tree.Stamp(path, [source]).fresh()
    assert not tree.Stamp(path, [source], "another interpreter").fresh()


@pytest.mark.tree
@pytest.mark.parametrize("required", [False, True])
def test_build_without_a_compiler(tmp_path: Path, required: bool) -> None:
    """Where nothing can be compiled the build goes on without the extensions, unless they are required."""
    for source in tree.package_sources():
        target = tmp_path / source.relative_to(tree.ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    variables = {**os.environ, "CC": "false", "CXX": "false", "PYROMETER_REQUIRE_EXT": str(int(required))}
    variables.pop("PYROMETER_NO_EXT", None)
    command = [str(PYTHON), "setup.py", "-q", "build_ext", "--inplace"]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) is required, done.stderr
    assert not list(tmp_path.rglob("*.so"))
