# SPDX-License-Identifier: Apache-2.0
"""What is counted when Prometheus asks: tasks, replicas and regions as they are. Registered by cmd."""
from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from glancesync.clock import Clock
from glancesync.exceptions import GlanceSyncError
from glancesync.metrics.processes import Here
from glancesync.model.server import ServerState
from glancesync.regions.breaker import BreakerState
from glancesync.service.statistics import Statistics

LOG = logging.getLogger(__name__)
#: Counting may take at most this part of the time.
_SHARE = 0.05


class StatisticsSource(Protocol):
    """What is asked of the core."""

    def statistics(self) -> Statistics: ...

    def list_regions(self) -> list[dict[str, Any]]: ...

    def list_servers(self) -> list[dict[str, Any]]: ...


class StateCollector:
    """Counts at most every `cache_seconds`, and more rarely where counting takes long. Where the database does not
    answer, `glance_sync_up` is 0 and the other numbers are left out rather than told wrong. `here` is None where
    several processes share what they tell of themselves (metrics.processes)."""

    def __init__(self, *, source: StatisticsSource, clock: Clock, cache_seconds: Callable[[], float],
                 here: Here | None) -> None:
        self._source = source
        self._clock = clock
        self._cache_seconds = cache_seconds
        self._here = here.rows() if here else ()
        self._counted: list[Metric] = []
        self._next_at = float("-inf")

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked when it is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus_client at each scrape."""
        for name, text, ask, _mode in self._here:
            yield GaugeMetricFamily(name, text, value=ask())
        yield from self._counts()

    def _counts(self) -> list[Metric]:
        now = self._clock.monotonic()
        if now >= self._next_at:
            try:
                self._counted = [_gauge("glance_sync_up", "Whether the database answers.", 1),
                                 *_of_statistics(self._source.statistics()), *_of_regions(self._source.list_regions()),
                                 *_of_servers(self._source.list_servers())]
            except GlanceSyncError as error:
                LOG.warning("metrics are incomplete: %s", error)
                self._counted = [_gauge("glance_sync_up", "Whether the database answers.", 0)]
            took = self._clock.monotonic() - now
            self._next_at = now + max(self._cache_seconds(), took / _SHARE)
        return self._counted


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _labelled(name: str, text: str, labels: tuple[str, ...],
              rows: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def _of_statistics(found: Statistics) -> Iterator[Metric]:
    yield _labelled("glance_sync_tasks", "Tasks by state, by who asked and by region.", ("state", "trigger", "region"),
                    found.tasks.items())
    yield _labelled("glance_sync_queue_depth", "Tasks that could run now and do not yet.", ("region",),
                    (((region,), due.count) for region, due in found.due.items()))
    yield _labelled("glance_sync_queue_age_seconds", "For how long the oldest of them could.", ("region",),
                    (((region,), due.oldest_seconds) for region, due in found.due.items()))
    yield _labelled("glance_sync_replicas", "Images by their state in each region.", ("region", "state"), (
        ((region, state), number) for region, states in found.replicas.items() for state, number in states.items()))
    yield _gauge("glance_sync_deletions_held", "1 while the brake holds all deletions.", found.deletions_held)


def _of_regions(regions: list[dict[str, Any]]) -> Iterator[Metric]:
    here = [region for region in regions if region["gone_at"] is None]
    yield _labelled("glance_sync_region_up", "1 for a region that is in the catalog, seen whole and not left alone.",
                    ("region",), (((region["name"],), float(_is_well(region))) for region in here))
    yield _labelled("glance_sync_region_breaker", "1 for the state that a region's breaker is in, else 0.",
                    ("region", "state"), (
                        ((region["name"], state.value), float(region["breaker"]["state"] == state.value))
                        for region in here for state in BreakerState))
    yield _labelled("glance_sync_region_frozen", "1 while an operator has nothing written to a region.", ("region",),
                    (((region["name"],), float(region["frozen"] is not None)) for region in here))
    yield _labelled("glance_sync_region_gone", "1 for a region that left the catalog and has records.", ("region",),
                    (((region["name"],), 1.0) for region in regions if region["gone_at"] is not None))


def _of_servers(found: list[dict[str, Any]]) -> Iterator[Metric]:
    """A server that was started again is another one: its host and process tell them apart."""
    def rows(value: Callable[[dict[str, Any]], float]) -> Iterator[tuple[tuple[str, ...], float]]:
        return (((each["host"], str(each["pid"])), value(each)) for each in found)

    labels = ("host", "pid")
    yield _labelled("glance_sync_server_up", "1 for a server that serves or stops, 0 for one that is silent.", labels,
                    rows(lambda each: float(each["state"] != ServerState.SILENT.value)))
    yield _labelled("glance_sync_server_running_tasks", "Tasks that a server holds.", labels,
                    rows(lambda each: float(each["running_tasks"])))
    yield _labelled("glance_sync_server_capacity", "How many tasks a server runs at once; 0 where others run them.",
                    labels, rows(lambda each: float(each["capacity"] or 0)))
    yield _labelled("glance_sync_server_in_trouble", "1 while something keeps a server from having tasks run.", labels,
                    rows(lambda each: float(each["trouble"] is not None)))
    yield _labelled("glance_sync_server_heartbeat_age_seconds", "Since a server's last sign of life.", labels,
                    rows(lambda each: float(each["heartbeat_age_seconds"])))
    yield _labelled("glance_sync_server_clock_ahead_seconds", "Of a server's own clock before the database's.",
                    labels, (((each["host"], str(each["pid"])), float(each["clock_ahead_seconds"]))
                             for each in found if each["clock_ahead_seconds"] is not None))


def _is_well(region: dict[str, Any]) -> bool:
    return region["breaker"]["state"] != BreakerState.OPEN.value and not region["problems"]
