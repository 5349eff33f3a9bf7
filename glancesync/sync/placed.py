# SPDX-License-Identifier: Apache-2.0
"""Has a target's Glance take a file that a driver put into its store, and removes the file where it does not. Called by
shortcut."""
from __future__ import annotations

import logging
from collections.abc import Callable

from glancesync.clock import Clock
from glancesync.exceptions import (
    GlanceSyncError,
    ImageNotFoundError,
    LeaseLostError,
    NotReadyError,
    RegionAnswerError,
    RegionConflictError,
    RegionForbiddenError,
    RegionQuotaError,
    RegionRejectedError,
    StoreCopyError,
    StoreRegistrationError,
)
from glancesync.model.filed import Filed
from glancesync.stores.driver import CopyDriver, StoreCopy
from glancesync.sync.asides import Asides
from glancesync.sync.run import Run

LOG = logging.getLogger(__name__)
#: What a Glance says that will not have it.
_REFUSALS = (RegionAnswerError, RegionConflictError, RegionForbiddenError, RegionQuotaError, RegionRejectedError)
#: A region whose Glance did not register is asked again after this time.
_ASIDE_SECONDS = 600.0
#: One whose Glance does not verify by itself, likewise.
_IGNORANT_SECONDS = 3600.0
_POLL_SECONDS = 0.03
_POLL_MOST_SECONDS = 2.0
#: A quarter of what it has taken so far is the most that is lost by asking late.
_POLL_GROWTH = 1.25
#: How long a Glance may take to read what it was told of, beside the time at which it reads this many bytes a second.
_REGISTER_SECONDS = 120.0
_READ_BYTES_PER_SECOND = 10 * 2 ** 20


class UntakenError(StoreRegistrationError):
    """The bytes may be wrong, or the Glance takes no file at all: a copy that is hashed on the host tells."""


class PlacedFiles:
    """Sets the driver aside for a region whose Glance takes no such file. `why_unseen`: why what a region does not show
    may be there all the same, None where it is gone."""

    def __init__(self, asides: Asides, clock: Clock, why_unseen: Callable[[str], str | None]) -> None:
        self._why_unseen = why_unseen
        self._asides = asides
        self._clock = clock
        self._ignorant: dict[str, float] = {}

    def register(self, driver: CopyDriver, copy: StoreCopy, url: str, run: Run) -> None:
        """The replica is active when this returns. Raises StoreRegistrationError and what the run's handle and the
        target's client raise; then the file is gone, unless Glance may still take it."""
        try:
            there = not driver.capabilities.usable_unverified
            run.handle.report(step="registering", bytes_done=copy.size if there else None)
            run.handle.ensure_lease()
            self._post(driver, copy, url, run)
            self._wait(driver, copy, run)
        except LeaseLostError:  # what lies there now may be another server's
            raise
        except BaseException:
            self._take_back(driver, copy, run)
            raise
        self._asides.forget(run.region, driver.name)

    def verifies(self, region: str) -> bool:
        """Whether its Glance verifies what it is told to register, as far as is known; asking it tells."""
        return self._clock.monotonic() >= self._ignorant.get(region, 0.0)

    def _post(self, driver: CopyDriver, copy: StoreCopy, url: str, run: Run) -> None:
        filtered = driver.capabilities.verifies_first and self.verifies(run.region)
        if (copy.unhashed or filtered) and self._post_filtered(driver, copy, url, run):
            return
        if copy.unhashed:
            driver.verify(copy, run.handle)
            run.handle.ensure_lease()
        try:
            run.target.add_location(copy.replica_id, url, None if driver.capabilities.usable_unverified
                                    else copy.digest)
        except _REFUSALS as error:
            raise self._refused(driver, run.region,
                                f"its Glance refuses the file as a location ({error.code})") from error

    def _post_filtered(self, driver: CopyDriver, copy: StoreCopy, url: str, run: Run) -> bool:
        """False where the Glance has no store filter that verifies, which spares itself what was done already."""
        try:
            run.target.add_location(copy.replica_id, url, copy.digest, filed=Filed(
                compared=not copy.unhashed, checksum=copy.checksum))
        except ImageNotFoundError:
            self._ignorant[run.region] = self._clock.monotonic() + _IGNORANT_SECONDS
            return False
        except _REFUSALS as error:
            raise self._refused(driver, run.region,
                                f"its Glance refuses the file as a location ({error.code})") from error
        return True

    def _wait(self, driver: CopyDriver, copy: StoreCopy, run: Run) -> None:
        """Until the replica is active."""
        end = self._clock.monotonic() + _REGISTER_SECONDS + copy.size / _READ_BYTES_PER_SECOND
        pause = _POLL_SECONDS
        while True:
            replica = run.target.get_image(copy.replica_id, with_members=False)
            if replica.has_bytes and (driver.capabilities.usable_unverified or not replica.locked):
                return
            if replica.status == "queued" and not replica.locked and copy.unhashed:
                raise UntakenError(f"the Glance of {run.region} did not take a file that nobody had hashed")
            if replica.status == "queued" and not replica.locked:
                raise self._refused(driver, run.region, "its Glance did not take the file for the image's bytes (has "
                                    f"it the store filter, and our user the role {driver.capabilities.role}?)")
            if self._clock.monotonic() > end:
                raise StoreRegistrationError(f"the Glance of {run.region} works on the file for too long")
            run.handle.check()
            self._clock.sleep(pause)
            pause = min(pause * _POLL_GROWTH, _POLL_MOST_SECONDS)

    def _take_back(self, driver: CopyDriver, copy: StoreCopy, run: Run) -> None:
        """Where nobody knows whether the task is still ours, the file waits for the next copy of the image."""
        try:
            run.handle.ensure_lease()
        except (LeaseLostError, NotReadyError) as error:
            LOG.warning("the file of image %s stays in %s for now: %s", copy.replica_id, run.region, error)
            return
        except GlanceSyncError as error:
            LOG.debug("the task is to end, and still ours: %s", error)
        self.discard(driver, copy, run)

    def discard(self, driver: CopyDriver, copy: StoreCopy, run: Run) -> bool:
        """Remove the file, if there is one; whether there is none now. One that Glance may still take, or has taken, is
        not ours to remove any more; nor is one of an image that is not shown by a region that is not seen whole. Raises
        what the target's client raises."""
        replica = run.target.find_image(copy.replica_id, with_members=False)
        if replica is not None and (replica.locked or replica.status != "queued"):
            return False
        problem = self._why_unseen(run.region) if replica is None else None
        if problem is not None:
            LOG.warning("the file of image %s stays in %s: %s", copy.replica_id, run.region, problem)
            return False
        try:
            driver.discard(copy)
        except StoreCopyError as error:
            LOG.warning("the file of image %s cannot be removed in %s: %s", copy.replica_id, run.region, error)
            return False
        return True

    def _refused(self, driver: CopyDriver, region: str, why: str) -> StoreRegistrationError:
        self._asides.note(region, driver.name, why, seconds=_ASIDE_SECONDS)
        return StoreRegistrationError(f"{region}: {why}", region=region)
