# SPDX-License-Identifier: Apache-2.0
"""Which ways there are from the regions that hold an image's bytes to the one that wants them, best first (pure).

Called by sync.shortcut for each copy, and by whoever explains it. The drivers that may fill a region stand in its
order; `stream`, through the Glances, is always the last of them. With each driver the sources come in this order:
those that did not fail a moment ago, those with room for one more copy, the same host, the fastest link as measured
(within a factor of two they count as equal, and what was never measured as the fastest), the least busy.
"""
from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from glancesync.model.facts import GlanceFacts
from glancesync.model.image import Image
from glancesync.model.store import FilesystemScheme, GlanceStores, Scheme
from glancesync.stores.driver import STREAM, Capabilities, Carrier, CopyDriver

#: Import plugins that change no byte; and the one that leaves images in compressed containers as they are.
_HARMLESS = frozenset({"no_op", "inject_image_metadata"})
_DECOMPRESSION = "image_decompression"
#: Where neither the file nor the option says anything.
DEFAULT_ORDER = ("filesystem", STREAM)


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way: from this region by this driver; a `refusal` says why it is not taken, None that it is. `carrier`: the
    machine that the bytes pass through. `route`: how they pass between the hosts, where there is more to say.
    `source_id`: the image's id in the source. `busy`: it may be taken later, the refusal says why; `doubt`: why it is
    tried after the others."""

    source_region: str
    driver: str
    source_id: str = ""
    busy: bool = False
    doubt: str | None = None
    carrier: Carrier = Carrier.SERVER
    refusal: str | None = None
    route: str | None = None
    source: Scheme | None = field(default=None, repr=False)
    target: Scheme | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Site:
    """A region as a choice sees it. `stores`: what glance_store.yaml says of it, None for nothing; `order`: the drivers
    that may fill it, the first one first; `set_aside`: why one of them is not to fill it for now, by its name; `facts`:
    what its Glance tells of itself."""

    region: str
    stores: GlanceStores | None = None
    order: tuple[str, ...] = DEFAULT_ORDER
    set_aside: Mapping[str, str] = field(default_factory=dict)
    facts: GlanceFacts = GlanceFacts()


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A region that holds the image's bytes under `image_id`, verified. `refusal`: why nothing is read there now;
    `doubt`: how it failed a moment ago; `readers`: copies of the image that are read there now; `busy`: why there may
    be no more; `joins`: a read through the Glances is about to begin that others may share; `speeds`: bytes a second
    of past copies from there to the target, by driver."""

    site: Site
    image_id: str
    refusal: str | None = None
    doubt: str | None = None
    readers: int = 0
    busy: str | None = None
    joins: bool = False
    speeds: Mapping[str, float] = field(default_factory=dict)


def select_ways(image: Image, holders: Sequence[Holder], target: Site,
                drivers: Mapping[str, CopyDriver]) -> list[Way]:
    """Every way with its refusal or without, those that may be taken, now or later, first, in the order to try
    them."""
    found: list[tuple[tuple[float, ...], Way]] = []
    for place, (name, driver) in enumerate([*_in_order(target, drivers), (STREAM, None)]):
        fastest = max((_class(each.speeds.get(name)) for each in holders), default=0)
        for holder in holders:
            way = _way(image, holder, target, name, driver) if driver is not None else _stream(holder, target)
            speed = _class(holder.speeds[name]) if name in holder.speeds else fastest
            found.append(((way.refusal is not None and not way.busy, place, way.doubt is not None, way.busy,
                           not _is_one_host(way), -speed, holder.readers), way))
    return [way for _rank, way in sorted(found, key=lambda each: each[0])]


def next_way(ways: Sequence[Way], tried: Collection[tuple[str, str]]) -> Way | None:
    """The first that was not tried, as (driver, source region), and may be taken; one that is busy is to be waited
    for: another driver is no better only because it is free."""
    return next((way for way in ways if (way.driver, way.source_region) not in tried
                 and (way.refusal is None or way.busy)), None)


def _class(bytes_per_second: float | None) -> int:
    return int(math.log2(bytes_per_second)) if bytes_per_second and bytes_per_second > 1 else 0


