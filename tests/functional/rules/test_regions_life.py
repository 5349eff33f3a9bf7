# SPDX-License-Identifier: Apache-2.0
"""Regions that leave the catalog, come back empty or older, are renamed or move, on the real cloud."""
from __future__ import annotations

from pathlib import Path

import pytest

from glancesync.lab.cloud import Lab
from tests.fixtures.images import ImagesOf
from tests.fixtures.keystone_admin import KeystoneAdmin
from tests.fixtures.polling import eventually
from tests.fixtures.trusting import Trusting, put_database, save_database

pytestmark = pytest.mark.lab
THREE, TRES = "RegionThree", "RegionTres"


def known_regions(trusting: Trusting) -> dict[str, bool]:
    """Name to whether it left the catalog."""
    return {row["name"]: row["gone_at"] is not None for row in trusting.call("GET", "/v1/regions")["regions"]}


def test_gone_from_the_catalog_and_back(trusting: Trusting, images: ImagesOf, keystone: KeystoneAdmin) -> None:
    """Its records are kept and say so, nothing is queued for it; what happened meanwhile is made up for."""
    kept, deleted = trusting.make(images, "kept", "deleted meanwhile")
    with keystone.region_disabled(THREE):
        eventually(lambda: known_regions(trusting).get(THREE), 60, what="the region is known to be gone")
        trusting.wait_for(kept, "parked", code="region_gone", regions=[THREE])
        images("demo").delete(deleted)
        new = images("demo").create("made meanwhile", b"new")["id"]
        trusting.wait_for(new, regions=["RegionTwo"])
        trusting.compare(2)
        assert images("admin", THREE).find(deleted)
        assert {row["region"] for row in trusting.deletions()} == {"RegionTwo"}
        assert THREE in trusting.alarms()
        assert THREE not in trusting.tasks(new)
    trusting.wait_for(new)
    trusting.wait_for(kept)
    trusting.wait_gone(images, deleted)
    assert {row["image_id"] for row in trusting.deletions()} == {deleted}


def test_renamed(trusting: Trusting, images: ImagesOf, keystone: KeystoneAdmin) -> None:
    """Its records follow: nothing is deleted or copied, and it is still ours to delete from."""
    first, second = trusting.make(images, "first", "second")
    with keystone.region_renamed(THREE, TRES):
        eventually(lambda: known_regions(trusting).get(TRES) is False, 60, what="the new name is known")
        trusting.compare()
        views = trusting.wait_for(first, regions=[TRES])
        assert (views[TRES]["origin"], views[TRES]["replica_id"], THREE in views) == ("created", first, False)
        assert THREE not in known_regions(trusting)
        assert trusting.deletions() == []
        images("demo").delete(second)
        eventually(lambda: images("admin", THREE).find(second) is None, 60, what="a removal is followed there")
    eventually(lambda: known_regions(trusting).get(THREE) is False, 60, what="the old name is known again")
    trusting.wait_for(first)
    assert {row["image_id"] for row in trusting.deletions()} == {second}


def test_an_endpoint_that_changes_is_followed(trusting: Trusting, images: ImagesOf, keystone: KeystoneAdmin,
                                              lab: Lab) -> None:
    [before] = trusting.make(images, "before")
    elsewhere = lab.endpoint(THREE).replace("127.0.0.1", "127.0.0.2")
    with keystone.endpoints_at(THREE, elsewhere):
        eventually(lambda: endpoint(trusting, THREE) == elsewhere, 60, what="the new endpoint is known")
        images("demo").set(before, name="renamed")
        trusting.wait_for(before, regions=["RegionTwo"])
        eventually(lambda: trusting.states(before)[THREE]["state"] != "in_sync", 60, what="nobody listens there")
        assert images("admin", THREE).get(before)["name"] == "before"
    eventually(lambda: endpoint(trusting, THREE) == lab.endpoint(THREE), 60, what="the old endpoint is known again")
    eventually(lambda: images("admin", THREE).get(before)["name"] == "renamed", 60, what="it is followed there")
    trusting.wait_for(before)
    assert trusting.deletions() == []


def endpoint(trusting: Trusting, region: str) -> str | None:
    return next(row["endpoint"] for row in trusting.call("GET", "/v1/regions")["regions"] if row["name"] == region)


def test_came_back_empty(trusting: Trusting, images: ImagesOf, lab: Lab) -> None:
    """It is refilled under the same ids, and nothing is deleted."""
    glance = lab.glances[THREE]
    first, second = trusting.make(images, "first", "second")
    put_database(glance, None)
    for path in glance.store_path.iterdir():
        path.unlink()  # the new disk of an emptied region is empty too
    trusting.compare()
    for image_id in (first, second):
        assert trusting.wait_for(image_id)[THREE]["replica_id"] == image_id
        assert images("demo", THREE).read(image_id) == images("demo").read(image_id)
    trusting.converge()
    assert trusting.deletions() == []


def test_came_back_older(trusting: Trusting, images: ImagesOf, lab: Lab, tmp_path: Path) -> None:
    """It is brought up to date; what was deleted since the backup was made is deleted again."""
    glance = lab.glances[THREE]
    first, second = trusting.make(images, "first", "second")
    backup = save_database(glance, tmp_path / "backup")
    images("demo").delete(second)
    images("demo").set(first, name="renamed")
    [third] = trusting.make(images, "third")
    trusting.wait_for(second, "deleted")
    put_database(glance, backup)
    # The backup's records lead to files: those of images that were deleted since are gone, and stay gone.
    (glance.store_path / third).unlink()
    trusting.compare(2)
    trusting.wait_for(third)
    trusting.wait_gone(images, second)
    assert images("admin", THREE).get(first)["name"] == "renamed"
