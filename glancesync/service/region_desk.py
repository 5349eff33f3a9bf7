# SPDX-License-Identifier: Apache-2.0
"""The regions as they are shown, checked, frozen and thawed. Used by the core."""
from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from glancesync.clock import isoformat
from glancesync.db.engine import Database
from glancesync.exceptions import InvalidInputError, RegionNotFoundError
from glancesync.model.fill import FillProgress
from glancesync.model.text import inert
from glancesync.regions.breaker import Breaker, BreakerState
from glancesync.regions.directory import RegionDirectory
from glancesync.regions.health import RegionHealth
from glancesync.service.filling import Filling
from glancesync.service.freezing import FrozenRegions
from glancesync.service.views import ImageViews
from glancesync.sync.choice import RegionChooser
from glancesync.sync.new_ids import region_problems

LOG = logging.getLogger(__name__)


class RegionDesk:
    """Answers of the regions; `views` counts their replicas."""

    def __init__(self, *, database: Database, directory: RegionDirectory, health: RegionHealth, frozen: FrozenRegions,  # noqa: PLR0913
                 views: ImageViews, chooser: RegionChooser, filling: Filling) -> None:
        self._filling = filling
        self._database = database
        self._directory = directory
        self._health = health
        self._frozen = frozen
        self._views = views
        self._chooser = chooser

    def check(self, names: Sequence[str] | None) -> None:
        """Raises RegionNotFoundError, and InvalidInputError for the cascading region."""
        known = {each.name for each in self._directory.cascaded()}
        for name in names or ():
            if name == self._directory.cascading().name:
                raise InvalidInputError(f"{name} is the cascading region; images are copied from it, never to it")
            if name not in known:
                raise RegionNotFoundError(f"there is no cascaded region {name!r}; there are {', '.join(sorted(known))}")

    def list_regions(self) -> list[dict[str, Any]]:
        """The catalog's regions, and those that left it, with the number of replicas by state and their breaker's."""
        counts, gone = self._views.count_states(), self._views.gone_regions()
        here = [self._directory.cascading(), *self._directory.cascaded()]
        found: list[dict[str, Any]] = [{
                 "name": region.name, "endpoint": region.endpoint, "cascading": region.cascading, "gone_at": None,
                 "images": counts.get(region.name, {}), "breaker": _breaker_view(self._health.breaker(region.name))}
                for region in here] + [
                {"name": name, "endpoint": None, "cascading": False, "gone_at": isoformat(at),
                 "images": counts.get(name, {}), "breaker": None} for name, at in sorted(gone.items())]
        problems = self._database.read(region_problems)
        frozen, fills = self._frozen.refresh(), self._filling.progress()
        return [{**region, "problems": problems.get(region["name"], []),
                 "frozen": frozen[region["name"]].to_json() if region["name"] in frozen else None,
                 "fill": _fill_view(fills.get(region["name"]), region, frozen)} for region in found]

    def endpoints(self, region_names: Sequence[str], project_id: str | None) -> list[str]:
        """Image endpoints of the cascaded regions that the project may use, of those named where some are. Raises
        RegionNotFoundError for one that it may not use as for one that is not there, and OwnerRegionsUnknownError."""
        cascaded = self._directory.cascaded()
        allowed = self._chooser.regions_of_project(project_id, [region.name for region in cascaded])
        for name in region_names:
            if name not in allowed:
                raise RegionNotFoundError(f"there is no cascaded region {name!r} that your project may use; there are "
                                          f"{', '.join(sorted(allowed)) or 'none'}")
        return [region.endpoint for region in cascaded if region.name in (set(region_names) or allowed)]

    def freeze(self, name: str, *, by: str | None, reason: str | None) -> None:
        """Nothing is written to the region until it is thawed; what runs there ends soon. Raises RegionNotFoundError,
        and InvalidInputError for the cascading region."""
        self.check([name])
        self._frozen.freeze(name, by=by, reason=reason)
        LOG.warning("region %s is frozen by %s: its tasks wait%s", name, by or "the host's administrator",
                    f" ({inert(reason)})" if reason else "")

    def thaw(self, name: str) -> None:
        """Its tasks go on within seconds. Raises as `freeze_region`."""
        self.check([name])
        self._frozen.thaw(name)
        LOG.warning("region %s is thawed: its tasks go on", name)


def _fill_view(progress: FillProgress | None, region: Mapping[str, Any],
               frozen: Collection[str]) -> dict[str, Any] | None:
    """None where nothing is being filled."""
    if progress is None:
        return None
    closed = region["breaker"] is not None and region["breaker"]["state"] == BreakerState.CLOSED.value
    # Of a region in which nothing moves now nobody knows when it ends.
    eta = progress.eta_seconds() if closed and region["name"] not in frozen else None
    return {"images_done": progress.done, "images_failed": progress.failed, "images_total": progress.images,
            "bytes_done": progress.bytes_done, "bytes_total": progress.bytes_total,
            "since": isoformat(progress.since), "eta_seconds": None if eta is None else round(eta)}


def _breaker_view(breaker: Breaker) -> dict[str, Any]:
    return {"state": breaker.state.value, "since": isoformat(breaker.since), "failures": breaker.failures,
            "next_probe_at": isoformat(breaker.next_probe_at), "reason": breaker.reason}
