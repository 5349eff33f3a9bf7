# SPDX-License-Identifier: Apache-2.0
"""Fills a replica past this server's own reading and writing, where a driver and the target's Glance allow it. Called
by execute.

    create out of reach (as ever) -> copy to the target's store, hashed there -> POST /locations with the hash
                                     or: its Glance fetches the bytes itself, and hashes them on receipt
    -> its Glance has taken it: active, still out of reach -> compared, handed over (as ever)

Whatever goes wrong on the way is written down, what it left is removed, and the next way is tried in the same run; the
last one is through the Glances, where the region's order of drivers has it.
"""
from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from glancesync.clock import Clock
from glancesync.exceptions import (
    NoWayError,
    ReplicaSavingError,
    StoreCopyError,
    StoreImportError,
    StoreImportRefusedError,
    VerificationError,
)
from glancesync.model.facts import GlanceFacts
from glancesync.model.image import Image
from glancesync.model.region import Region
from glancesync.model.store import GlanceStores
from glancesync.stores.driver import STREAM, CopyDriver, StoreCopy
from glancesync.stores.select import DEFAULT_ORDER, Site, Way, select_ways
from glancesync.sync.asides import Asides
from glancesync.sync.attempts import AttemptWatch
from glancesync.sync.placed import PlacedFiles
from glancesync.sync.run import Run
from glancesync.sync.tee import CopyResult
from glancesync.sync.verify import check_copy

LOG = logging.getLogger(__name__)
#: What changes the bytes of an image once does so each time; each time costs an id.
_CHANGED_SECONDS = 86400.0
_REFUSED_SECONDS = 600.0
_FAILED_SECONDS = 60.0
#: When a pair is looked at again for which there is no way.
_NO_WAY_SECONDS = 300.0


class StoreShortcut:
    """Holds the drivers, and which of them are set aside for which region. `find_stores`: what the file says; `order`:
    the drivers that may fill a region of which the file does not say that; `read_facts`: what a region's Glance tells
    of itself, of which a few minutes' age does not matter; `find_base`: the replica in the run's region to which an
    image may be copied as a difference."""

    def __init__(self, *, drivers: Mapping[str, CopyDriver],  # noqa: PLR0913 - by name
                 find_stores: Callable[[Region], GlanceStores | None],
                 regions: Callable[[], Sequence[Region]], clock: Clock,
                 order: Callable[[], tuple[str, ...]] = lambda: DEFAULT_ORDER,
                 find_base: Callable[[Image, Run], str | None] = lambda _image, _run: None,
                 read_facts: Callable[[str], GlanceFacts] = lambda _region: GlanceFacts()) -> None:
        self._drivers = drivers
        self._find_stores = find_stores
        self._regions = regions
        self._clock = clock
        self._order = order
        self._find_base = find_base
        self._read_facts = read_facts
        self._asides = Asides(clock)
        self._placed = PlacedFiles(self._asides, clock)

    def explain(self, image: Image, source: str, target: str) -> list[Way]:
        """Every way for this image, best first, each with why it is not taken. `read_facts` may ask the
        target."""
        site = replace(self._site(target), facts=self._read_facts(target))
        return select_ways(image, [self._site(source)], site, self._drivers)

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

    def copy(self, source: Image, run: Run, replica_id: str, watch: AttemptWatch) -> tuple[str, CopyResult] | None:
        """Fill the queued replica; the driver's name and what arrived. None: the bytes have to go through the Glances,
        the replica is queued. `watch` is told of each attempt. Raises NoWayError, StoreCopyErrors where nothing else
        may be tried, VerificationError for a replica that has to be replaced, and what the run's handle and the
        regions' clients raise."""
        ways = [way for way in self.explain(source, run.reader.region_name, run.region) if way.refusal is None]
        if not ways:
            raise NoWayError(f"no way of the bytes of image {source.id} to {run.region} may be taken",
                             region=run.region, retry_after_seconds=_NO_WAY_SECONDS)
        for way, following in zip(ways, [*ways[1:], None], strict=True):
            if self._is_taken(replica_id, run) or way.driver == STREAM:
                return None
            started = self._clock.monotonic()
            try:
                return way.driver, self._try(way, source, run, replica_id, watch)
            except StoreCopyError as error:
                self._set_aside(way, error)
                LOG.warning("image %s goes to %s %s: %s by %s from %s after %.1f s: %s", source.id, run.region,
                            _describe(following), error.code, way.driver, way.source_region,
                            self._clock.monotonic() - started, error)
                if following is None:
                    raise
        return None

    def _is_taken(self, replica_id: str, run: Run) -> bool:
        """Whether a location task of an earlier run still works on the replica: its file must stay where it is. Raises
        ReplicaSavingError where it takes no upload either."""
        replica = run.target.get_image(replica_id, with_members=False)
        if replica.status in ("importing", "saving"):
            raise ReplicaSavingError(f"the replica {replica_id} in {run.region} is {replica.status}")
        return replica.locked

    def _try(self, way: Way, source: Image, run: Run, replica_id: str, watch: AttemptWatch) -> CopyResult:
        if source.size is None or source.digest is None:
            raise StoreCopyError(f"image {source.id} has no size or no hash")  # such a way is never taken
        driver, started = self._drivers[way.driver], self._clock.monotonic()
        copy = StoreCopy(image_id=source.id, replica_id=replica_id, size=source.size, digest=source.digest,
                         source=way.source, target=way.target, source_region=way.source_region, glance=run.target,
                         base_id=self._find_base(source, run))
        run.handle.ensure_lease()
        run.handle.gathering.arrive()  # nobody waits for this run to read the source with him
        with watch.attempt(run, driver=way.driver, source_region=way.source_region):
            url = driver.copy(copy, run.handle)
            if url is not None:
                self._placed.register(driver, copy, url, run)
            found = CopyResult(size=source.size, digests={source.digest.algorithm: source.digest.value})
            self._ensure_same(driver, found, run, replica_id)
        LOG.info("image %s went to %s by %s from %s: %d bytes in %.2f s", source.id, run.region, way.driver,
                 way.source_region, source.size, self._clock.monotonic() - started)
        return found

    def _set_aside(self, way: Way, error: StoreCopyError) -> None:
        """For an import that fails the image may be to blame; what is refused is refused for all."""
        if isinstance(error, StoreImportError) and error.region is not None:
            refused = isinstance(error, StoreImportRefusedError)
            self._asides.note(error.region, way.driver, str(error), seconds=_REFUSED_SECONDS if refused
                              else _FAILED_SECONDS)

    def _ensure_same(self, driver: CopyDriver, found: CopyResult, run: Run, replica_id: str) -> None:
        """What was verified first is compared by who called this, as any copy."""
        if driver.capabilities.verifies_first:
            return
        try:
            check_copy(found, run.target.get_image(replica_id, with_members=False), run.region)
        except VerificationError as error:
            self._asides.note(run.region, driver.name, str(error), seconds=_CHANGED_SECONDS)
            raise

    def _site(self, name: str) -> Site:
        region = next((each for each in self._regions() if each.name == name), None)
        stores = self._find_stores(region) if region is not None else None
        order = stores.drivers if stores is not None and stores.drivers else self._order()
        return Site(region=name, stores=stores, order=order, set_aside=self._asides.of(name))


def _describe(way: Way | None) -> str:
    """How the bytes go on."""
    if way is None:
        return "at the next try"
    return "through the Glances" if way.driver == STREAM else f"by {way.driver}"
