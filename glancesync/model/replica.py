# SPDX-License-Identifier: Apache-2.0
"""What is known of one image in one cascaded region: the record behind every status that a person reads."""
from __future__ import annotations

import enum
from dataclasses import dataclass

from glancesync.model.image import Digest


class ReplicaState(enum.StrEnum):
    """How an image stands in a region."""

    WAITING = "waiting"                # something is to be done, or to happen first; the reason says what
    COPYING = "copying"                # bytes are on their way
    IN_SYNC = "in_sync"                # same metadata, members and status; bytes verified
    FAILED = "failed"                  # the last run ended in an error; the reason says which and what comes next
    CONFLICT = "conflict"              # an image that is not ours stands in the way; it is left alone
    CONTESTED = "contested"            # its replica is deleted in the region again and again; left until released
    SOURCE_MISSING = "source_missing"  # the image is not in the cascading region, without proof that it was deleted
    DELETED = "deleted"                # the image was deleted, and its replica after it
    UNWANTED = "unwanted"              # the strategy or the image itself says that it does not belong here


class Origin(enum.StrEnum):
    """How the replica came to be ours."""

    INTENDED = "intended"  # written before the create request; ours if the image looks as we create it
    CREATED = "created"
    ADOPTED = "adopted"


class IdReason(enum.StrEnum):
    """Why a replica has another id than its image."""

    ID_BURNED = "id_burned"          # deleted in its region; Glance never gives the id out again
    STUCK_SAVING = "stuck_saving"    # an upload died with its Glance; `saving` takes no data any more
    BYTES_DIFFER = "bytes_differ"    # other bytes became active under the id
    FORMAT_DIFFERS = "format_differs"  # formats of an active image cannot be changed


@dataclass(frozen=True, kw_only=True)
class ReplicaRecord:
    """One row. `digest` and `size` (bytes) are what the target computed and we verified. Times are in seconds since
    the epoch.

    `saving_since` is when the replica was first seen in `saving`; `lag_seconds` is how long the last change took from
    its report to being in sync; `missing_since` is the first comparison that missed the image in the cascading region,
    `missing_confirmed_at` a later one, long enough after; `restores` counts how often the replica was made anew because
    it was deleted behind our back.
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


@dataclass(frozen=True, kw_only=True)
class Removal:
    """Glance itself reported that it removed the image: the proof that a deletion needs, beside a 404."""

    image_id: str
    removed_at: float
    event_id: str
    request_id: str | None = None
    user_id: str | None = None
