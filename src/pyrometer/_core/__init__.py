"""The engine: cells, series, and the loop that writes pages. It knows no HTTP and no text format.

The hot modules are the same source compiled or interpreted. `COMPILED` says which of them runs; `PYROMETER_NO_EXT=1`
asks for the interpreted one.
"""

from __future__ import annotations

import os

HOT_MODULES = (
    "text_cy",
    "memory_cy",
    "chunks_cy",
    "record_cy",
    "notes_cy",
    "slots_cy",
    "header_cy",
    "table_cy",
    "attached_cy",
    "arena_cy",
    "series_cy",
    "family_cy",
    "parts_cy",
    "metric_cy",
    "children_cy",
    "snapshot_cy",
    "render_cy",
)
"""The modules that are compiled, in the order in which they import one another."""


def _interpret() -> None:
    """Load the sources of the hot modules although extensions lie beside them."""
    import importlib.util
    import sys
    from pathlib import Path

    for name in HOT_MODULES:
        full_name = f"{__name__}.{name}"
        spec = importlib.util.spec_from_file_location(full_name, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[full_name] = module
        spec.loader.exec_module(module)


def _load() -> bool:
    """Load the hot modules, all compiled or all interpreted; returns whether they are compiled."""
    import importlib
    import sys

    names = [f"{__name__}.{name}" for name in HOT_MODULES]
    if os.environ.get("PYROMETER_NO_EXT", "") in ("", "0"):
        try:
            if not any(str(importlib.import_module(name).__file__).endswith(".py") for name in names):
                return True
        except ImportError:
            pass
        for name in names:  # some are compiled and others are not, which cannot work together
            sys.modules.pop(name, None)
    _interpret()
    return False


COMPILED: bool = _load()
"""Whether the engine is compiled. Interpreted, it is slower, and right in one process."""
