# SPDX-License-Identifier: Apache-2.0
"""What a deletion rests on: the rules as tables, and every named failure over Glances in memory."""
from __future__ import annotations

import copy
import itertools
from pathlib import Path

import pytest

from glancesync.exceptions import DeletionHeldError, GlanceSyncError, RegionConflictError, RegionUnavailableError
from glancesync.model.image import ImageChanges
from glancesync.model.replica import Origin, Removal, ReplicaRecord, ReplicaState
from glancesync.regions.memory import MemoryRegion
from glancesync.sync.brake import Deletion
from glancesync.sync.guard import Trust, fell_too_far, judge_deletion
from glancesync.sync.trust import CANARY_NAME, MARK_PROPERTY
from glancesync.sync.two_passes import new_pass_id
from tests.fixtures.memory_cloud import SERVICE, MemoryCloud

REMOVAL = Removal(image_id="i", removed_at=1.0, event_id="e")
CREATED = ReplicaRecord(image_id="i", region="r", replica_id="i", origin=Origin.CREATED)
ADOPTED = ReplicaRecord(image_id="i", region="r", replica_id="i", origin=Origin.ADOPTED)
MISSED_TWICE = ReplicaRecord(image_id="i", region="r", replica_id="i", origin=Origin.CREATED, missing_since=1.0,
                             missing_confirmed_at=2.0)
MISSED_ONCE = ReplicaRecord(image_id="i", region="r", replica_id="i", origin=Origin.CREATED, missing_since=1.0)
UNTRUSTED = Trust(problem_code="canary_missing", problem="it is not there")
HELD = Trust(latch="too many")


class TestTheRule:
    @pytest.mark.parametrize(("removal", "record", "trust", "delete_adopted", "code"), [
        (None, CREATED, Trust(), False, "source_missing"),
        (None, MISSED_ONCE, Trust(), False, "source_missing"),
        (None, None, Trust(), False, "source_missing"),
        (REMOVAL, CREATED, Trust(), False, "deleting"),
        (None, MISSED_TWICE, Trust(), False, "deleting"),
        (REMOVAL, ADOPTED, Trust(), False, "adopted_kept"),
        (REMOVAL, ADOPTED, Trust(), True, "deleting"),
        (REMOVAL, CREATED, UNTRUSTED, False, "canary_missing"),
        (None, MISSED_TWICE, UNTRUSTED, False, "canary_missing"),
        (REMOVAL, CREATED, HELD, False, "deletions_held"),
        (REMOVAL, CREATED, Trust(problem="without a code"), False, "source_untrusted"),
        (REMOVAL, ADOPTED, UNTRUSTED, False, "adopted_kept"),
        (None, CREATED, UNTRUSTED, False, "source_missing"),
    ])
    def test_cases(self, removal, record, trust, delete_adopted, code):
        verdict = judge_deletion(removal=removal, record=record, trust=trust, delete_adopted=delete_adopted)
        assert (verdict.code, verdict.allowed) == (code, code == "deleting")

    def test_allowed_only_with_proof_and_trust_and_brake(self):
        """Every combination: without any one of the three nothing is allowed."""
        for removal, record, trust in itertools.product(
                (None, REMOVAL), (None, CREATED, MISSED_ONCE, MISSED_TWICE), (Trust(), UNTRUSTED, HELD)):
            allowed = judge_deletion(removal=removal, record=record, trust=trust, delete_adopted=False).allowed
            proof = removal is not None or record is MISSED_TWICE
            assert allowed == (proof and trust == Trust())

    @pytest.mark.parametrize(("before", "now", "percent", "fell"), [
        (None, 0, 20, False), (100, 100, 20, False), (100, 81, 20, False), (100, 80, 20, False), (100, 79, 20, True),
        (100, 0, 20, True), (100, 0, 100, False), (100, 120, 20, False), (10, 0, 20, False), (11, 0, 20, True),
        (12, 2, 0, False), (1000, 989, 0, True), (1000, 989, 1, True), (1000, 990, 1, False)])
    def test_a_fall_of_the_number_of_images(self, before, now, percent, fell):
        assert fell_too_far(before, now, percent) is fell


@pytest.fixture
def cloud(tmp_path: Path) -> MemoryCloud:
    return MemoryCloud(tmp_path)


def filled(cloud, count=4):
    images = [cloud.upload(f"bytes {number}".encode(), protected=number == 0) for number in range(count)]
    cloud.compare()
    return images


def kept(cloud, images):
    return cloud.ids(cloud.two) == cloud.ids(cloud.three) == {image.id for image in images}


