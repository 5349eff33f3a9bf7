# SPDX-License-Identifier: Apache-2.0
"""Nothing is the replica of two images, whoever comes at the same moment; and deletions whose end was not written."""
from __future__ import annotations

import pytest
import sqlalchemy as sa

from glancesync.db.engine import Database
from glancesync.db.schema import replicas
from glancesync.exceptions import ReplicaTakenError
from glancesync.model.image import ImageChanges
from glancesync.model.replica import Origin, ReplicaState
from glancesync.sync import records
from glancesync.sync.delete import Deleter
from tests.fixtures.memory_cloud import MemoryCloud


@pytest.fixture
def cloud(tmp_path):
    return MemoryCloud(tmp_path, sync={"adopt_by_hash": True})


def claims(cloud, replica_id):
    return [image_id for image_id in cloud.one._images if (found := cloud.records.read(image_id, "Two").replica)
            and found.replica_id == replica_id]


class TestOneReplicaOneImage:
    def test_two_that_adopt_the_same_stranger(self, cloud):
        """Both looked before either wrote: one adopts it, the other gets a replica of its own, nobody an error."""
        first, second = (cloud.upload(b"same", name="twin") for _ in range(2))
        stranger = cloud.upload(b"same", name="twin", region=cloud.two)
        find, nested = cloud.converger._context.find_namesake, []

        def find_and_let_the_other_win(target, source):
            found = find(target, source)
            if not nested:
                nested.append(source.id)
                cloud.run(second.id)
            return found

        object.__setattr__(cloud.converger._context, "find_namesake", find_and_let_the_other_win)
        ended = cloud.run(first.id)
        assert ended.plan.state is ReplicaState.IN_SYNC
        assert claims(cloud, stranger.id) == [second.id]
        assert cloud.record(first.id).replica_id == first.id

    def test_one_whose_own_id_is_the_replica_of_another(self, cloud):
        """It is a conflict, listed for an operator, for as long as the other has it."""
        stranger = cloud.upload(b"same", name="twin", region=cloud.two)
        first = cloud.upload(b"same", name="twin")
        cloud.run(first.id)
        assert cloud.record(first.id).replica_id == stranger.id
        second = cloud.upload(b"same", name="twin", id=stranger.id)
        for _ in range(2):
            assert cloud.run(second.id).plan.code == "conflict"
        assert claims(cloud, stranger.id) == [first.id]
        cloud.compare()
        assert cloud.record(second.id).state is ReplicaState.CONFLICT

    def test_one_whose_id_another_claims_though_it_is_gone(self, cloud):
        first, second = cloud.upload(b"first"), cloud.upload(b"second")
        cloud.records.update(first.id, "Two", replica_id=second.id, origin=Origin.CREATED)
        assert cloud.run(second.id).plan.state is ReplicaState.IN_SYNC
        assert cloud.record(second.id).replica_id not in (first.id, second.id)

    def test_the_database_refuses_it_too(self, tmp_path):
        """What another server committed between our look and our write."""
        database = Database(f"sqlite:///{tmp_path}/state.db")
        database.sync()

        def write(connection, image_id, region):
            connection.execute(sa.insert(replicas).values(image_id=image_id, region=region, replica_id="r",
                                                          state="waiting", updated_at=1.0))

        database.run(write, "a", "Two")
        database.run(write, "b", "Three")
        with pytest.raises(Exception, match="UNIQUE"):
            database.run(write, "c", "Two")
        database.close()

    def test_update_tells_which_image_has_it(self, cloud):
        cloud.records.update("a", "Two", replica_id="r")
        cloud.records.update("b", "Three", replica_id="r")
        with pytest.raises(ReplicaTakenError, match="of image a"):
            cloud.records.update("b", "Two", replica_id="r")

    def test_a_row_that_came_between_is_seen(self, cloud, monkeypatch):
        """The look finds nothing, the write is refused by the database, the second look tells."""
        cloud.records.update("a", "Two", replica_id="r")
        looks = []

        def blind_at_first(*args, real=records._ensure_free):
            looks.append(args)
            return real(*args) if len(looks) > 1 else None

        monkeypatch.setattr(records, "_ensure_free", blind_at_first)
        with pytest.raises(ReplicaTakenError):
            cloud.records.update("b", "Two", replica_id="r")
        assert len(looks) == 2


class TestADeletionWhoseEndWasNotWritten:
    @pytest.fixture
    def killed(self, cloud, monkeypatch):
        """The server ends between Glance's answer and the record of it."""
        class Killed(BaseException):
            pass

        def note_done(*_):
            raise Killed

        def run(image_id):
            with monkeypatch.context() as patched:
                patched.setattr(Deleter, "_note_done", note_done)
                with pytest.raises(Killed):
                    cloud.run(image_id)
        return run

    def test_of_a_removed_image(self, cloud, killed):
        image = cloud.upload()
        cloud.compare()
        cloud.one.delete_image(image.id)
        cloud.report_removal(image.id)
        killed(image.id)
        assert [row["done_at"] for row in cloud.service.list_deletions(limit=9, marker=None, filters={})] == [None]
        cloud.run(image.id)
        [row] = cloud.service.list_deletions(limit=9, marker=None, filters={})
        assert row["done_at"] is not None
        assert cloud.record(image.id).state is ReplicaState.DELETED

    def test_of_a_replica_that_is_replaced(self, cloud, killed):
        image = cloud.upload()
        cloud.compare()
        cloud.two.set_data(image.id, b"rotten")
        cloud.records.update(image.id, "Two", rotten_at=1.0)
        killed(image.id)
        cloud.run(image.id)
        [row] = cloud.service.list_deletions(limit=9, marker=None, filters={})
        assert (row["cause"], row["done_at"] is not None) == ("rotten", True)
        assert cloud.record(image.id).state is ReplicaState.IN_SYNC

    def test_one_that_did_not_reach_glance_stays_open(self, cloud, monkeypatch):
        image = cloud.upload(protected=True)
        cloud.compare()
        cloud.one.update_image(image.id, ImageChanges(fields={"protected": False}))
        cloud.one.delete_image(image.id)
        cloud.report_removal(image.id)
        cloud.two.fail_next("delete_image", KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            cloud.run(image.id)
        cloud.directory.regions["One"] = ("http://elsewhere", cloud.one)
        cloud.run(image.id)
        [row] = cloud.service.list_deletions(limit=9, marker=None, filters={})
        assert row["done_at"] is None
