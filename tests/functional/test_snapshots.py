# SPDX-License-Identifier: Apache-2.0
"""Images made in a cascaded region, on the real cloud, by the requests that docs/snapshots.md gives."""
from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glancesync.lab.server import SyncServer
from tests.fixtures.images import ImagesOf
from tests.fixtures.main_job import MIB, MainJob
from tests.fixtures.polling import eventually

pytestmark = pytest.mark.lab
TWO, THREE = "RegionTwo", "RegionThree"
PAGE = Path(__file__).parents[2] / "docs" / "snapshots.md"


def _examples(**words: str) -> list[Any]:
    """The page's JSON blocks, with their capital words replaced."""
    text = PAGE.read_text("utf-8")
    for word, value in words.items():
        text = re.sub(rf"\b{word}\b", value, text)
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]


def _claim(job: MainJob, image_id: str, origin_id: str, example: int = 0) -> Any:
    words = {"IMAGE": image_id, "ORIGIN": origin_id, "ENDPOINT": job.lab.endpoint(TWO)}
    job.call("PUT", f"/v1/images/{image_id}/location", json=_examples(**words)[example])
    return _examples(**words)[2]["birth"]


def test_a_snapshot_reaches_all_regions_and_goes_from_all_but_its_own(job: MainJob, images: ImagesOf) -> None:
    ours, there, data = images("demo"), images("demo", TWO), secrets.token_bytes(3 * MIB)
    image_id, origin = ours.create("snap", base_image_ref="x")["id"], there.create("snap")
    birth = _claim(job, image_id, origin["id"])
    job.wait_for(image_id, "waiting", code="snapshot_not_ready", regions=[TWO])
    job.wait_for(image_id, "waiting", code="snapshot_pending", regions=[THREE])
    there.upload(origin["id"], data)
    before = there.get(origin["id"])
    job.wait_for(image_id, code="born_here", regions=[TWO])
    job.wait_for(image_id, regions=[THREE])
    assert ours.read(image_id) == images("demo", THREE).read(image_id) == data
    assert images("demo", THREE).get(image_id)["base_image_ref"] == "x"
    shown = job.find(image_id)
    assert shown is not None
    assert birth.items() <= shown["birth"].items()
    job.sync()
    ours.ensure_deleted(image_id)
    job.wait_for(image_id, "deleted", regions=[THREE])
    job.wait_for(image_id, "source_missing", code="snapshot_kept", regions=[TWO])
    job.sync()
    assert there.get(origin["id"]) == before
    assert images("admin", TWO).find(image_id) is None
    assert images("admin", THREE).find(image_id) is None


def test_limited_regions_and_a_wait_that_ends(start_server: Callable[..., SyncServer], job: MainJob,
                                              images: ImagesOf) -> None:
    start_server({"DEFAULT": {"snapshot_region_names": TWO, "snapshot_timeout_seconds": 1}})
    ours, there = images("demo"), images("demo", TWO)
    image_id, origin_id = ours.create("volume")["id"], there.create("volume")["id"]
    _claim(job, image_id, origin_id, example=1)
    job.wait_for(image_id, "failed", code="snapshot_timeout", regions=[TWO])
    task = job.tasks(image_id)[TWO]
    assert task["state"] == "failed"
    there.upload(origin_id, b"late")
    job.call("POST", f"/v1/tasks/{task['id']}/retry")
    job.wait_for(image_id, code="born_here", regions=[TWO])
    job.wait_for(image_id, "unwanted", code="not_selected", regions=[THREE])
    plain = ours.create("plain", b"plain")["id"]
    job.wait_for(plain)
    assert images("admin", THREE).find(image_id) is None
    assert ours.read(image_id) == b"late"


def test_nobody_fills_anothers_image_and_block_devices_stay(job: MainJob, images: ImagesOf) -> None:
    image_id, evil = images("demo").create("mine")["id"], images("rival", TWO).create("evil", b"evil")["id"]
    _claim(job, image_id, evil)
    job.wait_for(image_id, "failed", code="snapshot_refused", regions=[TWO])
    assert images("demo").get(image_id)["status"] == "queued"
    mapping = json.dumps([{"source_type": "snapshot", "snapshot_id": "a", "boot_index": 0}])
    volumes = images("demo").create("volumes")["id"]
    origin = images("demo", TWO).create("volumes", b"", block_device_mapping=mapping, bdm_v2="True")["id"]
    _claim(job, volumes, origin)
    job.wait_for(volumes, "cannot_travel", code="block_devices_only")
    assert images("demo").get(volumes)["status"] == "queued"


@pytest.mark.full
def test_a_server_killed_while_it_fills_an_image(job: MainJob, images: ImagesOf) -> None:
    data = secrets.token_bytes(96 * MIB)
    image_id = images("demo").create("large")["id"]
    origin_id = images("demo", TWO).create("large", data)["id"]
    _claim(job, image_id, origin_id)
    job.wait_stored(job.lab.cascading_region, image_id, MIB)
    job.lab.server.kill()
    job.lab.server.start()
    job.lab.server.wait_ready()
    job.wait_for(image_id, code="born_here", regions=[TWO])
    job.wait_for(image_id, regions=[THREE])
    assert images("demo").read(image_id) == data
    eventually(lambda: job.runs(image_id, TWO)[0]["outcome"] == "done", what="the run is noted")
