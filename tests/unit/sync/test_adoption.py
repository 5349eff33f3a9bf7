# SPDX-License-Identifier: Apache-2.0
"""Adoption and conflicts from the first look to what an operator chose, over Glances in memory."""
from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from glancesync.exceptions import DeletionHeldError, ImageNotFoundError, StateConflictError
from glancesync.model.image import ImageChanges
from glancesync.model.replica import ConflictChoice, IdReason, Origin, ReplicaState, StrangerBytes
from glancesync.service.conflicts import Chosen
from tests.fixtures.memory_cloud import MemoryCloud


@pytest.fixture
def cloud(tmp_path: Path) -> MemoryCloud:
    return MemoryCloud(tmp_path)


def choose(cloud, image, choice, *, stranger_id=None, region="Two"):
    cloud.service.choose(image.id, region, Chosen(choice=choice, stranger_id=stranger_id, user_id="operator",
                                                  request_id="req-choice"))
    cloud.work()


def conflicts(cloud):
    return {(row["image_id"], row["region"]): row
            for row in cloud.service.list_conflicts(limit=100, marker=None, filters={})}


class TestTheSameId:
    def test_the_same_image_is_adopted_and_kept_in_sync(self, cloud):
        image = cloud.upload(b"data")
        cloud.upload(b"data", region=cloud.two, id=image.id, name="old name", visibility="shared")
        cloud.run(image.id)
        record = cloud.record(image.id)
        assert (record.origin, record.state, record.replica_id, record.id_reason) == (
            Origin.ADOPTED, ReplicaState.IN_SYNC, image.id, None)
        assert cloud.two.get_image(image.id).name == image.name

    def test_a_claimed_hash_is_not_believed(self, cloud):
        image = cloud.upload(b"data")
        claimed = replace(image, checksum=None, hash_is_claim=True)
        cloud.two.put_image(claimed, b"evil")
        cloud.run(image.id)
        record = cloud.record(image.id)
        assert (record.state, record.stranger_bytes, record.origin) == (
            ReplicaState.CONFLICT, StrangerBytes.DIFFER, None)
        assert cloud.two.get_image(image.id) == claimed
        assert "bytes" in [each["field"] for each in conflicts(cloud)[image.id, "Two"]["differences"]]

    def test_a_claimed_hash_that_is_true_is_read_once(self, cloud):
        image = cloud.upload(b"data")
        cloud.two.put_image(replace(image, checksum=None, hash_is_claim=True), b"data")
        cloud.run(image.id)
        cloud.run(image.id)
        assert cloud.record(image.id).origin is Origin.ADOPTED
        assert cloud.two.faults.calls.count("open_data") == 1
        assert cloud.one.faults.calls.count("open_data") == 0

    def test_what_reading_told_is_not_read_again(self, cloud):
        image = cloud.upload(b"data")
        cloud.two.put_image(replace(image, checksum=None, hash_is_claim=True), b"evil")
        for _ in range(3):
            cloud.run(image.id)
            cloud.compare()
        assert cloud.two.faults.calls.count("open_data") == 1

    def test_another_owners_image_is_left_alone(self, cloud):
        image = cloud.upload(b"data")
        there = cloud.upload(b"data", region=cloud.two, id=image.id, owner="rival")
        cloud.run(image.id)
        assert cloud.two.get_image(image.id) == there
        [row] = conflicts(cloud).values()
        assert row["replica_id"] == image.id
        assert {"field": "owner", "image": "demo", "replica": "rival"} in row["differences"]

    def test_a_conflict_costs_no_run_in_the_next_comparison(self, cloud):
        image = cloud.upload(b"data")
        cloud.upload(b"data", region=cloud.two, id=image.id, owner="rival")
        cloud.compare()
        assert cloud.compare().regions["Two"].findings == 0

    def test_beside_it(self, cloud):
        image = cloud.upload(b"data")
        there = cloud.upload(b"other", region=cloud.two, id=image.id)
        cloud.run(image.id)
        choose(cloud, image, ConflictChoice.NEW_ID)
        record = cloud.record(image.id)
        assert (record.state, record.id_reason) == (ReplicaState.IN_SYNC, IdReason.CONFLICT)
        assert cloud.two.data(record.replica_id) == b"data"
        assert cloud.two.get_image(image.id) == there
        assert conflicts(cloud) == {}

    def test_beside_it_again_when_somebody_deletes_the_replica(self, cloud):
        image = cloud.upload(b"data")
        cloud.upload(b"other", region=cloud.two, id=image.id)
        cloud.run(image.id)
        choose(cloud, image, ConflictChoice.NEW_ID)
        first = cloud.record(image.id).replica_id
        cloud.two.delete_image(first)
        cloud.run(image.id)
        record = cloud.record(image.id)
        assert record.state is ReplicaState.IN_SYNC
        assert record.replica_id not in (first, image.id)
        assert cloud.two.data(image.id) == b"other"

    def test_instead_of_it(self, cloud):
        image = cloud.upload(b"data", protected=True)
        cloud.upload(b"other", region=cloud.two, id=image.id, protected=True)
        cloud.run(image.id)
        choose(cloud, image, ConflictChoice.REPLACE, stranger_id=image.id)
        record = cloud.record(image.id)
        assert (record.state, record.stranger_id, record.choice) == (ReplicaState.IN_SYNC, None, None)
        assert cloud.ids(cloud.two) == {record.replica_id}
        [deletion] = cloud.service.list_deletions(limit=10, marker=None, filters={})
        assert (deletion["cause"], deletion["trigger"], deletion["request_id"], deletion["replica_id"]) == (
            "conflict_replaced", "api", "req-choice", image.id)
        assert deletion["done_at"]

    def test_what_is_to_be_replaced_stays_until_the_replica_is_verified(self, cloud):
        image = cloud.upload(b"data")
        cloud.upload(b"other", region=cloud.two, id=image.id)
        cloud.run(image.id)
        cloud.one.set_data(image.id, b"rott")
        choose(cloud, image, ConflictChoice.REPLACE)
        assert cloud.two.data(image.id) == b"other"
        assert cloud.record(image.id).state is ReplicaState.FAILED

    def test_replacing_is_held_by_the_brake(self, tmp_path):
        cloud = MemoryCloud(tmp_path, deletion={"max_deletes": 0})
        image = cloud.upload(b"data")
        there = cloud.upload(b"other", region=cloud.two, id=image.id, protected=True)
        cloud.run(image.id)
        cloud.service.choose(image.id, "Two", Chosen(choice=ConflictChoice.REPLACE, stranger_id=None, user_id="u",
                                                     request_id=None))
        with pytest.raises(DeletionHeldError):
            cloud.run(image.id)
        assert cloud.two.get_image(image.id) == there
        replica = cloud.two.get_image(cloud.record(image.id).replica_id)
        assert replica.os_hidden, "the replica is handed over only when the other is gone"

    def test_left_out_until_another_choice(self, cloud):
        image = cloud.upload(b"data")
        cloud.upload(b"other", region=cloud.two, id=image.id)
        cloud.run(image.id)
        choose(cloud, image, ConflictChoice.SKIP)
        cloud.two.delete_image(image.id)
        cloud.run(image.id)
        cloud.compare()
        assert cloud.ids(cloud.two) == set()
        assert [row["choice"] for row in conflicts(cloud).values()] == ["skip"]
        choose(cloud, image, ConflictChoice.NEW_ID)
        assert cloud.record(image.id).state is ReplicaState.IN_SYNC


