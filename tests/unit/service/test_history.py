# SPDX-License-Identifier: Apache-2.0
"""What was deleted long ago is forgotten; what is still needed never is."""
from __future__ import annotations

import pytest
import sqlalchemy as sa

from glancesync.conf.deletion import DeletionSettings
from glancesync.conf.sync import SyncSettings
from glancesync.conf.worker import WorkerSettings
from glancesync.db.schema import (
    attempts,
    deletions,
    images,
    located,
    new_ids,
    regions,
    registrations,
    replicas,
    source_reads,
    tasks,
)
from glancesync.model.chore import PURGE, Turn
from glancesync.model.replica import IdReason, ReplicaState
from glancesync.service import history as history_module
from glancesync.service.history import History
from glancesync.service.timers import PurgeChore
from glancesync.sync.locations import mark_located
from glancesync.sync.new_ids import NewId
from glancesync.sync.readers import SharedReaders
from tests.fixtures.memory_cloud import SYNC, MemoryCloud

DAY = 86400.0


@pytest.fixture
def cloud(tmp_path):
    return MemoryCloud(tmp_path, deletion={"max_deletes": 10 ** 6})


def purge(cloud, days=30.0, **windows):
    deletion = DeletionSettings(max_deletes_window_seconds=windows.get("deletes", 3600))
    sync = SyncSettings(**{**SYNC, "max_new_ids_window_seconds": windows.get("new_ids", 3600)})
    chore = PurgeChore(database=cloud.database, queue=cloud.queue, settings=WorkerSettings(history_days=days),
                       clock=cloud.clock,
                       history=History(database=cloud.database, deletion=deletion, sync=sync))
    assert chore.run(Turn(name=PURGE, fence=1, wanted=0, asked=False))


def count(cloud, table):
    return cloud.database.read(lambda connection: connection.scalar(sa.select(sa.func.count()).select_from(table)))


def removed(cloud, number=1):
    """Images that were everywhere and are deleted."""
    made = [cloud.upload(bytes([each])) for each in range(number)]
    cloud.compare()
    for image in made:
        cloud.one.delete_image(image.id)
        cloud.report_removal(image.id)
    cloud.work()
    assert {cloud.record(image.id).state for image in made} == {ReplicaState.DELETED}
    return made


def test_attempts_are_forgotten_when_they_are_old(cloud):
    for _ in range(2):
        cloud.run(cloud.upload().id)
        cloud.clock.sleep(20 * DAY)
    assert count(cloud, attempts) == 2
    purge(cloud)
    assert count(cloud, attempts) == 1


def test_reads_that_a_server_died_over_are_forgotten(cloud):
    readers = SharedReaders(cloud.database, "server/1")
    assert readers.begin("image", "One", 1) is not None
    purge(cloud)
    assert count(cloud, source_reads) == 1
    cloud.database.run(lambda connection: connection.execute(sa.update(source_reads).values(
        began_at=cloud.clock.now() - 31 * DAY)))
    purge(cloud)
    assert count(cloud, source_reads) == 0


def rest(cloud):
    """As the worker leaves tasks that ended."""
    cloud.database.run(lambda connection: connection.execute(sa.update(tasks).values(state="done")))


def test_a_deleted_image_is_forgotten_after_its_days(cloud):
    kept = cloud.upload(b"kept")
    removed(cloud, 3)
    rest(cloud)
    cloud.clock.advance(29 * DAY)
    purge(cloud)
    assert (count(cloud, replicas), count(cloud, images), count(cloud, deletions)) == (8, 4, 6)
    cloud.clock.advance(2 * DAY)
    purge(cloud)
    assert (count(cloud, replicas), count(cloud, images), count(cloud, deletions)) == (2, 1, 0)
    assert cloud.compare().regions["Two"].findings == 0
    assert cloud.record(kept.id).state is ReplicaState.IN_SYNC


