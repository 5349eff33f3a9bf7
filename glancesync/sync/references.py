# SPDX-License-Identifier: Apache-2.0
"""Properties that name another image by its id: in each region they name that image's replica. Used by converge and
reconcile, which compare the image with its references already put into the region's words.

`base_image_ref` tells where an instance came from, and is kept as it is.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from glancesync.model.birth import Birth
from glancesync.model.event import IMAGE_ID
from glancesync.model.image import Image
from glancesync.model.replica import ReplicaRecord, ReplicaState
from glancesync.sync.records import ReplicaRecords

NAMES = ("kernel_id", "ramdisk_id")
#: In these the replica is on its way, however long it takes.
_COMING = frozenset({ReplicaState.WAITING, ReplicaState.COPYING, ReplicaState.USABLE_UNVERIFIED, ReplicaState.FAILED})


@dataclass(frozen=True, kw_only=True)
class Referred:
    """The image as its replica in a region is to be, and why it is too early to make it (None: it is not)."""

    image: Image
    awaits: str | None = None


class References:
    """Looks the ids up in the mapping of replicas."""

    def __init__(self, records: ReplicaRecords) -> None:
        self._records = records

    def resolve(self, image: Image, region: str, birth: Birth | None, *,
                exists: Callable[[str], bool] | None = None) -> Referred:
        """`exists` tells of an image that no record knows whether the cascading region has it (None: it has not)."""
        named = {name: value for name in NAMES if (value := image.properties.get(name)) and IMAGE_ID.match(value)}
        if not named:
            return Referred(image=image)
        found, awaits = dict(image.properties), None
        for name, value in named.items():
            target = self._cascading_id(value, birth)
            record = self._records.read(target, region).replica
            replica_id = _replica_id(record)
            if replica_id is not None:
                found[name] = replica_id
            elif target == image.id:
                continue
            elif _is_coming(record) or (record is None and exists is not None and exists(target)):
                awaits = f"its {name} names image {target}, which has no replica in {region} yet"
        return Referred(image=replace(image, properties=found), awaits=awaits)

    def _cascading_id(self, value: str, birth: Birth | None) -> str:
        """A snapshot may name what its region of birth calls the image."""
        if birth is None:
            return value
        known = self._records.find_by_replica(birth.region, [value]).get(value)
        return known.image_id if known is not None else value


def _replica_id(record: ReplicaRecord | None) -> str | None:
    if record is None or record.state is ReplicaState.DELETED:
        return None
    return record.replica_id if record.verified_at is not None or record.state is ReplicaState.IN_SYNC else None


def _is_coming(record: ReplicaRecord | None) -> bool:
    return record is not None and record.state in _COMING