class TestTheSameName:
    def test_is_a_conflict_and_nothing_is_made(self, cloud):
        image = cloud.upload(b"data", name="cirros")
        there = cloud.upload(b"data", region=cloud.two, name="cirros")
        cloud.run(image.id)
        assert cloud.ids(cloud.two) == {there.id}
        [row] = conflicts(cloud).values()
        assert (row["replica_id"], [each["field"] for each in row["differences"]]) == (there.id, ["id"])

    def test_is_adopted_where_the_operator_wants_that(self, tmp_path):
        cloud = MemoryCloud(tmp_path, sync={"adopt_by_hash": True})
        image = cloud.upload(b"data", name="cirros")
        cloud.upload(b"others", region=cloud.two, name="cirros")
        there = cloud.upload(b"data", region=cloud.two, name="cirros")
        cloud.run(image.id)
        record = cloud.record(image.id)
        assert (record.replica_id, record.origin, record.id_reason, record.state) == (
            there.id, Origin.ADOPTED, IdReason.ADOPTED, ReplicaState.IN_SYNC)
        assert cloud.service.get_image(there.id)["id"] == image.id

    def test_another_owners_namesake_is_no_conflict(self, cloud):
        image = cloud.upload(b"data", name="cirros")
        cloud.upload(b"data", region=cloud.two, name="cirros", owner="rival")
        cloud.run(image.id)
        assert cloud.record(image.id).state is ReplicaState.IN_SYNC

    def test_replicas_of_other_images_of_that_name_are_none(self, cloud):
        images = [cloud.upload(f"build {number}".encode(), name="nightly") for number in range(3)]
        for image in images:
            cloud.run(image.id)
        assert {cloud.record(image.id).state for image in images} == {ReplicaState.IN_SYNC}

    def test_an_image_that_is_to_be_adopted_itself_is_none(self, cloud):
        first, second = (cloud.upload(b"build", name="nightly") for _ in range(2))
        cloud.upload(b"build", region=cloud.two, id=second.id, name="nightly")
        cloud.run(first.id)
        cloud.run(second.id)
        assert (cloud.record(first.id).origin, cloud.record(second.id).origin) == (Origin.CREATED, Origin.ADOPTED)

    def test_it_ends_when_the_other_is_renamed(self, cloud):
        image = cloud.upload(b"data", name="cirros")
        there = cloud.upload(b"other", region=cloud.two, name="cirros")
        cloud.compare()
        assert cloud.compare().regions["Two"].findings == 0
        cloud.two.update_image(there.id, ImageChanges(fields={"name": "mine"}))
        cloud.compare()
        assert cloud.record(image.id).state is ReplicaState.IN_SYNC

    def test_instead_of_it(self, cloud):
        image = cloud.upload(b"data", name="cirros")
        cloud.upload(b"other", region=cloud.two, name="cirros")
        cloud.run(image.id)
        choose(cloud, image, ConflictChoice.REPLACE)
        assert cloud.ids(cloud.two) == {image.id}
        assert cloud.record(image.id).id_reason is None

    def test_beside_it(self, cloud):
        image = cloud.upload(b"data", name="cirros")
        there = cloud.upload(b"other", region=cloud.two, name="cirros")
        cloud.run(image.id)
        choose(cloud, image, ConflictChoice.NEW_ID)
        assert cloud.ids(cloud.two) == {image.id, there.id}


