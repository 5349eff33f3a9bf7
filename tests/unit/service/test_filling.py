# SPDX-License-Identifier: Apache-2.0
"""Regions that lack images are filled: newest first, a few at a time, after what users ask for, across restarts."""
from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from glancesync.conf.reconcile import ReconcileSettings
from glancesync.db.schema import fills, tasks
from glancesync.exceptions import RegionQuotaError
from glancesync.model.chore import FILL, Turn
from glancesync.model.event import Event, Operation
from glancesync.model.task import Task, TaskFilter, TaskState
from glancesync.regions.memory import MemoryRegion
from glancesync.service.filling import FILL_PRIORITY
from glancesync.service.timers import FillChore
from glancesync.sync.findings import PassReport
from tests.fixtures.memory_cloud import SERVICE, MemoryCloud


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[MemoryCloud]:
    made = MemoryCloud(tmp_path)
    del made.directory.regions["Three"]
    yield made
    made.database.close()


def upload(cloud: MemoryCloud, count: int, data: bytes = b"bytes") -> list[str]:
    """Ids of new images, the oldest first."""
    found = []
    for _ in range(count):
        cloud.clock.advance(10)
        found.append(cloud.upload(data).id)
    return found


def compare(cloud: MemoryCloud) -> PassReport:
    report = PassReport()
    cloud.service.reconcile(report, in_turn=True)
    return report


def waiting(cloud: MemoryCloud) -> list[Task]:
    """In the order in which they are taken."""
    found = cloud.queue.list_tasks(TaskFilter(states=frozenset({TaskState.WAITING})), 1000)
    return sorted(found, key=lambda task: (-task.priority, task.run_at))


def view(cloud: MemoryCloud, name: str = "Two") -> Any:
    return next(region["fill"] for region in cloud.service.list_regions() if region["name"] == name)


def test_newest_first_and_never_more_than_the_batch(cloud: MemoryCloud) -> None:
    images = upload(cloud, 7)
    report = compare(cloud)
    assert (report.tasks, report.lacking, waiting(cloud)) == (0, 7, [])
    for expected in (images[4:], images[1:4], images[:1], []):
        for _ in range(2):  # nothing more is let in before those have run
            cloud.service.filling.run_once(3)
            assert [task.image_id for task in waiting(cloud)] == expected[::-1]
        assert {task.priority for task in waiting(cloud)} <= {FILL_PRIORITY}
        cloud.work()
    assert cloud.ids(cloud.two) == set(images)
    assert view(cloud) is None
    assert cloud.database.read(lambda connection: connection.execute(sa.select(fills)).all()) == []


def test_an_images_regions_have_their_turn_together_and_share_one_read(tmp_path: Path) -> None:
    cloud = MemoryCloud(tmp_path)
    images = upload(cloud, 3)
    compare(cloud)
    cloud.service.filling.run_once(2)
    assert [task.image_id for task in waiting(cloud)] == [images[2], images[2], images[1], images[1]]
    assert {task.region for task in waiting(cloud)} == {"Two", "Three"}
    assert len({task.created_at for task in waiting(cloud)}) == 1, "one submission"
    cloud.database.close()


