# SPDX-License-Identifier: Apache-2.0
"""What nobody reported and nobody foresaw: records, replicas and proofs still tell the truth afterwards."""
from __future__ import annotations

import pytest

from glancesync.model.replica import ReplicaState
from glancesync.regions.memory import MemoryRegion
from tests.fixtures.memory_cloud import SERVICE, MemoryCloud

_DAY = 86400


@pytest.fixture
def cloud(tmp_path):
    made = MemoryCloud(tmp_path)
    made.compare()
    return made


def compare_later(cloud):
    cloud.clock.advance(1000)
    cloud.compare()


def test_an_image_that_went_away_on_both_sides_is_not_in_sync_any_more(cloud):
    image = cloud.upload()
    cloud.compare()
    cloud.one.delete_image(image.id)  # and its event is lost
    cloud.two.delete_image(image.id)
    compare_later(cloud)
    assert cloud.record(image.id).state is ReplicaState.SOURCE_MISSING
    compare_later(cloud)
    assert cloud.record(image.id).state is ReplicaState.DELETED
    report = cloud.compare()
    assert report.regions["Two"].findings == 0, "it is not looked at in every comparison from now on"


def test_a_conflict_ends_with_its_image(cloud):
    image = cloud.upload()
    stranger = cloud.upload(b"theirs", region=cloud.two, id=image.id, owner="other")
    cloud.compare()
    assert cloud.record(image.id).state is ReplicaState.CONFLICT
    cloud.one.delete_image(image.id)
    for _ in range(3):
        compare_later(cloud)
    assert cloud.record(image.id).state is ReplicaState.SOURCE_MISSING
    assert cloud.service.list_conflicts(limit=10, marker=None, filters={}) == []
    assert cloud.two.get_image(image.id) == stranger
    assert cloud.compare().regions["Two"].findings == 0


@pytest.mark.parametrize("gone", [True, False])
def test_who_takes_an_id_in_an_emptied_region_keeps_the_image(cloud, gone):
    image = cloud.upload(visibility="public")
    cloud.compare()
    emptied = MemoryRegion("Two", project_id=SERVICE, clock=cloud.clock)
    cloud.directory.regions["Two"] = ("http://two", emptied)
    cloud.clock.advance(2 * _DAY)
    stranger = cloud.upload(b"precious", region=emptied, id=image.id, owner="stranger")
    if gone:
        cloud.one.delete_image(image.id)
        cloud.report_removal(image.id)
    for _ in range(3):
        compare_later(cloud)
    assert emptied.get_image(image.id) == stranger
    assert cloud.record(image.id).state is (ReplicaState.SOURCE_MISSING if gone else ReplicaState.CONFLICT)


def test_an_emptied_region_is_filled_again_and_the_new_replicas_are_ours(cloud):
    image = cloud.upload()
    cloud.compare()
    emptied = MemoryRegion("Two", project_id=SERVICE, clock=cloud.clock)
    cloud.directory.regions["Two"] = ("http://two", emptied)
    cloud.clock.advance(2 * _DAY)
    cloud.compare()
    cloud.one.delete_image(image.id)
    cloud.report_removal(image.id)
    cloud.work()
    assert cloud.ids(emptied) == set()


def test_a_reported_removal_of_an_image_that_is_there_does_not_stay_a_proof(cloud):
    """The report may be forged, or true and the image restored."""
    image = cloud.upload()
    cloud.compare()
    cloud.report_removal(image.id)
    again = cloud.run(image.id).plan.delay_seconds
    assert again is not None
    cloud.clock.advance(again)
    assert cloud.run(image.id).plan.delay_seconds is None
    assert cloud.records.read(image.id, "Two").removal is None
