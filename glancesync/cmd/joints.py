# SPDX-License-Identifier: Apache-2.0
"""Small functions that join objects which need not know one another. Used by build."""
from __future__ import annotations

from collections.abc import Callable

from glancesync.exceptions import SourcesBusyError
from glancesync.model.task import Pair, Trigger
from glancesync.regions.breaker import BreakerState
from glancesync.regions.health import RegionHealth
from glancesync.service.bell import SharedBell
from glancesync.service.freezing import FrozenRegions
from glancesync.sync.records import ReplicaRecords
from glancesync.tasks.engine import Engine
from glancesync.tasks.queue import TaskQueue

#: What is read again may wait for everything else.
_SCRUB_PRIORITY = -10


def spared(health: RegionHealth, frozen: FrozenRegions) -> Callable[[str], str | None]:
    """Why nothing is read from a region for others, None where something may be."""
    def why(region: str) -> str | None:
        if frozen.is_frozen(region):
            return f"{region} is frozen"
        breaker = health.breaker(region)
        return None if breaker.state is BreakerState.CLOSED else f"{region} is left alone: {breaker.reason}"

    return why


def suspecting(records: ReplicaRecords, queue: TaskQueue) -> Callable[[str, str], None]:
    """Has a replica read again that gave wrong bytes to another region."""
    def suspect(image_id: str, region: str) -> None:
        records.want_scrub(image_id, region)
        queue.submit([Pair(image_id, region)], trigger=Trigger.TIMER, priority=_SCRUB_PRIORITY)

    return suspect


def rings(worker: Engine, bell: SharedBell | None) -> Callable[[], None]:
    """Has this server and, where they hear it, all others look at the queue."""
    def ring() -> None:
        worker.ring()
        if bell is not None:
            bell.ring()

    return ring


def waking(queue: TaskQueue, worker: Engine) -> Callable[[str], None]:
    """Lets the tasks look again that wait for a source of an image."""
    def wake(image_id: str) -> None:
        if queue.hasten(image_id, SourcesBusyError.code):
            worker.ring()

    return wake
