# SPDX-License-Identifier: Apache-2.0
"""A comparison of chosen images, over Glances in memory: it mends these, and concludes nothing of the others."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from glancesync.conf.image_rules import parse_rules
from glancesync.model.image import ImageChanges
from glancesync.model.replica import ReplicaState
from glancesync.sync.findings import PassReport
from tests.fixtures.memory_cloud import MemoryCloud

GOLD = parse_rules("tag=gold")


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[MemoryCloud]:
    made = MemoryCloud(tmp_path)
    made.compare()
    yield made
    made.database.close()


def test_only_what_meets_a_rule_is_submitted_and_planned(cloud: MemoryCloud) -> None:
    gold, plain = cloud.upload(tags=frozenset({"gold"})), cloud.upload()
    assert {row["image_id"] for row in cloud.service.plan_all(regions=None, only=GOLD)} == {gold.id}
    page = cloud.service.plan_page(regions=["Two"], limit=10, marker=None, only=GOLD)
    assert ([row["image_id"] for row in page.rows], page.marker) == ([gold.id], None)
    tasks = cloud.service.submit(image_ids=None, regions=None, request_id="req-1", only=GOLD)
    assert {(task.image_id, task.request_id) for task in tasks} == {(gold.id, "req-1")}
    cloud.work()
    assert cloud.ids(cloud.two) == cloud.ids(cloud.three) == {gold.id}
    cloud.compare()
    assert cloud.ids(cloud.two) == {gold.id, plain.id}


def test_it_says_nothing_of_what_is_gone_and_forgets_no_proof(cloud: MemoryCloud) -> None:
    """Two whole comparisons delete what neither saw; ones of chosen images count for neither, and against neither."""
    lost, stranger = cloud.upload(), cloud.upload(region=cloud.two)
    cloud.compare()
    cloud.one.delete_image(lost.id)
    cloud.compare()
    for _ in range(3):
        cloud.clock.advance(101)
        report = PassReport()
        cloud.service.reconcile(report, only=GOLD)
        cloud.work()
        assert report.tasks == report.regions["Two"].foreign == report.regions["Two"].surplus == 0
    assert cloud.ids(cloud.two) == {lost.id, stranger.id}
    cloud.compare()
    assert cloud.ids(cloud.two) == {stranger.id}
    assert cloud.record(lost.id).state is ReplicaState.DELETED


def test_a_rule_that_the_image_no_longer_meets_leaves_its_replica(cloud: MemoryCloud) -> None:
    image = cloud.upload(tags=frozenset({"gold"}))
    cloud.compare()
    cloud.one.update_image(image.id, ImageChanges(fields={"tags": frozenset(), "name": "plain"}))
    cloud.service.reconcile(PassReport(), only=GOLD)
    cloud.work()
    assert cloud.two.get_image(image.id).tags == {"gold"}
