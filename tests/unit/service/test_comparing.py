# SPDX-License-Identifier: Apache-2.0
"""Comparisons of large clouds and broken ones: what they ask for, keep and repeat."""
from __future__ import annotations

import uuid

import pytest

from glancesync.conf.reconcile import ReconcileSettings
from glancesync.exceptions import RegionUnavailableError
from glancesync.model.event import Event, Operation
from glancesync.model.image import ImageChanges
from glancesync.model.replica import Origin, ReplicaState
from glancesync.service import comparisons
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


def test_a_process_that_is_not_the_first_compares_when_somebody_asks(cloud):
    class Asked(Bell):
        def wait(self, seconds):
            super().wait(seconds)
            return len(self.waits) == 1

    settings = ReconcileSettings(reconcile_at_start=True, reconcile_interval_seconds=600)
    bell, passes = Asked(2), []
    timer = ReconcileTimer(service=cloud.service, settings=settings, clock=cloud.clock, doorbell=bell,
                           guard=lambda _doing, function: passes.append(function()) or passes[-1])
    with pytest.raises(End):
        timer.run_when_asked()
    assert passes == [True]
    assert min(bell.waits) > 1e6


def test_after_a_whole_comparison_the_first_repetition_is_soon_again(cloud):
    def fail_but_in_the_third():
        cloud.two.faults.__init__()
        if len(bell.waits) != 3:
            cloud.two.fail_next("list_images", RegionUnavailableError("down"))

    bell = Bell(6, fail_but_in_the_third)
    assert waits_of(cloud, bell) == [0, 30, 60, 600, 30, 60]


def test_a_comparison_counts_all_tasks_and_keeps_the_first(cloud, monkeypatch):
    monkeypatch.setattr(comparisons, "_TASKS_TOLD", 5)
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
        for image_id, region in cloud.records.missing.settle("pass", ["Two"], confirm_seconds=100, limit=2):
            seen.add(image_id)
            cloud.records.update(image_id, region, reason="looked at")
    assert seen == set(ids)


HOURS = 3600


class Members:
    """A cloud with shared images in sync, and a timer whose comparisons a test makes."""

    def __init__(self, cloud, images=40):
        self.cloud = cloud
        self.ids = [cloud.upload(visibility="shared").id for _ in range(images)]
        cloud.compare()
        self.rings = False
        self.timer = ReconcileTimer(service=cloud.service, clock=cloud.clock, doorbell=self, guard=self.guard,
                                    settings=ReconcileSettings(members_interval_seconds=6 * HOURS))

    def wait(self, _seconds):
        return self.rings

    def guard(self, _doing, function):
        function()
        raise End

    def asked(self, region="two", *, rings=False):
        """How many images one more comparison asks for the members of, in a cascaded region."""
        glance = getattr(self.cloud, region)
        glance.faults.calls.clear()
        self.rings = rings
        with pytest.raises(End):
            self.timer.run_forever()
        return glance.faults.calls.count("list_members")


def test_members_are_asked_for_in_turns(cloud):
    members = Members(cloud)
    assert members.asked() == len(members.ids), "the first comparison asks for all"
    found = []
    for _ in range(18):
        cloud.clock.advance(6 * HOURS / 18)
        found.append(members.asked())
    assert sum(found) == len(members.ids), found
    assert max(found) <= len(members.ids) / 4, found
    cloud.clock.advance(1)
    assert members.asked() <= 1
    assert members.asked(rings=True) == len(members.ids), "who asks for a comparison has a reason"
    cloud.one.faults.calls.clear()
    cloud.service.reconcile(PassReport())
    assert cloud.one.faults.calls.count("list_members") == len(members.ids), "an operator's asks for all"


def test_a_region_that_was_away_is_looked_at_as_if_it_were_new(cloud):
    members = Members(cloud)
    cloud.two.fail_next("list_images", RegionUnavailableError("down"))
    assert (members.asked("two"), len(cloud.three.faults.calls) > 40) == (0, True)
    cloud.three.faults.calls.clear()
    assert (members.asked("two"), cloud.three.faults.calls.count("list_members")) == (40, 0)
    assert members.asked("two") == 0


def test_a_member_that_nobody_reported_is_found_in_time(cloud):
    members = Members(cloud, images=5)
    members.asked()
    cloud.one.add_member(members.ids[3], "friend")
    for _ in range(18):
        cloud.clock.advance(6 * HOURS / 18)
        members.asked()
        cloud.work()
    assert cloud.two.get_image(members.ids[3]).members


def test_an_image_that_changed_unreported_is_asked_for_its_members_at_once(cloud):
    members = Members(cloud)
    members.asked()
    cloud.clock.advance(2)
    cloud.one.update_image(members.ids[0], ImageChanges(fields={"name": "new"}))
    assert members.asked() in (1, 2)
