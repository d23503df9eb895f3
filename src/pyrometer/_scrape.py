"""One scrape of a registry: run what has to be run, then list what there is.

Callbacks and collectors run first, shared with the other scrapes under way; the cells are read afterwards. So whatever
was counted before a scrape began is in its answer.
"""

from __future__ import annotations

import copy

from pyrometer._combined import item_of
from pyrometer._core.snapshot_cy import Snapshot
from pyrometer._flight import Interrupted
from pyrometer._kinds import cells_of, series_names
from pyrometer._names import UNDERSCORES, escape_metric_name
from pyrometer._runs import abandon, abandon_begun, begin_all, run_apart
from pyrometer._snapshots import metric_of

# `typing` alone costs 8 ms to import, a good part of what the whole package may take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import Any, TypeAlias

    from pyrometer._core.family_cy import Family
    from pyrometer._flight import Flight, Run
    from pyrometer._samples import Sample
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

        Registries that are registered in this one count as well: into the same families.
        """
        families = [family for registry in self.registry._with_inner() for family in registry._own_families()]
        items: dict[str, Snapshot | Metric] = {}
        for family in families:
            snapshot = Snapshot(family)
            other = items.setdefault(family.name, snapshot)
            if other is not snapshot:
                items[family.name] = self._joined(self._as_metric(other), self._as_metric(snapshot))
        return [("pyrometer", item) for item in items.values() if self._wanted(item)]

    def _as_metric(self, item: Snapshot | Metric) -> Metric:
        return metric_of(item, created_series=self.policy.created_series) if isinstance(item, Snapshot) else item

    @staticmethod
    def _joined(first: Metric, second: Metric) -> Metric:
        """The families of one name as one: the series of the first, and those that only the second has."""
        joined = copy.copy(first)
        taken = {_series_of(sample) for sample in first.samples}
        joined.samples = first.samples + [sample for sample in second.samples if _series_of(sample) not in taken]
        return joined

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
        self._taken: dict[str, int] = {}
        shown: set[Family] = set()
        self.registry._refresh()
        for collector in self._collectors:
            family = cells_of(collector)
            if family is not None:
                family = self.registry._holdings.newest(family)
                if family in shown:
                    continue
                shown.add(family)
                if self._is_free(collector, family.name, family.kind, family.name):
                    items += self._kept(family)
                continue
            for flight in self.registry._flights_of(collector):
                outcome = outcomes.get(flight)
                if isinstance(outcome, Exception):
                    self.registry._holdings.share(collector, [])
                elif outcome is not None:
                    for metric in outcome:
                        self._add(items, collector, flight.label, metric)
                    self._share(collector, flight.label, outcome)
        for label, metric in self.registry._results_of_others():
            if self._are_free(series_names(metric.name, metric.type)):
                self._add(items, None, label, metric)
        for family in self.registry._strangers():
            names = series_names(family.name, family.kind)
            if family not in shown and self._are_free(names):
                self._taken.update(dict.fromkeys(names, -1))
                items += self._kept(family)
        return items

    def _share(self, collector: Any, label: str, metrics: list[Metric]) -> None:
        """Keep a collector's result for processes that do not have it; what cannot be kept is a failure of its own."""
        try:
            self.registry._holdings.share(collector, metrics)
        except Exception as error:
            self.failed(label, error)

    def _kept(self, family: Family) -> list[Item]:
        """What a family of cells has for a page."""
        item = item_of(family)
        return [(family.name, item)] if self._wanted(item) else []

    def _add(self, items: list[Item], collector: Any, label: str, whole: Metric) -> None:
        """Add a collector's family. What is wrong with it is a failure of that collector."""
        try:
            metric = whole if self.names is None else whole._restricted_metric(self.names)
            if metric is None:
                return
            first = self._taken.get(escape_metric_name(whole.name, UNDERSCORES), -1)
            if 0 <= first and items[first][1].name == whole.name and items[first][1].type == whole.type:  # type: ignore[union-attr]
                # Families of one name from several collectors, or from one, stand under one head.
                before: Metric = items[first][1]  # type: ignore[assignment]
                joined = self._joined(before, metric)
                items[first] = (items[first][0], joined)
                if len(joined.samples) < len(before.samples) + len(metric.samples):
                    raise ValueError(f'"{whole.name}": series of it are already exposed by {items[first][0]}')
            elif self._is_free(collector, whole.name, whole.type, label, len(items)):
                items.append((label, metric))
        except Exception as error:
            self.failed(label, error)

    def _are_free(self, names: list[str]) -> bool:
        """Whether neither this process's collectors nor what is on the page already have one of these series' names."""
        written = [escape_metric_name(each, UNDERSCORES) for each in names]
        owner: Any = self.registry._other_with(written, None)
        return not any(each in self._taken for each in written) and (owner is None or cells_of(owner) is not None)

    def _is_free(self, collector: Any, name: str, kind: str, label: str, place: int = -1) -> bool:
        """Whether no other has a series' name of this family, which now has it; if so, it is this collector's failure.

        Those of the default collectors are left out without a word: another registry, registered here, has them too.
        """
        written = [escape_metric_name(each, UNDERSCORES) for each in series_names(name, kind)]
        other: Any = self.registry._other_with(written, collector)
        if other is None and any(each in self._taken for each in written):
            other = "another collector"
        if other is None:
            if not self.registry._has(collector) or place >= 0:
                self._taken.update(dict.fromkeys(written, place))
            return True
        if other not in self.registry.default_collectors.values() and other is not self.registry.itself:
            self.failed(label, ValueError(f'"{name}" of {label} is already exposed by {other}'))
        return False


def _series_of(sample: Sample) -> tuple[str, tuple[tuple[str, str], ...]]:
    return sample.name, tuple(sorted(sample.labels.items()))


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
