# SPDX-License-Identifier: Apache-2.0
"""A rule about images, from the first look to the comparison after it is gone, over Glances in memory."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from glancesync.conf.image_rules import parse_rules
from glancesync.model.image import ImageChanges
from glancesync.model.replica import ReplicaState
from tests.fixtures.memory_cloud import MemoryCloud

RULES = {"leave_alone": parse_rules("visibility=private size>5; tag=scratch")}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[MemoryCloud]:
    made = MemoryCloud(tmp_path, sync=RULES)
    yield made
    made.database.close()


def test_it_is_not_copied_until_the_rule_goes(cloud: MemoryCloud) -> None:
    large, small = cloud.upload(b"123456"), cloud.upload(b"12345")
    cloud.service.submit(image_ids=[large.id, small.id], regions=None, request_id=None)
    cloud.work()
    record = cloud.record(large.id)
    assert (record.state, record.reason_code) == (ReplicaState.UNWANTED, "left_alone")
    assert cloud.ids(cloud.two) == cloud.ids(cloud.three) == {small.id}
    cloud.compare()
    assert large.id not in cloud.ids(cloud.two)
    cloud.reconfigure()
    cloud.compare()
    assert cloud.ids(cloud.two) == cloud.ids(cloud.three) == {large.id, small.id}


def test_what_is_there_follows_when_the_image_begins_to_meet_it(cloud: MemoryCloud) -> None:
    image = cloud.upload(b"123456", visibility="public")
    cloud.compare()
    cloud.one.update_image(image.id, ImageChanges(fields={"visibility": "private", "tags": frozenset({"scratch"})}))
    cloud.compare()
    replica = cloud.two.get_image(image.id)
    assert (replica.visibility, replica.tags) == ("private", {"scratch"})
    assert cloud.record(image.id).state is ReplicaState.IN_SYNC
    cloud.two.delete_image(image.id)
    cloud.compare()
    assert image.id not in cloud.ids(cloud.two), "no new bytes"
    assert cloud.record(image.id).reason_code == "left_alone"


def test_what_is_there_is_deleted_with_its_image(cloud: MemoryCloud) -> None:
    cloud.reconfigure()
    image = cloud.upload(tags=frozenset({"scratch"}))
    cloud.compare()
    cloud.reconfigure(**RULES)
    cloud.compare()
    assert cloud.record(image.id).state is ReplicaState.IN_SYNC
    cloud.one.delete_image(image.id)
    cloud.report_removal(image.id)
    cloud.work()
    assert cloud.ids(cloud.two) == cloud.ids(cloud.three) == set()
