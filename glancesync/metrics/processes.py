# SPDX-License-Identifier: Apache-2.0
"""Numbers of several server processes, told as those of one by whichever of them is asked. Built by cmd.

Each process keeps its numbers in files of a folder that all of them read (prometheus_client's multi-process mode, which
the variable PROMETHEUS_MULTIPROC_DIR of the environment switches on before anything is imported). What a process
counted stays when it ends; what it merely had at that moment does not.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@dataclass(frozen=True, kw_only=True)
class Registries:
    """`told` is what /metrics shows, `counted` what this process counts into; in a process that is alone the same."""

    told: CollectorRegistry
    counted: CollectorRegistry


def new_registries(*, several: bool) -> Registries:
    """`several`: this process is one of several, and the folder is in the environment."""
    told = CollectorRegistry()
    if not several:
        return Registries(told=told, counted=told)
    MultiProcessCollector(told)
    return Registries(told=told, counted=CollectorRegistry())


def forget_process(folder: Path, pid: int) -> None:
    """The process ended: nothing runs in it any more."""
    mark_process_dead(pid, str(folder))


@dataclass(frozen=True, kw_only=True)
class Here:
    """What is asked of this process's parts."""

    running: Callable[[], int]
    internal_errors: Callable[[], int]
    listeners: Callable[[], int]

    def rows(self) -> tuple[tuple[str, str, Callable[[], int], str], ...]:
        """(name, text, question, how numbers of several processes add up)."""
        return (("glance_sync_running_tasks", "Tasks that run in this server.", self.running, "livesum"),
                ("glance_sync_internal_errors", "Errors since the start that nobody foresaw; see the log.",
                 self.internal_errors, "sum"),
                ("glance_sync_web_listeners", "Browsers that are sent live progress.", self.listeners, "livesum"))


class HereCollector:
    """Tells of this process's parts alone, where nobody else is asked through it."""

    def __init__(self, here: Here) -> None:
        self._here = here.rows()

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked when it is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus_client at each scrape."""
        for name, text, ask, _mode in self._here:
            yield GaugeMetricFamily(name, text, value=ask())


class SharedGauges:
    """Shows the other processes what there is in this one, as of the last `show`."""

    def __init__(self, registry: CollectorRegistry, here: Here) -> None:
        self._asked = [(Gauge(name, text, registry=registry, multiprocess_mode=mode), ask)
                       for name, text, ask, mode in here.rows()]

    def show(self) -> None:
        """To be called every few seconds."""
        for gauge, ask in self._asked:
            gauge.set(ask())