def twice(cloud):
    """Two comparisons far enough apart, and one more."""
    reports = []
    for _ in range(3):
        cloud.clock.advance(1000)
        try:
            reports.append(cloud.compare())
        except GlanceSyncError as error:
            reports.append(error)
    return reports


class Blind(MemoryRegion):
    """The cascading Glance as a user sees it who is no admin any more: public images only, the others are 404."""

    def __init__(self, whole: MemoryRegion) -> None:
        self.__dict__.update(whole.__dict__)

    def _get(self, image_id):
        image = super()._get(image_id)
        return image if image.visibility == "public" else super()._get("hidden from you")

    def list_images(self, *, hidden, page_size=200):
        return (image for image in super().list_images(hidden=hidden, page_size=page_size)
                if image.visibility == "public")


class TestWhatNeverDeletes:
    def test_lost_admin_role(self, cloud):
        images = [*filled(cloud), cloud.upload(b"for all", visibility="public")]
        cloud.compare()
        cloud.directory.regions["One"] = ("http://one", Blind(cloud.one))
        cloud.report_removal(images[1].id)
        cloud.work()
        assert twice(cloud)[-1].complete is False
        assert kept(cloud, images)
        assert cloud.trust.look().problem_code == "canary_missing"
        assert cloud.record(images[1].id).reason_code == "canary_missing"

        cloud.directory.regions["One"] = ("http://one", cloud.one)
        twice(cloud)
        assert {cloud.record(image.id).state for image in images} == {ReplicaState.IN_SYNC}

    def test_another_endpoint(self, cloud):
        images = filled(cloud)
        cloud.directory.regions["One"] = ("http://other", MemoryRegion("One", project_id=SERVICE))
        cloud.report_removal(images[1].id)
        cloud.work()
        twice(cloud)
        assert kept(cloud, images)
        assert cloud.trust.look().problem_code == "source_changed"

    def test_another_glance_under_the_same_endpoint(self, cloud):
        images = filled(cloud)
        cloud.directory.regions["One"] = ("http://one", MemoryRegion("One", project_id=SERVICE))
        twice(cloud)
        assert kept(cloud, images)
        assert cloud.trust.look().problem_code == "canary_missing"

    def test_restored_database(self, cloud):
        """It has the canary, and lacks what was made since the backup: the replicas are the only copies left."""
        old = filled(cloud)
        cloud.clock.advance(1000)
        backup = copy.deepcopy(cloud.one)
        new = filled(cloud)
        cloud.directory.regions["One"] = ("http://one", backup)
        reports = twice(cloud)
        assert [report.complete for report in reports] == [True] * 3
        assert kept(cloud, [*old, *new])
        assert cloud.trust.look().problem_code == "source_restored"
        assert cloud.record(new[0].id).state is ReplicaState.SOURCE_MISSING

        cloud.trust.accept()
        twice(cloud)
        assert kept(cloud, old)

    def test_a_page_that_fails(self, cloud):
        images = filled(cloud)
        cloud.one.update_image(images[0].id, ImageChanges(fields={"protected": False}))
        for image in images:
            cloud.one.delete_image(image.id)
        more = [cloud.upload(bytes([number])) for number in range(5)]
        for _ in range(3):
            cloud.clock.advance(1000)
            cloud.one.fail_next("list_images", RegionUnavailableError("page"), after_effect=False)
            with pytest.raises(RegionUnavailableError):
                cloud.compare()
        assert {image.id for image in images} <= cloud.ids(cloud.two)
        assert more

    def test_a_later_page_that_fails(self, cloud):
        images = filled(cloud, 8)
        gone = images[-1]
        cloud.one.delete_image(gone.id)
        for _ in range(3):
            cloud.clock.advance(1000)
            listing = cloud.one.list_images

            def broken(*, hidden, page_size=200, listing=listing):
                for number, image in enumerate(listing(hidden=hidden, page_size=page_size)):
                    if number == 5:
                        raise RegionUnavailableError("page two")
                    yield image

            cloud.one.list_images = broken
            with pytest.raises(RegionUnavailableError):
                cloud.compare()
            cloud.one.list_images = listing
        assert gone.id in cloud.ids(cloud.two)

    def test_a_large_fall(self, tmp_path):
        cloud = MemoryCloud(tmp_path, deletion={"max_deletes_percent": 20})
        images = filled(cloud, 30)
        for image in images[15:]:
            cloud.one.delete_image(image.id)
        cloud.report_removal(images[20].id)
        twice(cloud)
        # The one removal that was reported had been acted upon before anything looked wrong.
        assert {image.id for image in images} - cloud.ids(cloud.two) <= {images[20].id}
        assert cloud.trust.look().problem_code == "source_fell"
        cloud.trust.accept()
        twice(cloud)
        assert cloud.ids(cloud.two) == {image.id for image in images[:15]}

    def test_a_removal_that_nobody_can_confirm(self, cloud):
        """An event alone deletes nothing: the image is still there, or its Glance does not answer."""
        images = filled(cloud)
        cloud.report_removal(images[1].id)
        cloud.work()
        cloud.report_removal(images[2].id)
        cloud.one.fail_next("get_image", RegionUnavailableError("no answer"), times=2)
        cloud.work()
        assert kept(cloud, images)

    def test_a_region_of_which_a_page_fails_is_left_out(self, cloud):
        images = filled(cloud)
        cloud.two.fail_next("list_images", RegionUnavailableError("page"), times=99)
        cloud.one.delete_image(images[1].id)
        reports = twice(cloud)
        assert reports[0].regions["Two"].error
        cloud.two.faults.__init__()
        assert images[1].id in cloud.ids(cloud.two)
        assert images[1].id not in cloud.ids(cloud.three)


