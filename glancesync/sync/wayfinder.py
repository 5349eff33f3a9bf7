# SPDX-License-Identifier: Apache-2.0
"""Which ways an image's bytes can take to a region now: gathers what stores.select chooses from. Called by shortcut."""
from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from glancesync.exceptions import StoreCopyError
from glancesync.model.facts import GlanceFacts
from glancesync.model.image import Image
from glancesync.model.region import Region
from glancesync.model.store import GlanceStores
from glancesync.stores.driver import CopyDriver
from glancesync.stores.select import Site, Way, select_ways
from glancesync.sync.asides import Asides
from glancesync.sync.sources import Sources

LOG = logging.getLogger(__name__)


class WayFinder:
    """`find_stores`: what the file says of a region; `order`: the drivers that may fill one of which it does not say
    that; `gathers`: the tee's; `read_facts`: what a region's Glance tells of itself, which may ask it."""

    def __init__(self, *, drivers: Mapping[str, CopyDriver],  # noqa: PLR0913 - by name
                 find_stores: Callable[[Region], GlanceStores | None], regions: Callable[[], Sequence[Region]],
                 order: Callable[[], tuple[str, ...]], sources: Sources, gathers: Callable[[str, str], bool],
                 read_facts: Callable[[str], GlanceFacts], asides: Asides) -> None:
        self._drivers = drivers
        self._find_stores = find_stores
        self._regions = regions
        self._order = order
        self._sources = sources
        self._gathers = gathers
        self._read_facts = read_facts
        self._asides = asides

    def explain(self, image: Image, source: str, target: str) -> list[Way]:
        """Every way for this image from wherever it is, best first, each with why it is not taken. `source` is the
        cascading region; `read_facts` may ask the target."""
        holders = self._sources.list_holders(image, source, target, site=self.site, joins=self._gathers)
        site = replace(self.site(target), facts=self._read_facts(target))
        return select_ways(image, holders, site, self._drivers)

    def find_free_bytes(self, region: str) -> int | None:
        """How much room there is where the region keeps its images; None where nobody can tell, or not now."""
        found = next((each for each in self._regions() if each.name == region), None)
        stores = self._find_stores(found) if found is not None else None
        for scheme in stores.schemes if stores is not None else ():
            for driver in self._drivers.values():
                if driver.capabilities.target_scheme == scheme.name:
                    try:
                        return driver.find_free_bytes(scheme)
                    except StoreCopyError as error:
                        LOG.info("how much room %s has is not known: %s", region, error)
        return None

    def site(self, name: str) -> Site:
        """The region as a choice sees it."""
        region = next((each for each in self._regions() if each.name == name), None)
        stores = self._find_stores(region) if region is not None else None
        order = stores.drivers if stores is not None and stores.drivers else self._order()
        return Site(region=name, stores=stores, order=order, set_aside=self._asides.of(name))
