# SPDX-License-Identifier: Apache-2.0
"""Tries regions whose breaker is open, so that they come back by themselves. Started by the daemon."""
from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from glancesync import concurrency
from glancesync.clock import Clock
from glancesync.exceptions import RegionNotFoundError
from glancesync.regions.directory import RegionDirectory
from glancesync.regions.health import RegionHealth

LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 0.25
#: How old may be what is known of the breakers, which other servers change too.
_REFRESH_SECONDS = 1.0


class RegionProber:
    """A probe is a request for one image of a listing: it needs the region's Glance, its login and its database.

    Each runs in a green thread of its own, one per region at a time over all servers; a region that hangs holds up no
    other. `woken` is called when a probe, of whichever server, changed what may run; `guard` is the worker's, so that
    no error ends the probing.
    """

    def __init__(self, *, directory: RegionDirectory, health: RegionHealth, clock: Clock,
                 woken: Callable[[], None], guard: Callable[..., Any]) -> None:
        self._directory = directory
        self._health = health
        self._clock = clock
        self._woken = woken
        self._guard = guard
        self._probing: set[str] = set()
        self._endpoints: dict[str, str] = {}
        self._refreshed_at = float("-inf")

    def run_forever(self) -> None:
        while True:
            self._clock.sleep(_LOOK_SECONDS)
            self.run_once()

    def run_once(self) -> list[concurrency.GreenThread]:
        """Begin the probes that are due; their threads."""
        if self._clock.monotonic() - self._refreshed_at >= _REFRESH_SECONDS:
            failed = self._guard("read the breakers of the regions", self.refresh)
            if isinstance(failed, Exception):
                LOG.warning("the breakers of the regions stay as they are known here: %s", failed)
        self._forget_moved()
        due = [name for name in self._health.due_probes() if name not in self._probing]
        self._probing.update(due)
        return [concurrency.spawn(self._probe, name) for name in due]

    def refresh(self) -> None:
        """Learn what other servers know of the regions, and say which probes go on. Raises NotReadyError."""
        self._refreshed_at = self._clock.monotonic()
        if self._probing:
            self._health.keep_probes(self._probing)
        if self._health.refresh():
            self._woken()

    def _forget_moved(self) -> None:
        """A new endpoint is not to wait for the pause of the old one."""
        known = {region.name: region.endpoint for region in self._directory.known()}
        for name, endpoint in self._endpoints.items():
            if known.get(name) != endpoint:
                self._health.forget(name)
                self._woken()
        self._endpoints = known

    def _probe(self, name: str) -> None:
        if self._guard(f"begin a probe of region {name}", self._health.begin_probe, name) is not True:
            self._probing.discard(name)  # another server does it, or nobody can tell
            return
        before = self._health.breaker(name).state
        failed = self._guard(f"probe region {name}", self._ask, name)
        self._probing.discard(name)
        if isinstance(failed, RegionNotFoundError):
            self._health.forget(name)
        else:
            self._health.probed(name, failed)
        if self._health.breaker(name).state is not before:
            self._woken()

    def _ask(self, name: str) -> None:
        next(iter(self._directory.client(name).list_images(hidden=False, page_size=1)), None)
