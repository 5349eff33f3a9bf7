# SPDX-License-Identifier: Apache-2.0
"""Where the breakers of the regions are kept. Read and changed by health; the ones that all servers share are in
service.breakers, because they lie in the database."""
from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from glancesync.clock import Clock
from glancesync.regions.breaker import Breaker, BreakerState, is_probe_due

#: What becomes of a breaker at a moment (seconds since the epoch on the keeper's clock).
Change = Callable[[Breaker, float], Breaker]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A breaker as it is kept: each change raises `version`. Until `probe_until` one server probes the region."""

    breaker: Breaker = field(default_factory=Breaker)
    version: int = 0
    probe_until: float | None = None


@dataclass(frozen=True, kw_only=True)
class Changed:
    """What a change made of one, at which moment."""

    after: Kept
    at: float


class Breakers(Protocol):
    """All methods raise NotReadyError where the keeper does not answer."""

    def read(self) -> tuple[float, Mapping[str, Kept]]:
        """The moment, and every breaker that is kept."""

    def change(self, region: str, change: Change, *, probe: bool = False) -> Changed:
        """No other change comes between. With `probe` this server's probe of the region is over; one that was not this
        server's any more changes nothing."""

    def begin_probe(self, region: str, *, whole: bool) -> bool:
        """Whether a probe is due now that nobody else makes; then nobody does while it is kept. Where a region is half
        open, none is due while a task runs there (`whole`: a task of any region)."""

    def keep_probes(self, regions: Collection[str]) -> None:
        """Those probes of this server go on. To be said every few seconds."""


class OwnBreakers:
    """Of one process alone, in memory, as long as it lives."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, Kept] = {}

    def read(self) -> tuple[float, Mapping[str, Kept]]:
        return self._clock.now(), dict(self._kept)

    def change(self, region: str, change: Change, *, probe: bool = False) -> Changed:
        before, at = self._kept.get(region, Kept()), self._clock.now()
        after = self._kept[region] = Kept(breaker=change(before.breaker, at), version=before.version + 1,
                                          probe_until=None if probe else before.probe_until)
        return Changed(after=after, at=at)

    def begin_probe(self, region: str, *, whole: bool) -> bool:
        kept, now = self._kept.get(region, Kept()), self._clock.now()
        if not is_free_to_probe(kept, now):
            return False
        self._kept[region] = replace(kept, version=kept.version + 1, probe_until=float("inf"))
        return True

    def keep_probes(self, regions: Collection[str]) -> None:
        """Nobody else probes."""


def is_free_to_probe(kept: Kept, now: float) -> bool:
    """Whether a probe is due that nobody makes."""
    return kept.breaker.state is not BreakerState.CLOSED and is_probe_due(kept.breaker, now) \
        and (kept.probe_until is None or kept.probe_until <= now)
