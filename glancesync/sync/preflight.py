# SPDX-License-Identifier: Apache-2.0
"""What is known of a region before a byte moves to it, so that what it would refuse is not begun. `obstacles` decides.
Called by converge and shortcut.

Asked of a region at most every few minutes, by whoever is first to need it: its Glance for formats, stores, import
methods and quota, the host of its store for free space. What a region does not tell stands in nobody's way: its Glance
refuses what it refuses, later.
"""
from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from glancesync.clock import Clock
from glancesync.conf.transfer import TransferSettings
from glancesync.exceptions import GlanceSyncError
from glancesync.model.facts import GlanceFacts
from glancesync.model.image import Image
from glancesync.sync.obstacles import Obstacle, Readiness, find_obstacle

LOG = logging.getLogger(__name__)
_KEPT_SECONDS = 300.0
#: Of one that could not be asked nothing is known for so long.
_FAILED_SECONDS = 30.0


@dataclass(kw_only=True)
class _Kept:
    until: float
    facts: GlanceFacts
    free_bytes: int | None


class Preflight:
    """`read_facts` asks a region's Glance, `read_free` the host of its store (None: nobody says which)."""

    def __init__(self, *, read_facts: Callable[[str], GlanceFacts], read_free: Callable[[str], int | None],
                 settings: TransferSettings, clock: Clock) -> None:
        self._read_facts = read_facts
        self._read_free = read_free
        self._settings = settings
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    def check(self, image: Image, region: str) -> Obstacle | None:
        """As `find_obstacle`; may ask the region."""
        kept = self._look(region)
        return find_obstacle(image, Readiness(region=region, facts=kept.facts, free_bytes=kept.free_bytes,
                                              max_image_bytes=self._settings.max_image_bytes))

    def let_pass(self, image: Image, region: str) -> Callable[[], None]:
        """So many bytes are on their way there: what was found free is less from now on. The result takes it back, for
        a copy that came to nothing: else a few tries that fail would fill a disk that is empty."""
        kept, size = self._kept.get(region), image.size or 0

        def change(more: int) -> None:
            if kept is not None and kept.free_bytes is not None:
                kept.free_bytes += more

        change(-size)
        return lambda: change(size)

    def facts(self, region: str) -> GlanceFacts:
        """What the region's Glance tells; may ask it."""
        return self._look(region).facts

    def _look(self, region: str) -> _Kept:
        kept = self._kept.get(region)
        if kept is None or self._clock.monotonic() >= kept.until:
            kept = self._kept[region] = self._ask(region)
        return kept

    def _ask(self, region: str) -> _Kept:
        seconds, facts, free = _KEPT_SECONDS, GlanceFacts(), None
        try:
            facts = self._read_facts(region)
            free = self._read_free(region)
        except GlanceSyncError as error:
            LOG.info("%s cannot be asked what it takes (%s); it is tried without", region, error.code)
            seconds = _FAILED_SECONDS
        return _Kept(until=self._clock.monotonic() + seconds, facts=facts, free_bytes=free)
