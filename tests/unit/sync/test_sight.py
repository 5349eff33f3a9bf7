# SPDX-License-Identifier: Apache-2.0
"""A cascaded region that does not show us everything: nothing is made there and nothing counts as gone."""
from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from glancesync.exceptions import (
    InvalidInputError,
    NewIdsHeldError,
    RegionForbiddenError,
    RegionNotSeenWholeError,
    RegionUnavailableError,
)
from glancesync.model.replica import ConflictChoice, IdReason, Origin, ReplicaState
from glancesync.model.task import Trigger
from glancesync.regions.memory import MemoryRegion
from glancesync.sync.new_ids import NewId
from glancesync.sync.trust import CANARY_NAME
from tests.fixtures.memory_cloud import SERVICE, MemoryCloud

KINDS = ("private", "shared", "community", "public")


@pytest.fixture
def cloud(tmp_path):
    return MemoryCloud(tmp_path)


@pytest.fixture(params=["sees_all", "makes_for_others", "both"])
def lose_admin(request):
    """Our role in a region is gone, or a part of its policy says so."""
    def lose(region, *, lost=True):
        if request.param != "makes_for_others":
            region.sees_all = not lost
        if request.param != "sees_all":
            region.makes_for_others = not lost
    return lose


def fill(cloud):
    images = [cloud.upload(f"bytes of {kind}".encode(), visibility=kind) for kind in KINDS]
    cloud.compare()
    return images


def canaries(region):
    return [image.id for image in region._images.values() if image.name == CANARY_NAME]


def ids_in(region):
    return {image_id for image_id, image in region._images.items() if image.name != CANARY_NAME}


def passes(cloud, count=3):
    for _ in range(count):
        cloud.clock.advance(1000)
        report = cloud.compare()
        for image_id in ids_in(cloud.one):
            cloud.service.hint(image_id, trigger=Trigger.EVENT, request_id=None)
        cloud.work()
    return report


