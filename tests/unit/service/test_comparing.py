# SPDX-License-Identifier: Apache-2.0
"""Comparisons of large clouds and broken ones: what they ask for, keep and repeat."""
from __future__ import annotations

import uuid

import pytest

from glancesync.conf.reconcile import ReconcileSettings
from glancesync.exceptions import RegionUnavailableError
from glancesync.model.event import Event, Operation
from glancesync.model.replica import Origin, ReplicaState
from glancesync.service import core
from glancesync.service.timers import ReconcileTimer
from glancesync.sync.findings import PassReport
from tests.fixtures.memory_cloud import MemoryCloud


@pytest.fixture
def cloud(tmp_path):
    made = MemoryCloud(tmp_path)
    made.compare()
    return made


class End(BaseException):
    """The timer has no other."""


class Bell:
    """Counts no time; ends the timer after so many waits."""

    def __init__(self, waits, then=lambda: None):
        self.waits, self.most, self.then = [], waits, then

    def wait(self, seconds):
        self.waits.append(seconds)
        self.then()
        if len(self.waits) == self.most:
            raise End


def waits_of(cloud, bell):
    settings = ReconcileSettings(reconcile_interval_seconds=600)
    timer = ReconcileTimer(service=cloud.service, settings=settings, clock=cloud.clock, doorbell=bell,
                           guard=lambda _doing, function: function())
    with pytest.raises(End):
        timer.run_forever()
    return bell.waits


def test_a_region_that_stays_away_does_not_have_all_others_listed_every_half_minute(cloud):
    cloud.two.fail_next("list_images", RegionUnavailableError("down"), times=1000)
    assert waits_of(cloud, Bell(8)) == [0, 30, 60, 120, 240, 480, 600, 600]


def test_after_a_whole_comparison_the_first_repetition_is_soon_again(cloud):
    def fail_but_in_the_third():
        cloud.two.faults.__init__()
        if len(bell.waits) != 3:
            cloud.two.fail_next("list_images", RegionUnavailableError("down"))

    bell = Bell(6, fail_but_in_the_third)
    assert waits_of(cloud, bell) == [0, 30, 60, 600, 30, 60]


def test_a_comparison_counts_all_tasks_and_keeps_the_first(cloud, monkeypatch):
    monkeypatch.setattr(core, "_TASKS_TOLD", 5)
    for _ in range(4):
        cloud.upload()
    report = PassReport()
    assert (len(cloud.service.reconcile(report)), report.tasks) == (5, 8)


def test_keystone_is_not_asked_while_the_database_is_locked(cloud, monkeypatch):
    """The directory reads the catalog again from time to time, whoever asks it then."""
    depth, asked = [], []
    run, cascaded = cloud.database.run, cloud.directory.cascaded

    def watched_run(work, *args, **kwargs):
        def inside(connection, *more, **named):
            depth.append(1)
            try:
                return work(connection, *more, **named)
            finally:
                depth.pop()
        return run(inside, *args, **kwargs)

    def watched_cascaded():
        asked.append(bool(depth))
        return cascaded()

    monkeypatch.setattr(cloud.database, "run", watched_run)
    monkeypatch.setattr(cloud.directory, "cascaded", watched_cascaded)
    image_id = str(uuid.uuid4())
    tasks = cloud.service.submit_events([Event(id="e", operation=Operation.SAVE, image_id=image_id, at=1.0)])
    assert {task.region for task in tasks} == {"Two", "Three"}
    assert [task.region for task in cloud.service.submit(image_ids=[image_id], regions=["Two"], request_id=None)] == [
        "Two"]
    assert asked
    assert not any(asked)


def test_replicas_that_are_kept_for_ever_do_not_hold_up_the_others(cloud):
    ids = sorted(str(uuid.uuid4()) for _ in range(5))
    for image_id in ids:
        cloud.records.update(image_id, "Two", origin=Origin.ADOPTED, replica_id=image_id, missing_pass="pass",
                             state=ReplicaState.SOURCE_MISSING, missing_since=1.0, missing_confirmed_at=2.0)
        cloud.clock.advance(1)
    seen = set()
    for _ in range(3):
        cloud.clock.advance(1)
        for image_id, region in cloud.records.settle_missing("pass", ["Two"], confirm_seconds=100, limit=2):
            seen.add(image_id)
            cloud.records.update(image_id, region, reason="looked at")
    assert seen == set(ids)
