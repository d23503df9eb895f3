"""What the tests of the core share: which of them need the compiled one, and what a test may not leave behind."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "compiled: about memory that only the compiled core has")
    config.addinivalue_line("markers", "interpreted: about what only the interpreted core does")
    config.addinivalue_line("markers", "gil: needs an interpreter whose own objects survive a fork amid threads")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    from core.engine import COMPILED  # only now: the option --core says which one is loaded

    free_threaded = not getattr(sys, "_is_gil_enabled", lambda: True)()
    out = {"compiled": not COMPILED, "interpreted": COMPILED, "gil": free_threaded}
    apart = [item for item in items if any(out[name] and item.get_closest_marker(name) for name in out)]
    items[:] = [item for item in items if item not in apart]
    config.hook.pytest_deselected(items=apart)


@pytest.fixture
def often() -> Iterator[None]:
    """Threads take turns, and the garbage collector runs, as often as possible."""
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(1, 1000, 1000)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*threshold)
