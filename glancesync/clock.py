# SPDX-License-Identifier: Apache-2.0
"""The only user of time. Everything else is handed a Clock, so that tests need no real waiting."""
from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the rest of the package knows of time."""

    def now(self) -> float:
        """Wall clock, seconds since the epoch (UTC)."""

    def monotonic(self) -> float:
        """A clock that never goes back, in seconds; for measuring durations."""

    def sleep(self, seconds: float) -> None:
        """Pause the caller (only its green thread where the process is green)."""


class SystemClock:
    """The machine's clock. After eventlet's monkey patching `sleep` yields to the hub by itself."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class ManualClock:
    """A clock that moves only when told; `sleep` moves it. For tests."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds

    def advance(self, seconds: float) -> None:
        self._now += seconds


def isoformat(seconds: float | None) -> str | None:
    """Seconds since the epoch as ISO 8601 in UTC with milliseconds, e.g. 2026-01-31T12:00:00.000Z."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_isoformat(text: str) -> float:
    """Glance's times (2026-01-31T12:00:00Z) as seconds since the epoch; raises ValueError."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()
