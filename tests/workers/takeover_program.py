"""Started by tests: processes that serve their metrics on one port, and say so in lines of text."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Any

from pyrometer.families import GaugeMetricFamily, Metric
from pyrometer.server import MetricsServer, start_http_server


class Answering:
    """Tells processes apart: the process id of the one that answers."""

    def collect(self) -> Iterable[Metric]:
        return [GaugeMetricFamily("answering", "Process id", os.getpid())]


def say(*words: object) -> None:
    """One line in one piece, whoever else writes."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def serve(port: int, certificate: str | None = None) -> MetricsServer:
    """Serve, or say why not and end."""
    signal.alarm(60)
    try:
        return start_http_server(port, "127.0.0.1", Answering(), certificate)
    except OSError as error:
        say("failed:", error)
        os._exit(1)


def idle() -> None:
    """Wait to be killed."""
    signal.alarm(60)
    signal.pause()


def work(port: int, certificate: str | None = None) -> None:
    """Serve, say so, wait to be killed."""
    metrics = serve(port, certificate)
    say(os.getpid(), metrics.server_port)
    idle()


def forked(work: Callable[..., None], *arguments: Any) -> int:
    """Do it in a fork, whose id is returned."""
    child = os.fork()
    if not child:
        work(*arguments)
        os._exit(0)
    return child


def main(how: str, count: str, port: str, certificate: str | None = None) -> None:
    for _ in range(int(count)):
        if how == "os.fork":
            forked(work, int(port), certificate)
        else:
            context: Any = multiprocessing.get_context(how)
            context.Process(target=work, args=(int(port), certificate), daemon=True).start()
    idle()


if __name__ == "__main__":
    main(*sys.argv[1:])
