"""The Python libraries that are compared, behind one way to construct what is measured."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

NAMES = ("pyrometer", "prometheus_client", "promrs")


class Library:
    """One imported library. All of them share the constructors of prometheus_client."""

    def __init__(self, name: str, module: ModuleType) -> None:
        self.name = name
        self._module = module
        self._options: dict[str, Any] = {"max_series": None} if name == "pyrometer" else {}

    @property
    def version(self) -> str:
        """The installed version, and for Pyrometer which of its cores was loaded."""
        try:
            version = importlib.metadata.version(self.name)
        except importlib.metadata.PackageNotFoundError:
            version = "from the source tree"
        return f"{version}, {_core(self._module)}" if self.name == "pyrometer" else version

    def registry(self) -> Any:
        return self._module.CollectorRegistry()

    def counter(self, name: str, labels: Sequence[str], registry: Any) -> Any:
        return self._module.Counter(name, "What is counted.", list(labels), registry=registry, **self._options)

    def gauge(self, name: str, labels: Sequence[str], registry: Any, **options: Any) -> Any:
        return self._module.Gauge(
            name, "What is measured.", list(labels), registry=registry, **self._options, **options
        )

    def histogram(self, name: str, labels: Sequence[str], registry: Any) -> Any:
        return self._module.Histogram(name, "What is timed.", list(labels), registry=registry, **self._options)

    def page(self, registry: Any) -> bytes:
        page: bytes = self._module.generate_latest(registry)
        return page

    def shared_registry(self, *, default: bool) -> Any:
        """A registry for all processes of a crew; ``default`` asks for the program's own, with its collectors."""
        if default:
            return self._module.REGISTRY
        return self._module.CollectorRegistry(name="bench") if self.name == "pyrometer" else self.registry()

    def shared_page(self, registry: Any) -> bytes:
        """The page of all processes of a crew."""
        if self.name == "pyrometer":
            return self.page(registry)
        collected = self.registry()
        importlib.import_module(f"{self.name}.multiprocess").MultiProcessCollector(collected)
        return self.page(collected)


def load(name: str) -> Library | str:
    """The library of that name, or why there is none."""
    try:
        module = importlib.import_module(name)
        for needed in ("Counter", "Gauge", "Histogram", "CollectorRegistry", "generate_latest"):
            getattr(module, needed)
    except (ImportError, AttributeError) as error:
        return f"not importable: {error}"
    return Library(name, module)


def _core(module: ModuleType) -> str:
    core = Path(module.__file__ or "").parent / "_core"
    sources = sorted(path.stem for path in core.glob("*_cy.py"))
    compiled = [stem for stem in sources if _is_compiled(f"pyrometer._core.{stem}")]
    if sources and compiled == sources:
        return "compiled core"
    return f"INTERPRETED core ({len(compiled)} of {len(sources)} modules compiled)"


def _is_compiled(name: str) -> bool:
    try:
        module = importlib.import_module(name)
    except ImportError:
        return False
    return not (module.__file__ or "").endswith(".py")
