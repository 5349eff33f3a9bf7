# SPDX-License-Identifier: Apache-2.0
"""A region that stands still or is gone, a Keystone that is gone, bytes that rotted: who is hurt, and what is left."""
from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.server import SyncServer
from tests.fixtures.images import ImagesOf
from tests.fixtures.main_job import MIB, MainJob, counterparts, frozen
from tests.fixtures.polling import eventually

pytestmark = pytest.mark.lab
# What a server of the test's own does not wait a minute for.
IMPATIENT = {"keystone": {"read_timeout_seconds": 4}, "transfer": {"tee_stall_seconds": 2, "idle_timeout_seconds": 5}}
LARGE = 96 * MIB


def test_a_region_that_stands_still_holds_up_only_its_own_work(job: MainJob, lab: Lab, images: ImagesOf,
                                                               start_server: Callable[..., SyncServer]) -> None:
    """It stops in the midst of a common copy; more images than may be under way in one region come meanwhile."""
    start_server(IMPATIENT)
    ours = images("demo")
    large = ours.create("large", secrets.token_bytes(LARGE))["id"]
    job.wait_stored("RegionTwo", large, LARGE // 8)
    with frozen(lab.glances["RegionTwo"]):
        small = [ours.create(f"small {number}", secrets.token_bytes(1000))["id"] for number in range(6)]
        for image_id in (large, *small):
            job.wait_for(image_id, regions=["RegionThree"])
        ours.set(large, name="large, renamed")
        ours.delete(small[0])
        eventually(lambda: images("admin", "RegionThree").get(large)["name"] == "large, renamed")
        job.wait_for(small[0], "deleted", regions=["RegionThree"])
        job.wait_for(large, "failed", regions=["RegionTwo"])
    job.converge(120)
    ids = job.replica_ids()
    assert [ids[image_id, "RegionTwo"] for image_id in (large, *small[1:])] == [large, *small[1:]]
    assert not any(counterparts(lab, images, small[0]).values())


def test_a_region_that_is_gone_is_made_up_for_when_it_is_back(job: MainJob, lab: Lab, images: ImagesOf) -> None:
    ours = images("demo")
    known, doomed = (ours.create(name, secrets.token_bytes(1000))["id"] for name in ("known", "doomed"))
    job.wait_for(known)
    job.wait_for(doomed)
    lab.glances["RegionThree"].kill()
    ours.set(known, name="renamed while a region was gone")
    ours.delete(doomed)
    new = ours.create("new", secrets.token_bytes(MIB))["id"]
    job.wait_for(new, regions=["RegionTwo"])
    job.wait_for(doomed, "deleted", regions=["RegionTwo"])
    job.wait_for(new, "failed", code="region_unavailable", regions=["RegionThree"])
    lab.glances["RegionThree"].start()
    lab.glances["RegionThree"].wait_ready()
    job.converge()
    job.wait_for(doomed, "deleted")
    assert {view["replica_id"] for view in job.wait_for(new).values()} == {new}


def test_keystone_gone_during_a_copy_and_at_the_servers_start(job: MainJob, lab: Lab, sync_server: SyncServer,
                                                              images: ImagesOf) -> None:
    image_id = images("demo").create("large", secrets.token_bytes(LARGE))["id"]
    job.wait_stored("RegionTwo", image_id, LARGE // 8)
    lab.keystone.kill()
    job.wait_stored("RegionTwo", image_id, LARGE)
    assert sync_server.is_ready()
    lab.keystone.start()
    lab.keystone.wait_ready()
    views = job.wait_for(image_id)
    assert {view["replica_id"] for view in views.values()} == {image_id}
    job.converge()

    sync_server.kill()
    images("demo").set(image_id, name="renamed")
    lab.keystone.kill()
    logged = sync_server.log_path.stat().st_size
    sync_server.start()
    eventually(lambda: b"waits for Keystone" in _from(sync_server.log_path, logged), what="the start waits")
    assert sync_server.is_alive
    lab.keystone.start()
    sync_server.wait_ready()
    job.converge()


def _from(path: Path, offset: int) -> bytes:
    return path.read_bytes()[offset:]


def test_a_source_that_does_not_match_its_own_hash(job: MainJob, lab: Lab, images: ImagesOf,
                                                   start_server: Callable[..., SyncServer]) -> None:
    """Nothing of it becomes active, others are not hurt, it is not tried again and again; mended, it is copied under
    its own id."""
    sync_server = start_server({"transfer": {"tee_gather_seconds": 10}})
    sync_server.stop()
    ours = images("demo")
    rotten, good = (ours.create(name, secrets.token_bytes(20 * MIB))["id"] for name in ("rotten", "good"))
    path = lab.glances["RegionOne"].store_path / rotten
    _flip_byte(path, 10 * MIB)
    sync_server.bring_up()
    job.wait_for(good)
    read = f"GET /v2/images/{good}/file in RegionOne answered 200"
    assert sync_server.log_path.read_text("utf-8").count(read) == 1, "one read of the source serves all regions"
    views = job.wait_for(rotten, "failed", code="source_corrupt")
    assert "do not match its own hash" in views["RegionTwo"]["reason"]
    job.converge(expected=[f"{rotten} (rotten)"])
    for region in job.regions:
        replica = images("admin", region).find(rotten)
        assert replica is None or replica["status"] == "queued"
        assert images("demo", region).find(rotten) is None
        assert job.stored_bytes(region, rotten) == 0
    ours.set(good, name="renamed")
    job.converge(expected=[f"{rotten} (rotten)"])  # so all events of before have arrived
    eventually(lambda: {(task["state"], task["reason_code"]) for task in job.tasks(rotten).values()}
               == {("failed", "source_corrupt")}, what="it was tried for its events, too")
    tried = [len(job.runs(rotten, region)) for region in job.regions]
    assert max(tried) <= 2  # once for the comparison at start, once for its events
    job.sync()  # whoever asks has it read once more: the bytes may have been changed on the way
    ours.set(good, name="renamed again")
    job.converge(expected=[f"{rotten} (rotten)"])
    assert [len(job.runs(rotten, region)) for region in job.regions] == [count + 1 for count in tried]

    _flip_byte(path, 10 * MIB)
    job.sync(rotten)
    assert {view["replica_id"] for view in job.wait_for(rotten).values()} == {rotten}
    job.converge()


def _flip_byte(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0xFF]))