def test_what_was_said_of_external_urls_goes_with_the_image(cloud):
    kept = cloud.upload(b"kept")
    [gone] = removed(cloud)
    for image in (kept, gone):
        cloud.database.run(mark_located, image.id, cloud.clock.now())
        cloud.records.locations.note(image.id, "Two", "f" * 64)
    rest(cloud)
    cloud.clock.advance(29 * DAY)
    purge(cloud)
    assert (count(cloud, located), count(cloud, registrations)) == (2, 2)
    cloud.clock.advance(2 * DAY)
    purge(cloud)
    for table in (located, registrations):
        assert cloud.database.read(lambda connection, of=table: list(connection.scalars(
            sa.select(of.c.image_id)))) == [kept.id]


def test_more_than_one_part(cloud, monkeypatch):
    monkeypatch.setattr(history_module, "_AT_ONCE", 2)
    removed(cloud, 5)
    rest(cloud)
    cloud.clock.advance(31 * DAY)
    purge(cloud)
    assert (count(cloud, replicas), count(cloud, images), count(cloud, deletions)) == (0, 0, 0)


def test_what_a_task_works_on_and_what_a_region_that_is_away_holds_stays(cloud):
    [first, _] = removed(cloud, 2)
    rest(cloud)
    cloud.database.run(lambda connection: connection.execute(sa.update(tasks).where(
        tasks.c.image_id == first.id, tasks.c.region == "Two").values(state="waiting")))
    cloud.watch.run_once()
    del cloud.directory.regions["Three"]
    cloud.watch.run_once()
    cloud.clock.advance(31 * DAY)
    purge(cloud)
    left = cloud.database.read(lambda connection: connection.execute(
        sa.select(replicas.c.image_id, replicas.c.region)).all())
    assert {(image_id == first.id, region) for image_id, region in left} == {
        (True, "Two"), (True, "Three"), (False, "Three")}
    assert count(cloud, images) == 2
    assert count(cloud, regions) == 3


def test_what_a_brake_counts_stays_however_short_the_history(cloud):
    removed(cloud)
    rest(cloud)
    cloud.sight.new_ids.reserve(NewId(image_id="i", region="Two", old_id="o", new_id="n", reason="id_burned"))
    cloud.clock.advance(100)
    purge(cloud, days=0, deletes=1000, new_ids=1000)
    assert (count(cloud, deletions), count(cloud, new_ids), count(cloud, replicas)) == (2, 1, 0)
    cloud.clock.advance(1000)
    purge(cloud, days=0, deletes=1000, new_ids=1000)
    assert (count(cloud, deletions), count(cloud, new_ids)) == (0, 0)


def test_a_deletion_whose_end_is_not_known_stays(cloud):
    removed(cloud)
    cloud.database.run(lambda connection: connection.execute(
        sa.update(deletions).where(deletions.c.region == "Two").values(done_at=None)))
    cloud.clock.advance(31 * DAY)
    purge(cloud)
    assert [row["region"] for row in cloud.service.list_deletions(limit=9, marker=None, filters={})] == ["Two"]


def test_the_id_of_a_live_replica_and_its_reason_stay(cloud):
    image = cloud.upload(b"moved")
    cloud.compare()
    cloud.two.delete_image(image.id)
    cloud.compare()
    moved = cloud.record(image.id)
    assert moved.id_reason is IdReason.ID_BURNED
    rest(cloud)
    cloud.clock.advance(1000 * DAY)
    purge(cloud)
    assert cloud.record(image.id) == moved
    assert cloud.service.get_image(moved.replica_id)["id"] == image.id


def test_an_image_that_comes_back_under_a_forgotten_id_gets_a_replica(cloud):
    """Its cascading Glance was purged too; the cascaded one remembers the id as used up."""
    [image] = removed(cloud)
    rest(cloud)
    cloud.clock.advance(31 * DAY)
    purge(cloud)
    cloud.one._burned.clear()
    cloud.upload(b"again", id=image.id)
    cloud.compare()
    record = cloud.record(image.id)
    assert (record.state, record.id_reason) == (ReplicaState.IN_SYNC, IdReason.ID_BURNED)
    assert record.replica_id != image.id
