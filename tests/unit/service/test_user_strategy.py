# SPDX-License-Identifier: Apache-2.0
"""The strategy USER from the first copy to what becomes of replicas afterwards, over Glances in memory."""
from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glancesync.exceptions import OwnerRegionsUnknownError, RegionForbiddenError
from glancesync.model.birth import BirthClaim, ImageFrom
from glancesync.model.image import ImageChanges, Member
from glancesync.model.replica import IdReason, Origin, ReplicaState
from glancesync.model.task import TaskFilter, TaskState
from glancesync.sync.findings import PassReport
from tests.fixtures.memory_cloud import MemoryCloud
from tests.unit.sync.test_births import queued

DOWN = RegionForbiddenError("Keystone says 403")
New = Callable[..., MemoryCloud]


@pytest.fixture
def new(tmp_path: Path) -> New:
    """A cloud whose project demo may use Two, and rival Two and Three."""
    def make(*, deletion: dict[str, Any] | None = None, **strategy: Any) -> MemoryCloud:
        folder = tmp_path / uuid.uuid4().hex
        folder.mkdir()
        cloud = MemoryCloud(folder, sync={"sync_strategy": "User"}, deletion=deletion, strategy=strategy)
        cloud.projects.give("demo", "One", "Two")
        cloud.projects.give("rival", "Two", "Three")
        return cloud

    return make


def submit(cloud: MemoryCloud, *image_ids: str) -> None:
    cloud.service.submit(image_ids=image_ids, regions=None, request_id=None)
    cloud.work()


def give_all(cloud: MemoryCloud, *regions: str) -> None:
    cloud.projects.give("demo", *regions)
    cloud.clock.advance(1)


def placed(cloud: MemoryCloud, **fields: Any) -> str:
    """An image of demo, replicated to Two and Three, that demo may not have in Three any more."""
    give_all(cloud, "Two", "Three")
    image_id = cloud.upload(**fields).id
    cloud.compare()
    assert image_id in cloud.ids(cloud.three)
    give_all(cloud, "Two")
    return image_id


def test_each_image_goes_where_its_owner_may_use_it(new: New) -> None:
    cloud = new()
    ours, theirs = cloud.upload(), cloud.upload(owner="rival")
    submit(cloud, ours.id, theirs.id)
    assert cloud.ids(cloud.two) == {ours.id, theirs.id}
    assert cloud.ids(cloud.three) == {theirs.id}
    record = cloud.record(ours.id, "Three")
    assert (record.state, record.reason_code, record.wanted_at) == (ReplicaState.UNWANTED, "not_selected", None)
    assert "project demo, has no image endpoint of this region" in (record.reason or "")
    [task] = cloud.queue.list_tasks(TaskFilter(image_id=ours.id, regions=frozenset({"Three"})), 9, None)
    assert task.state is TaskState.DONE
    assert sorted(cloud.projects.asked) == ["demo", "rival"], "both regions' runs share one answer"


def test_a_comparison_decides_the_same(new: New) -> None:
    cloud = new()
    ours, theirs, public = cloud.upload(), cloud.upload(owner="rival"), cloud.upload(visibility="public")
    nobodys = cloud.upload(owner=None)
    cloud.compare()
    assert cloud.ids(cloud.two) == {ours.id, theirs.id, public.id}
    assert cloud.ids(cloud.three) == {theirs.id, public.id}
    submit(cloud, nobodys.id)
    assert cloud.record(nobodys.id).reason_code == "not_selected"


def test_public_and_community_images_go_where_the_option_says(new: New) -> None:
    cloud = new(public_image_regions=frozenset({"Three"}))
    for visibility in ("public", "community"):
        image = cloud.upload(visibility=visibility)
        cloud.compare()
        assert (image.id in cloud.ids(cloud.two), image.id in cloud.ids(cloud.three)) == (False, True)
    assert cloud.projects.asked == []


def test_members_do_not_widen_what_the_owner_may_use(new: New) -> None:
    cloud = new()
    image = cloud.upload(visibility="shared")
    cloud.one.add_member(image.id, "rival")
    cloud.compare()
    assert image.id not in cloud.ids(cloud.three)
    assert cloud.two.get_image(image.id).members == (Member(member_id="rival", status="pending"),)


def test_a_new_assignment_is_found_by_a_comparison(new: New) -> None:
    cloud = new()
    image = cloud.upload()
    cloud.compare()
    give_all(cloud, "Two", "Three")
    cloud.compare()
    assert image.id in cloud.ids(cloud.three)