def test_progress_is_shown_and_told_at_a_bounded_rate(cloud: MemoryCloud, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    upload(cloud, 4, b"x" * 1000)
    compare(cloud)
    shown = view(cloud)
    assert shown.pop("since")
    assert shown == {"images_done": 0, "images_failed": 0, "images_total": 4, "bytes_done": 0, "bytes_total": 4000,
                     "eta_seconds": None}
    for _ in range(20):
        cloud.service.filling.run_once(1)
        cloud.clock.advance(2)
    cloud.work()
    cloud.service.filling.run_once(1)
    assert (view(cloud)["images_done"], view(cloud)["bytes_done"]) == (1, 1000)
    cloud.clock.advance(30)
    cloud.service.filling.run_once(1)
    told = [record.getMessage() for record in caplog.records if "being filled" in record.getMessage()]
    assert told == [f"region Two is being filled, newest images first: {done} of 4 images, 0 of 0 MiB"
                    for done in (0, 1)]
    for _ in range(4):
        cloud.work()
        cloud.service.filling.run_once(1)
    assert "region Two is filled: 4 of 4 images, 0 of 0 MiB" in caplog.text


def test_what_a_user_does_meanwhile_comes_first(cloud: MemoryCloud) -> None:
    images = upload(cloud, 5)
    compare(cloud)
    cloud.service.filling.run_once(3)
    for image_id in (images[0], images[3]):  # one that waits for its turn, and one that is in the queue
        cloud.service.submit_events([Event(id=f"event-{image_id}", operation=Operation.SAVE, image_id=image_id,
                                           at=cloud.clock.now())])
    assert {task.image_id for task in waiting(cloud)[:2]} == {images[0], images[3]}
    assert [task.image_id for task in waiting(cloud)[2:]] == [images[4], images[2]]
    cloud.work()
    cloud.service.filling.run_once(3)
    # The one that was copied meanwhile has its turn too: its task finds nothing to do.
    assert {task.image_id for task in waiting(cloud)} == {images[0], images[1]}
    cloud.work()
    cloud.service.filling.run_once(3)
    assert (view(cloud), cloud.ids(cloud.two)) == (None, set(images))


def test_it_goes_on_after_a_restart_and_a_further_comparison(cloud: MemoryCloud) -> None:
    images = upload(cloud, 5)
    compare(cloud)
    cloud.service.filling.run_once(2)
    cloud.work()
    cloud.service.filling.run_once(2)
    cloud.restart()
    assert (view(cloud)["images_done"], view(cloud)["images_total"]) == (2, 5)
    assert compare(cloud).tasks == 0
    assert view(cloud)["images_total"] == 5
    for _ in range(3):
        cloud.service.filling.run_once(2)
        cloud.work()
    assert cloud.ids(cloud.two) == set(images)


def test_a_new_region_is_filled_beside_the_others_and_a_frozen_or_gone_one_waits(cloud: MemoryCloud) -> None:
    images = upload(cloud, 3)
    compare(cloud)
    cloud.service.filling.run_once(10)
    cloud.work()
    cloud.directory.regions["Four"] = ("http://four", MemoryRegion("Four", project_id=SERVICE, clock=cloud.clock))
    cloud.service.freeze_region("Four", by=None, reason=None)
    cloud.service.thaw_region("Four")
    compare(cloud)
    cloud.service.freeze_region("Four", by=None, reason=None)
    cloud.service.filling.run_once(10)
    assert (waiting(cloud), view(cloud, "Four")["images_total"], view(cloud)) == ([], 3, None)
    cloud.service.thaw_region("Four")
    gone = cloud.directory.regions.pop("Four")
    cloud.service.filling.run_once(10)
    assert waiting(cloud) == []
    cloud.directory.regions["Four"] = gone
    cloud.service.filling.run_once(10)
    assert [task.image_id for task in waiting(cloud)] == images[::-1]


def test_during_a_comparison_no_new_fill_begins(cloud: MemoryCloud) -> None:
    upload(cloud, 2)
    with cloud.service.filling.gather():
        compare_inside(cloud)
        cloud.service.filling.run_once(10)
        assert waiting(cloud) == []
    cloud.service.filling.run_once(10)
    assert len(waiting(cloud)) == 2


def compare_inside(cloud: MemoryCloud) -> None:
    """What the comparison that goes on has written down so far."""
    found = [each for each in cloud.service._comparisons._reconciler.compare(PassReport()) if each.lacks]
    cloud.service.filling.add(found)


def test_one_that_fails_keeps_no_place_and_is_counted(cloud: MemoryCloud) -> None:
    images = upload(cloud, 3)
    compare(cloud)
    cloud.service.filling.run_once(1)
    cloud.two.fail_next("create_image", RegionQuotaError("full"))
    cloud.work()
    cloud.service.filling.run_once(1)
    assert [task.image_id for task in waiting(cloud) if task.attempts == 0] == [images[1]]
    [task] = [task for task in cloud.queue.list_tasks(TaskFilter(image_id=images[2]), 1)]
    assert task.state in (TaskState.WAITING, TaskState.FAILED)
    cloud.database.run(lambda connection: connection.execute(sa.update(tasks).where(
        tasks.c.id == task.id).values(state=TaskState.FAILED.value)))
    cloud.service.filling.run_once(1)
    assert (view(cloud)["images_failed"], view(cloud)["images_done"]) == (1, 1)
    cloud.work()
    cloud.service.filling.run_once(1)
    assert (view(cloud)["images_failed"], view(cloud)["images_done"]) == (1, 2)
    # Found to be missing again it waits for no second turn.
    assert compare(cloud).tasks == 1


def test_who_asks_by_hand_waits_for_no_turn(cloud: MemoryCloud) -> None:
    images = upload(cloud, 3)
    assert len(cloud.service.submit(image_ids=None, regions=None, request_id=None)) == 3
    assert ({task.image_id for task in waiting(cloud)}, view(cloud)) == (set(images), None)


def test_the_timer_reads_the_batch_and_outlives_errors(cloud: MemoryCloud, caplog: pytest.LogCaptureFixture) -> None:
    upload(cloud, 3)
    compare(cloud)
    turn = Turn(name=FILL, fence=1, wanted=0, asked=False)

    def guard(_doing, call, *given):
        turn.lost = True
        return call(*given)

    FillChore(filling=cloud.service.filling, settings=ReconcileSettings(initial_sync_batch=2), clock=cloud.clock,
              guard=guard).run(turn)
    assert len(waiting(cloud)) == 2
