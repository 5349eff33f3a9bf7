# SPDX-License-Identifier: Apache-2.0
"""What notifications start: the same as the filter's events, and looks at pairs of cascaded regions."""
from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from glancesync.model.event import Event, Operation
from glancesync.model.image import ImageChanges
from glancesync.model.notification import Heard
from glancesync.model.replica import ReplicaState
from glancesync.model.task import TaskFilter, TaskState, Trigger
from tests.fixtures.memory_cloud import MemoryCloud


@pytest.fixture
def cloud(tmp_path: Path) -> MemoryCloud:
    return MemoryCloud(tmp_path)


def _heard(image_id: str, operation: Operation = Operation.SAVE, region: str | None = None) -> Heard:
    return Heard(region=region, event=Event(id=f"notification-{uuid.uuid4()}", operation=operation, image_id=image_id,
                                            at=1.0))


def test_the_filters_event_and_the_notification_merge(cloud: MemoryCloud) -> None:
    image = cloud.upload()
    cloud.service.submit_events([_heard(image.id).event])
    cloud.service.hear([_heard(image.id), _heard(image.id, Operation.ADD)])
    tasks = cloud.queue.list_tasks(TaskFilter(), 10)
    assert [(task.image_id, task.state) for task in tasks] == [(image.id, TaskState.WAITING)] * 2
    cloud.work()
    assert cloud.queue.list_tasks(TaskFilter(states=frozenset({TaskState.WAITING})), 10) == []


def test_a_notification_that_comes_twice_starts_nothing_twice(cloud: MemoryCloud) -> None:
    image, heard = cloud.upload(), None
    heard = _heard(image.id)
    cloud.service.hear([heard])
    cloud.work()
    cloud.service.hear([heard])
    assert cloud.queue.list_tasks(TaskFilter(states=frozenset({TaskState.WAITING})), 10) == []


def test_a_removal_that_glance_notified_is_proof(cloud: MemoryCloud) -> None:
    image = cloud.upload()
    cloud.service.hear([_heard(image.id)])
    cloud.compare()
    cloud.one.delete_image(image.id)
    cloud.service.hear([_heard(image.id, Operation.REMOVE)])
    cloud.work()
    assert cloud.record(image.id).state is ReplicaState.DELETED
    assert cloud.ids(cloud.two) == set()


def test_a_change_in_a_cascaded_region_has_its_pair_looked_at(cloud: MemoryCloud) -> None:
    image = cloud.upload()
    cloud.service.hear([_heard(image.id)])
    cloud.compare()
    cloud.two.update_image(image.id, ImageChanges(fields={"name": "meddled"}))
    cloud.service.hear([_heard(image.id, region="Two")])
    [task] = cloud.queue.list_tasks(TaskFilter(states=frozenset({TaskState.WAITING})), 10)
    assert (task.region, task.trigger) == ("Two", Trigger.NOTIFICATION)
    cloud.work()
    assert cloud.two.get_image(image.id).name == image.name


def test_a_replica_under_another_id_is_found(cloud: MemoryCloud) -> None:
    burned = str(uuid.uuid4())
    cloud.upload(id=burned, region=cloud.two)
    cloud.two.delete_image(burned)
    cloud.upload(id=burned)
    cloud.run(burned)
    replica_id = cloud.record(burned).replica_id
    assert replica_id not in (None, burned)
    [task] = cloud.service.hear([_heard(str(replica_id), region="Two")])
    assert (task.image_id, task.region) == (burned, "Two")


@pytest.mark.parametrize("region", ["Two", "One", "Nowhere"])
def test_what_is_not_ours_starts_nothing(cloud: MemoryCloud, region: str) -> None:
    stranger = cloud.upload(region=cloud.two)
    assert cloud.service.hear([_heard(stranger.id, region=region)]) == []
    assert cloud.service.hear([]) == []
