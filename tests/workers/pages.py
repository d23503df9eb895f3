"""A connection to a server, what it answers, and what a page of metrics says."""

from __future__ import annotations

import http.client
from typing import NamedTuple

from pyrometer.exposition.text_parser import text_string_to_metric_families

DEADLINE = 30.0
NO_ANSWER = (OSError, http.client.HTTPException)


class Answer(NamedTuple):
    """What a worker answered: the status, its process id (0 where it does not say), and the body."""

    status: int
    worker: int
    body: str


class Connection:
    """A connection to 127.0.0.1, kept open while the server keeps it; opened again when it is needed again."""

    def __init__(self, port: int, deadline: float = DEADLINE) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=deadline)

    def get(self, path: str, *, last: bool = False) -> Answer:
        """Ask for `path`; `last` says that nothing more is asked. Raises one of NO_ANSWER, and can be used again."""
        try:
            self._connection.request("GET", path, headers={"Connection": "close"} if last else {})
            response = self._connection.getresponse()
            body = response.read().decode()
            return Answer(response.status, int(response.getheader("X-Worker", "0")), body)
        except NO_ANSWER:
            last = True
            raise
        finally:
            if last:
                self.close()

    def close(self) -> None:
        """Close it; to ask again opens it again."""
        self._connection.close()


def value(page: str, sample: str = "view_total", **labels: str) -> float:
    """The sum of the samples of that name on the page, those alone that have these labels."""
    return sum(
        one.value
        for family in text_string_to_metric_families(page)
        for one in family.samples
        if one.name == sample and labels.items() <= one.labels.items()
    )
