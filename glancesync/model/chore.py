# SPDX-License-Identifier: Apache-2.0
"""What one server at a time does for all: its turns, and when the next one is due (pure). See tasks.chores."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

RECONCILE, SCRUB, PURGE, FILL, STATISTICS = "reconcile", "scrub", "purge", "fill", "statistics"
#: A server that gives no sign for so long has lost its turn. Nothing waits for a turn but the next one.
LEASE_SECONDS = 30.0
#: After a turn that did not go well; doubled with each that follows.
RETRY_SECONDS = 30.0
RETRY_MOST_SECONDS = 3600.0
_MOST_DOUBLINGS = 10


@dataclass(kw_only=True)
class Turn:
    """A server's turn at a chore. `asked`: somebody asked for it, it is not only its time. `lost` is set once the
    server finds that it is not its any more; what is done in the turn looks at it and ends."""

    name: str
    fence: int
    wanted: int
    asked: bool
    lost: bool = False


class ChoreRow(Protocol):
    """Times are the database's."""

    @property
    def wanted(self) -> int: ...
    @property
    def seen(self) -> int: ...
    @property
    def owner(self) -> str | None: ...
    @property
    def lease_until(self) -> float | None: ...
    @property
    def ended_at(self) -> float | None: ...
    @property
    def failures(self) -> int: ...


def is_due(row: ChoreRow, at: float, interval_seconds: float) -> bool:
    """Whether a server may begin. What a server left when it was killed is due once its lease is over."""
    if row.owner is not None:
        return (row.lease_until or 0.0) < at
    if row.failures:
        return at >= (row.ended_at or 0.0) + retry_seconds(row.failures, interval_seconds)
    return row.wanted > row.seen or at >= (row.ended_at or 0.0) + interval_seconds


def retry_seconds(failures: int, interval_seconds: float) -> float:
    """What is away for days must not have all others looked at again and again."""
    return min(RETRY_SECONDS * 2.0 ** min(failures - 1, _MOST_DOUBLINGS), RETRY_MOST_SECONDS, interval_seconds)
