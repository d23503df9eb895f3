"""What a registry can tell of its program by itself: the process, the Python it runs on, the garbage collector.

They have the metric names, labels and values of `prometheus_client`'s, so that existing dashboards keep working. Each
reads when it is asked, in the process that asks, and may be asked by several threads at once.
"""

from pyrometer.collectors.gc import GCCollector
from pyrometer.collectors.platform import PlatformCollector
from pyrometer.collectors.process import ProcessCollector

__all__ = ["GCCollector", "PlatformCollector", "ProcessCollector"]
