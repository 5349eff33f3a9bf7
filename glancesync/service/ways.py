# SPDX-License-Identifier: Apache-2.0
"""Which ways an image's bytes can take to a region, and why others are not taken. Called by the core."""
from __future__ import annotations

from typing import Any

from glancesync.exceptions import InvalidInputError
from glancesync.stores.select import STREAM, Way
from glancesync.sync.context import SyncContext
from glancesync.sync.shortcut import StoreShortcut


def list_ways(context: SyncContext, shortcut: StoreShortcut | None, image_id: str, region: str) -> list[dict[str, Any]]:
    """Best first; `refusal` is None for a way that is taken. Asks the cascading Glance for the image, and, where that
    was not done in the last minutes, the region for what it takes.
    Raises ImageNotFoundError, RegionNotFoundError, InvalidInputError for the cascading region, and RegionErrors."""
    source = context.directory.cascading().name
    context.directory.client(region)
    if region == source:
        raise InvalidInputError(f"{region} is the cascading region: bytes go from there")
    image = context.source_client().get_image(image_id, with_members=False)
    ways = shortcut.explain(image, source, region) if shortcut is not None else [
        Way(source_region=source, driver=STREAM)]
    obstacle = context.preflight.check(image, region) if context.preflight is not None else None
    why = obstacle.reason if obstacle is not None else None
    return [{"source": way.source_region, "driver": way.driver, "carrier": way.carrier.value,
             "refusal": way.refusal or why, "route": way.route, "doubt": way.doubt} for way in ways]
