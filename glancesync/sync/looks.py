# SPDX-License-Identifier: Apache-2.0
"""Looks at a region that runs share when they need the same one at the same time. Called by converge and execute.

A run may use a look that another began, if that began after a moment that the run names (its own claim, or its look at
the image) and is at most `MAX_AGE_SECONDS` old. So a shared look never shows less than the run's own would have shown
at that moment. What is about to be deleted is never decided by a shared look.
"""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from glancesync.clock import Clock
from glancesync.concurrency import Event

Seen = TypeVar("Seen")
MAX_AGE_SECONDS = 1.0


@dataclass(kw_only=True)
class _Look:
    begun_at: float
    ended_at: float = 0.0
    ended: Event = field(default_factory=Event)
    succeeded: bool = False
    seen: Any = None


class SharedLooks:
    """Keeps what was seen in the last second; one look at a time for each key, as far as the moments allow. Moments are
    `clock.monotonic()`. One per process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looks: OrderedDict[Hashable, _Look] = OrderedDict()

    def get(self, key: Hashable, ask: Callable[[], Seen], *, since: float) -> tuple[Seen, float]:
        """What `ask()` returns, or returned to another run in a look that began at `since` or later; and the moment at
        which that look had ended. Raises what its own `ask` raises: errors of others are not shared."""
        found = self._find(key, since)
        if found is not None:
            found.ended.wait()
            if found.succeeded and self._is_fresh(found):
                return found.seen, found.ended_at
        look = self._begin(key)
        try:
            look.seen = ask()
            look.ended_at, look.succeeded = self._clock.monotonic(), True
        finally:
            look.ended.send()
            if not look.succeeded and self._looks.get(key) is look:
                del self._looks[key]
        return look.seen, look.ended_at

    def _find(self, key: Hashable, since: float) -> _Look | None:
        found = self._looks.get(key)
        return found if found is not None and found.begun_at >= since and self._is_fresh(found) else None

    def _is_fresh(self, look: _Look) -> bool:
        return self._clock.monotonic() - look.begun_at <= MAX_AGE_SECONDS

    def _begin(self, key: Hashable) -> _Look:
        while self._looks and not self._is_fresh(next(iter(self._looks.values()))):
            self._looks.popitem(last=False)
        self._looks.pop(key, None)
        look = self._looks[key] = _Look(begun_at=self._clock.monotonic())
        return look
