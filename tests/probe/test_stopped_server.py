# SPDX-License-Identifier: Apache-2.0
"""A server that was stopped past its lease, in the middle of its uploads, must not finish them when it goes on."""
from __future__ import annotations

import secrets

import pytest

from glancesync.conf.worker import WorkerSettings
from glancesync.db.engine import Database
from glancesync.lab.cloud import Lab
from glancesync.lab.server import SyncServer
from glancesync.model.task import Task
from glancesync.tasks.queue import TaskQueue, new_owner
from tests.fixtures.images import ImagesOf
from tests.fixtures.main_job import MIB, MainJob, counterparts, frozen
from tests.fixtures.polling import eventually

pytestmark = pytest.mark.lab
SIZE = 96 * MIB


def test_the_last_chunk_is_never_sent_without_the_lease(job: MainJob, lab: Lab, sync_server: SyncServer,
                                                        images: ImagesOf) -> None:
    """Another server, of which only the queue is needed, takes its tasks over and does nothing with them."""
    database = Database(f"sqlite:///{sync_server.directory}/glance-sync.db")
    other = TaskQueue(database, new_owner("other"), WorkerSettings(lease_seconds=120))
    image_id = images("demo").create("large", secrets.token_bytes(SIZE))["id"]
    for region in job.regions:
        job.wait_stored(region, image_id, SIZE // 8)
    with frozen(sync_server):
        assert all(job.stored_bytes(region, image_id) < SIZE for region in job.regions), "all uploads are under way"
        taken: dict[str, Task] = {}

        def take_over() -> bool:
            other.sweep()
            taken.update((task.region, task) for task in other.claim(lambda _region: 10, 10)
                         if task.image_id == image_id)
            return set(taken) == set(job.regions)

        eventually(take_over, 30, every_seconds=0.3, what="the leases run out")
    eventually(lambda: {record and record["status"] for record in counterparts(lab, images, image_id).values()}
               == {"queued"}, what="the uploads are given up, and Glance took them back")
    assert all(task["state"] == "running" for task in job.tasks(image_id).values()), "they are the other's still"
    for task in taken.values():
        other.release(task)
    database.close()
    assert {view["replica_id"] for view in job.wait_for(image_id).values()} == {image_id}
    job.converge()
