# SPDX-License-Identifier: Apache-2.0
"""What is known of one image in one cascaded region: the record behind every status that a person reads."""
from __future__ import annotations

from dataclasses import dataclass

from glancesync.model.image import Digest
from glancesync.model.meaning import Explained

_NOTHING = "Nothing."


class ReplicaState(Explained):
    """How an image stands in a region."""

    WAITING = (
        "waiting", "Something is to be done, or has to happen first; the reason code says what.",
        "Its task runs as soon as it is due.", "Nothing; the reason code tells more.")
    COPYING = (
        "copying", "Bytes are on their way.", "They are verified, then the replica is handed over to its owner.",
        _NOTHING)
    IN_SYNC = (
        "in_sync", "Metadata, members and status are the image's, and the bytes were verified.",
        "It is looked at again after each change and in each comparison (its members in turns).", _NOTHING)
    USABLE_UNVERIFIED = (
        "usable_unverified", "The replica was handed over and can be used, from the source's web server; nobody "
        "verified its bytes yet. Only where the driver `http` is in the region's order.",
        "Its bytes are copied into the region's own store and verified, and the web server is left.",
        "Nothing; the reason code tells what is in the way.")
    FAILED = (
        "failed", "The last run ended in an error; the reason code says which.",
        "What may pass is tried again with growing delays, for ever; the rest waits for an event, a comparison or an "
        "operator.", "Read the reason, remove its cause, retry the task.")
    CONFLICT = (
        "conflict", "An image that this server did not make stands in the way, or one that it adopted and may not "
        "delete has to be replaced.", "Nothing is touched until an operator chooses.",
        "Look at GET /v1/conflicts and choose skip, replace or new_id.")
    CONTESTED = (
        "contested", "Somebody deletes the replica in its region again and again.",
        "It is not made again.", "Find out who deletes it, then retry its task.")
    SOURCE_MISSING = (
        "source_missing", "The cascading region does not show the image, and nothing proves that it was deleted, or "
        "the proof may not be acted upon now.", "The replica stays as it is.", "The reason code tells more.")
    DELETED = (
        "deleted", "The image was deleted, and its replica after it.", "Nothing.", _NOTHING)
    UNWANTED = (
        "unwanted", "The strategy or the image itself says that it does not belong here.",
        "A replica that is there is neither changed nor deleted, unless the reason code says more.",
        "Change the strategy or the image.")
    CANNOT_TRAVEL = (
        "cannot_travel", "The image has no bytes that could be copied; it only names volumes or snapshots of its "
        "region's block storage.", "Nothing; it is looked at again after each change.",
        "Upload the volume itself to an image where other regions need it.")
    PARKED = (
        "parked", "The region is not in Keystone's catalog. The record is kept as it was.",
        "Tasks for the region end at once; when it comes back everything in it is compared.",
        "Put the region's endpoint back, or leave it.")


class Origin(Explained):
    """How the replica came to be ours."""

    INTENDED = (
        "intended", "Written down before the create request: ours if the image looks as this server creates it.",
        "It becomes `created` as soon as it is seen.", _NOTHING)
    CREATED = ("created", "This server made it.", "It is deleted when its image is.", _NOTHING)
    BORN = (
        "born", "The image was made from this image of the region.", "It is neither changed nor deleted.", _NOTHING)
    ADOPTED = (
        "adopted", "The same image was in the region before this server, and was taken over.",
        "It is kept in sync; it is deleted with its image only when delete_adopted is on.", _NOTHING)