def test_the_other_strategies_ask_nobody(tmp_path: Path) -> None:
    cloud = MemoryCloud(tmp_path, sync={"sync_strategy": "none"})
    image = cloud.upload()
    submit(cloud, image.id)
    cloud.compare()
    assert cloud.ids(cloud.two) == cloud.ids(cloud.three) == set()
    assert cloud.projects.asked == []


# -- what is there and does not belong there any more --------------------------------------------------------------


def test_kept_gets_no_new_bytes_and_follows(new: New) -> None:
    cloud = new()
    image_id = placed(cloud, visibility="shared")
    cloud.one.add_member(image_id, "friend")
    submit(cloud, image_id)
    assert cloud.three.get_image(image_id).members
    cloud.one.remove_member(image_id, "friend")
    cloud.one.update_image(image_id, ImageChanges(fields={"name": "new"}, set_properties={"a": "b"}))
    cloud.compare()
    replica, record = cloud.three.get_image(image_id), cloud.record(image_id, "Three")
    assert (replica.name, replica.properties, replica.members, replica.os_hidden) == ("new", {"a": "b"}, (), False)
    assert (record.state, record.reason_code) == (ReplicaState.UNWANTED, "not_allowed_kept")
    assert cloud.compare().regions["Three"].findings == 0, "it rests"
    cloud.three.delete_image(image_id)
    cloud.compare()
    assert image_id not in cloud.ids(cloud.three), "no new bytes"
    cloud.one.delete_image(image_id)
    cloud.report_removal(image_id)
    cloud.work()
    assert cloud.record(image_id, "Three").state is ReplicaState.DELETED


def test_kept_is_deleted_with_its_image(new: New) -> None:
    cloud = new()
    image_id = placed(cloud)
    cloud.compare()
    cloud.one.delete_image(image_id)
    cloud.report_removal(image_id)
    cloud.work()
    assert cloud.ids(cloud.two) == cloud.ids(cloud.three) == set()


def test_kept_that_rotted_is_deactivated_and_not_made_again(new: New) -> None:
    cloud = new()
    image_id = placed(cloud)
    cloud.compare()
    cloud.records.update(image_id, "Three", rotten_at=1.0)
    submit(cloud, image_id)
    assert cloud.three.get_image(image_id).status == "deactivated"
    assert cloud.record(image_id, "Three").state is ReplicaState.UNWANTED
    give_all(cloud, "Two", "Three")
    cloud.compare()
    record = cloud.record(image_id, "Three")
    assert (record.state, record.id_reason) == (ReplicaState.IN_SYNC, IdReason.ROTTEN)


def test_an_image_that_becomes_private_is_private_where_it_may_not_be(new: New) -> None:
    cloud = new()
    image = cloud.upload(visibility="public")
    cloud.compare()
    cloud.one.update_image(image.id, ImageChanges(fields={"visibility": "private"}))
    submit(cloud, image.id)
    assert cloud.three.get_image(image.id).visibility == "private"


def test_hidden_is_shown_again_when_its_owner_may_be_there_again(new: New) -> None:
    cloud = new(disallowed_replicas="hidden")
    image_id = placed(cloud)
    cloud.compare()
    assert (cloud.three.get_image(image_id).os_hidden, cloud.two.get_image(image_id).os_hidden) == (True, False)
    assert cloud.record(image_id, "Three").reason_code == "not_allowed_hidden"
    assert cloud.compare().regions["Three"].findings == 0
    give_all(cloud, "Two", "Three")
    cloud.compare()
    assert not cloud.three.get_image(image_id).os_hidden
    assert cloud.record(image_id, "Three").state is ReplicaState.IN_SYNC


def test_hidden_and_removed_are_taken_back_when_the_option_is(new: New) -> None:
    cloud = new(disallowed_replicas="hidden")
    image_id = placed(cloud)
    cloud.compare()
    object.__setattr__(cloud.strategy, "disallowed_replicas", "removed")
    cloud.compare()
    assert not cloud.three.get_image(image_id).os_hidden
    cloud.clock.advance(101)
    object.__setattr__(cloud.strategy, "disallowed_replicas", "kept")
    cloud.compare()
    assert cloud.record(image_id, "Three").reason_code == "not_allowed_kept"
    assert cloud.record(image_id, "Three").disallowed_since is None


