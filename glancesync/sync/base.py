# SPDX-License-Identifier: Apache-2.0
"""Which image a new one may be copied as a difference to. Asked by shortcut.

The property that names the base is its user's: whoever may read what passes between two hosts, or time it, would learn
what another image holds. So only a base of the same owner counts, or a public one, as the cascading region shows it.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glancesync.model.event import IMAGE_ID
from glancesync.model.image import Image
from glancesync.model.replica import ReplicaRecord
from glancesync.sync.records import ReplicaRecords
from glancesync.sync.run import Run

#: A base much smaller than the image saves nothing.
_LEAST_PART = 0.25


@dataclass(frozen=True, kw_only=True)
class BaseFinder:
    """`properties`: the names of those that may name a base, the first that does."""

    records: ReplicaRecords
    properties: Callable[[], Sequence[str]]

    def find(self, image: Image, run: Run) -> str | None:
        """The id of the base's replica in the run's region. Raises RegionErrors, NotReadyError."""
        for base_id in list_named(image, self.properties()):
            base = run.reader.find_image(base_id, with_members=False)
            if base is None or not may_serve(image, base):
                continue
            record = self.records.read(base_id, run.region).replica
            if record is not None and is_verified(base, record):
                return record.replica_id
        return None


@dataclass(frozen=True, kw_only=True)
class Savings:
    """What a copy may leave out. `find_base`: the replica in the run's region that an image is sent as a difference to;
    `hash_on_host`: whether bytes are hashed on the target's host though its Glance verifies them too."""

    find_base: Callable[[Image, Run], str | None] = lambda _image, _run: None
    hash_on_host: Callable[[], bool] = lambda: False


def list_named(image: Image, properties: Sequence[str]) -> list[str]:
    """The ids that the properties name, without the image's own."""
    named = (image.properties.get(name) for name in properties)
    return [value for value in named if value and IMAGE_ID.match(value) and value != image.id]


def may_serve(image: Image, base: Image) -> bool:
    """Whether the image's owner may read the base anyway, and it is worth it."""
    readable = base.visibility == "public" or (image.owner is not None and base.owner == image.owner)
    return readable and base.status == "active" and (base.size or 0) >= _LEAST_PART * (image.size or 0)


def is_verified(base: Image, record: ReplicaRecord) -> bool:
    """Whether the region's replica has the base's bytes, as far as is known."""
    return (record.verified_at is not None and record.rotten_at is None and record.digest is not None
            and record.digest == base.digest)
