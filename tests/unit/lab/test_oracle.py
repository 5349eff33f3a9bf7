# SPDX-License-Identifier: Apache-2.0
"""The judge's comparison: each thing that may differ has its sentence, what belongs to the place has none."""
from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from glancesync.lab.glance import Glance
from glancesync.lab.oracle import compare_images
from glancesync.lab.reading import RegionReading, find_leftovers, hash_file
from glancesync.lab.state import LabOptions, plan_state

IMAGE: dict[str, Any] = {
    "id": "i1", "name": "debian", "owner": "p1", "disk_format": "raw", "container_format": "bare", "min_disk": 1,
    "min_ram": 0, "visibility": "shared", "protected": False, "os_hidden": False, "status": "active", "size": 3,
    "os_hash_algo": "sha512", "os_hash_value": "ab", "tags": ["x", "y"], "hw disk/bus": "scsi",
}
MEMBERS = {"p2": "accepted"}


def _reading(region: str, image: dict[str, Any], members: dict[str, str]) -> RegionReading:
    return RegionReading(region=region, images={image["id"]: image}, members={image["id"]: members})


def _differences(replica: dict[str, Any], members: dict[str, str] = MEMBERS) -> list[str]:
    return compare_images(_reading("RegionOne", IMAGE, MEMBERS), "i1",
                          _reading("RegionTwo", replica, members), replica["id"])


def test_equal_images_in_spite_of_what_belongs_to_the_place() -> None:
    replica = IMAGE | {"tags": ["y", "x"], "stores": "other", "updated_at": "later", "checksum": "md5",
                       "os_glance_import_task": "t", "direct_url": "file:///x"}
    assert _differences(replica) == []


def test_replica_under_another_id() -> None:
    assert _differences(IMAGE | {"id": "other"}) == []


@pytest.mark.parametrize(("field", "value"), [
    ("name", "Debian"), ("owner", "p2"), ("disk_format", "qcow2"), ("container_format", "ovf"), ("min_disk", 2),
    ("min_ram", 1), ("visibility", "public"), ("protected", True), ("os_hidden", True), ("status", "deactivated"),
    ("size", 4), ("os_hash_algo", "sha256"), ("os_hash_value", "cd"), ("tags", ["x"]), ("hw disk/bus", "virtio"),
    ("extra", ""),
])
def test_each_field_is_compared(field: str, value: object) -> None:
    found = _differences(IMAGE | {field: value})
    assert len(found) == 1
    assert field in found[0]
    assert "i1" in found[0]
    assert "RegionTwo" in found[0]


@pytest.mark.parametrize("members", [{}, {"p2": "pending"}, {"p2": "accepted", "p3": "pending"}])
def test_members_are_compared(members: dict[str, str]) -> None:
    assert len(_differences(IMAGE, members)) == 1


def test_missing_replica() -> None:
    empty = RegionReading(region="RegionTwo", images={})
    assert compare_images(_reading("RegionOne", IMAGE, MEMBERS), "i1", empty, "i1") == [
        "image i1 (debian) in RegionTwo is missing"]


def test_leftovers(tmp_path: Path) -> None:
    glance = Glance(plan_state(tmp_path, None, LabOptions()), "RegionOne")
    for folder, names in ((glance.store_path, ("full", "queued", "gone")), (glance.staging_path, ("making", "full"))):
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_bytes(b"abc")
    images = {"full": {"status": "active"}, "queued": {"status": "queued"}, "making": {"status": "uploading"}}
    assert find_leftovers(glance, images) == [
        glance.store_path / "gone", glance.store_path / "queued", glance.staging_path / "full"]
    assert hash_file(glance.store_path / "full", "sha512") == hashlib.sha512(b"abc").hexdigest()
