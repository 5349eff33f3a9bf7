# SPDX-License-Identifier: Apache-2.0
"""Which id a replica gets, and whether its image may have it. Called by execute.

A 409 for an id that no image shows means that the id is used up, if the region shows us everything. It is looked at
once more, and counted, before the replica moves to a new one.
"""
from __future__ import annotations

from collections.abc import Callable

from glancesync.exceptions import IdBurnedError, ReplicaTakenError, WaitError
from glancesync.model.image import NewImage
from glancesync.model.replica import IdReason, Origin, ReplicaRecord, ReplicaState
from glancesync.sync.codes import Code
from glancesync.sync.new_ids import NewId
from glancesync.sync.records import ReplicaRecords
from glancesync.sync.run import Run
from glancesync.sync.sight import RegionSight


class ReplicaIdentity:
    """Makes the record of a replica and writes down which id it has."""

    def __init__(self, *, records: ReplicaRecords, sight: RegionSight, new_id: Callable[[], str]) -> None:
        self._records = records
        self._sight = sight
        self._new_id = new_id

    def create(self, new: NewImage, run: Run) -> None:
        """One POST. Raises IdBurnedError and ReplicaTakenError after noting a new id for the next look;
        RegionNotSeenWholeError and NewIdsHeldError leave the record as it was."""
        before = self._records.read(run.image_id, run.region).replica
        try:
            self._note(run, replica_id=new.id, origin=Origin.INTENDED, digest=None, size=None, verified_at=None,
                       unverified_since=None)
            run.target.create_image(new)
        except IdBurnedError:
            self._replace_burned(new.id, before, run)
            raise
        except ReplicaTakenError:
            self._move(IdReason.CONFLICT, self._new_id(), run)
            raise
        self._note(run, origin=Origin.CREATED)

    def take_new_id(self, reason: IdReason, run: Run) -> None:
        """From now on the replica has another id than its image. One that makes way for a stranger though it had a
        place beside it before was deleted there, and counts as a restore. Raises NewIdsHeldError."""
        record, new_id = self._records.read(run.image_id, run.region).replica, self._new_id()
        if reason is IdReason.CONFLICT and record is not None and _was_beside(record):
            self._sight.ensure_whole(run.region)
            self._reserve(record.replica_id or run.image_id, new_id, reason, run)
            self._records.count_restore(run.image_id, run.region)
        self._move(reason, new_id, run)

    def _replace_burned(self, old_id: str, before: ReplicaRecord | None, run: Run) -> None:
        new_id = self._new_id()
        try:
            self._sight.ensure_whole(run.region)
            self._reserve(old_id, new_id, IdReason.ID_BURNED, run)
        except WaitError:
            known = ("replica_id", "origin", "digest", "size", "verified_at")
            self._note(run, **{name: getattr(before, name, None) for name in known})
            raise
        self._move(IdReason.ID_BURNED, new_id, run)
        self._records.count_restore(run.image_id, run.region)

    def _reserve(self, old_id: str, new_id: str, reason: IdReason, run: Run) -> None:
        self._sight.new_ids.reserve(NewId(image_id=run.image_id, region=run.region, old_id=old_id, new_id=new_id,
                                          reason=reason.value))

    def _move(self, reason: IdReason, new_id: str, run: Run) -> None:
        """In sync it is not until the replica is there: nobody is to look for it under an id that is not made yet."""
        self._note(run, state=ReplicaState.WAITING, reason_code=Code.CREATING, reason=reason.meaning.what,
                   replica_id=new_id, id_reason=reason, origin=Origin.INTENDED, digest=None, size=None,
                   verified_at=None, unverified_since=None, saving_since=None, rotten_at=None, suspect_at=None,
                   scrub_wanted=False)

    def _note(self, run: Run, **columns: object) -> None:
        self._records.update(run.image_id, run.region, **columns)


def _was_beside(record: ReplicaRecord) -> bool:
    """Whether the pair had a replica of its own, which is not the image in the way."""
    return record.origin in (Origin.CREATED, Origin.ADOPTED) and record.replica_id != record.stranger_id
