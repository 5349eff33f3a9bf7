# SPDX-License-Identifier: Apache-2.0
"""A disk that is full, under a target's store and under the server's database: a clear word, nothing half done, nothing
lost, and it goes on by itself when there is room. The outbox's disk: tests/functional/test_filter_heals.py."""
from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.server import SyncServer
from tests.fixtures.images import ImagesOf
from tests.fixtures.main_job import MIB, MainJob
from tests.fixtures.polling import eventually
from tests.fixtures.small_disk import fill, mounted

pytestmark = [pytest.mark.lab, pytest.mark.full]
THREE = "RegionThree"


def test_a_targets_store(job: MainJob, lab: Lab, images: ImagesOf) -> None:
    """What fits is copied still; what does not waits, and is nowhere seen, not even as a file."""
    ours = images("demo")
    store = lab.glances[THREE].store_path
    with mounted(store, 24 * 1024):
        fill(store / "filler", leave_bytes=2 * MIB)
        large = ours.create("too large", secrets.token_bytes(8 * MIB))["id"]
        views = job.wait_for(large, "failed", code="region_full", regions=[THREE])
        assert "storage media is full" in views[THREE]["reason"]
        job.wait_for(large, regions=["RegionTwo"])
        assert ours.get(large)["status"] == "active"
        assert images("demo", THREE).find(large) is None
        eventually(lambda: job.stored_bytes(THREE, large) == 0, what="what was written of it is gone")
        eventually(lambda: job.states(large)[THREE]["next_try_at"], what="it is tried again")
        small = ours.create("small enough", secrets.token_bytes(MIB))["id"]
        job.wait_for(small)

        (store / "filler").unlink()
        view = job.wait_for(large)[THREE]
        assert (view["replica_id"], view["id_reason"]) == (large, None)
        job.converge()
        for image_id in (large, small):
            ours.delete(image_id)
            job.wait_for(image_id, "deleted")
        assert list(store.iterdir()) == []


@pytest.fixture
def database_disk(job: MainJob, start_server: Callable[..., SyncServer], tmp_path: Path) -> Iterator[Path]:
    """The server works with its database on a disk of its own, with room for the journal of its changes."""
    server = job.lab.server
    job.converge()
    server.stop()
    (disk := tmp_path / "disk").mkdir()
    with mounted(disk, server.database_path.stat().st_size // 1024 + 12 * 1024):
        moved = disk / server.database_path.name
        shutil.copy2(server.database_path, moved)
        try:
            start_server({"database": {"connection": f"sqlite:///{moved}"}})
            yield disk
        finally:
            server.stop()
            if moved.stat().st_size:
                shutil.copy2(moved, server.database_path)


def test_the_servers_database(database_disk: Path, job: MainJob, lab: Lab, images: ImagesOf) -> None:
    """Users notice nothing; what cannot be written down is refused, so that whoever asked keeps it and asks again."""
    ours = images("demo")
    before = ours.create("before", secrets.token_bytes(1000))["id"]
    job.wait_for(before)
    logged = lab.server.log_path.stat().st_size
    fill(database_disk / "filler")
    made: list[str] = []

    def refused() -> bool:
        made.append(ours.create(f"image {len(made)}", secrets.token_bytes(1000))["id"])
        answer = job.admin.post(f"{lab.server.url}/v1/sync", json={"image_ids": made}, raise_exc=False)
        assert answer.status_code in (202, 503), answer.text
        return answer.status_code == 503 and "its disk is full: free some space" in answer.text

    eventually(refused, 60, what="the API says that the disk is full")
    ours.set(before, name="renamed meanwhile")
    ours.delete(made.pop(0))
    eventually(lambda: b"its disk is full: free some space" in lab.server.log_path.read_bytes()[logged:],
               what="the log says so, too")
    assert lab.server.is_alive

    (database_disk / "filler").unlink()
    for image_id in (before, *made):
        job.wait_for(image_id)
    job.converge()
    assert b"Traceback" not in lab.server.log_path.read_bytes()[logged:]
    for image_id in (before, *made):
        ours.delete(image_id)
        job.wait_for(image_id, "deleted")
    job.converge()
