# SPDX-License-Identifier: Apache-2.0
"""Which ways there are from the regions that hold an image's bytes to the one that wants them, best first (pure).

Called by sync.shortcut for each copy, and by whoever explains it. `stream`, through the Glances, is always the last.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from glancesync.model.image import Image
from glancesync.model.store import GlanceStores, Scheme
from glancesync.stores.driver import CopyDriver

STREAM = "stream"


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way: from this region by this driver; a `refusal` says why it is not taken, None that it is. `route`: how its
    bytes pass between the hosts, where there is more to say."""

    source_region: str
    driver: str
    refusal: str | None = None
    route: str | None = None
    source: Scheme | None = field(default=None, repr=False)
    target: Scheme | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Site:
    """A region as a choice sees it. `stores`: what glance_store.yaml says of it, None for nothing; `set_aside`: why
    its stores are not to be used for now."""

    region: str
    stores: GlanceStores | None = None
    set_aside: str | None = None


def select_ways(image: Image, sources: Sequence[Site], target: Site, drivers: Mapping[str, CopyDriver]) -> list[Way]:
    """Every way with its refusal or without, those that may be taken first, in the order to try them; drivers by
    name, sources as given."""
    ways = [way for source in sources for name, driver in sorted(drivers.items())
            for way in _ways(image, source, target, name, driver)]
    streams = [Way(source_region=source.region, driver=STREAM) for source in sources[:1]]
    taken = [way for way in ways if way.refusal is None]
    return [*taken, *streams, *(way for way in ways if way.refusal is not None)]


def _ways(image: Image, source: Site, target: Site, name: str, driver: CopyDriver) -> list[Way]:
    def refused(why: str) -> list[Way]:
        return [Way(source_region=source.region, driver=name, refusal=why)]

    why = _why_not_the_image(image, driver)
    if why is not None:
        return refused(why)
    for site in (source, target):
        if site.stores is None:
            return refused(f"glance_store.yaml names no store of {site.region}")
        if site.set_aside is not None:
            return refused(f"{site.region} is set aside: {site.set_aside}")
    wanted = driver.capabilities
    one, two = _find(source, wanted.source_scheme), _find(target, wanted.target_scheme)
    for site, scheme, kind in ((source, one, wanted.source_scheme), (target, two, wanted.target_scheme)):
        if scheme is None:
            return refused(f"{site.region} has no store of kind {kind}")
    if one is None or two is None:
        return []
    return [Way(source_region=source.region, driver=name, source=one, target=two,
                refusal=driver.find_obstacle(one, two), route=driver.describe_route(one, two))]


def _why_not_the_image(image: Image, driver: CopyDriver) -> str | None:
    if image.size is None or image.size == 0:
        return "the image has no bytes to move"
    if image.digest is None or image.hash_is_claim:
        return "Glance computed no hash of the image, so a copy could not be verified on the target's host"
    if image.digest.algorithm not in driver.capabilities.algorithms:
        return f"the driver cannot verify {image.digest.algorithm}"
    return None


def _find(site: Site, kind: str) -> Scheme | None:
    return next((each for each in site.stores.schemes if each.name == kind), None) if site.stores else None
