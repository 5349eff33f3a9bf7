# SPDX-License-Identifier: Apache-2.0
"""The outbox's status file, for metrics: what waits, what was delivered, what was lost, and why nothing moves.

Used by `sender`, in the process that delivers. Counters start with that process, as Prometheus expects of counters.
"""
from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from glancesync.clock import Clock, isoformat
from glancesync.filter.backlog import Depth
from glancesync.filter.files import STATUS, replace_json

INTERVAL_SECONDS = 5.0


@dataclass(kw_only=True)
class Counters:
    """What the sender has seen since its process began to deliver."""

    delivered: int = 0
    refused: int = 0
    lost: int = 0
    damaged: int = 0
    failures: int = 0
    last_error: str | None = None
    last_error_at: float | None = None
    last_delivered_at: float | None = None


class StatusFile:
    """Written at most every INTERVAL_SECONDS."""

    def __init__(self, *, directory: Path, clock: Clock) -> None:
        self._path = directory / STATUS
        self._clock = clock
        self._next_at = float("-inf")

    def is_due(self) -> bool:
        return self._clock.monotonic() >= self._next_at

    def write(self, counters: Counters, depth: Depth) -> None:
        """Replace the file; raises OSError."""
        self._next_at = self._clock.monotonic() + INTERVAL_SECONDS
        now = self._clock.now()
        told = asdict(counters)
        for name in ("last_error_at", "last_delivered_at"):
            told[name] = isoformat(told[name])
        age = None if depth.oldest_at is None else max(0.0, round(now - depth.oldest_at, 3))
        replace_json(self._path, {"updated_at": isoformat(now), "pid": os.getpid(), "depth": depth.events,
                                  "bytes": depth.bytes, "oldest_age_seconds": age, **told})