class TestChoosing:
    def test_only_where_there_is_a_conflict(self, cloud):
        image = cloud.upload()
        cloud.run(image.id)
        with pytest.raises(StateConflictError):
            choose(cloud, image, ConflictChoice.REPLACE)
        with pytest.raises(ImageNotFoundError):
            choose(cloud, image, ConflictChoice.REPLACE, region="Nowhere")

    def test_only_about_the_image_that_was_looked_at(self, cloud):
        image = cloud.upload(b"data")
        cloud.upload(b"other", region=cloud.two, id=image.id)
        cloud.run(image.id)
        with pytest.raises(StateConflictError):
            choose(cloud, image, ConflictChoice.REPLACE, stranger_id=str(uuid.uuid4()))
        assert cloud.two.data(image.id) == b"other"

    def test_who_chose_is_kept(self, cloud):
        image = cloud.upload(b"data")
        cloud.upload(b"other", region=cloud.two, id=image.id)
        cloud.run(image.id)
        choose(cloud, image, ConflictChoice.SKIP)
        [row] = conflicts(cloud).values()
        assert (row["choice_by"], row["reason_code"]) == ("operator", "conflict_skipped")
        assert row["choice_at"]

    def test_pages(self, cloud):
        images = [cloud.upload(b"data") for _ in range(3)]
        for image in images:
            for region in (cloud.two, cloud.three):
                cloud.upload(b"other", region=region, id=image.id)
        cloud.compare()
        listed, marker = [], None
        while rows := cloud.service.list_conflicts(limit=2, marker=marker, filters={}):
            listed += [row["id"] for row in rows]
            marker = listed[-1]
        assert listed == sorted(f"{image.id}:{region}" for image in images for region in ("Two", "Three"))
        assert len(cloud.service.list_conflicts(limit=9, marker=None, filters={"region": "Two"})) == 3


class TestAnothersImageThatOutlivesOurs:
    def test_is_named_as_foreign_only_and_its_record_ends_with_it(self, cloud):
        image = cloud.upload(b"data")
        cloud.upload(b"other", region=cloud.two, id=image.id, owner="rival")
        cloud.compare()
        cloud.one.delete_image(image.id)
        cloud.report_removal(image.id)
        cloud.work()
        assert cloud.record(image.id).reason_code == "not_ours"
        rows = [row for row in list(cloud.service.plan_all(regions=None)) if row["region"] == "Two"]
        assert [(row["image_id"], row["reason_code"]) for row in rows] == [(image.id, "foreign")]
        cloud.two.delete_image(image.id)
        cloud.compare()
        assert cloud.record(image.id).state is ReplicaState.DELETED
        assert list(cloud.service.plan_all(regions=None)) == []


class TestWhatWasAdopted:
    def test_is_never_deleted(self, cloud):
        image = cloud.upload(b"data")
        cloud.upload(b"data", region=cloud.two, id=image.id)
        cloud.compare()
        cloud.one.delete_image(image.id)
        cloud.report_removal(image.id)
        cloud.work()
        assert cloud.ids(cloud.two) == {image.id}
        assert cloud.ids(cloud.three) == set()
        assert cloud.record(image.id).reason_code == "adopted_kept"

    def test_unless_the_operator_opted_in(self, tmp_path):
        cloud = MemoryCloud(tmp_path, deletion={"delete_adopted": True})
        image = cloud.upload(b"data")
        cloud.upload(b"data", region=cloud.two, id=image.id)
        cloud.compare()
        cloud.one.delete_image(image.id)
        cloud.report_removal(image.id)
        cloud.work()
        assert cloud.ids(cloud.two) == set()
