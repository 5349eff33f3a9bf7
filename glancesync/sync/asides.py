# SPDX-License-Identifier: Apache-2.0
"""Which drivers are not to fill which regions for now, and why. Kept in memory: a server that starts tries again.
Called by shortcut and placed."""
from __future__ import annotations

from glancesync.clock import Clock


class Asides:
    """By region and driver."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[tuple[str, str], tuple[float, str]] = {}

    def note(self, region: str, driver: str, why: str, *, seconds: float) -> None:
        self._until[region, driver] = (self._clock.monotonic() + seconds, why)

    def forget(self, region: str, driver: str) -> None:
        self._until.pop((region, driver), None)

    def of(self, region: str) -> dict[str, str]:
        """Why drivers are set aside for the region, by their names."""
        now = self._clock.monotonic()
        return {driver: why for (name, driver), (until, why) in self._until.items() if name == region and now < until}
