# SPDX-License-Identifier: Apache-2.0
"""Carries out one deletion: the last look at its proof, the brake, Glance, and the record of it. Called by execute."""
from __future__ import annotations

import logging

from glancesync.exceptions import (
    DeletionHeldError,
    ImageNotFoundError,
    RegionConflictError,
    RegionRejectedError,
)
from glancesync.model.deletion import DeletionCause
from glancesync.model.image import ImageChanges
from glancesync.sync.actions import DeleteReplica
from glancesync.sync.brake import HELD_SECONDS, Deletion
from glancesync.sync.run import Run
from glancesync.sync.trust import SourceTrust

LOG = logging.getLogger(__name__)
#: Deletions because the cascading Glance does not show the image.
_ON_ITS_SILENCE = frozenset({DeletionCause.SOURCE_REMOVED, DeletionCause.SOURCE_VANISHED})
#: Deletions that follow from what it shows of an image that is there.
_ON_ITS_WORD = frozenset({DeletionCause.BYTES_DIFFER, DeletionCause.FORMAT_DIFFERS,
                         DeletionCause.LOCATION_GONE, DeletionCause.EMPTIED, DeletionCause.NOT_ALLOWED})


class Deleter:
    """Deletes what a plan names, as long as it is still right."""

    def __init__(self, trust: SourceTrust) -> None:
        self._trust = trust

    def delete(self, action: DeleteReplica, run: Run) -> None:
        """Raises DeletionHeldError, RegionConflictError where the image is there after all, and what Glance answers."""
        if action.cause in _ON_ITS_SILENCE:
            self._ensure_gone(run)
        if action.cause in _ON_ITS_WORD:
            self._ensure_believed()
        deletion = Deletion(
            image_id=run.image_id, region=run.region, replica_id=action.replica_id, cause=action.cause,
            trigger=run.handle.task.trigger.value, request_id=run.handle.task.request_id)
        self._trust.brake.reserve(deletion)
        try:
            if action.protected:
                run.target.update_image(action.replica_id, ImageChanges(fields={"protected": False}))
            run.target.delete_image(action.replica_id)
        except (ImageNotFoundError, RegionRejectedError):  # two at the same moment: Glance refuses one of them
            if run.target.find_image(action.replica_id, with_members=False) is not None:
                raise
            LOG.info("image %s in %s was gone already", action.replica_id, run.region)
        else:
            LOG.warning("deleted image %s in %s: %s (image %s, trigger %s, request %s)", action.replica_id, run.region,
                        action.cause, run.image_id, deletion.trigger, deletion.request_id)
        self._note_done(action.replica_id, run)

    def _note_done(self, replica_id: str, run: Run) -> None:
        """Should the server end just before this, the next look that misses the replica does it."""
        self._trust.brake.note_done(run.region, [replica_id])

    def _ensure_gone(self, run: Run) -> None:
        """The last look: the image is still not there, on the word of a Glance that is still to be believed."""
        if run.reader.find_image(run.image_id, with_members=False) is not None:
            raise RegionConflictError(f"image {run.image_id} is in the cascading region after all; nothing is deleted")
        self._ensure_believed()

    def _ensure_believed(self) -> None:
        problem = self._trust.look().problem
        if problem is not None:
            raise DeletionHeldError(problem, retry_after_seconds=HELD_SECONDS)
