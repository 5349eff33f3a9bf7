# SPDX-License-Identifier: Apache-2.0
"""Gives a cascading image the bytes of the snapshot that it is to be, and ends claims that cannot be. For execute.

It is the one place that writes to an image of the cascading region: one that is queued, is claimed for this snapshot,
and has the snapshot's owner. A Run's `target` is the region of birth here, its `reader` the cascading one.
"""
from __future__ import annotations

import logging

from glancesync.clock import Clock
from glancesync.exceptions import (
    RegionConflictError,
    SnapshotError,
    SnapshotRefusedError,
    SnapshotTimeoutError,
    VerificationError,
)
from glancesync.model.image import Image, ImageChanges
from glancesync.model.replica import ReplicaState
from glancesync.sync import actions as act
from glancesync.sync.births import Births
from glancesync.sync.codes import Code
from glancesync.sync.hashing import is_known_algorithm
from glancesync.sync.records import ReplicaRecords
from glancesync.sync.run import Run
from glancesync.sync.tee import Tee
from glancesync.sync.verify import check_copy, read_digest

LOG = logging.getLogger(__name__)
_ERRORS = {error.code: error for error in (SnapshotRefusedError, SnapshotTimeoutError)}


class SourceFiller:
    """Knows how each action of a birth is done."""

    def __init__(self, *, records: ReplicaRecords, births: Births, tee: Tee, clock: Clock) -> None:
        self._records = records
        self._births = births
        self._tee = tee
        self._clock = clock

    def fill(self, action: act.FillSource, run: Run) -> None:
        """Raises what the tee and the clients raise; the image is queued again then. One that became active with other
        bytes is deactivated, so that nobody boots it, and VerificationError raised."""
        snapshot = run.target.get_image(action.snapshot_id, with_members=False)
        if snapshot.digest != action.digest or snapshot.size != action.size:
            raise RegionConflictError(f"image {snapshot.id} in {run.region} changed meanwhile; it is looked at again")
        run.changed_source = True
        if action.formats:
            run.reader.update_image(run.image_id, ImageChanges(fields=action.formats))
        self._records.update(run.image_id, run.region, state=ReplicaState.COPYING, reason_code=Code.FILLING,
                             reason=None)
        algorithm = snapshot.digest.algorithm if snapshot.digest else "sha512"
        algorithm = algorithm if is_known_algorithm(algorithm) else "sha512"
        self._births.note(run.image_id, filling_since=self._clock.now())
        try:
            result = self._tee.copy(snapshot, run.target, run.reader, replica_id=run.image_id, handle=run.handle,
                                    algorithm=algorithm)
        except RegionConflictError:  # somebody else fills it
            self._births.note(run.image_id, filling_since=None)
            raise
        run.bytes_moved += result.size
        image = run.reader.get_image(run.image_id, with_members=False)
        try:
            if check_copy(result, image, run.reader.region_name) is None:
                _read_back(result.digests[algorithm], algorithm, image, run)
        except VerificationError:
            self._take_out_of_reach(image, run)
            raise
        self._births.note(run.image_id, filled_at=self._clock.now())
        LOG.info("image %s has its bytes from image %s of %s", run.image_id, snapshot.id, run.region)

    def check(self, action: act.CheckFilled, run: Run) -> None:
        """Raises what the clients raise; then nothing is decided. What cannot be shown to be the snapshot's ends the
        claim."""
        image = run.reader.get_image(run.image_id, with_members=False)
        snapshot = run.target.find_image(action.snapshot_id, with_members=False)
        if snapshot is not None and snapshot.has_bytes and _is_same(image, snapshot, run):
            self._births.note(run.image_id, filled_at=self._clock.now())
            return
        run.changed_source = True
        if action.may_be_ours:
            self._take_out_of_reach(image, run)
        LOG.warning("image %s does not have the bytes of image %s of %s; it counts as any image now", run.image_id,
                    action.snapshot_id, run.region)
        self._births.forget(run.image_id)

    def forget(self, action: act.ForgetBirth, run: Run) -> None:
        LOG.warning("image %s was not born in %s: %s", run.image_id, run.region, action.reason)
        self._births.forget(run.image_id)

    def give_up(self, action: act.GiveUpSnapshot, run: Run) -> None:
        """Raises the error of the action's code; the next run begins a new wait."""
        self._births.note(run.image_id, waiting_since=None)
        raise _ERRORS.get(action.code, SnapshotError)(action.reason)

    def _take_out_of_reach(self, image: Image, run: Run) -> None:
        if image.status == "active":
            LOG.error("image %s of %s became active with bytes that are not the snapshot's; it is deactivated",
                      image.id, run.reader.region_name)
            run.reader.deactivate_image(image.id)


def _is_same(image: Image, snapshot: Image, run: Run) -> bool:
    """By the hashes where both Glances computed the same, else by reading. Raises what the clients raise."""
    if image.size != snapshot.size:
        return False
    algorithm = snapshot.digest.algorithm if snapshot.digest else "sha512"
    expected = read_digest(run.target, snapshot, algorithm, run.handle)
    return read_digest(run.reader, image, algorithm, run.handle) == expected


def _read_back(expected: str, algorithm: str, image: Image, run: Run) -> None:
    """The cascading Glance hashes with another algorithm, or not at all: only what it stored tells what arrived."""
    if read_digest(run.reader, image, algorithm, run.handle, stored=True).value != expected:
        raise VerificationError(f"{run.reader.region_name} received other bytes of image {image.id} than were sent "
                                f"({algorithm} differs)")
