# SPDX-License-Identifier: Apache-2.0
"""Which regions there are now, and a client for each. Called by the service, converge and reconcile."""
from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from glancesync.clock import Clock
from glancesync.conf.sync import SyncSettings
from glancesync.exceptions import GlanceSyncError, NotReadyError, RegionNotFoundError
from glancesync.model.region import Region
from glancesync.regions.catalog import Catalog
from glancesync.regions.client import RegionClient
from glancesync.regions.endpoints import CatalogEntry, find_rivals, resolve_cascading, select_regions
from glancesync.regions.factory import RegionClients

LOG = logging.getLogger(__name__)


class RegionDirectory:
    """The regions of the catalog, read again every `catalog_refresh_seconds`.

    While Keystone does not answer, the last known regions stay in force: a region is never gone because of an error.
    """

    def __init__(self, *, catalog: Catalog, clients: RegionClients, settings: SyncSettings, interface: str,
                 clock: Clock) -> None:
        self._catalog = catalog
        self._clients = clients
        self._settings = settings
        self._interface = interface
        self._clock = clock
        self._regions: dict[str, Region] = {}
        self._left_out: frozenset[str] = frozenset()
        self._rivals: dict[tuple[str, str], list[str]] = {}
        self._cascading: str | None = None
        self._read_at: float | None = None
        self._before_change: Callable[[Sequence[Region]], object] | None = None

    def before_change(self, tell: Callable[[Sequence[Region]], object]) -> None:
        """Have `tell(all regions)` called before other regions than now come in force. While it runs, and when it
        raises a GlanceSyncError, those of before stay: nobody works under a name that it does not know yet."""
        self._before_change = tell

    def load(self) -> None:
        """Read the catalog now. Raises ConfigurationError when no region is the cascading one, and RegionErrors."""
        entries = self._catalog.list_endpoints()
        cascading = resolve_cascading(entries, self._settings.cascading_region, self._settings.cascading_endpoint_url)
        found = select_regions(entries, self._interface, cascading)
        names = {region.name for region in found}
        for name in sorted(names - set(self._regions)):
            LOG.info("region %s: %s", name, "cascading" if name == cascading else "cascaded")
        for name in sorted(set(self._regions) - names):
            LOG.warning("region %s left the catalog", name)
        by_name = {region.name: region for region in found}
        if self._before_change is not None and by_name != self._regions:
            self._before_change(found)
        self._tell_rivals(entries)
        left_out = frozenset(entry.region for entry in entries) - names
        for name in sorted(left_out - self._left_out):
            LOG.warning("region %s is left out: its image endpoint is none that can be used, or that of another region",
                        name)
        self._left_out = left_out
        self._regions = by_name
        self._cascading = cascading
        self._read_at = self._clock.monotonic()

    def _tell_rivals(self, entries: Sequence[CatalogEntry]) -> None:
        rivals = find_rivals(entries)
        for (region, interface), urls in rivals.items():
            if self._rivals.get((region, interface)) != urls:
                LOG.warning("region %s has %d image services with an endpoint for %s: %s; %s is used, remove the "
                            "others from the catalog", region, len(urls), interface, ", ".join(urls), urls[-1])
        self._rivals = rivals

    def cascading(self) -> Region:
        """The region that users write to. Raises NotReadyError before the catalog was read."""
        self._refresh()
        return self._regions[self._cascading or ""]

    def cascaded(self) -> Sequence[Region]:
        """The regions that hold copies, by name."""
        self._refresh()
        return sorted(region for region in self._regions.values() if not region.cascading)

    def known(self) -> Sequence[Region]:
        """All regions as they were last read. Asks nobody."""
        return list(self._regions.values())

    def known_cascading(self) -> str | None:
        """The cascading region's name as it was last read, None before. Asks nobody."""
        return self._cascading

    def client(self, name: str) -> RegionClient:
        """Raises RegionNotFoundError naming the regions that exist."""
        self._refresh()
        region = self._regions.get(name)
        if region is None:
            raise RegionNotFoundError(f"there is no region {name!r} in the catalog; "
                                      f"there are {', '.join(sorted(self._regions))}")
        return self._clients.get(region)

    def _refresh(self) -> None:
        if self._read_at is None:
            raise NotReadyError("the list of regions was not read from Keystone yet; try again in a moment")
        if self._clock.monotonic() - self._read_at < self._settings.catalog_refresh_seconds:
            return
        self._read_at = self._clock.monotonic()
        try:
            self.load()
        except GlanceSyncError as error:
            LOG.warning("the list of regions could not be read, the last one stays in force: %s", error)
