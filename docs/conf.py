"""How the documentation is built: `make docs`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))
from docstrings import converted

project = "Pyrometer"
author = "the Pyrometer authors"
copyright = author
_pyproject = (Path(__file__).parent.parent / "pyproject.toml").read_text()
_found = re.search(r'^version = "(.+)"$', _pyproject, re.M)
assert _found is not None, "pyproject.toml has no version"
release = version = _found[1]

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = f"Pyrometer {release}"
html_show_sourcelink = False


def _convert(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    lines[:] = converted(lines)


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", _convert)
