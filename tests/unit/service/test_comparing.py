# SPDX-License-Identifier: Apache-2.0
"""Comparisons of large clouds and broken ones: what they ask for, keep and repeat."""
from __future__ import annotations

import uuid

import pytest
import sqlalchemy as sa

from glancesync.conf.reconcile import ReconcileSettings
from glancesync.db.schema import chores
from glancesync.exceptions import RegionUnavailableError
from glancesync.model.chore import RECONCILE, Turn
from glancesync.model.event import Event, Operation
from glancesync.model.image import ImageChanges
from glancesync.model.replica import Origin, ReplicaState
from glancesync.service import comparisons
from glancesync.service.timers import ReconcileChore
from glancesync.sync.findings import PassReport
from glancesync.sync.two_passes import new_pass_id
from tests.fixtures.memory_cloud import MemoryCloud


@pytest.fixture
def cloud(tmp_path):
    """It is this server's turn."""
    made = MemoryCloud(tmp_path)
    made.compare()
    made.database.run(lambda connection: connection.execute(sa.insert(chores).values(
        name=RECONCILE, wanted=0, seen=0, owner="server/1", fence=1, failures=0, ended_at=0.0)) and None)
    return made


def chore(cloud, **settings):
    return ReconcileChore(service=cloud.service, settings=ReconcileSettings(**settings), database=cloud.database,
                          clock=cloud.clock)


def turn(*, asked=False):
    return Turn(name=RECONCILE, fence=1, wanted=0, asked=asked)


def test_a_region_that_is_away_makes_it_no_whole_comparison(cloud):
    cloud.two.fail_next("list_images", RegionUnavailableError("down"))
    assert [chore(cloud).run(turn()) for _ in range(2)] == [False, True]


def test_a_turn_that_is_lost_submits_no_more_and_confirms_nothing(cloud, caplog):
    image, gone = cloud.upload(), cloud.upload()
    cloud.compare()
    cloud.one.delete_image(gone.id)
    lost = turn()
    lost.lost = True
    for _ in range(3):
        cloud.clock.advance(10_000)
        assert chore(cloud).run(lost) is False
    assert "another server compares" in caplog.text
    assert cloud.record(gone.id).missing_since is None
    assert cloud.record(image.id).state is ReplicaState.IN_SYNC


@pytest.mark.parametrize("lost_at", ["note_count", "look", "mark"])
def test_who_loses_it_at_the_very_end_confirms_no_deletion(cloud, monkeypatch, lost_at):
    """It does not know yet: the transaction that confirms looks itself."""
    gone = cloud.upload()
    cloud.compare()
    cloud.one.delete_image(gone.id)
    assert chore(cloud).run(turn())
    cloud.clock.advance(10_000)
    function = getattr(cloud.trust, lost_at)

    def lose_it(*arguments):
        cloud.database.run(lambda connection: connection.execute(sa.update(chores).values(
            owner="server/2", fence=2)) and None)
        return function(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(cloud.trust, lost_at, lose_it)
        assert chore(cloud).run(turn()) is False
    assert cloud.record(gone.id).missing_confirmed_at is None
    cloud.clock.advance(10_000)
    assert chore(cloud).run(Turn(name=RECONCILE, fence=2, wanted=0, asked=False))
    assert cloud.record(gone.id).missing_confirmed_at is not None


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
    pass_id, ids = new_pass_id(cloud.clock.now()), sorted(str(uuid.uuid4()) for _ in range(5))
    for image_id in ids:
        cloud.records.update(image_id, "Two", origin=Origin.ADOPTED, replica_id=image_id, missing_pass=pass_id,
                             state=ReplicaState.SOURCE_MISSING, missing_since=1.0, missing_confirmed_at=2.0)
        cloud.clock.advance(1)
    seen = set()
    for _ in range(3):
        cloud.clock.advance(1)
        for image_id, region in cloud.records.missing.settle(pass_id, ["Two"], confirm_seconds=100, limit=2):
            seen.add(image_id)
            cloud.records.update(image_id, region, reason="looked at")
    assert seen == set(ids)


HOURS = 3600


class Members:
    """A cloud with shared images in sync, and comparisons in turn that a test makes."""

    def __init__(self, cloud, images=40):
        self.cloud = cloud
        self.ids = [cloud.upload(visibility="shared").id for _ in range(images)]
        cloud.compare()

    def asked(self, region="two", *, rings=False):
        """How many images one more comparison asks for the members of, in a cascaded region."""
        glance = getattr(self.cloud, region)
        glance.faults.calls.clear()
        chore(self.cloud, members_interval_seconds=6 * HOURS).run(turn(asked=rings))
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


def asked(cloud):
    return [each["asked"] for each in cloud.service.list_chores() if each["name"] == RECONCILE]


def test_who_asks_is_heard_though_its_server_dies_before_it_is_told(cloud):
    """What asks for a comparison is written down with it; only the ring comes after the commit."""
    event = Event(id="all", operation=Operation.ALL, image_id=None, at=1.0)
    assert asked(cloud) == [False]
    cloud.service._request_reconcile = None  # as if the process ended there
    with pytest.raises(TypeError):
        cloud.service.submit_events([event])
    assert asked(cloud) == [True]


def test_an_event_that_was_seen_before_asks_for_no_second_comparison(cloud):
    event = Event(id="all", operation=Operation.ALL, image_id=None, at=1.0)
    cloud.service.submit_events([event])
    cloud.database.run(lambda connection: connection.execute(sa.delete(chores)) and None)
    cloud.service.submit_events([event])
    assert asked(cloud) == []


def test_a_region_that_came_asks_for_a_comparison(cloud):
    cloud.watch.run_once()
    assert asked(cloud) == [True]
