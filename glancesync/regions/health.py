# SPDX-License-Identifier: Apache-2.0
"""What is known of the regions' health: one breaker each, fed by runs and probes. The worker asks it for room, the
service shows it, the prober tries what is open."""
from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

from glancesync.clock import Clock
from glancesync.conf.breaker import BreakerSettings
from glancesync.exceptions import RegionPausedError
from glancesync.regions import breaker as pure
from glancesync.regions.breaker import Breaker, BreakerState, Verdict

LOG = logging.getLogger(__name__)


class RegionHealth:
    """`source` names the cascading region, None while it is not known; it must ask nobody. A run needs both regions,
    so while the cascading one is left alone nothing runs. Forgets all at a restart."""

    def __init__(self, *, settings: BreakerSettings, clock: Clock, source: Callable[[], str | None]) -> None:
        self._settings = settings
        self._clock = clock
        self._source = source
        self._breakers: dict[str, Breaker] = {}
        self._running: Counter[str] = Counter()

    def breaker(self, region: str) -> Breaker:
        return self._breakers.get(region, Breaker())

    def forget(self, region: str) -> None:
        """It left the catalog, or has another endpoint: what was known is of something else."""
        if self._breakers.pop(region, Breaker()).state is not BreakerState.CLOSED:
            LOG.info("region %s: its breaker is closed, the region has left or moved", region)

    # For the worker.

    def room(self, region: str) -> int | None:
        """How many tasks may run in the region at once, None: as many as fit."""
        rooms = [room for name in {region, self._source() or region}
                 if (room := pure.room(self.breaker(name))) is not None]
        return min(rooms, default=None)

    def check(self, region: str) -> None:
        """Raises RegionPausedError while nothing may run in the region."""
        paused = self.find_pause(region)
        if paused is not None:
            raise paused

    def find_pause(self, region: str) -> RegionPausedError | None:
        """Why and for how long nothing runs in the region now."""
        for name in sorted({region, self._source() or region}):
            breaker = self.breaker(name)
            if breaker.state is BreakerState.OPEN:
                rest = max(0.0, (breaker.next_probe_at or 0.0) - self._clock.now())
                return RegionPausedError(f"{name} is left alone after {breaker.failures} failures in a row; the last: "
                                         f"{breaker.reason}", retry_after_seconds=rest, region=name)
        return None

    def pauses(self) -> dict[str | None, RegionPausedError]:
        """By region, why and for how long its tasks have to wait; under None what holds for all of them."""
        source = self._source()
        found = {name: paused for name, each in self._breakers.items()
                 if each.state is BreakerState.OPEN and (paused := self.find_pause(name)) and paused.region == name}
        return {(None if name == source else name): paused for name, paused in found.items()}

    def begun(self, region: str) -> None:
        self._running[region] += 1

    def ended(self, region: str, error: Exception | None) -> None:
        """A run of a task in the region is over; its error says whose fault it was."""
        self._running[region] -= 1
        source = self._source() or region
        if error is None:
            for name in {region, source}:
                self._note(name, None, probe=False)
        elif (blamed := getattr(error, "region", None)) in (region, source):
            self._note(blamed, error, probe=False)

    # For the prober.

    def due_probes(self) -> list[str]:
        """Regions to be probed now. One that is half open proves itself by its tasks while it has any."""
        now, source = self._clock.now(), self._source()
        return sorted(name for name, each in self._breakers.items() if pure.is_probe_due(each, now)
                      and (each.state is BreakerState.OPEN or not self._is_busy(name, source)))

    def probed(self, region: str, error: Exception | None) -> None:
        """A probe of the region is over."""
        self._note(region, error, probe=True)

    def _is_busy(self, region: str, source: str | None) -> bool:
        return bool(self._running.total() if region == source else self._running[region])

    def _note(self, region: str, error: Exception | None, *, probe: bool) -> None:
        before, now, verdict = self.breaker(region), self._clock.now(), pure.judge(error)
        if verdict is Verdict.NOTHING and probe:
            verdict = Verdict.FAILED  # it was not reached: neither open for ever, nor well
        if verdict is Verdict.WELL:
            after = pure.after_success(before, self._settings, now, probe=probe)
        elif verdict is Verdict.FAILED:
            after = pure.after_failure(before, self._settings, now, reason=str(error), probe=probe,
                                       retry_after_seconds=getattr(error, "retry_after_seconds", None))
        else:
            return
        self._breakers[region] = after
        if after.state is not before.state:
            self._log(region, after, now)

    @staticmethod
    def _log(region: str, after: Breaker, now: float) -> None:
        if after.state is BreakerState.OPEN:
            LOG.warning("region %s: its breaker opens after %d failures, its tasks wait, a probe follows in %.1f s. "
                        "Last: %s", region, after.failures, (after.next_probe_at or now) - now, after.reason)
        elif after.state is BreakerState.HALF_OPEN:
            LOG.info("region %s: its breaker is half open, a probe succeeded; it gets one task at a time", region)
        else:
            LOG.info("region %s: its breaker is closed, it gets tasks as before", region)