def test_removed_takes_two_comparisons_and_is_recorded(new: New) -> None:
    cloud = new(disallowed_replicas="removed")
    image_id = placed(cloud, protected=True)
    cloud.compare()
    submit(cloud, image_id)
    assert cloud.record(image_id, "Three").reason_code == "not_allowed_removing"
    cloud.clock.advance(50)
    cloud.compare()
    assert image_id in cloud.ids(cloud.three)
    cloud.clock.advance(51)
    cloud.compare()
    assert cloud.ids(cloud.three) == set()
    [deletion] = cloud.service.list_deletions(limit=9, marker=None, filters={})
    assert (deletion["cause"], deletion["region"], deletion["replica_id"]) == ("not_allowed", "Three", image_id)
    record = cloud.record(image_id, "Three")
    assert (record.state, record.reason_code) == (ReplicaState.UNWANTED, "not_selected")
    cloud.clock.advance(200)
    assert cloud.compare().regions["Three"].findings == 0
    give_all(cloud, "Two", "Three")
    cloud.compare()
    record = cloud.record(image_id, "Three")
    assert (record.state, record.id_reason, record.restores) == (ReplicaState.IN_SYNC, IdReason.NOT_ALLOWED, 0)
    assert cloud.ids(cloud.three) == {record.replica_id}


def confirm(cloud: MemoryCloud) -> None:
    cloud.compare()
    cloud.clock.advance(101)
    cloud.compare()


def test_a_comparison_that_found_it_allowed_begins_anew(new: New) -> None:
    cloud = new(disallowed_replicas="removed")
    image_id = placed(cloud)
    cloud.compare()
    give_all(cloud, "Two", "Three")
    cloud.clock.advance(101)
    cloud.compare()
    give_all(cloud, "Two")
    cloud.compare()
    assert image_id in cloud.ids(cloud.three)
    assert cloud.record(image_id, "Three").disallowed_confirmed_at is None


def test_so_does_one_that_keystone_did_not_tell_it(new: New) -> None:
    cloud = new(disallowed_replicas="removed")
    image_id = placed(cloud)
    cloud.compare()
    cloud.projects.down = DOWN
    cloud.clock.advance(101)
    cloud.compare()
    cloud.projects.down = None
    cloud.clock.advance(10)
    cloud.compare()
    assert image_id in cloud.ids(cloud.three)
    assert cloud.record(image_id, "Three").disallowed_confirmed_at is None


def test_the_last_look_before_a_removal_is_keystones_own(new: New) -> None:
    cloud = new(disallowed_replicas="removed")
    image_id = placed(cloud)
    cloud.compare()
    cloud.clock.advance(101)
    cloud.service.reconcile(PassReport())
    assert cloud.record(image_id, "Three").disallowed_confirmed_at is not None
    give_all(cloud, "Two", "Three")
    cloud.work()
    record = cloud.record(image_id, "Three")
    assert (record.state, record.disallowed_since) == (ReplicaState.IN_SYNC, None)


@pytest.mark.parametrize("opted_in", [False, True])
def test_adopted_replicas_are_removed_only_when_opted_in(new: New, opted_in: bool) -> None:
    cloud = new(disallowed_replicas="removed", deletion={"delete_adopted": opted_in})
    image_id = placed(cloud)
    cloud.records.update(image_id, "Three", origin=Origin.ADOPTED)
    confirm(cloud)
    assert (image_id in cloud.ids(cloud.three)) is not opted_in
    if not opted_in:
        assert cloud.record(image_id, "Three").reason_code == "not_allowed_kept"


def test_what_an_image_was_made_from_is_neither_hidden_nor_removed(new: New) -> None:
    for treatment in ("hidden", "removed"):
        cloud = new(disallowed_replicas=treatment)
        give_all(cloud, "Two", "Three")
        origin = cloud.upload(region=cloud.three, name="snap")
        image_id = queued(cloud.one)
        cloud.service.claim_birth(BirthClaim(image_id=image_id, region="Three", origin_id=origin.id,
                                             image_from=ImageFrom.SNAPSHOT))
        cloud.work()
        cloud.compare()
        give_all(cloud, "Two")
        before = cloud.three.get_image(origin.id)
        confirm(cloud)
        assert cloud.three.get_image(origin.id) == before
        assert cloud.record(image_id, "Three").reason_code == "born_here"


def test_an_image_is_filled_from_where_it_was_made_whatever_its_owner_may_use(new: New) -> None:
    cloud = new()
    origin, image_id = cloud.upload(region=cloud.three, name="snap"), queued(cloud.one)
    cloud.service.claim_birth(BirthClaim(image_id=image_id, region="Three", origin_id=origin.id,
                                         image_from=ImageFrom.SNAPSHOT))
    cloud.work()
    cloud.compare()
    assert cloud.one.get_image(image_id).status == "active"
    assert (cloud.record(image_id).state, image_id in cloud.ids(cloud.two)) == (ReplicaState.IN_SYNC, True)
    assert cloud.ids(cloud.three) == {origin.id}


