# SPDX-License-Identifier: Apache-2.0
"""Images that lie at external URLs: the same URL in each region where its Glance takes it, else the bytes."""
from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from glancesync.exceptions import RegionAnswerError, RegionForbiddenError
from glancesync.model.birth import BirthClaim, ImageFrom
from glancesync.model.image import Image
from glancesync.model.replica import IdReason, ReplicaState
from glancesync.regions.memory import MemoryRegion
from glancesync.sync.codes import Code
from tests.fixtures.memory_cloud import MemoryCloud

URL = "http://web/image?signature=hunter2"
DATA = b"external bytes"


@pytest.fixture
def cloud(tmp_path: Path) -> MemoryCloud:
    found = MemoryCloud(tmp_path)
    for glance in (found.two, found.three):
        glance.web[URL] = DATA
    return found


def _external(cloud: MemoryCloud, *urls: str, **fields: object) -> Image:
    image = cloud.upload(DATA, name="external", **fields)
    cloud.one.locations[image.id] = urls or (URL,)
    cloud.service.mark_located(image.id, request_id=None)
    return image


def _uploads(glance: MemoryRegion) -> int:
    return glance.faults.calls.count("upload_data")


def test_the_same_url_is_registered_and_no_byte_copied(cloud: MemoryCloud) -> None:
    image = _external(cloud)
    cloud.work()
    for glance, region in ((cloud.two, "Two"), (cloud.three, "Three")):
        assert cloud.record(image.id, region).state is ReplicaState.IN_SYNC
        assert glance.locations[image.id] == (URL,)
        assert glance.get_image(image.id).owner == "demo"
        assert _uploads(glance) == 0
    assert cloud.compare().tasks == 0


def test_without_the_hint_bytes_are_copied(cloud: MemoryCloud) -> None:
    image = cloud.upload(DATA)
    cloud.one.locations[image.id] = (URL,)
    cloud.run(image.id)
    assert _uploads(cloud.two) == 1


@pytest.mark.parametrize("urls", [("http://user:secret@web/x",), ("file:///images/x",), ("swift+config://x",)])
def test_what_is_no_plain_url_is_given_to_nobody(cloud: MemoryCloud, urls: tuple[str, ...]) -> None:
    image = _external(cloud, *urls)
    cloud.work()
    assert "add_location" not in cloud.two.faults.calls
    assert cloud.two.data(image.id) == DATA


@pytest.mark.parametrize("error", [RegionForbiddenError("no"), RegionAnswerError("old")])
def test_a_source_that_does_not_tell_has_its_bytes_copied(cloud: MemoryCloud, error: Exception) -> None:
    image = _external(cloud)
    cloud.one.fail_next("list_locations", error, times=9)
    cloud.work()
    assert cloud.two.data(image.id) == DATA
    assert _uploads(cloud.two) == 1