class TestALostAdminRole:
    def test_makes_nothing_new_and_keeps_every_record(self, cloud, lose_admin):
        images = fill(cloud)
        before, known = ids_in(cloud.two), {image.id: cloud.record(image.id) for image in images}
        lose_admin(cloud.two)
        passes(cloud)
        assert ids_in(cloud.two) == before
        for image in images:
            record = cloud.record(image.id)
            assert (record.replica_id, record.origin, record.id_reason, record.restores) == (
                image.id, Origin.CREATED, None, 0)
            assert record.digest == known[image.id].digest
        lose_admin(cloud.two, lost=False)
        passes(cloud)
        assert {cloud.record(image.id).state for image in images} == {ReplicaState.IN_SYNC}
        assert len(canaries(cloud.two)) == 1

    def test_is_named_where_it_is_looked_for(self, cloud, caplog):
        private, *_ = fill(cloud)
        cloud.two.sees_all = cloud.two.makes_for_others = False
        cloud.clock.advance(1000)
        with caplog.at_level(logging.ERROR):
            report = cloud.compare()
            cloud.compare()
        assert "does not let the service user make an image" in report.regions["Two"].error
        assert report.compared_regions() == ["Three"]
        assert len([record for record in caplog.records if "ALARM: Two" in record.getMessage()]) == 1
        assert cloud.run(private.id).plan.code == "region_not_seen_whole"
        [shown] = [each for each in cloud.service.get_image(private.id)["regions"] if each["region"] == "Two"]
        assert (shown["state"], shown["reason_code"]) == ("waiting", "region_not_seen_whole")
        [region] = [each for each in cloud.service.list_regions() if each["name"] == "Two"]
        assert "does not let the service user make an image" in region["problems"][0]
        cloud.two.sees_all = cloud.two.makes_for_others = True
        cloud.clock.advance(1000)
        cloud.compare()
        assert {name: each["problems"] for each in cloud.service.list_regions() for name in [each["name"]]} == {
            "One": [], "Two": [], "Three": []}

    @pytest.mark.parametrize("makes_for_others", [True, False])
    def test_copies_no_new_image_there(self, cloud, makes_for_others):
        fill(cloud)
        cloud.two.sees_all, cloud.two.makes_for_others = False, makes_for_others
        new = cloud.upload(b"new")
        assert cloud.run(new.id).plan.code == "region_not_seen_whole"
        assert new.id not in ids_in(cloud.two)
        assert cloud.run(new.id, "Three").plan.code == "in_sync"

    def test_takes_no_replica_for_deleted(self, cloud):
        """Its image is removed meanwhile: the replica goes when the region is seen again, and its record lasts."""
        private, *_ = fill(cloud)
        cloud.two.sees_all = cloud.two.makes_for_others = False
        cloud.one.delete_image(private.id)
        cloud.report_removal(private.id)
        cloud.work()
        passes(cloud)
        assert cloud.record(private.id).reason_code == "region_not_seen_whole"
        assert cloud.record(private.id, "Three").state is ReplicaState.DELETED
        assert private.id in cloud.two._images
        cloud.two.sees_all = cloud.two.makes_for_others = True
        passes(cloud)
        assert private.id not in cloud.two._images
        assert cloud.record(private.id).state is ReplicaState.DELETED

    def test_keeps_the_mapping_of_one_beside_a_stranger(self, cloud):
        """The stranger under the image's own id is public and shown, our private replica beside it is not."""
        stranger = cloud.upload(b"theirs", region=cloud.two, owner="stranger", visibility="public")
        image = cloud.upload(b"ours", id=stranger.id)
        cloud.run(image.id)
        cloud.records.update(image.id, "Two", choice=ConflictChoice.NEW_ID)
        cloud.run(image.id)
        replica_id = cloud.record(image.id).replica_id
        assert replica_id != image.id
        cloud.two.sees_all = cloud.two.makes_for_others = False
        passes(cloud)
        assert cloud.record(image.id).replica_id == replica_id
        assert ids_in(cloud.two) == {stranger.id, replica_id}

    def test_seen_between_the_look_and_the_refusal(self, cloud):
        """The role goes right after the look: the 409 is not believed, and the record stays as it was."""
        private, *_ = fill(cloud)
        before = cloud.record(private.id)
        find, looked = cloud.two.find_image, []

        def find_then_lose(image_id, **kwargs):
            found = find(image_id, **kwargs)
            if image_id in canaries(cloud.two) and not looked:
                looked.append(image_id)
                cloud.two.sees_all = cloud.two.makes_for_others = False
            return found

        cloud.two.find_image = find_then_lose
        get = cloud.two.get_image
        cloud.two.get_image = lambda image_id, **kwargs: (
            get("0" * 36) if image_id == private.id else get(image_id, **kwargs))
        with pytest.raises(RegionNotSeenWholeError):
            cloud.run(private.id)
        after = cloud.record(private.id)
        assert looked
        assert (after.replica_id, after.origin, after.digest, after.restores) == (
            before.replica_id, before.origin, before.digest, 0)
        assert (after.state, after.reason_code) == (ReplicaState.WAITING, "region_not_seen_whole")

    def test_the_dry_run_says_so_and_changes_nothing(self, cloud):
        private, *_ = fill(cloud)
        cloud.two.sees_all = False
        before = set(cloud.two._images)
        [plan] = cloud.service.plan(image_ids=[private.id], regions=["Two"]).rows
        assert (plan["reason_code"], plan["actions"]) == ("region_not_seen_whole", [])
        list(cloud.service.plan_all(regions=None))
        assert set(cloud.two._images) == before


class TestAnEmptiedRegion:
    def test_is_filled_again_and_has_a_new_canary(self, cloud):
        images = fill(cloud)
        [old] = canaries(cloud.two)
        cloud.two = MemoryRegion("Two", project_id=SERVICE, clock=cloud.clock)
        cloud.directory.regions["Two"] = ("http://two", cloud.two)
        passes(cloud)
        assert ids_in(cloud.two) == {image.id for image in images}
        assert {cloud.record(image.id).id_reason for image in images} == {None}
        [new] = canaries(cloud.two)
        assert new != old

    def test_somebody_deleted_only_the_canary(self, cloud):
        fill(cloud)
        [old] = canaries(cloud.two)
        cloud.two._images[old] = replace(cloud.two._images[old], protected=False)
        cloud.two.delete_image(old)
        assert passes(cloud).regions["Two"].error is None
        [new] = canaries(cloud.two)
        assert new != old

    def test_one_that_does_not_answer_is_an_error_like_any_other(self, cloud):
        fill(cloud)
        cloud.two.fail_next("get_image", RegionUnavailableError("503"), times=1)
        cloud.clock.advance(1000)
        report = cloud.compare()
        assert report.regions["Two"].error == "503"
        assert cloud.compare().regions["Two"].error is None


