# SPDX-License-Identifier: Apache-2.0
"""Reads bytes that only a record vouches for: stored ones again, and those of images that are not ours.

Called by execute. A full read that gives another hash is proof. Bytes that cannot be read to their end are not, for a
store that is away looks the same: they must be unreadable in two reads, far enough apart.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping

from glancesync.clock import Clock
from glancesync.exceptions import ImageNotFoundError, ReplicaUnreadableError, SourceReadError
from glancesync.model.image import Image
from glancesync.model.replica import ReplicaRecord, StrangerBytes
from glancesync.regions.client import RegionClient
from glancesync.sync.hashing import is_known_algorithm
from glancesync.sync.run import RunHandle
from glancesync.sync.verify import read_digest

_DEFAULT_ALGORITHM = "sha512"


def compare_stranger(reader: RegionClient, source: Image, target: RegionClient, stranger: Image,
                     handle: RunHandle) -> StrangerBytes:
    """Whether the bytes are the same: by the hashes that the Glances computed, by reading where they are claims."""
    known = [image.digest.algorithm for image in (source, stranger)
             if image.digest and not image.hash_is_claim and is_known_algorithm(image.digest.algorithm)]
    algorithm = known[0] if known else _DEFAULT_ALGORITHM
    ours = read_digest(reader, source, algorithm, handle)
    theirs = read_digest(target, stranger, algorithm, handle)
    return StrangerBytes.MATCH if ours == theirs else StrangerBytes.DIFFER


def scrub_replica(target: RegionClient, replica_id: str, record: ReplicaRecord | None, *,  # noqa: PLR0913
                  handle: RunHandle, clock: Clock, confirm_seconds: float,
                  note: Callable[[Mapping[str, object]], None]) -> str | None:
    """Read the replica's stored bytes; what is wrong with them, None when nothing is. `note` gets what to record.

    Raises ReplicaUnreadableError when they could not be read and that is not settled yet.
    """
    replica = target.get_image(replica_id, with_members=False)
    expected = replica.digest or (record.digest if record else None)
    now = clock.now()
    if expected is None or not is_known_algorithm(expected.algorithm):
        note({"scrub_wanted": False, "scrubbed_at": now})
        return None
    try:
        found = read_digest(target, replica, expected.algorithm, handle, stored=True)
    except (SourceReadError, ImageNotFoundError) as error:
        if target.find_image(replica_id, with_members=False) is None:
            return None  # it was deleted meanwhile, which the next look sees
        since = record.suspect_at if record else None
        if since is None or now - since < confirm_seconds:
            note({"suspect_at": since if since is not None else now})
            raise ReplicaUnreadableError(
                f"the stored bytes of {replica_id} in {target.region_name} cannot be read; when that is so again after "
                f"{confirm_seconds:g} s the replica is replaced ({error})", retry_after_seconds=confirm_seconds,
            ) from error
        note({"rotten_at": now, "scrub_wanted": False})
        return f"its stored bytes cannot be read, nor could they before ({error})"
    if found != expected:
        note({"rotten_at": now, "scrub_wanted": False})
        return f"its stored bytes give {found.algorithm} {found.value[:16]}..., not {expected.value[:16]}..."
    note({"scrub_wanted": False, "scrubbed_at": now, "verified_at": now, "suspect_at": None})
    return None
