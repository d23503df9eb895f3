"""What is compiled: the same modules on disk, in the build and in the package, all of them or none."""

from __future__ import annotations

import ast
import importlib
import os
from pathlib import Path

from core.engine import run

from pyrometer import _core

SETUP = Path(__file__).resolve().parents[2] / "setup.py"


def test_hot_modules_are_the_same_everywhere() -> None:
    """The sources on disk, the build's list and the package's list name the same modules in the same order."""
    on_disk = {path.stem for path in Path(_core.__file__).parent.glob("*_cy.py")}
    assert set(_core.HOT_MODULES) == on_disk
    if SETUP.exists():  # not beside the tests of an installed package
        (built,) = [
            ast.literal_eval(line.value)
            for line in ast.parse(SETUP.read_text()).body
            if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "HOT_MODULES"
        ]
        assert built == _core.HOT_MODULES


def test_extension_is_loaded() -> None:
    """Every hot module is compiled unless the interpreted core was asked for, and then none is."""
    asked = os.environ.get("PYROMETER_NO_EXT", "") in ("", "0")
    modules = [importlib.import_module(f"pyrometer._core.{name}") for name in _core.HOT_MODULES]
    compiled = {module.__name__: not str(module.__file__).endswith(".py") for module in modules}
    assert compiled == dict.fromkeys(compiled, asked)
    assert asked == _core.COMPILED


def test_no_ext_variable() -> None:
    """PYROMETER_NO_EXT=1 gives the interpreted core although the extension is there."""
    code = "import pyrometer._core as c, pyrometer._core.series_cy as s; print(c.COMPILED, s.__file__.endswith('.py'))"
    assert run(code, interpreted=True) == "False True\n"