def test_a_refusal_is_noted_with_its_reason_and_no_url_in_the_log(cloud: MemoryCloud,
                                                                  caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    cloud.two.takes_locations = False
    image = _external(cloud)
    cloud.work()
    assert cloud.record(image.id).state is ReplicaState.IN_SYNC
    assert _uploads(cloud.two) == 1
    assert "does not take the image's URL" in caplog.text
    assert "hunter2" not in caplog.text
    assert cloud.compare().tasks == 0


@pytest.mark.parametrize("there", [None, b"other bytes!!!"])
def test_a_url_with_other_bytes_is_not_believed(cloud: MemoryCloud, there: bytes | None) -> None:
    cloud.two.web = {} if there is None else {URL: there}
    image = _external(cloud)
    cloud.work()
    assert cloud.record(image.id).state is ReplicaState.IN_SYNC
    assert cloud.two.data(image.id) == DATA
    assert _uploads(cloud.two) == 1


def test_a_glance_that_still_reads_is_waited_for(cloud: MemoryCloud) -> None:
    cloud.two.slow = True
    image = _external(cloud)
    plan = cloud.run(image.id).plan
    assert (plan.code, plan.delay_seconds) == (Code.REGISTERING, 5)
    cloud.clock.advance(10_000)
    assert cloud.run(image.id).plan.code == Code.REGISTERING
    cloud.two.settle()
    assert cloud.run(image.id).plan.state is ReplicaState.IN_SYNC
    assert _uploads(cloud.two) == 0


def test_a_hash_that_nobody_computed_is_read_before_the_hand_over(cloud: MemoryCloud) -> None:
    """A Glance without do_secure_hash believes what it is told."""
    cloud.compare()
    cloud.two.slow = True
    image = _external(cloud)
    cloud.run(image.id)
    cloud.two.settle()
    there = cloud.two.get_image(image.id)
    cloud.two.put_image(replace(there, checksum=None, hash_is_claim=True), b"liars bytes...")
    cloud.run(image.id)
    record = cloud.record(image.id)
    assert record.replica_id != image.id
    assert cloud.two.data(str(record.replica_id)) == DATA


def test_a_url_that_is_taken_away_is_given_up(cloud: MemoryCloud) -> None:
    cloud.compare()
    image = _external(cloud)
    cloud.work()
    cloud.one.locations[image.id] = ("file:///copied",)
    cloud.run(image.id)
    record = cloud.record(image.id)
    assert (record.state, record.id_reason) == (ReplicaState.IN_SYNC, IdReason.LOCATION_GONE)
    assert cloud.two.data(str(record.replica_id)) == DATA
    assert _uploads(cloud.two) == 1
    deletions = len(cloud.service.list_deletions(limit=9, marker=None, filters={}))
    cloud.run(image.id)
    assert len(cloud.service.list_deletions(limit=9, marker=None, filters={})) == deletions == 1


def test_a_url_that_is_replaced_by_another_is_registered(cloud: MemoryCloud) -> None:
    cloud.compare()
    image = _external(cloud)
    cloud.work()
    cloud.two.web["http://web/new"] = DATA
    cloud.one.locations[image.id] = ("http://web/new",)
    cloud.run(image.id)
    replica_id = str(cloud.record(image.id).replica_id)
    assert cloud.two.locations[replica_id] == ("http://web/new",)
    assert _uploads(cloud.two) == 0


def test_an_image_that_lost_all_locations_takes_its_replicas_along(cloud: MemoryCloud) -> None:
    image = cloud.upload(DATA)
    cloud.run(image.id)
    cloud.one.put_image(replace(cloud.one.get_image(image.id), status="queued", size=None, digest=None, checksum=None))
    cloud.compare()
    record = cloud.record(image.id)
    assert (record.state, record.reason_code) == (ReplicaState.WAITING, Code.SOURCE_NOT_READY)
    assert cloud.ids(cloud.two) == set()
    cloud.one.upload_data(image.id, [b"new bytes"], size=9)
    cloud.compare()
    assert cloud.record(image.id).state is ReplicaState.IN_SYNC
    assert cloud.two.data(str(cloud.record(image.id).replica_id)) == b"new bytes"
    assert cloud.record(image.id).restores == 0


def test_clear_spares_where_a_snapshot_came_from(cloud: MemoryCloud) -> None:
    origin = cloud.upload(b"snapshot", region=cloud.two)
    image = cloud.upload(b"snapshot")
    claim = BirthClaim(image_id=image.id, region="Two", origin_id=origin.id, image_from=ImageFrom.SNAPSHOT)
    cloud.service.claim_birth(claim)
    cloud.work()
    cloud.compare()
    cloud.one.put_image(replace(cloud.one.get_image(image.id), status="queued", size=None, digest=None, checksum=None))
    cloud.compare()
    cloud.clock.advance(1)
    cloud.compare()
    assert cloud.ids(cloud.two) == {origin.id}
    assert cloud.ids(cloud.three) == set()
    assert cloud.one.get_image(image.id).status == "queued"
    cloud.service.claim_birth(claim)
    cloud.work()
    assert cloud.one.data(image.id) == b"snapshot"
