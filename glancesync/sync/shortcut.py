# SPDX-License-Identifier: Apache-2.0
"""Fills a replica past the Glances, where glance_store.yaml and the target's Glance allow it. Called by execute.

    create out of reach (as ever) -> copy to the target's store, hashed there -> POST /locations with the hash
    -> its Glance has taken it: active, still out of reach -> compared, handed over (as ever)

Whatever goes wrong on the way is noted, what it left is removed, and the bytes go through the Glances in the same run.
"""
from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from glancesync.clock import Clock
from glancesync.exceptions import (
    RegionAnswerError,
    RegionConflictError,
    RegionForbiddenError,
    RegionQuotaError,
    RegionRejectedError,
    StoreCopyError,
    StoreRegistrationError,
)
from glancesync.model.image import Digest, Image
from glancesync.model.region import Region
from glancesync.model.store import GlanceStores
from glancesync.stores.driver import CopyDriver, StoreCopy
from glancesync.stores.select import STREAM, Site, Way, select_ways
from glancesync.sync.run import Run
from glancesync.sync.tee import CopyResult

LOG = logging.getLogger(__name__)
#: What a Glance says that will not have it.
_REFUSALS = (RegionAnswerError, RegionConflictError, RegionForbiddenError, RegionQuotaError, RegionRejectedError)
#: A region whose Glance did not register is asked again after this time.
_ASIDE_SECONDS = 600.0
_POLL_SECONDS = 0.1
_POLL_MOST_SECONDS = 2.0
#: How long a Glance may take to read what it was told of, beside the time at which it reads this many bytes a second.
_REGISTER_SECONDS = 120.0
_READ_BYTES_PER_SECOND = 10 * 2 ** 20


class StoreShortcut:
    """Holds the drivers, and which regions' Glances did not register files. `find_stores`: what the file says."""

    def __init__(self, *, drivers: Mapping[str, CopyDriver], find_stores: Callable[[Region], GlanceStores | None],
                 regions: Callable[[], Sequence[Region]], clock: Clock) -> None:
        self._drivers = drivers
        self._find_stores = find_stores
        self._regions = regions
        self._clock = clock
        self._aside: dict[str, tuple[float, str]] = {}

    def explain(self, image: Image, source: str, target: str) -> list[Way]:
        """Every way for this image, best first, each with why it is not taken. Asks nobody."""
        return select_ways(image, [self._site(source)], self._site(target), self._drivers)

    def copy(self, source: Image, run: Run, replica_id: str) -> tuple[str, CopyResult] | None:
        """Fill the queued replica; the driver's name and what arrived. None: the bytes have to go through the Glances,
        the replica is queued. Raises what the run's handle and the regions' clients raise."""
        for way in self.explain(source, run.reader.region_name, run.region):
            if way.driver == STREAM or self._is_taken(replica_id, run):
                return None
            if way.refusal is None:
                found = self._try(way, source, run, replica_id)
                if found is not None:
                    return way.driver, found
        return None

    def _is_taken(self, replica_id: str, run: Run) -> bool:
        """Whether a location task of an earlier run still works on the replica: its file must stay where it is."""
        return run.target.get_image(replica_id, with_members=False).locked

    def _try(self, way: Way, source: Image, run: Run, replica_id: str) -> CopyResult | None:
        if source.size is None or source.digest is None or way.source is None or way.target is None:
            return None
        driver, started = self._drivers[way.driver], self._clock.monotonic()
        copy = StoreCopy(image_id=source.id, replica_id=replica_id, size=source.size, digest=source.digest,
                         source=way.source, target=way.target)
        run.handle.gathering.arrive()  # nobody waits for this run to read the source with him
        try:
            url = driver.copy(copy, run.handle)
            self._register(driver, copy, url, run)
        except StoreCopyError as error:
            LOG.warning("image %s goes to %s through the Glances: %s by %s from %s after %.1f s: %s", source.id,
                        run.region, error.code, way.driver, way.source_region, self._clock.monotonic() - started, error)
            return None
        LOG.info("image %s went to %s by %s from %s: %d bytes in %.2f s", source.id, run.region, way.driver,
                 way.source_region, source.size, self._clock.monotonic() - started)
        return CopyResult(size=source.size, digests={source.digest.algorithm: source.digest.value})

    def _register(self, driver: CopyDriver, copy: StoreCopy, url: str, run: Run) -> None:
        taken = False
        try:
            run.handle.report(step="registering", bytes_done=copy.size)
            run.handle.ensure_lease()
            self._post(copy, url, copy.digest, run)
            taken = self._wait(copy, run)
        finally:
            if not taken:
                self._discard(driver, copy, run)
        self._aside.pop(run.region, None)

    def _post(self, copy: StoreCopy, url: str, digest: Digest, run: Run) -> None:
        try:
            run.target.add_location(copy.replica_id, url, digest)
        except _REFUSALS as error:
            raise self._set_aside(run.region, f"its Glance refuses the file as a location ({error.code})") from error

    def _wait(self, copy: StoreCopy, run: Run) -> bool:
        """True once the replica is active."""
        end = self._clock.monotonic() + _REGISTER_SECONDS + copy.size / _READ_BYTES_PER_SECOND
        pause = _POLL_SECONDS
        while True:
            replica = run.target.get_image(copy.replica_id, with_members=False)
            if replica.has_bytes and not replica.locked:
                return True
            if replica.status == "queued" and not replica.locked:
                raise self._set_aside(run.region, "its Glance did not take the file for the image's bytes (has it the "
                                      "store filter, and our user its role?)")
            if self._clock.monotonic() > end:
                raise StoreRegistrationError(f"the Glance of {run.region} works on the file for too long")
            run.handle.check()
            self._clock.sleep(pause)
            pause = min(pause * 1.5, _POLL_MOST_SECONDS)

    def _discard(self, driver: CopyDriver, copy: StoreCopy, run: Run) -> None:
        """A file that Glance may still take, or has taken, is not ours to remove any more."""
        replica = run.target.find_image(copy.replica_id, with_members=False)
        if replica is not None and (replica.locked or replica.status != "queued"):
            return
        try:
            driver.discard(copy)
        except StoreCopyError as error:
            LOG.warning("the file of image %s cannot be removed in %s: %s", copy.replica_id, run.region, error)

    def _set_aside(self, region: str, why: str) -> StoreRegistrationError:
        self._aside[region] = (self._clock.monotonic() + _ASIDE_SECONDS, why)
        return StoreRegistrationError(f"{region}: {why}", region=region)

    def _site(self, name: str) -> Site:
        region = next((each for each in self._regions() if each.name == name), None)
        until, why = self._aside.get(name, (0.0, ""))
        return Site(region=name, stores=self._find_stores(region) if region is not None else None,
                    set_aside=why if self._clock.monotonic() < until else None)
