# SPDX-License-Identifier: Apache-2.0
"""Another Glance stands where the cascading one was: nothing that it shows is written anywhere."""
from __future__ import annotations

from dataclasses import replace

import pytest

from glancesync.exceptions import DeletionHeldError, SourceUntrustedError
from glancesync.model.image import ImageChanges, NewImage
from glancesync.model.replica import Origin, ReplicaState
from glancesync.regions.memory import MemoryRegion
from tests.fixtures.memory_cloud import SERVICE, MemoryCloud


@pytest.fixture
def cloud(tmp_path):
    made = MemoryCloud(tmp_path)
    made.compare()
    return made


def everything(region):
    """All images with their bytes."""
    return {image.id: (image, region.data(image.id)) for hidden in (False, True)
            for image in region.list_images(hidden=hidden)}


@pytest.mark.parametrize("endpoint", ["http://elsewhere", "http://one"])
def test_one_with_the_same_ids_and_other_bytes_changes_no_replica(cloud, endpoint):
    """By another address, or behind the same one."""
    image = cloud.upload(b"right", visibility="private")
    cloud.compare()
    before = everything(cloud.two)
    other = MemoryRegion("One", project_id=SERVICE, clock=cloud.clock)
    other.put_image(replace(image, visibility="public", name="other", size=None, digest=None, checksum=None), b"wrong")
    cloud.directory.regions["One"] = (endpoint, other)
    new = cloud.upload(b"new", region=other)
    for _ in range(3):
        cloud.clock.advance(1000)
        cloud.compare()
    assert everything(cloud.two) == before
    record = cloud.record(image.id)
    assert (record.state, record.reason_code) == (ReplicaState.WAITING, SourceUntrustedError.code)
    cloud.trust.accept()
    cloud.clock.advance(1000)
    cloud.compare()
    assert new.id in cloud.ids(cloud.two), "the operator accepted it, so the work goes on"


def test_swapped_endpoints_do_not_overwrite_the_originals(cloud):
    """A replica that is verified and not handed over yet is out of reach; its original must not become so."""
    image = cloud.upload(b"two")
    cloud.two.create_image(NewImage(
        id=image.id, name="image", owner=SERVICE, visibility="private", protected=False, os_hidden=True,
        disk_format="raw", container_format="bare", min_disk=0, min_ram=0, tags=frozenset(), properties={}))
    cloud.two.upload_data(image.id, [b"two"], size=3)
    cloud.records.update(image.id, "Two", replica_id=image.id, origin=Origin.CREATED)
    before = everything(cloud.one)
    regions = cloud.directory.regions
    regions["One"], regions["Two"] = regions["Two"], regions["One"]
    cloud.compare()
    assert everything(cloud.one) == before


def test_a_source_that_is_not_believed_has_nothing_replaced(cloud):
    """So many images are gone at once that it may be another database; what is there may still be followed."""
    image, *others = [cloud.upload() for _ in range(30)]
    cloud.compare()
    for other in others:
        cloud.one.delete_image(other.id)
    cloud.clock.advance(1000)
    cloud.compare()
    cloud.one.put_image(replace(image, size=None, digest=None, checksum=None), b"other")
    with pytest.raises(DeletionHeldError):
        cloud.run(image.id)
    assert cloud.two.data(image.id) == b"bytes"
    cloud.one.put_image(image, b"bytes")
    cloud.one.update_image(image.id, ImageChanges(fields={"name": "followed"}))
    cloud.run(image.id)
    assert cloud.two.get_image(image.id).name == "followed"


def test_that_it_was_itself_a_moment_ago_is_no_proof(cloud):
    """Behind the same client and in the same second: whoever shows an image is asked for the canary after that."""
    first, second = cloud.upload(), cloud.upload()
    cloud.run(first.id)
    canary = cloud.trust.canary_id()
    cloud.one.update_image(canary, ImageChanges(fields={"protected": False}))
    cloud.one.delete_image(canary)
    with pytest.raises(SourceUntrustedError):
        cloud.run(second.id)
    cloud.one.update_image(first.id, ImageChanges(fields={"name": "another"}))
    with pytest.raises(SourceUntrustedError):
        cloud.run(first.id)
    assert second.id not in cloud.ids(cloud.two)
    assert cloud.two.get_image(first.id).name == first.name
