"""One scrape of a registry: run what has to be run, then list what there is.

Callbacks and collectors run first, shared with the other scrapes under way; the cells are read afterwards. So whatever
was counted before a scrape began is in its answer.
"""

from __future__ import annotations

from pyrometer._core.snapshot_cy import Snapshot
from pyrometer._flight import Interrupted
from pyrometer._kinds import family_of, series_names
from pyrometer._names import UNDERSCORES, escape_metric_name
from pyrometer._runs import abandon, abandon_begun, begin_all, run_apart
from pyrometer._snapshots import metric_of

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import Any, TypeAlias

    from pyrometer._core.series_cy import Family
    from pyrometer._flight import Flight, Run
    from pyrometer.families import Metric
    from pyrometer.registry import CollectorRegistry

    Item: TypeAlias = tuple[str, "Snapshot | Metric"]

# How often a scrape begins anew what was interrupted together with the scrape that ran it.
_ATTEMPTS = 5


class Scrape:
    """The items of one page: (name of the collector, snapshot or family), in the order of registration.

    `names` restricts it to the series of these names; None takes all. An instance serves one scrape.
    """

    def __init__(self, registry: CollectorRegistry, names: frozenset[str] | None = None) -> None:
        self.registry = registry
        self.names = names
        self.policy = registry.policy
        self._collectors = registry._collectors_for(names)
        self._inner: list[Metric] = []

    def run(self) -> list[Item]:
        """Run callbacks and collectors; asynchronous ones on a loop of their own."""
        outcomes: dict[Flight, Any] = {}
        for _ in range(_ATTEMPTS):
            runs = self._begin(outcomes)
            run_apart(runs)
            if self._note(runs, outcomes):
                break
        return self._items(outcomes)

    async def run_async(self) -> list[Item]:
        """As `run`, with asynchronous callbacks and collectors on the caller's loop, and all others off it."""
        import asyncio

        outcomes: dict[Flight, Any] = {}
        for _ in range(_ATTEMPTS):
            begun = asyncio.ensure_future(asyncio.to_thread(self._begin, outcomes))
            try:
                runs = await asyncio.shield(begun)
            except asyncio.CancelledError:
                begun.add_done_callback(abandon_begun)
                raise
            try:
                await asyncio.gather(*[run.coroutine for run in runs if run.coroutine is not None])
            finally:
                abandon(runs)
            for run in runs:
                await run.landed()
            if self._note(runs, outcomes):
                break
        return await asyncio.to_thread(self._items, outcomes)

    def failed(self, label: str, error: Exception) -> None:
        """A collector failed: by policy its series are left out and it is counted, or the scrape fails with it."""
        if not self.policy.isolate_errors:
            raise error
        self.registry._count_error(label, error)

    def own_items(self) -> list[Item]:
        """What the registry counts about itself, read last so that this scrape's errors are in it.

        A registry that is registered in this one has such families, too: their series stand in the same families.
        """
        own: dict[str, Snapshot | Metric] = {family.name: Snapshot(family) for family in self.registry._own_families()}
        for inner in self._inner:
            outer = own.setdefault(inner.name, inner)
            if isinstance(outer, Snapshot):
                outer = own[inner.name] = metric_of(outer, created_series=self.policy.created_series)
            if outer is not inner:
                taken = [(sample.name, sample.labels) for sample in outer.samples]
                outer.samples += [sample for sample in inner.samples if (sample.name, sample.labels) not in taken]
        return [("pyrometer", item) for item in own.values() if self._wanted(item)]

    def _wanted(self, item: Snapshot | Metric) -> bool:
        if self.names is None:
            return True
        name, kind = (item.family.name, item.family.kind) if isinstance(item, Snapshot) else (item.name, item.type)
        return not self.names.isdisjoint(series_names(name, kind))

    def _begin(self, outcomes: dict[Flight, Any]) -> list[Run]:
        """Begin or join a run of everything that has no outcome yet."""
        flights = [flight for collector in self._collectors for flight in self.registry._flights_of(collector)]
        return begin_all([flight for flight in dict.fromkeys(flights) if flight not in outcomes])

    def _note(self, runs: list[Run], outcomes: dict[Flight, Any]) -> bool:
        """Keep the outcomes of runs; whether no run was interrupted together with another scrape."""
        complete = True
        for run in runs:
            outcome = run.outcome()
            if isinstance(outcome, Interrupted) and not run.mine:
                complete = False
                continue
            outcomes[run.flight] = outcome
            # Whoever ran it counts its failure; where errors are not isolated, every scrape that met it fails.
            if isinstance(outcome, Exception) and (run.mine or not self.policy.isolate_errors):
                self.failed(run.flight.label, outcome)
        return complete

    def _items(self, outcomes: dict[Flight, Any]) -> list[Item]:
        items: list[Item] = []
        taken: dict[str, str] = {}
        for collector in self._collectors:
            family = family_of(collector)
            if family is not None:
                items += self._kept(collector, family)
                continue
            for flight in self.registry._flights_of(collector):
                outcome = outcomes.get(flight)
                if outcome is not None and not isinstance(outcome, Exception):
                    items += [(flight.label, metric) for metric in self._fresh(collector, flight, outcome, taken)]
        return items

    def _kept(self, collector: Any, family: Family) -> list[Item]:
        """What a family of cells has for a page."""
        if family.kind == "info":
            return [(family.name, metric) for metric in collector._collected() if self._wanted(metric)]
        snapshot = Snapshot(family)
        return [(family.name, snapshot)] if self._wanted(snapshot) else []

    def _fresh(self, collector: Any, flight: Flight, metrics: list[Metric], taken: dict[str, str]) -> Iterator[Metric]:
        """The families of a collector whose series no other has; the others are its failure.

        Those of the default collectors are left out without a word: another registry, registered here, has them as
        well. So has it what a registry counts about itself, which comes last on a page.
        """
        for whole in metrics:
            metric = whole if self.names is None else whole._restricted_metric(self.names)
            if metric is None:
                continue
            written = [escape_metric_name(name, UNDERSCORES) for name in series_names(whole.name, whole.type)]
            other = self.registry._other_with(whole, collector) or next((taken[n] for n in written if n in taken), None)
            if other is self.registry.itself:
                self._inner.append(metric)
            elif other is None:
                taken.update(dict.fromkeys(written, flight.label))
                yield metric
            elif other not in self.registry.default_collectors.values():
                self.failed(
                    flight.label, ValueError(f'collector {flight.label}: "{whole.name}" is already exposed by {other}')
                )


def metrics_of(items: list[Item], names: Collection[str] | None, *, created_series: bool) -> Iterator[Metric]:
    """The items as families of samples."""
    for _, item in items:
        if isinstance(item, Snapshot):
            metric = metric_of(item, created_series=created_series)
            if names is not None:
                metric.samples = [sample for sample in metric.samples if sample.name in names]
            if metric.samples or names is None:
                yield metric
        else:
            yield item