class TestWhatDeletes:
    def test_a_reported_removal_with_its_record(self, cloud):
        images = filled(cloud)
        cloud.one.update_image(images[0].id, ImageChanges(fields={"protected": False}))
        cloud.one.delete_image(images[0].id)
        cloud.report_removal(images[0].id, request_id="req-42")
        cloud.work()
        assert kept(cloud, images[1:])
        rows = cloud.service.list_deletions(limit=9, marker=None, filters={})
        assert {(row["cause"], row["trigger"], row["request_id"], row["image_id"], row["region"]) for row in rows} == {
            ("source_removed", "event", "req-42", images[0].id, region) for region in ("Two", "Three")}
        assert all(row["at"] and row["done_at"] for row in rows)

    def test_two_comparisons_far_enough_apart(self, cloud):
        images = filled(cloud)
        cloud.one.delete_image(images[1].id)
        cloud.compare()
        cloud.clock.advance(99)
        cloud.compare()
        assert kept(cloud, images)
        assert cloud.record(images[1].id).state is ReplicaState.SOURCE_MISSING
        cloud.clock.advance(1)
        cloud.compare()
        assert kept(cloud, [image for image in images if image is not images[1]])
        [row, _] = cloud.service.list_deletions(limit=9, marker=None, filters={})
        assert (row["cause"], row["trigger"]) == ("source_vanished", "reconcile")

    def test_seen_again_in_between(self, cloud):
        images = filled(cloud)
        gone = cloud.one.get_image(images[1].id)
        del cloud.one._images[gone.id]
        cloud.compare()
        cloud.clock.advance(1000)
        cloud.one.put_image(gone)
        cloud.compare()
        del cloud.one._images[gone.id]
        cloud.clock.advance(1000)
        cloud.compare()
        assert kept(cloud, images)

    def test_two_comparisons_at_the_same_time_do_not_undo_each_other(self, cloud):
        """Two servers, whose comparisons overlap each time in either order."""
        images = filled(cloud)
        cloud.one.delete_image(images[1].id)
        pair, regions = (images[1].id, "Two"), ["Two", "Three"]
        for turn in range(4):
            cloud.clock.advance(100)
            first, second = new_pass_id(cloud.clock.now()), new_pass_id(cloud.clock.now() + 0.01)
            for pass_id in ((first, second), (second, first))[turn % 2]:
                cloud.records.missing.mark(pass_id, [pair])
            for pass_id in ((first, second), (second, first))[turn // 2]:
                cloud.records.missing.settle(pass_id, regions, confirm_seconds=100)
        record = cloud.record(images[1].id)
        assert record.missing_confirmed_at is not None
        assert record.missing_confirmed_at - record.missing_since == 100

    def test_one_that_saw_it_ends_what_an_earlier_one_began(self, cloud):
        images = filled(cloud)
        first, second = new_pass_id(cloud.clock.now()), new_pass_id(cloud.clock.now() + 1)
        cloud.records.missing.mark(first, [(images[1].id, "Two")])
        cloud.records.missing.settle(first, ["Two"], confirm_seconds=0)
        assert cloud.record(images[1].id).missing_since is not None
        cloud.records.missing.settle(second, ["Two"], confirm_seconds=0)
        assert cloud.record(images[1].id).missing_since is None

    def test_held_and_released_later(self, cloud):
        images = filled(cloud)
        cloud.directory.regions["One"] = ("http://other", cloud.one)
        cloud.one.delete_image(images[1].id)
        cloud.report_removal(images[1].id)
        cloud.work()
        assert kept(cloud, images)
        cloud.trust.accept()
        cloud.compare()
        assert images[1].id not in cloud.ids(cloud.two)

    def test_a_protected_replica_stays_protected_while_its_deletion_is_held(self, tmp_path):
        cloud = MemoryCloud(tmp_path, deletion={"max_deletes": 0})
        images = filled(cloud)
        cloud.one.update_image(images[0].id, ImageChanges(fields={"protected": False}))
        cloud.one.delete_image(images[0].id)
        cloud.report_removal(images[0].id)
        cloud.work()
        cloud.compare()
        assert cloud.two.get_image(images[0].id).protected
        assert cloud.record(images[0].id).reason_code == "deletions_held"


def deletion(number, trigger="event", region="Two"):
    return Deletion(image_id=f"i{number}", region=region, replica_id=f"r{number}", cause="source_removed",
                    trigger=trigger, request_id=None)


class TestTheBrake:
    @pytest.fixture
    def cloud(self, tmp_path):
        return MemoryCloud(tmp_path, deletion={"max_deletes": 3, "max_deletes_window_seconds": 100})

    def test_counts_over_triggers_regions_and_restarts_and_latches(self, cloud, caplog):
        for number, (trigger, region) in enumerate((("event", "Two"), ("reconcile", "Three"), ("api", "Two"))):
            cloud.trust.brake.reserve(deletion(number, trigger, region))
            cloud.restart()
        with pytest.raises(DeletionHeldError) as caught:
            cloud.trust.brake.reserve(deletion(9))
        assert caught.value.retry_after_seconds
        assert caplog.text.count("ALARM") == 1
        cloud.clock.advance(10_000)
        with pytest.raises(DeletionHeldError):
            cloud.trust.brake.reserve(deletion(10))
        assert caplog.text.count("ALARM") == 1, "one alarm, not one for each"
        assert cloud.trust.look().latch
        assert cloud.service.deletions_held()
        assert cloud.trust.brake.release() is True
        assert cloud.service.deletions_held() is None
        cloud.trust.brake.reserve(deletion(10))
        assert cloud.trust.brake.release() is False

    def test_the_window_rolls(self, cloud):
        for number in range(12):
            cloud.trust.brake.reserve(deletion(number))
            cloud.clock.advance(40)
        assert cloud.trust.brake.latch() is None

    def test_a_deletion_that_is_tried_again_counts_once(self, cloud):
        for _ in range(10):
            cloud.trust.brake.reserve(deletion(1))
        assert len(cloud.service.list_deletions(limit=99, marker=None, filters={})) == 1
        cloud.trust.brake.note_done("Two", ["r1"])
        cloud.trust.brake.reserve(deletion(1))
        assert len(cloud.service.list_deletions(limit=99, marker=None, filters={})) == 2

    def test_a_region_that_does_not_answer_is_one_deletion(self, cloud):
        images = filled(cloud)
        cloud.one.delete_image(images[1].id)
        cloud.two.fail_next("delete_image", RegionUnavailableError("no answer"), times=9)
        cloud.report_removal(images[1].id)
        for _ in range(5):
            with pytest.raises(RegionUnavailableError):
                cloud.run(images[1].id)
        assert len(cloud.service.list_deletions(limit=9, marker=None, filters={"region": "Two"})) == 1

    def test_nothing_is_ever_deleted_with_zero(self, tmp_path):
        cloud = MemoryCloud(tmp_path, deletion={"max_deletes": 0})
        with pytest.raises(DeletionHeldError):
            cloud.trust.brake.reserve(deletion(1))

    def test_many_removals_stop_in_the_middle_and_go_on_after_the_release(self, cloud):
        images = filled(cloud, 6)
        cloud.one.update_image(images[0].id, ImageChanges(fields={"protected": False}))
        for image in images:
            cloud.one.delete_image(image.id)
            cloud.report_removal(image.id)
        cloud.work()
        assert len(cloud.ids(cloud.two)) + len(cloud.ids(cloud.three)) == 12 - 3
        for _ in range(2):
            cloud.compare()
        assert len(cloud.ids(cloud.two)) + len(cloud.ids(cloud.three)) == 12 - 3
        for _ in range(3):
            cloud.trust.brake.release()
            cloud.compare()
        assert cloud.ids(cloud.two) | cloud.ids(cloud.three) == set()


class TestTheMark:
    def test_grows_with_each_comparison(self, cloud):
        marks = []
        for _ in range(3):
            cloud.compare()
            marks.append(cloud.one.get_image(cloud.trust.canary_id()).properties[MARK_PROPERTY])
            cloud.clock.advance(0.5)
        assert sorted(set(marks)) == marks
        assert cloud.trust.look().problem is None

    def test_a_clock_that_goes_back(self, cloud):
        cloud.compare()
        cloud.clock.advance(-5000)
        cloud.compare()
        assert cloud.trust.look().problem is None

    def test_that_could_not_be_written_leaves_the_old_one_in_force(self, cloud):
        cloud.compare()
        cloud.clock.advance(100)
        cloud.one.fail_next("update_image", RegionUnavailableError("read only"))
        cloud.compare()
        assert cloud.trust.look().problem is None

    def test_whose_answer_was_lost(self, cloud):
        cloud.compare()
        cloud.clock.advance(100)
        cloud.one.fail_next("update_image", RegionUnavailableError("lost"), after_effect=True)
        cloud.compare()
        assert cloud.trust.look().problem is None

    def test_two_servers_do_not_write_at_once(self, cloud):
        cloud.compare()
        cloud.clock.advance(100)
        cloud.one.fail_next("update_image", RegionUnavailableError("hangs"))
        cloud.compare()
        calls = cloud.one.faults.calls.count("update_image")
        cloud.trust.mark()
        assert cloud.one.faults.calls.count("update_image") == calls
        cloud.clock.advance(61)
        cloud.trust.mark()
        assert cloud.one.faults.calls.count("update_image") == calls + 1

    def test_is_not_written_while_something_is_wrong(self, cloud):
        filled(cloud)
        backup = copy.deepcopy(cloud.one)
        cloud.clock.advance(100)
        cloud.compare()
        cloud.directory.regions["One"] = ("http://one", backup)
        twice(cloud)
        assert cloud.trust.look().problem_code == "source_restored"

    def test_is_not_taken_from_a_meddled_canary(self, cloud):
        cloud.compare()
        cloud.one.update_image(cloud.trust.canary_id(), ImageChanges(set_properties={MARK_PROPERTY: "nonsense"}))
        assert cloud.trust.look().problem_code == "source_restored"


class TestTheCanary:
    def test_is_never_synced_and_made_once(self, cloud):
        twice(cloud)
        cloud.restart()
        twice(cloud)
        assert cloud.two.find_image(cloud.trust.canary_id()) is None
        assert cloud.one.faults.calls.count("create_image") == 1

    def test_whose_creation_was_cut_off_is_found_again(self, cloud):
        cloud.one.fail_next("create_image", RegionUnavailableError("lost"), after_effect=True)
        with pytest.raises(RegionUnavailableError):
            cloud.compare()
        cloud.compare()
        assert cloud.one.faults.calls.count("create_image") == 1
        assert cloud.trust.look().problem is None

    def test_whose_creation_was_cut_off_holds_no_copy_back(self, cloud):
        """A server that dies in its first comparison leaves a canary that nobody ever saw; deletions wait for it."""
        cloud.one.fail_next("create_image", RegionUnavailableError("lost"))
        with pytest.raises(RegionUnavailableError):
            cloud.compare()
        assert cloud.trust.canary_id() is not None
        image = cloud.upload(b"bytes")
        cloud.run(image.id)
        assert cloud.record(image.id).state is ReplicaState.IN_SYNC
        assert cloud.trust.look().problem_code == "canary_missing"

    def test_is_out_of_everybodys_reach(self, cloud):
        cloud.compare()
        image = cloud.one.get_image(cloud.trust.canary_id())
        assert (image.visibility, image.os_hidden, image.protected) == ("private", True, True)
        assert image.owner not in ("demo", SERVICE)


@pytest.mark.parametrize("moment", ["find_image", "create_image"])
def test_two_first_comparisons_make_one_canary(cloud: MemoryCloud, monkeypatch: pytest.MonkeyPatch,
                                               moment: str) -> None:
    """The other one's preparation runs whole in the midst of the first."""
    call, others = getattr(cloud.one, moment), iter([cloud.trust.prepare])

    def meanwhile(*arguments, **options):
        for prepare in others:
            prepare()
        return call(*arguments, **options)

    monkeypatch.setattr(cloud.one, moment, meanwhile)
    cloud.trust.prepare()
    canaries = [image.id for image in cloud.one._images.values() if MARK_PROPERTY in image.properties
                or image.name == CANARY_NAME]
    assert canaries == [cloud.trust.canary_id()]


def test_a_canarys_id_that_is_taken_by_what_we_do_not_see_is_an_error(cloud: MemoryCloud) -> None:
    taken = cloud.upload(b"of somebody", visibility="private")
    cloud.one.sees_all = False
    cloud.trust._set("canary", {"id": taken.id, "made": False})
    with pytest.raises(RegionConflictError):
        cloud.trust.prepare()
