"""Which Python runs the program."""

from __future__ import annotations

from pyrometer.collectors._registration import DEFAULT, register
from pyrometer.families import GaugeMetricFamily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyrometer.families import Metric
    from pyrometer.registry import CollectorRegistry

_NAME = "python_info"
_HELP = "The Python that runs the program."


class PlatformCollector:
    """The gauge `python_info`: always 1, with version and implementation of the interpreter as labels."""

    def __init__(self, registry: CollectorRegistry | None = DEFAULT, platform: Any = None) -> None:
        """`platform` is the standard library's module of that name, or what has its functions; it is asked when the
        value is first asked for. Raises TypeError for a registry that is none, and what `registry.register` raises.
        """
        self._platform = platform
        self._labels: dict[str, str] = {}
        register(self, registry)

    def describe(self) -> list[Metric]:
        """The family, without its sample."""
        return [GaugeMetricFamily(_NAME, _HELP)]

    def collect(self) -> list[Metric]:
        """The family with its one sample."""
        # An empty dict is what no platform gives: two threads at once find out the same, and either result will do.
        labels = self._labels = self._labels or self._ask()
        family = GaugeMetricFamily(_NAME, _HELP, labels=list(labels))
        family.add_metric(list(labels.values()), 1)
        return [family]

    def _ask(self) -> dict[str, str]:
        platform = self._platform
        if platform is None:
            # Late: with what it imports, it is a third of what importing this package may take.
            import platform
        major, minor, patchlevel = platform.python_version_tuple()
        labels = {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "major": major,
            "minor": minor,
            "patchlevel": patchlevel,
        }
        if platform.system() == "Java":
            version, _, (name, release, vendor), _ = platform.java_ver()
            labels |= {
                "jvm_version": version,
                "jvm_release": release,
                "jvm_vendor": vendor,
                "jvm_name": name,
            }
        return labels