class TestTheCanary:
    def test_is_made_once_and_only_an_admin_sees_it(self, cloud):
        fill(cloud)
        passes(cloud)
        for region in (cloud.two, cloud.three):
            [canary] = canaries(region)
            image = region.get_image(canary)
            assert (image.visibility, image.os_hidden, image.protected, image.status) == (
                "private", True, True, "queued")
            assert image.owner not in ("demo", SERVICE)
            region.sees_all = False
            assert region.find_image(canary) is None

    def test_is_refused_by_name(self, cloud):
        fill(cloud)
        for canary in (cloud.trust.canary_id(), *canaries(cloud.two)):
            with pytest.raises(InvalidInputError, match="canary"):
                cloud.service.submit(image_ids=[canary], regions=None, request_id=None)
            with pytest.raises(InvalidInputError, match="canary"):
                cloud.service.hint(canary, trigger=Trigger.API, request_id=None)
            with pytest.raises(InvalidInputError, match="canary"):
                cloud.service.plan(image_ids=[canary], regions=None)

    def test_is_no_foreign_image_no_replica_and_no_finding(self, cloud):
        fill(cloud)
        report = passes(cloud)
        assert {name: (each.images, each.foreign, each.findings) for name, each in report.regions.items()} == {
            "Two": (4, 0, 0), "Three": (4, 0, 0)}
        assert list(cloud.service.plan_all(regions=None)) == []

    def test_one_whose_creation_was_cut_off_is_found_again(self, cloud):
        cloud.two.fail_next("create_image", RegionUnavailableError("lost"), after_effect=True)
        with pytest.raises(RegionUnavailableError):
            cloud.sight.look("Two")
        assert cloud.sight.look("Two") is None
        assert len(canaries(cloud.two)) == 1

    @pytest.mark.parametrize("moment", ["before it is chosen", "before it is made"])
    def test_two_looks_at_once_make_one(self, cloud, monkeypatch, moment):
        """The other look runs whole in the midst of the first."""
        owner, name = ((cloud.trust, "why_another") if moment == "before it is chosen" else (cloud.two, "create_image"))
        call, others = getattr(owner, name), iter([cloud.sight.look])

        def meanwhile(*arguments, **options):
            for look in others:
                assert look("Two") is None
            return call(*arguments, **options)

        monkeypatch.setattr(owner, name, meanwhile)
        assert cloud.sight.look("Two") is None
        assert set(canaries(cloud.two)) == cloud.sight.canary_ids("Two")
        assert len(canaries(cloud.two)) == 1

    def test_leaves_at_most_one_image_in_six_hours_where_it_is_made_and_not_shown(self, cloud):
        cloud.two.sees_all = False
        for _ in range(100):
            assert "does not show" in cloud.sight.look("Two")
            cloud.clock.advance(216)
        assert len(canaries(cloud.two)) == 1
        cloud.clock.advance(100)
        cloud.sight.look("Two")
        assert len(canaries(cloud.two)) == 2
        cloud.two.sees_all = True
        cloud.clock.advance(100)
        assert cloud.sight.look("Two") is None
        assert len(canaries(cloud.two)) == 1

    def test_one_that_was_deleted_before_it_was_ever_seen_is_given_up(self, cloud):
        cloud.two.sees_all = False
        cloud.sight.look("Two")
        [never_seen] = canaries(cloud.two)
        del cloud.two._images[never_seen]
        cloud.two._burned.add(never_seen)
        cloud.two.sees_all = True
        cloud.clock.advance(100)
        assert cloud.sight.look("Two") is not None
        assert cloud.sight.try_again("Two") is None

    def test_a_region_that_is_not_seen_whole_is_not_asked_by_every_run(self, cloud):
        fill(cloud)
        cloud.two.sees_all = cloud.two.makes_for_others = False
        cloud.sight.look("Two")
        calls = len(cloud.two.faults.calls)
        for _ in range(50):
            assert cloud.sight.look("Two") is not None
        assert len(cloud.two.faults.calls) == calls

    def test_an_old_one_that_cannot_be_removed_stays_for_later(self, cloud):
        fill(cloud)
        [old] = canaries(cloud.two)
        cloud.two.sees_all = False
        cloud.clock.advance(100)
        cloud.sight.look("Two")
        cloud.two.sees_all = True
        cloud.two.fail_next("update_image", RegionForbiddenError("no"))
        cloud.clock.advance(100)
        assert cloud.sight.look("Two") is None
        assert old in cloud.two._images
        assert cloud.sight.look("Two") is None
        assert old not in cloud.two._images

    def test_follows_a_region_that_is_renamed(self, cloud):
        fill(cloud)
        cloud.watch.run_once()
        cloud.directory.regions["Second"] = cloud.directory.regions.pop("Two")
        cloud.watch.run_once()
        assert passes(cloud).regions["Second"].foreign == 0
        assert len(canaries(cloud.two)) == 1


