# SPDX-License-Identifier: Apache-2.0
"""Why an image in a cascaded region was deleted: what the record of each deletion says."""
from __future__ import annotations

from glancesync.model.meaning import Explained
from glancesync.model.replica import IdReason

_AGAIN = "It is made again under a new id."


class DeletionCause(Explained):
    """What a deletion followed from."""

    SOURCE_REMOVED = (
        "source_removed", "The cascading Glance reported that it removed the image, and answers 404 for it.",
        "The pair is `deleted`.", "Nothing. If it was wrong, upload the image again.")
    SOURCE_VANISHED = (
        "source_vanished", "Nobody reported it, but two comparisons at least delete_confirm_seconds apart missed the "
        "image in the cascading region.", "The pair is `deleted`.", "Nothing. If it was wrong, upload the image again.")
    CONFLICT_REPLACED = (
        "conflict_replaced", "An operator chose `replace` for the image in the way, and the verified replica was "
        "ready.", "The replica is handed over to its owner.", "Nothing.")
    STUCK_SAVING = (IdReason.STUCK_SAVING.value, IdReason.STUCK_SAVING.meaning.what, _AGAIN,
                    IdReason.STUCK_SAVING.meaning.advice)
    BYTES_DIFFER = (IdReason.BYTES_DIFFER.value, IdReason.BYTES_DIFFER.meaning.what, _AGAIN,
                    IdReason.BYTES_DIFFER.meaning.advice)
    FORMAT_DIFFERS = (IdReason.FORMAT_DIFFERS.value, IdReason.FORMAT_DIFFERS.meaning.what, _AGAIN,
                      IdReason.FORMAT_DIFFERS.meaning.advice)
    LOCATION_GONE = (IdReason.LOCATION_GONE.value, IdReason.LOCATION_GONE.meaning.what, _AGAIN,
                     IdReason.LOCATION_GONE.meaning.advice)
    EMPTIED = (IdReason.EMPTIED.value, IdReason.EMPTIED.meaning.what, "It is made again when the image has bytes.",
               IdReason.EMPTIED.meaning.advice)
    NOT_ALLOWED = (
        "not_allowed", "Two comparisons at least delete_confirm_seconds apart found the replica in a region that its "
        "image's owner may not use (disallowed_replicas = removed).", "The pair is `unwanted`.",
        "Nothing. If it was wrong, let the owner use the region again: the image is copied under a new id.")
    ROTTEN = (IdReason.ROTTEN.value, IdReason.ROTTEN.meaning.what, _AGAIN, IdReason.ROTTEN.meaning.advice)
    ID_BURNED = (
        "id_burned", "The replica was in a state in which it can never be filled (`killed`, `pending_delete`).", _AGAIN,
        "Look at the region's Glance and its log.")
