# SPDX-License-Identifier: Apache-2.0
"""One copy by a driver: what it may leave out, where its file goes, whether it was verified. Called by shortcut."""
from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from glancesync.exceptions import (
    RegionAnswerError,
    RegionForbiddenError,
    ReplicaSavingError,
    StoreCopyError,
    VerificationError,
)
from glancesync.model.image import Digest, Image
from glancesync.stores.driver import CopyDriver, StoreCopy
from glancesync.stores.select import Site, Way, find_scheme
from glancesync.sync.asides import Asides
from glancesync.sync.attempts import AttemptWatch
from glancesync.sync.base import Savings
from glancesync.sync.placed import PlacedFiles, UntakenError
from glancesync.sync.run import Run
from glancesync.sync.tee import CopyResult
from glancesync.sync.verify import check_copy

LOG = logging.getLogger(__name__)
#: What changes the bytes of an image once does so each time; each time costs an id.
_CHANGED_SECONDS = 86400.0


class Driving:
    """Holds the drivers by name. `savings`: what a copy may leave out."""

    def __init__(self, *, drivers: Mapping[str, CopyDriver], savings: Savings, asides: Asides,
                 placed: PlacedFiles) -> None:
        self._drivers = drivers
        self._savings = savings
        self._asides = asides
        self._placed = placed

    def drive(self, way: Way, source: Image, run: Run, replica_id: str, watch: AttemptWatch) -> CopyResult:
        """One copy by the way's driver, registered and compared. Raises what the driver and the clients raise."""
        if source.size is None or source.digest is None:
            raise StoreCopyError(f"image {source.id} has no size or no hash")  # such a way is never taken
        driver = self._drivers[way.driver]
        copy = StoreCopy(image_id=way.source_id, replica_id=replica_id, size=source.size, digest=source.digest,
                         source=way.source, target=way.target, source_region=way.source_region,
                         target_region=run.region, glance=run.target,
                         base_id=self._savings.find_base(source, run),
                         unhashed=driver.capabilities.verifies_first and not self._savings.hash_on_host()
                         and self._placed.verifies(run.region), checksum=source.checksum)
        run.handle.ensure_lease()
        unverified = driver.capabilities.usable_unverified
        if unverified:
            watch.note_unverified(run)
        self._place(driver, copy, run)
        found = CopyResult(size=source.size, digests={source.digest.algorithm: source.digest.value},
                           unverified=unverified)
        self._ensure_same(driver, found, run, replica_id)
        return found

    def clear(self, run: Run, replica_id: str, target: Site) -> bool:
        """Remove what a copy that nobody ended (its server died) left where the target's Glance is to write; whether
        something may have been removed. Raises what the target's client raises."""
        cleared = False
        for driver in self._drivers.values():
            scheme = find_scheme(target, driver.capabilities.target_scheme)
            if driver.capabilities.registers is None or scheme is None:
                continue
            copy = StoreCopy(image_id=run.image_id, replica_id=replica_id, size=0, source=scheme, target=scheme,
                             digest=Digest(algorithm="none", value=""), source_region=run.reader.region_name,
                             target_region=run.region, glance=run.target)
            run.handle.ensure_lease()
            cleared = self._placed.discard(driver, copy, run) or cleared
        return cleared

    def distrust(self, region: str, why: str) -> None:
        """What was usable unverified there turned out to be wrong, and had to be replaced."""
        for name, driver in self._drivers.items():
            if driver.capabilities.usable_unverified:
                self._asides.note(region, name, f"a replica that was used unverified was replaced: {why}",
                                  seconds=_CHANGED_SECONDS)

    def _place(self, driver: CopyDriver, copy: StoreCopy, run: Run) -> None:
        url = driver.copy(copy, run.handle)
        if url is None:
            return
        try:
            self._placed.register(driver, copy, url, run)
        except UntakenError as error:
            LOG.info("once more, hashed on the host: %s", error)
            self._place(driver, replace(copy, unhashed=False), run)

    def _ensure_same(self, driver: CopyDriver, found: CopyResult, run: Run, replica_id: str) -> None:
        """What was verified first is compared by who called this, as any copy."""
        if driver.capabilities.verifies_first:
            return
        try:
            check_copy(found, run.target.get_image(replica_id, with_members=False), run.region)
        except VerificationError as error:
            self._asides.note(run.region, driver.name, str(error), seconds=_CHANGED_SECONDS)
            raise


def is_taken(replica_id: str, run: Run) -> bool:
    """Whether a location task of an earlier run still works on the replica: its file must stay where it is. Raises
    ReplicaSavingError where it takes no upload either."""
    replica = run.target.get_image(replica_id, with_members=False)
    if replica.status in ("importing", "saving"):
        raise ReplicaSavingError(f"the replica {replica_id} in {run.region} is {replica.status}")
    if not replica.locked:
        return False
    try:
        tasks = run.target.list_import_tasks(replica_id)
    except (RegionAnswerError, RegionForbiddenError):  # one that tells nothing of its tasks
        return True
    return not tasks or any(each.is_live for each in tasks)  # a lock may outlive the task that took it
