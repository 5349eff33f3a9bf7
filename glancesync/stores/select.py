# SPDX-License-Identifier: Apache-2.0
"""Which ways there are from the regions that hold an image's bytes to the one that wants them, best first (pure).

Called by sync.shortcut for each copy, and by whoever explains it. The drivers that may fill a region stand in its
order; `stream`, through the Glances, is always the last of them.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from glancesync.model.facts import GlanceFacts
from glancesync.model.image import Image
from glancesync.model.store import GlanceStores, Scheme
from glancesync.stores.driver import STREAM, Capabilities, Carrier, CopyDriver

#: Import plugins that change no byte; and the one that leaves images in compressed containers as they are.
_HARMLESS = frozenset({"no_op", "inject_image_metadata"})
_DECOMPRESSION = "image_decompression"
#: Where neither the file nor the option says anything.
DEFAULT_ORDER = ("filesystem", STREAM)


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way: from this region by this driver; a `refusal` says why it is not taken, None that it is. `carrier`: the
    machine that the bytes pass through. `route`: how they pass between the hosts, where there is more to say."""

    source_region: str
    driver: str
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


def select_ways(image: Image, sources: Sequence[Site], target: Site, drivers: Mapping[str, CopyDriver]) -> list[Way]:
    """Every way with its refusal or without, those that may be taken first, in the order to try them: drivers by
    the target's order, sources as given."""
    ways = [_way(image, source, target, name, driver) for name, driver in _in_order(target, drivers)
            for source in sources]
    ways += [_stream(source, target) for source in sources[:1]]
    return [way for way in ways if way.refusal is None] + [way for way in ways if way.refusal is not None]


def _in_order(target: Site, drivers: Mapping[str, CopyDriver]) -> list[tuple[str, CopyDriver]]:
    """Those that the order names come first, in it."""
    place = {name: number for number, name in enumerate(target.order)}
    return sorted(drivers.items(), key=lambda each: (place.get(each[0], len(place)), each[0]))


def _stream(source: Site, target: Site) -> Way:
    return Way(source_region=source.region, driver=STREAM, refusal=_why_not_in_order(STREAM, target))


def _way(image: Image, source: Site, target: Site, name: str, driver: CopyDriver) -> Way:
    wanted = driver.capabilities
    one, two = _find(source, wanted.source_scheme), _find(target, wanted.target_scheme)
    why = (_why_not_in_order(name, target) or _why_not_the_image(image, wanted)
           or _why_not_enabled(wanted, target) or _why_not_as_it_is(image, wanted, target)
           or _why_no_store(source, wanted.source_scheme, one) or _why_no_store(target, wanted.target_scheme, two))
    if why is None and name in target.set_aside:
        why = f"{target.region} is set aside: {target.set_aside[name]}"
    why = why or driver.find_obstacle(one, two)
    return Way(source_region=source.region, driver=name, carrier=wanted.carrier, source=one, target=two, refusal=why,
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
    if wanted.import_methods and image.status != "active":
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
    if not wanted.import_methods or target.stores is None:
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


def _find(site: Site, kind: str | None) -> Scheme | None:
    return next((each for each in site.stores.schemes if each.name == kind), None) if site.stores else None
