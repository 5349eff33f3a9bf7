# SPDX-License-Identifier: Apache-2.0
"""How much of a region's limit one of several servers takes by itself. Asked by the worker before each claim.

The limit holds over all servers, and whoever's run ends is the first to know of the free place: without a share it
would take that one too, and the others, which only look now and then, would stand idle beside one that is busy.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from glancesync.clock import Clock
from glancesync.conf.worker import WorkerSettings


class Share:
    """`servers` tells how many share the queue now, this one included. What is beyond its share a server takes when the
    others had `poll_seconds` to take it and did not."""

    def __init__(self, *, servers: Callable[[], int], settings: WorkerSettings, clock: Clock) -> None:
        self._servers = servers
        self._settings = settings
        self._clock = clock
        self._running: Counter[str] = Counter()
        self._left_at: float | None = None
        self._takes_all = False

    def begun(self, region: str) -> None:
        self._running[region] += 1

    def ended(self, region: str) -> None:
        self._running[region] -= 1

    def look(self) -> None:
        """A claim begins."""
        now = self._clock.monotonic()
        self._takes_all = self._left_at is not None and now - self._left_at >= self._settings.poll_seconds
        if self._takes_all:
            self._left_at = None
        elif self._left_at is None:
            self._left_at = now

    def room(self, region: str, most: int) -> int:
        """How many more tasks of the region this server takes in this claim, of which `most` may run at once."""
        part = most if self._takes_all else -(-most // max(self._servers(), 1))
        return max(part - self._running[region], 0)
