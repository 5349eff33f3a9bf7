# SPDX-License-Identifier: Apache-2.0
"""What the strategy says of one image in one region: puts Keystone's answers and the pure rules together. Called by the
context and the service."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from glancesync.conf.strategy import StrategySettings
from glancesync.conf.sync import SyncSettings
from glancesync.exceptions import OwnerRegionsUnknownError
from glancesync.model.image import Image
from glancesync.sync.owners import Owners
from glancesync.sync.strategy import is_user, select_region_names
from glancesync.sync.user import FOR_EVERYBODY, why_not, why_not_everybody


@dataclass(frozen=True, kw_only=True)
class Choice:
    """`selected`: the image belongs in the region; `reason` why not. `undecided`: why nobody knows (it is not selected
    then). `treatment` is what becomes of a replica that is there though its owner may not use the region any more
    (one of disallowed_replicas); None where the strategy leaves those as they are."""

    selected: bool
    reason: str = ""
    undecided: str | None = None
    treatment: str | None = None


SELECTED = Choice(selected=True)


class RegionChooser:
    """`owners` is asked only where the strategy is USER."""

    def __init__(self, *, settings: SyncSettings, strategy: StrategySettings, owners: Owners) -> None:
        self._settings = settings
        self._strategy = strategy
        self._owners = owners

    def choose(self, image: Image, region: str, cascaded: Iterable[str], *, fresh: bool = False) -> Choice:
        """Asks Keystone where it was not asked lately, or where `fresh`. Never to be called in a transaction."""
        if region not in select_region_names(self._settings.sync_strategy, cascaded):
            return Choice(selected=False, reason="the strategy does not select this region")
        if not is_user(self._settings.sync_strategy):
            return SELECTED
        try:
            reason = self._why_not(image, region, fresh=fresh)
        except OwnerRegionsUnknownError as error:
            return Choice(selected=False, undecided=str(error), treatment=self._strategy.disallowed_replicas)
        if reason is None:
            return SELECTED
        return Choice(selected=False, reason=reason, treatment=self._strategy.disallowed_replicas)

    def regions_of_project(self, project_id: str | None, cascaded: Iterable[str]) -> frozenset[str]:
        """The cascaded regions that a project may use. Raises OwnerRegionsUnknownError."""
        if not is_user(self._settings.sync_strategy):
            return frozenset(cascaded)
        if project_id is None:
            return frozenset()
        owner = self._owners.get(project_id)
        return frozenset(region for region in cascaded if why_not(region, owner, self._strategy) is None)

    def renew(self) -> None:
        """Keystone is asked anew for each owner: a comparison begins."""
        self._owners.renew()

    def _why_not(self, image: Image, region: str, *, fresh: bool) -> str | None:
        if image.visibility in FOR_EVERYBODY:
            return why_not_everybody(region, self._strategy)
        if image.owner is None:
            return "no project owns the image, and it is neither public nor community"
        return why_not(region, self._owners.get(image.owner, fresh=fresh), self._strategy)
