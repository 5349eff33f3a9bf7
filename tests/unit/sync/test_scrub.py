# SPDX-License-Identifier: Apache-2.0
"""Stored bytes read again: what rotted is named, hidden and replaced; what only could not be read waits."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from glancesync.exceptions import DeletionHeldError, RegionUnavailableError, ReplicaUnreadableError, SourceReadError
from glancesync.model.replica import IdReason, ReplicaState
from glancesync.model.task import TaskFilter
from tests.fixtures.memory_cloud import MemoryCloud


@pytest.fixture
def cloud(tmp_path: Path) -> MemoryCloud:
    return MemoryCloud(tmp_path)


def synced(cloud, data=b"data", **fields):
    image = cloud.upload(data, **fields)
    cloud.run(image.id)
    return image


def scrub(cloud, image):
    cloud.records.update(image.id, "Two", scrub_wanted=True)
    return cloud.run(image.id)


def test_sound_bytes(cloud):
    image = synced(cloud)
    cloud.clock.advance(50)
    assert scrub(cloud, image).plan.state is ReplicaState.IN_SYNC
    record = cloud.record(image.id)
    assert (record.scrubbed_at, record.verified_at, record.scrub_wanted) == (
        cloud.clock.now(), cloud.clock.now(), False)
    assert record.replica_id == image.id


@pytest.mark.parametrize("protected", [False, True])
def test_other_bytes_of_the_same_size_are_named_hidden_and_replaced(cloud, protected, caplog):
    image = synced(cloud, protected=protected)
    cloud.two.set_data(image.id, b"dat!")
    scrub(cloud, image)
    record = cloud.record(image.id)
    assert (record.state, record.id_reason, record.rotten_at) == (ReplicaState.IN_SYNC, IdReason.ROTTEN, None)
    assert cloud.two.data(record.replica_id) == b"data"
    assert cloud.two.find_image(image.id) is None
    assert cloud.two.faults.calls.index("deactivate_image") < cloud.two.faults.calls.index("delete_image")
    assert f"replica {image.id} of image {image.id} in Two is rotten" in caplog.text
    [deletion] = cloud.service.list_deletions(limit=9, marker=None, filters={})
    assert deletion["cause"] == "rotten"


def test_it_is_not_called_in_sync_under_an_id_that_is_not_made_yet(cloud, monkeypatch):
    image, create, seen = synced(cloud), cloud.two.create_image, []

    def watched(new):
        record = cloud.record(image.id)
        seen.append((record.replica_id == new.id, record.state, record.reason_code))
        return create(new)

    monkeypatch.setattr(cloud.two, "create_image", watched)
    cloud.two.set_data(image.id, b"dat!")
    scrub(cloud, image)
    assert seen == [(True, ReplicaState.WAITING, "creating")]


def test_where_it_may_not_be_deleted_now_it_is_hidden_all_the_same(tmp_path):
    cloud = MemoryCloud(tmp_path, deletion={"max_deletes": 0})
    image = synced(cloud)
    cloud.two.set_data(image.id, b"dat!")
    with pytest.raises(DeletionHeldError):
        scrub(cloud, image)
    assert cloud.two.get_image(image.id).status == "deactivated"
    assert cloud.record(image.id).reason_code == "deletions_held"
    with pytest.raises(DeletionHeldError):
        cloud.run(image.id)
    assert cloud.two.get_image(image.id).status == "deactivated", "nothing reactivates it meanwhile"


def test_an_adopted_one_is_hidden_and_left_to_the_operator(cloud):
    image = cloud.upload(b"data")
    cloud.upload(b"data", region=cloud.two, id=image.id)
    cloud.run(image.id)
    cloud.two.set_data(image.id, b"dat!")
    scrub(cloud, image)
    assert cloud.two.get_image(image.id).status == "deactivated"
    record = cloud.record(image.id)
    assert (record.state, record.reason_code) == (ReplicaState.CONFLICT, "adopted_differs")


@pytest.mark.parametrize("data", [b"dat", b""])
def test_bytes_that_end_early_must_do_so_twice(cloud, data):
    image = synced(cloud)
    cloud.two.set_data(image.id, data)
    with pytest.raises(ReplicaUnreadableError) as caught:
        scrub(cloud, image)
    assert caught.value.retry_after_seconds == 100
    assert cloud.two.get_image(image.id).status == "active"
    assert (cloud.record(image.id).state, cloud.record(image.id).reason_code) == (
        ReplicaState.FAILED, "replica_unreadable")
    cloud.clock.advance(99)
    with pytest.raises(ReplicaUnreadableError):
        cloud.run(image.id)
    cloud.clock.advance(1)
    cloud.run(image.id)
    assert cloud.record(image.id).id_reason is IdReason.ROTTEN


def test_a_store_that_was_only_away(cloud):
    image = synced(cloud)
    cloud.two.faults.break_stream("open_data", 1, SourceReadError("the store is away"))
    with pytest.raises(ReplicaUnreadableError):
        scrub(cloud, image)
    cloud.clock.advance(1000)
    cloud.run(image.id)
    record = cloud.record(image.id)
    assert (record.state, record.suspect_at, record.replica_id) == (ReplicaState.IN_SYNC, None, image.id)
    cloud.two.faults.break_stream("open_data", 1, SourceReadError("the store is away"))
    with pytest.raises(ReplicaUnreadableError):
        scrub(cloud, image)


def test_a_region_that_is_away_is_no_suspicion(cloud):
    image = synced(cloud)
    cloud.two.fail_next("open_data", RegionUnavailableError("no connection"))
    with pytest.raises(RegionUnavailableError):
        scrub(cloud, image)
    assert cloud.record(image.id).suspect_at is None


def test_a_sample_takes_those_first_that_were_read_longest_ago(cloud):
    images = []
    for number in range(4):
        images.append(synced(cloud, f"bytes {number}".encode()))
        cloud.clock.advance(10)
    cloud.upload(b"never copied")
    read = []
    for _ in range(4):
        read.append({task.image_id for task in cloud.service.scrub(0.5)})
        cloud.work()
        cloud.clock.advance(10)
    assert read == [{image.id for image in images[:2]}, {image.id for image in images[2:]}] * 2
    task = cloud.queue.list_tasks(TaskFilter(), 1)[0]
    assert (task.trigger, task.priority) == ("timer", 0)


def test_a_small_fraction_still_reads_something(cloud):
    synced(cloud)
    assert len(cloud.service.scrub(0.001)) == 1


def test_what_is_not_verified_or_not_in_the_catalog_is_not_read(cloud):
    image = synced(cloud)
    cloud.records.update(image.id, "Two", state=ReplicaState.FAILED)
    assert cloud.service.scrub(1) == []
    cloud.records.update(image.id, "Two", state=ReplicaState.IN_SYNC)
    del cloud.directory.regions["Two"]
    assert cloud.service.scrub(1) == []


def test_a_scrub_that_was_lost_is_found_by_the_next_comparison(cloud):
    image = synced(cloud)
    cloud.compare()
    cloud.records.update(image.id, "Two", scrub_wanted=True)
    cloud.two.set_data(image.id, b"dat!")
    cloud.compare()
    assert cloud.record(image.id).id_reason is IdReason.ROTTEN


def test_an_image_without_a_known_hash_counts_as_read(cloud):
    image = synced(cloud)
    cloud.two.put_image(replace(cloud.two.get_image(image.id), digest=None, checksum=None))
    cloud.records.update(image.id, "Two", digest=None, size=None)
    scrub(cloud, image)
    assert cloud.record(image.id).rotten_at is None