class IdReason(Explained):
    """Why a replica has another id than its image."""

    ID_BURNED = (
        "id_burned", "The replica was deleted in its region, and Glance never gives a deleted id out again.",
        "It is made again under a new id.", "Find out who deletes replicas; after max_restores it is contested.")
    STUCK_SAVING = (
        "stuck_saving", "An upload died with its Glance; an image that stays in `saving` takes no data any more.",
        "It is deleted and made again under a new id.", "Look why that Glance died.")
    BYTES_DIFFER = (
        "bytes_differ", "Other bytes than the image's became active under the id.",
        "It is deleted and made again under a new id.", "Find out who wrote to the replica.")
    FORMAT_DIFFERS = (
        "format_differs", "Disk or container format differs, and Glance lets nobody change that of an active image.",
        "It is deleted and made again under a new id.", _NOTHING)
    ROTTEN = (
        "rotten", "The stored bytes no longer match the hash that Glance computed when they arrived.",
        "The replica is deactivated, then deleted and made again under a new id.",
        "Look at the region's store: what one image lost, others may have lost too.")
    ADOPTED = (
        "adopted", "The same image stood in the region under another id and was adopted (adopt_by_hash).",
        "It is kept in sync and never deleted, unless delete_adopted is on.", _NOTHING)
    CONFLICT = (
        "conflict", "An image that is not ours, or another image's replica, has the id.",
        "The replica is made under a new id.", "Choose again at any time while it is a conflict.")
    LOCATION_GONE = (
        "location_gone", "The replica's bytes lay at an external URL that is not the image's any more.",
        "It is deleted and made again under a new id, from the image's bytes.", _NOTHING)
    EMPTIED = (
        "emptied", "The cascading image lost all of its locations and is queued again.",
        "The replica is deleted, and made again under a new id when the image has bytes.", _NOTHING)
    NOT_ALLOWED = (
        "not_allowed", "The replica was removed because its image did not belong in the region any more.",
        "It is made again under a new id when the image belongs there again.", _NOTHING)
    BORN = (
        "born", "The image was made from this one, the region's own.", "It is neither changed nor deleted.", _NOTHING)


class ConflictChoice(Explained):
    """What an operator chose to do about a conflict."""

    SKIP = (
        "skip", "The image is left out of this region.", "Nothing is done until another choice.",
        "Choose replace or new_id to have it after all.")
    REPLACE = (
        "replace", "The image in the way is deleted, once a verified replica is ready to take its place.",
        "The replica is copied out of everybody's reach, the other deleted (the brake on deletions counts it), the "
        "replica handed over.", _NOTHING)
    NEW_ID = (
        "new_id", "The replica is made beside the image in the way, under a new id where its own is taken.",
        "The image in the way is left alone.", "Tell users of that name that there are two.")


class StrangerBytes(Explained):
    """What reading both an image and a stranger told."""

    MATCH = ("match", "The bytes are the same.", "It is adopted.", _NOTHING)
    DIFFER = ("differ", "The bytes are others.", "It is a conflict.", "Choose skip, replace or new_id.")


@dataclass(frozen=True, kw_only=True)
class ReplicaRecord:
    """One row. `digest` and `size` (bytes) are what the target computed and we verified. Times are in seconds since
    the epoch.

    `saving_since` is when the replica was first seen in `saving`; `lag_seconds` is how long the last change took
    from its report to being in sync; `missing_since` is the first comparison that missed the image in the cascading
    region, `missing_confirmed_at` a later one, long enough after; `restores` counts how often the replica was made
    anew because it was deleted behind our back. `stranger_id` is the image in the way, `stranger_bytes` what
    reading it told, `choice` what an operator chose to do about it. `scrub_wanted` asks for the stored bytes to be
    read again, `scrubbed_at` is when they last were, `suspect_at` when they could not be read, `rotten_at` when
    they were found to be wrong. `unverified_since` is when its Glance was told to serve it from its source's web
    server, None where it was verified since. `disallowed_since` is the first comparison that found the replica
    where its image does not belong, `disallowed_confirmed_at` a later one, long enough after.
    """

    image_id: str
    region: str
    state: ReplicaState = ReplicaState.WAITING
    replica_id: str | None = None
    id_reason: IdReason | None = None
    origin: Origin | None = None
    reason_code: str | None = None
    reason: str | None = None
    digest: Digest | None = None
    size: int | None = None
    verified_at: float | None = None
    source_updated_at: float | None = None
    wanted_at: float | None = None
    synced_at: float | None = None
    lag_seconds: float | None = None
    saving_since: float | None = None
    rate_bytes_per_second: float | None = None
    missing_since: float | None = None
    missing_confirmed_at: float | None = None
    restores: int = 0
    stranger_id: str | None = None
    stranger_bytes: StrangerBytes | None = None
    choice: ConflictChoice | None = None
    scrub_wanted: bool = False
    scrubbed_at: float | None = None
    suspect_at: float | None = None
    rotten_at: float | None = None
    unverified_since: float | None = None
    disallowed_since: float | None = None
    disallowed_confirmed_at: float | None = None


@dataclass(frozen=True, kw_only=True)
class Removal:
    """Glance itself reported that it removed the image: the proof that a deletion needs, beside a 404."""

    image_id: str
    removed_at: float
    event_id: str
    request_id: str | None = None
    user_id: str | None = None
