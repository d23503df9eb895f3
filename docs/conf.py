"""How the documentation is built: `make docs`."""

from __future__ import annotations

import re
from pathlib import Path

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
autodoc_typehints = "description"

html_theme = "furo"
html_title = f"Pyrometer {release}"
html_show_sourcelink = False
nitpicky = False