def _is_one_host(way: Way) -> bool:
    one, two = way.source, way.target
    return (isinstance(one, FilesystemScheme) and isinstance(two, FilesystemScheme)
            and one.ssh.account == two.ssh.account)


def _in_order(target: Site, drivers: Mapping[str, CopyDriver]) -> list[tuple[str, CopyDriver]]:
    """Those that the order names come first, in it."""
    place = {name: number for number, name in enumerate(target.order)}
    return sorted(drivers.items(), key=lambda each: (place.get(each[0], len(place)), each[0]))


def _stream(holder: Holder, target: Site) -> Way:
    why = _why_not_in_order(STREAM, target) or holder.refusal
    busy = None if why or holder.joins else holder.busy
    return Way(source_region=holder.site.region, source_id=holder.image_id, driver=STREAM, refusal=why or busy,
               busy=busy is not None, doubt=holder.doubt)


def _way(image: Image, holder: Holder, target: Site, name: str, driver: CopyDriver) -> Way:
    wanted, source = driver.capabilities, holder.site
    one, two = find_scheme(source, wanted.source_scheme), find_scheme(target, wanted.target_scheme)
    why = (_why_not_in_order(name, target) or _why_not_the_image(image, wanted)
           or _why_not_enabled(wanted, target) or _why_not_as_it_is(image, wanted, target)
           or _why_no_store(source, wanted.source_scheme, one) or _why_no_store(target, wanted.target_scheme, two))
    if why is None and name in target.set_aside:
        why = f"{target.region} is set aside: {target.set_aside[name]}"
    why = why or holder.refusal or driver.find_obstacle(one, two)
    return Way(source_region=source.region, source_id=holder.image_id, driver=name, carrier=wanted.carrier, source=one,
               target=two, refusal=why or holder.busy, busy=why is None and holder.busy is not None,
               doubt=holder.doubt,
               route=driver.describe_route(one, two) if one is not None and two is not None else None)


def _why_not_in_order(name: str, target: Site) -> str | None:
    return None if name in target.order else f"it is none of the drivers that may fill {target.region}"


def _why_not_the_image(image: Image, wanted: Capabilities) -> str | None:
    if image.size is None or image.size == 0:
        return "the image has no bytes to move"
    if image.digest is None or image.hash_is_claim:
        return "Glance computed no hash of the image, so a copy could not be verified"
    if wanted.verifies_first and image.digest.algorithm not in wanted.algorithms:
        return f"the driver cannot verify {image.digest.algorithm}"
    if wanted.import_methods and wanted.registers is None and image.status != "active":
        return f"the image is {image.status}, and a Glance imports from active ones only"
    return None


def _why_not_enabled(wanted: Capabilities, target: Site) -> str | None:
    """What its Glance does not tell stands in nobody's way."""
    methods, stores = target.facts.import_methods, target.facts.stores
    missing = wanted.import_methods - methods if methods is not None else frozenset()
    if missing:
        return f"the Glance of {target.region} has not enabled {', '.join(sorted(missing))}"
    kinds = {store.kind for store in stores or () if store.kind is not None}
    if kinds and not wanted.target_stores <= kinds:
        return f"the Glance of {target.region} has no store of kind {', '.join(sorted(wanted.target_stores - kinds))}"
    return None


def _why_not_as_it_is(image: Image, wanted: Capabilities, target: Site) -> str | None:
    """Glance tells nobody which plugins it has: an operator may; else the hash tells afterwards, at the cost of an id.
    """
    if not wanted.import_methods or wanted.registers is not None or target.stores is None:
        return None
    for plugin in target.stores.import_plugins:
        if plugin in _HARMLESS or (plugin == _DECOMPRESSION and image.container_format == "compressed"):
            continue
        return f"imports of {target.region} pass through the plugin {plugin}, which may change their bytes"
    return None


def _why_no_store(site: Site, kind: str | None, found: Scheme | None) -> str | None:
    if kind is None or found is not None:
        return None
    if site.stores is None:
        return f"glance_store.yaml names no store of {site.region}"
    return f"{site.region} has no store of kind {kind}"


def find_scheme(site: Site, kind: str | None) -> Scheme | None:
    """The site's store of that kind."""
    return next((each for each in site.stores.schemes if each.name == kind), None) if site.stores else None
