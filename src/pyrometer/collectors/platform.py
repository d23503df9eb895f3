"""Which Python runs the program."""

from __future__ import annotations

from pyrometer.collectors._registration import register
from pyrometer.families import GaugeMetricFamily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyrometer.families import Metric
    from pyrometer.registry import CollectorRegistry


class PlatformCollector:
    """The gauge `python_info`: always 1, with version and implementation of the interpreter as labels."""

    def __init__(self, registry: CollectorRegistry | None = None, platform: Any = None) -> None:
        """`platform` is the standard library's module of that name, or what has its functions; it is asked here and
        now. Raises TypeError for a registry that is none, and what `registry.register` raises.
        """
        if platform is None:
            import platform
        major, minor, patchlevel = platform.python_version_tuple()
        self._labels = {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "major": major,
            "minor": minor,
            "patchlevel": patchlevel,
        }
        if platform.system() == "Java":
            version, _, (name, release, vendor), _ = platform.java_ver()
            self._labels |= {
                "jvm_version": version,
                "jvm_release": release,
                "jvm_vendor": vendor,
                "jvm_name": name,
            }
        register(self, registry)

    def describe(self) -> list[Metric]:
        """The family, without its sample."""
        return [self._family()]

    def collect(self) -> list[Metric]:
        """The family with its one sample."""
        family = self._family()
        family.add_metric(list(self._labels.values()), 1)
        return [family]

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily("python_info", "The Python that runs the program.", labels=list(self._labels))
