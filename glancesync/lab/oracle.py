# SPDX-License-Identifier: Apache-2.0
"""The judge of whether all regions hold the same: for tests and the demo. It shares no code with the product.

It reads every region by plain HTTP, compares what it reads with the cascading region, and hashes the files that lie
in the stores. Its verdict is a list of sentences, empty when there is nothing to say.
"""
from __future__ import annotations

from collections.abc import Collection, Mapping

from glancesync.lab.glance import Glance
from glancesync.lab.reading import (
    Record,
    RegionReading,
    find_leftovers,
    get_token,
    hash_file,
    read_region,
)
from glancesync.lab.state import LabState

# What a client can set, and what Glance computed of the bytes.
COMPARED = ("owner", "name", "disk_format", "container_format", "min_disk", "min_ram", "visibility", "protected",
            "os_hidden", "status", "size", "os_hash_algo", "os_hash_value")
# What belongs to the place, and what Glance shows beside the image.
OF_THE_PLACE = frozenset({"id", "tags", "checksum", "virtual_size", "created_at", "updated_at", "self", "file",
                          "schema", "locations", "direct_url", "stores"})
ABSENT = "(no such property)"
CANARY_NAME = "glancesync canary: do not delete"
REPLICABLE = frozenset({"active", "deactivated"})


class Oracle:
    """`transient_property`: images of the cascading region that carry it are not judged at all."""

    def __init__(self, state: LabState, *, transient_property: str | None = None) -> None:
        self._state = state
        self._transient_property = transient_property

    def judge(self, replica_ids: Mapping[tuple[str, str], str] | None = None, *, regions: Collection[str] | None = None,
              files: bool = True, leftovers: bool = True) -> list[str]:
        """Differences between the cascading region and the others, one sentence each.

        :param replica_ids: the replica's id by (image id, region), where it differs from the image's
        :param regions: cascaded regions to judge; all unless given
        :param files: hash the files in the stores, the cascading region's too
        :param leftovers: look for files that belong to no image
        :raises LabError: a region cannot be read; that is no verdict
        """
        chosen = self._state.regions[1:] if regions is None else regions
        token = get_token(self._state)
        glances = {region: Glance(self._state, region) for region in (self._state.cascading_region, *chosen)}
        readings = {region: read_region(glance, token) for region, glance in glances.items()}
        source = readings[self._state.cascading_region]
        found: list[str] = []
        for region in chosen:
            found += self._compare_region(source, readings[region], replica_ids or {})
        for region, glance in glances.items():
            found += _check_files(glance, readings[region]) if files else []
            found += _report_leftovers(glance, readings[region]) if leftovers else []
        return found

    def _compare_region(self, source: RegionReading, target: RegionReading,
                        replica_ids: Mapping[tuple[str, str], str]) -> list[str]:
        found = []
        accounted: set[str] = set()
        for image_id, record in source.images.items():
            replica_id = replica_ids.get((image_id, target.region), image_id)
            if self._is_transient(record):
                accounted.add(replica_id)
            elif record["status"] in REPLICABLE:
                accounted.add(replica_id)
                found += compare_images(source, image_id, target, replica_id)
        found += [f"{_title(record)} in {target.region} is {record['status']} and has no counterpart in {source.region}"
                  for image_id, record in target.images.items() if image_id not in accounted and not is_canary(record)]
        return found

    def _is_transient(self, record: Record) -> bool:
        return self._transient_property is not None and self._transient_property in record


def is_canary(record: Record) -> bool:
    """The one image that the sync server keeps in every region beside the replicas: never filled, and nobody's."""
    return (record["name"] == CANARY_NAME and record["status"] == "queued" and record["visibility"] == "private"
            and record["os_hidden"] is True)


def compare_images(source: RegionReading, image_id: str, target: RegionReading, replica_id: str) -> list[str]:
    """Differences between an image and its replica, one sentence each."""
    image, replica = source.images[image_id], target.images.get(replica_id)
    title = f"{_title(image)} in {target.region}"
    if replica is None:
        return [f"{title} is missing"]
    pairs = [(name, image.get(name), replica.get(name)) for name in COMPARED]
    pairs.append(("tags", sorted(image["tags"]), sorted(replica["tags"])))
    pairs.append(("members", source.members.get(image_id, {}), target.members.get(replica_id, {})))
    ours, theirs = _properties(image), _properties(replica)
    pairs += [(f"property {name!r}", ours.get(name, ABSENT), theirs.get(name, ABSENT))
              for name in sorted(ours.keys() | theirs.keys())]
    return [f"{title} has {name} {there!r} instead of {here!r}" for name, here, there in pairs if here != there]


def _properties(record: Record) -> Record:
    others = OF_THE_PLACE | set(COMPARED)
    return {name: value for name, value in record.items()
            if name not in others and not name.startswith("os_glance_")}


def _check_files(glance: Glance, reading: RegionReading) -> list[str]:
    found = []
    for image_id, record in reading.images.items():
        if record["status"] not in REPLICABLE:
            continue
        title = f"{_title(record)} in {glance.name}"
        path = glance.store_path / image_id
        if not path.is_file():
            found.append(f"{title} is {record['status']} but has no file in the store")
        elif path.stat().st_size != record["size"]:
            found.append(f"{title} has {path.stat().st_size} bytes in the store, its record says {record['size']}")
        elif record["os_hash_value"] and hash_file(path, record["os_hash_algo"]) != record["os_hash_value"]:
            found.append(f"{title} has bytes in the store that do not match its os_hash_value")
    return found


def _report_leftovers(glance: Glance, reading: RegionReading) -> list[str]:
    return [f"{path} belongs to no image of {glance.name}" for path in find_leftovers(glance, reading.images)]


def _title(record: Record) -> str:
    return f"image {record['id']} ({record['name']})"