def move(number, region="Two"):
    return NewId(image_id=f"i{number}", region=region, old_id=f"o{number}", new_id=f"n{number}", reason="id_burned")


class TestTheBrakeOnNewIds:
    @pytest.fixture
    def cloud(self, tmp_path):
        return MemoryCloud(tmp_path, sync={"max_new_ids": 3, "max_new_ids_window_seconds": 100})

    def test_counts_by_region_and_latches_until_it_is_released(self, cloud, caplog):
        brake = cloud.sight.new_ids
        for number in range(3):
            brake.reserve(move(number))
            brake.reserve(move(number, "Three"))
        for _ in range(2):
            with pytest.raises(NewIdsHeldError, match="region release Two"):
                brake.reserve(move(4))
        assert len([each for each in caplog.records if "ALARM" in each.getMessage()]) == 1
        cloud.clock.advance(1000)
        with pytest.raises(NewIdsHeldError):
            brake.reserve(move(4))
        brake.reserve(move(4, "Three"))
        assert (brake.release("Two"), brake.release("Three")) == (True, False)
        cloud.clock.advance(1)
        for number in range(3):
            brake.reserve(move(number))
        with pytest.raises(NewIdsHeldError):
            brake.reserve(move(4))

    def test_the_window_rolls(self, cloud):
        for number in range(10):
            cloud.sight.new_ids.reserve(move(number))
            cloud.clock.advance(40)

    def test_somebody_deletes_everything_in_a_region(self, cloud):
        """Three are made again under new ids; the others wait for the operator with their records as they were."""
        images = [cloud.upload(bytes([number])) for number in range(6)]
        cloud.compare()
        for image in images:
            cloud.two.delete_image(image.id)
        passes(cloud)
        states = [cloud.record(image.id) for image in images]
        moved = [record for record in states if record.id_reason is IdReason.ID_BURNED]
        held = [record for record in states if record.id_reason is None]
        assert (len(moved), len(held)) == (3, 3)
        assert {(record.state, record.reason_code, record.origin) for record in held} == {
            (ReplicaState.WAITING, "new_ids_held", Origin.CREATED)}
        assert {record.state for record in moved} == {ReplicaState.IN_SYNC}
        [shown] = [each for each in cloud.service.list_regions() if each["name"] == "Two"]
        assert "max_new_ids" in shown["problems"][0]
        cloud.sight.new_ids.release("Two")
        passes(cloud)
        assert {cloud.record(image.id).state for image in images} == {ReplicaState.IN_SYNC}


class TestWhatAnOperatorChoseBesideAStranger:
    def test_is_made_again_only_so_often(self, tmp_path):
        cloud = MemoryCloud(tmp_path, sync={"max_restores": 2})
        stranger = cloud.upload(b"theirs", region=cloud.two, owner="stranger")
        image = cloud.upload(b"ours", id=stranger.id)
        cloud.run(image.id)
        cloud.records.update(image.id, "Two", choice=ConflictChoice.NEW_ID)
        for _ in range(10):
            cloud.run(image.id)
            replica_id = cloud.record(image.id).replica_id
            if replica_id in cloud.two._images:
                cloud.two.delete_image(replica_id)
        assert cloud.record(image.id).state is ReplicaState.CONTESTED
        assert cloud.record(image.id).restores == 3
        made = cloud.two.faults.calls.count("create_image")
        assert made == 1 + 1 + 1 + 2  # the stranger, the canary, the replica, and that again
        assert stranger.id in cloud.two._images
