# SPDX-License-Identifier: Apache-2.0
"""Registers an external URL on a replica. Called by execute; what it means is in locations."""
from __future__ import annotations

import logging

from glancesync.exceptions import (
    RegionAnswerError,
    RegionConflictError,
    RegionForbiddenError,
    RegionQuotaError,
    RegionRejectedError,
)
from glancesync.model.location import fingerprint
from glancesync.sync import actions as act
from glancesync.sync.locations import Locations
from glancesync.sync.run import Run

LOG = logging.getLogger(__name__)
#: What a Glance says that will not have it: no http store, a filter of hosts, a policy, an older Glance.
_REFUSALS = (RegionAnswerError, RegionConflictError, RegionForbiddenError, RegionQuotaError, RegionRejectedError)


class Registrar:
    """Neither notes nor logs a URL: it may be signed."""

    def __init__(self, locations: Locations) -> None:
        self._locations = locations

    def register(self, action: act.RegisterLocation, run: Run) -> None:
        """Its Glance reads and verifies the URL afterwards, by itself. A refusal is noted."""
        self._locations.note(run.image_id, run.region, fingerprint(action.url))
        try:
            run.target.add_location(action.replica_id, action.url, action.digest)
        except _REFUSALS as error:
            reason = f"{run.region} does not take the image's URL as a location ({error.code})"
            self.refuse(act.RefuseLocation(fingerprint=fingerprint(action.url), reason=reason), run)

    def refuse(self, action: act.RefuseLocation, run: Run) -> None:
        LOG.info("the bytes of image %s are copied to %s: %s", run.image_id, run.region, action.reason)
        self._locations.note(run.image_id, run.region, action.fingerprint, refused=action.reason)
