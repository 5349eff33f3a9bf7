# SPDX-License-Identifier: Apache-2.0
"""What is counted as it happens in this process, from its start on. Fed by the worker's runs and by copies."""
from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, Info

from glancesync import __version__
from glancesync.model.task import Task

#: From an update of a few fields to a large image over a slow line.
_LAG_BUCKETS = (0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)
_RUN_BUCKETS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600)


class Counters:
    """A RunWatch and a Meter over the registry given. Labels are names of regions, states and codes, never an image,
    a user or a project: their number stays small and nothing private is told."""

    def __init__(self, registry: CollectorRegistry, told: CollectorRegistry | None = None) -> None:
        """`told`: the registry that is shown, where several processes count into one each."""
        Info("glance_sync_build", "The version of this server.",
             registry=told or registry).info({"version": __version__})
        self._runs = Counter("glance_sync_runs", "Runs of tasks that ended, by the task's state and reason then.",
                             ("region", "trigger", "state", "reason_code"), registry=registry)
        self._failures = Counter("glance_sync_failures", "Runs that ended in an error which is no mere waiting.",
                                 ("region", "reason_code"), registry=registry)
        self._run_seconds = Histogram("glance_sync_run_seconds", "How long a run took.", ("region",),
                                      buckets=_RUN_BUCKETS, registry=registry)
        self._lag = Histogram("glance_sync_lag_seconds", "From a change of an image until its replica had it.",
                              ("region",), buckets=_LAG_BUCKETS, registry=registry)
        link = ("driver", "source", "target")
        self._bytes = Counter("glance_sync_copied_bytes", "Bytes of images that were copied and verified.", link,
                              registry=registry)
        self._copies = Counter("glance_sync_copies", "Images whose bytes were copied and verified.", link,
                               registry=registry)
        self._seconds = Counter("glance_sync_copy_seconds", "How long these copies took, added up.", link,
                                registry=registry)

        self._attempts = Counter("glance_sync_copy_attempts",
                                 "Tries to copy an image's bytes, by how they ended: ok, or an error's code.",
                                 (*link, "code"), registry=registry)

    def ended(self, task: Task, *, state: str, code: str, failed: bool, seconds: float) -> None:
        """As tasks.watch.RunWatch says."""
        self._runs.labels(task.region, task.trigger.value, state, code).inc()
        self._run_seconds.labels(task.region).observe(seconds)
        if failed:
            self._failures.labels(task.region, code).inc()

    def copied(self, *, driver: str, source: str, target: str, size: int, seconds: float) -> None:
        """As sync.meter.Meter says."""
        self._bytes.labels(driver, source, target).inc(size)
        self._copies.labels(driver, source, target).inc()
        self._seconds.labels(driver, source, target).inc(seconds)

    def attempted(self, *, driver: str, source: str, target: str, code: str) -> None:
        """As sync.meter.Meter says."""
        self._attempts.labels(driver, source, target, code).inc()

    def came_in_sync(self, region: str, lag_seconds: float) -> None:
        """As sync.meter.Meter says."""
        self._lag.labels(region).observe(lag_seconds)