def test_an_image_that_changes_hands_goes_where_its_new_owner_may_be(new: New) -> None:
    cloud = new()
    image = cloud.upload()
    cloud.compare()
    cloud.one.update_image(image.id, ImageChanges(fields={"owner": "rival"}))
    submit(cloud, image.id)
    assert cloud.three.get_image(image.id).owner == cloud.two.get_image(image.id).owner == "rival"


def test_removals_count_against_the_brake(new: New) -> None:
    cloud = new(disallowed_replicas="removed", deletion={"max_deletes": 1})
    first = placed(cloud)
    second = placed(cloud)
    confirm(cloud)
    assert len({first, second} & cloud.ids(cloud.three)) == 1
    assert {cloud.record(image_id, "Three").reason_code for image_id in (first, second)} == {
        "not_selected", "deletions_held"}
    assert cloud.service.deletions_held() is not None


def test_nothing_is_removed_on_the_word_of_another_source(new: New) -> None:
    cloud = new(disallowed_replicas="removed")
    image_id = placed(cloud)
    cloud.compare()
    cloud.clock.advance(101)
    canary = cloud.trust.canary_id()
    assert canary is not None
    cloud.one.update_image(canary, ImageChanges(fields={"protected": False}))
    cloud.one.delete_image(canary)
    cloud.compare()
    assert image_id in cloud.ids(cloud.three)


# -- a Keystone that does not tell -----------------------------------------------------------------------------------


def test_nothing_new_is_copied_while_nobody_knows(new: New) -> None:
    cloud = new()
    cloud.projects.down = DOWN
    image = cloud.upload()
    submit(cloud, image.id)
    assert cloud.ids(cloud.two) == cloud.ids(cloud.three) == set()
    record = cloud.record(image.id)
    assert (record.state, record.reason_code) == (ReplicaState.WAITING, "owner_regions_unknown")
    assert "Keystone says 403" in (record.reason or "")
    [task] = cloud.queue.list_tasks(TaskFilter(image_id=image.id, regions=frozenset({"Two"})), 9, None)
    assert task.state is TaskState.WAITING
    cloud.projects.down = None
    cloud.clock.advance(10)
    submit(cloud, image.id)
    assert cloud.ids(cloud.two) == {image.id}


@pytest.mark.parametrize("treatment", ["kept", "hidden", "removed"])
def test_what_is_there_follows_and_stays_as_it_is_while_nobody_knows(new: New, treatment: str) -> None:
    cloud = new(disallowed_replicas=treatment)
    image_id = placed(cloud, visibility="shared")
    cloud.one.add_member(image_id, "friend")
    cloud.compare()
    hidden = treatment == "hidden"
    assert cloud.three.get_image(image_id).os_hidden is hidden
    cloud.projects.down = DOWN
    cloud.clock.advance(10)
    report = cloud.compare()
    assert report.regions["Two"].error is None
    assert cloud.record(image_id).state is ReplicaState.IN_SYNC, "a comparison notes nothing that it does not know"
    cloud.one.remove_member(image_id, "friend")
    cloud.one.update_image(image_id, ImageChanges(fields={"name": "new"}))
    cloud.clock.advance(301)
    submit(cloud, image_id)
    for region in (cloud.two, cloud.three):
        replica = region.get_image(image_id)
        assert (replica.members, replica.name, replica.os_hidden) == ((), "new", hidden and region is cloud.three)
    assert cloud.record(image_id).reason_code == cloud.record(image_id, "Three").reason_code == "owner_regions_unknown"
    cloud.one.delete_image(image_id)
    cloud.report_removal(image_id)
    cloud.work()
    assert cloud.ids(cloud.two) == cloud.ids(cloud.three) == set()


def test_a_dry_run_says_that_nobody_knows(new: New) -> None:
    cloud = new()
    image = cloud.upload()
    cloud.projects.down = DOWN
    plans = cloud.service.plan(image_ids=[image.id], regions=None).rows
    assert {(plan["reason_code"], len(plan["actions"])) for plan in plans} == {("owner_regions_unknown", 0)}
    assert {plan["reason_code"] for plan in cloud.service.plan_all(regions=None)} == {"owner_regions_unknown"}


# -- the original's question ----------------------------------------------------------------------------------------


def test_endpoints_for_a_project(new: New) -> None:
    cloud = new()
    assert cloud.service.cascaded_endpoints([], "demo") == ["http://two"]
    assert cloud.service.cascaded_endpoints([], "rival") == ["http://three", "http://two"]
    assert cloud.service.cascaded_endpoints([], None) == []
    cloud.projects.down = DOWN
    cloud.clock.advance(301)
    with pytest.raises(OwnerRegionsUnknownError):
        cloud.service.cascaded_endpoints([], "demo")
