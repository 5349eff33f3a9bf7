# SPDX-License-Identifier: Apache-2.0
"""Brings the bytes of a replica home that is served from its source's web server, and verifies them. Called by execute.

    copy-image: the target's Glance copies them into its own store, and hashes what it copies
    that hash is the image's -> the http location is removed -> the record says verified
"""
from __future__ import annotations

from collections.abc import Callable

from glancesync.clock import Clock
from glancesync.exceptions import (
    RegionAnswerError,
    RegionForbiddenError,
    RegionRejectedError,
    StoreImportError,
    StoreImportRefusedError,
    VerificationError,
)
from glancesync.model.image import Digest, Image
from glancesync.model.replica import ReplicaState
from glancesync.sync import actions as act
from glancesync.sync.codes import Code
from glancesync.sync.run import Run

_POLL_SECONDS = 0.2
_POLL_MOST_SECONDS = 3.0
#: A Glance that copies fewer has died. It moves each byte twice.
_COPIED_BYTES_PER_SECOND = 5 * 2 ** 20
_COPY_SECONDS = 600.0


class Homecoming:
    """`update` sets columns of a pair's record."""

    def __init__(self, *, update: Callable[..., None], clock: Clock) -> None:
        self._update = update
        self._clock = clock

    def bring(self, action: act.BringHome, run: Run, source: Image) -> None:
        """Raises StoreImportErrors, VerificationError for a replica that has to be replaced, and what the target's
        client and the run's handle raise. It may be called again at any point."""
        self._note(run, state=ReplicaState.USABLE_UNVERIFIED, reason_code=Code.USABLE_UNVERIFIED, reason=None)
        run.handle.report(step="bringing home", bytes_done=0, bytes_total=source.size)
        replica = self._rest(action.replica_id, run, source)
        if action.home not in replica.stores:
            self._order(action, run)
            replica = self._rest(action.replica_id, run, source)
        if action.home not in replica.stores:
            raise StoreImportError(f"the Glance of {run.region} could not copy image {action.replica_id} into its "
                                   f"store {action.home}; its log tells why", region=run.region)
        digest = _verified(source, replica, run.region)
        for store in action.away:
            if store in replica.stores:
                run.handle.ensure_lease()
                run.target.remove_from_store(action.replica_id, store)
        left = run.target.get_image(action.replica_id, with_members=False)
        if set(left.stores) & set(action.away) or action.home not in left.stores:
            raise RegionAnswerError(f"image {action.replica_id} in {run.region} lies in {', '.join(left.stores)} still",
                                    region=run.region)
        run.handle.report(step="verified", bytes_done=source.size)
        run.bytes_moved += left.size or 0
        self._note(run, unverified_since=None, digest=digest, size=left.size, verified_at=self._clock.now())

    def _order(self, action: act.BringHome, run: Run) -> None:
        run.handle.ensure_lease()
        try:
            run.target.copy_to_store(action.replica_id, action.home)
        except (RegionRejectedError, RegionForbiddenError, RegionAnswerError) as error:
            raise StoreImportRefusedError(f"{run.region} does not copy image {action.replica_id} into its store "
                                          f"{action.home}: {error}", region=run.region) from error

    def _rest(self, replica_id: str, run: Run, source: Image) -> Image:
        """The replica, once no task of its Glance works on it."""
        end = self._clock.monotonic() + _COPY_SECONDS + (source.size or 0) / _COPIED_BYTES_PER_SECOND
        pause = _POLL_SECONDS
        while True:
            replica = run.target.get_image(replica_id, with_members=False)
            if not replica.locked:
                return replica
            run.handle.check()
            if self._clock.monotonic() > end:
                raise StoreImportError(f"the Glance of {run.region} works on image {replica_id} for too long",
                                       region=run.region)
            self._clock.sleep(pause)
            pause = min(pause * 1.5, _POLL_MOST_SECONDS)

    def _note(self, run: Run, **columns: object) -> None:
        self._update(run.image_id, run.region, **columns)


def _verified(source: Image, replica: Image, region: str) -> Digest:
    """What the target computed when it copied the bytes into its own store, which is the image's."""
    if replica.digest is None or replica.hash_is_claim or source.digest is None or (
            replica.digest.algorithm != source.digest.algorithm):
        raise StoreImportError(f"{region} computed no hash of image {replica.id} that can be compared", region=region)
    if (replica.size, replica.digest) != (source.size, source.digest):
        raise VerificationError(f"{region} has other bytes of image {replica.id} than the image; it is replaced")
    return replica.digest
