# SPDX-License-Identifier: Apache-2.0
"""kill -9 in the midst of the work: of the server, of a target, of the cascading Glance. Everything ends as it should.

The sizes with which a copy is met at half of its way grow with --full.
"""
from __future__ import annotations

import random
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.images import Images
from glancesync.lab.server import SyncServer
from tests.fixtures.images import ImagesOf
from tests.fixtures.main_job import MIB, MainJob, counterparts

pytestmark = pytest.mark.lab
SIZES = [256 * MIB, pytest.param(1024 * MIB, marks=pytest.mark.full)]
MEMORY_LIMIT = 200 * MIB


def random_bytes(size: int) -> Iterator[bytes]:
    """So many, never all of them in memory, and cheap: each MiB is random in its first KiB."""
    rest = bytes(MIB - 1024)
    return (secrets.token_bytes(1024) + rest for _ in range(size // MIB))


def upload(ours: Images, size: int, **fields: object) -> str:
    image_id = str(ours.create("large", **fields)["id"])
    ours.upload(image_id, random_bytes(size))
    return image_id


def resident_bytes(pid: int | None) -> int:
    """The most memory that the process ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.parametrize("size", SIZES)
def test_server_killed_at_half_of_a_copy(job: MainJob, sync_server: SyncServer, images: ImagesOf, size: int) -> None:
    image_id = upload(images("demo"), size)
    job.wait_stored("RegionTwo", image_id, size // 2)
    assert resident_bytes(sync_server.pid) < MEMORY_LIMIT
    sync_server.kill()
    assert not any(record and record["status"] == "active"
                   for record in counterparts(job.lab, images, image_id).values())
    sync_server.bring_up()
    views = job.wait_for(image_id, deadline_seconds=180)
    assert resident_bytes(sync_server.pid) < MEMORY_LIMIT
    assert {(view["replica_id"], view["id_reason"]) for view in views.values()} == {(image_id, None)}
    job.converge()


def test_server_killed_at_any_moment(job: MainJob, sync_server: SyncServer, images: ImagesOf,
                                     project_ids: dict[str, str]) -> None:
    """Again and again, while images come, change and go."""
    chance = random.Random(20)  # noqa: S311 - moments, not secrets
    ours = images("demo")
    made: list[str] = []
    for number in range(4):
        made += [ours.create(f"{number} {size}", secrets.token_bytes(size), visibility="shared")["id"]
                 for size in (1000, 3 * MIB)]
        ours.set(made[0], name=f"renamed {number}", **{f"p{number}": "x"})
        ours.add_member(made[-1], project_ids["rival"])
        time.sleep(chance.uniform(0, 0.8))  # the moment of the kill is to be any
        sync_server.kill()
        if number:
            ours.delete(made.pop(1))
        sync_server.start()
        sync_server.wait_ready()
    job.converge(120)
    for image_id in made:
        assert {view["replica_id"] for view in job.wait_for(image_id).values()} == {image_id}


@pytest.mark.parametrize("size", SIZES)
def test_target_killed_at_half_of_a_copy(job: MainJob, lab: Lab, images: ImagesOf, size: int) -> None:
    """Its replica stays in `saving` for good: it is replaced under a new id. The other region never notices."""
    image_id = upload(images("demo"), size)
    job.wait_stored("RegionTwo", image_id, size // 2)
    lab.glances["RegionTwo"].kill()
    job.wait_for(image_id, regions=["RegionThree"], deadline_seconds=120)
    lab.glances["RegionTwo"].start()
    lab.glances["RegionTwo"].wait_ready()
    views = job.wait_for(image_id, deadline_seconds=180)
    assert (views["RegionThree"]["replica_id"], views["RegionThree"]["id_reason"]) == (image_id, None)
    assert views["RegionTwo"]["id_reason"] == "stuck_saving"
    assert views["RegionTwo"]["replica_id"] != image_id
    assert images("admin", "RegionTwo").find(image_id) is None
    # What Glance had written when it died belongs to no record of its own, so that no API removes it.
    partial = lab.glances["RegionTwo"].store_path / image_id
    job.converge(expected=[f"{partial} belongs to no image"])
    partial.unlink(missing_ok=True)
    job.converge()


def test_source_killed_in_the_midst_of_a_copy(job: MainJob, lab: Lab, images: ImagesOf) -> None:
    size = 128 * MIB
    image_id = upload(images("demo"), size)
    job.wait_stored("RegionTwo", image_id, size // 4)
    lab.glances["RegionOne"].kill()
    lab.glances["RegionOne"].start()
    lab.glances["RegionOne"].wait_ready()
    views = job.wait_for(image_id, deadline_seconds=120)
    assert {(view["replica_id"], view["id_reason"]) for view in views.values()} == {(image_id, None)}
    job.converge()


def test_cascading_glance_killed_with_events_in_its_outbox(job: MainJob, lab: Lab, images: ImagesOf,
                                                           start_server: Callable[..., SyncServer],
                                                           project_ids: dict[str, str]) -> None:
    """The server is down meanwhile and compares nothing when it starts: what it learns comes from the outbox."""
    server = start_server({"DEFAULT": {"reconcile_at_start": False}})
    ours = images("demo")
    changed, shared, removed = (ours.create(name, secrets.token_bytes(1000), visibility="shared")["id"]
                                for name in ("changed", "shared", "removed"))
    for image_id in (changed, shared, removed):
        job.wait_for(image_id)
    server.kill()
    ours.set(changed, name="changed while it was down", colour="blue")
    ours.add_member(shared, project_ids["rival"])
    ours.delete(removed)
    new = ours.create("new", secrets.token_bytes(1000))["id"]
    lab.glances["RegionOne"].kill()
    lab.glances["RegionOne"].start()
    lab.glances["RegionOne"].wait_ready()
    server.bring_up()
    job.converge()
    job.wait_for(removed, "deleted")
    assert not any(counterparts(lab, images, removed).values())
    assert {task["trigger"] for image_id in (changed, shared, removed, new)
            for task in job.tasks(image_id).values()} == {"event"}


@pytest.mark.full
def test_several_gigabytes_and_flat_memory(job: MainJob, sync_server: SyncServer, images: ImagesOf,
                                           tmp_path: Path, tell: Callable[[str], None]) -> None:
    """A sparse image of 3 GiB."""
    if shutil.disk_usage(tmp_path).free < 16 * 1024 * MIB:
        pytest.skip("needs 16 GiB of disk")
    ours = images("demo")
    image_id = ours.create("sparse", visibility="private")["id"]
    ours.upload(image_id, (bytes(MIB) for _ in range(3 * 1024)))
    views = job.wait_for(image_id, deadline_seconds=400)
    tell(f"most memory of the server so far: {resident_bytes(sync_server.pid) / MIB:.0f} MiB")
    assert resident_bytes(sync_server.pid) < MEMORY_LIMIT
    assert {view["bytes_total"] for view in views.values()} == {3 * 1024 * MIB}
    job.converge(120)
