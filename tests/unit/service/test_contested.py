# SPDX-License-Identifier: Apache-2.0
"""A contested replica is made again on the operator's word, whatever else is asked for at the same time."""
from __future__ import annotations

import pytest

from glancesync.model.event import Event, Operation
from glancesync.model.replica import ReplicaState
from glancesync.model.task import TaskFilter
from tests.fixtures.memory_cloud import MemoryCloud


@pytest.fixture
def cloud(tmp_path):
    made = MemoryCloud(tmp_path)
    made.compare()
    return made


def test_a_retry_is_not_swallowed_by_an_event(cloud):
    image = cloud.upload(b"x")
    cloud.compare()
    cloud.records.update(image.id, "Two", restores=99)
    cloud.two.delete_image(image.id)
    cloud.compare()
    cloud.clock.advance(1000)
    cloud.compare()
    assert cloud.record(image.id).state is ReplicaState.CONTESTED
    task = next(task for task in cloud.service.list_tasks(TaskFilter(image_id=image.id), 10, None)
                if task.region == "Two")
    cloud.service.retry_task(task.id)
    cloud.service.submit_events([Event(id="e9", operation=Operation.SAVE, image_id=image.id, at=1.0)])
    cloud.work()
    assert cloud.record(image.id).state is ReplicaState.IN_SYNC
    assert cloud.record(image.id).restores == 1
