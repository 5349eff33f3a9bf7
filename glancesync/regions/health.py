# SPDX-License-Identifier: Apache-2.0
"""What is known of the regions' health: one breaker each, fed by runs and probes. The worker asks it for room, the
service shows it, the prober tries what is open.

The breakers are kept where all servers see them. What is asked at each turn is answered from what was read last, which
the prober has read again every second; what a run or a probe tells is written down at once, where it changes anything.
"""
from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection

from glancesync.clock import Clock
from glancesync.conf.breaker import BreakerSettings
from glancesync.exceptions import NotReadyError, RegionPausedError
from glancesync.regions import breaker as pure
from glancesync.regions.breaker import Breaker, BreakerState, Verdict
from glancesync.regions.breakers import Breakers, Change, Kept, OwnBreakers, is_free_to_probe

LOG = logging.getLogger(__name__)


class RegionHealth:
    """`source` names the cascading region, None while it is not known; it must ask nobody. A run needs both regions,
    so while the cascading one is left alone nothing runs. `breakers` are this process's own, and end with it, where
    none are given. While they cannot be read or changed, what is known of them holds."""

    def __init__(self, *, settings: BreakerSettings, clock: Clock, source: Callable[[], str | None],
                 breakers: Breakers | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._source = source
        self._breakers = breakers or OwnBreakers(clock)
        self._known: dict[str, Kept] = {}
        self._ahead = clock.now() - clock.monotonic()
        self._running: Counter[str] = Counter()

    def breaker(self, region: str) -> Breaker:
        """As it is known here: what another server changed shows within a second."""
        return self._known[region].breaker if region in self._known else Breaker()

    def refresh(self) -> bool:
        """Read what all servers know; whether some region may be given more work now. Raises NotReadyError."""
        now, found = self._breakers.read()
        self._ahead = now - self._clock.monotonic()
        changed = [region for region, kept in found.items() if self._learn(region, kept, now)]
        return any(self.breaker(region).state is not BreakerState.OPEN for region in changed)

    def forget(self, region: str) -> None:
        """It left the catalog, or has another endpoint: what was known is of something else."""
        if self.breaker(region) == Breaker():
            return
        LOG.info("region %s has left or moved: nothing of before is held against it", region)
        self._change(region, lambda _before, _now: Breaker())

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
                rest = max(0.0, (breaker.next_probe_at or 0.0) - self._now())
                return RegionPausedError(f"{name} is left alone after {breaker.failures} failures in a row; the last: "
                                         f"{breaker.reason}", retry_after_seconds=rest, region=name)
        return None

    def pauses(self) -> dict[str | None, RegionPausedError]:
        """By region, why and for how long its tasks have to wait; under None what holds for all of them."""
        source = self._source()
        left = [name for name, each in self._known.items() if each.breaker.state is BreakerState.OPEN]
        found = {name: paused for name in left if (paused := self.find_pause(name)) and paused.region == name}
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
        """Regions to be probed now, as far as is known here. One that is half open proves itself by its tasks while it
        has any."""
        now, source = self._now(), self._source()
        return sorted(name for name, each in self._known.items() if is_free_to_probe(each, now)
                      and (each.breaker.state is BreakerState.OPEN or not self._is_busy(name, source)))

    def begin_probe(self, region: str) -> bool:
        """Whether this server is to probe the region now, and no other. Raises NotReadyError."""
        return self._breakers.begin_probe(region, whole=region == self._source())

    def keep_probes(self, regions: Collection[str]) -> None:
        """This server's probes of these regions are not over yet. Raises NotReadyError."""
        self._breakers.keep_probes(regions)

    def probed(self, region: str, error: Exception | None) -> None:
        """A probe of the region is over."""
        self._note(region, error, probe=True)

    def _is_busy(self, region: str, source: str | None) -> bool:
        return bool(self._running.total() if region == source else self._running[region])

    def _note(self, region: str, error: Exception | None, *, probe: bool) -> None:
        verdict = pure.judge(error)
        if verdict is Verdict.NOTHING and probe:
            verdict = Verdict.FAILED  # it was not reached: neither open for ever, nor well
        if verdict is Verdict.NOTHING:
            return

        def change(before: Breaker, now: float) -> Breaker:
            if verdict is Verdict.WELL:
                return pure.after_success(before, self._settings, now, probe=probe)
            return pure.after_failure(before, self._settings, now, reason=str(error), probe=probe,
                                      retry_after_seconds=getattr(error, "retry_after_seconds", None))

        known = self.breaker(region)
        if probe or change(known, self._now()) != known:  # most runs end well where all is well: nobody is asked
            self._change(region, change, probe=probe)

    def _change(self, region: str, change: Change, *, probe: bool = False) -> None:
        try:
            changed = self._breakers.change(region, change, probe=probe)
        except NotReadyError as error:
            LOG.warning("what was seen of region %s is not written down, its breaker stays %s: %s", region,
                        self.breaker(region).state.value, error)
            return
        self._learn(region, changed.after, changed.at)

    def _learn(self, region: str, kept: Kept, now: float) -> bool:
        """Whether its state is another than was known here. What was read may be older than what was changed
        meanwhile."""
        before = self.breaker(region).state
        if region not in self._known or kept.version >= self._known[region].version:
            self._known[region] = kept
        after = self.breaker(region)
        if after.state is not before:
            self._log(region, after, now)
        return after.state is not before

    def _now(self) -> float:
        """On the clock of whoever keeps the breakers."""
        return self._clock.monotonic() + self._ahead

    @staticmethod
    def _log(region: str, after: Breaker, now: float) -> None:
        if after.state is BreakerState.OPEN:
            LOG.warning("region %s: its breaker opens after %d failures, its tasks wait, a probe follows in %.1f s. "
                        "Last: %s", region, after.failures, max(0.0, (after.next_probe_at or now) - now), after.reason)
        elif after.state is BreakerState.HALF_OPEN:
            LOG.info("region %s: its breaker is half open, a probe succeeded; it gets one task at a time", region)
        else:
            LOG.info("region %s: its breaker is closed, it gets tasks as before", region)
