# SPDX-License-Identifier: Apache-2.0
"""Regions are filled on a cloud of their own: all of them at the first start, in which the server is killed, and one
that is added to the cloud while the server runs."""
from __future__ import annotations

import json
import re
import secrets
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.images import Images
from glancesync.lab.oracle import Oracle
from glancesync.lab.state import LabOptions
from tests.fixtures.cloud import SERVER_OPTIONS
from tests.fixtures.main_job import MIB, MainJob
from tests.fixtures.polling import eventually
from tests.fixtures.trusting import manage

pytestmark = pytest.mark.lab
TWO, THREE = "RegionTwo", "RegionThree"
IMAGES, BATCH, SIZE = 12, 2, 16 * MIB


class Cloud(MainJob):
    """One image is copied at a time, and few are let into the queue."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab, lab.session("admin"), Oracle(lab.state))
        self.ours = Images(lab.session("demo"), lab.endpoint(lab.cascading_region))

    def start(self) -> None:
        ours = {"DEFAULT": {"initial_sync_batch": BATCH, "catalog_refresh_seconds": 1, "list_page_size": 3},
                "worker": {"max_tasks_per_region": 1}}
        self.lab.server.overrides = {name: {**SERVER_OPTIONS.get(name, {}), **ours.get(name, {})}
                                     for name in SERVER_OPTIONS.keys() | ours.keys()}
        self.lab.server.bring_up()

    def fill(self, region: str) -> Any:
        found = self.call("GET", "/v1/regions")["regions"]
        return next((each["fill"] for each in found if each["name"] == region), None)

    def outstanding(self, region: str) -> list[dict[str, Any]]:
        """In one look: a task that begins between two would be counted twice."""
        return [task for task in self.call("GET", f"/v1/tasks?region={region}&limit=1000")["tasks"]
                if task["state"] in ("waiting", "running")]

    def started(self, region: str, among: list[str]) -> list[str]:
        """In the order in which their first runs began: one that was interrupted begins again later."""
        found = [task for task in self.call("GET", f"/v1/tasks?region={region}&limit=1000")["tasks"]
                 if task["image_id"] in among]
        return [task["image_id"] for task in sorted(found, key=self._first_started)]

    def _first_started(self, task: dict[str, Any]) -> str:
        runs = self.call("GET", f"/v1/tasks/{task['id']}")["runs"]
        return min([run["started_at"] for run in runs] + [task["started_at"] or "9"])


@pytest.fixture(scope="module")
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Two regions without the server. Nothing reports changes: what it does not find it does not have."""
    lab = Lab(tmp_path_factory.mktemp("filling") / "cloud")
    try:
        lab.up(LabOptions(regions=2, with_filter=False), with_server=False)
        yield Cloud(lab)
    finally:
        lab.down(keep=request.session.testsfailed > 0)


@pytest.fixture(scope="module")
def images(cloud: Cloud) -> list[str]:
    """Large enough for a fill that takes a while; the oldest first, as Glance tells it."""
    chunk = secrets.token_bytes(MIB)
    found = []
    for number in range(IMAGES):
        image_id = str(cloud.ours.create(f"image {number}")["id"])
        cloud.ours.upload(image_id, (chunk for _ in range(SIZE // MIB)))
        found.append(image_id)
    ages = {image_id: cloud.ours.get(image_id)["created_at"] for image_id in found}
    return sorted(found, key=lambda image_id: (ages[image_id], [-byte for byte in image_id.encode()]))


def assert_newest_first(started: list[str], images: list[str]) -> None:
    """But for the one that ran when the region was frozen or the server killed: it begins again when others run. Those
    that were in the queue together may change places then."""
    assert sorted(started) == sorted(images)
    orders = [[image_id for image_id in started if image_id != interrupted] for interrupted in (None, *images)]
    assert any(all(abs(order.index(image_id) - place) < BATCH for place, image_id in enumerate(
        image_id for image_id in reversed(images) if image_id in order)) for order in orders), started


def test_the_first_start_fills_everything_and_survives_a_kill(cloud: Cloud, images: list[str]) -> None:
    cloud.start()
    eventually(lambda: (cloud.fill(TWO) or {"images_done": 0})["images_done"] >= 2, 60, every_seconds=0.05,
               what="some are there")
    shown = cloud.fill(TWO)
    cloud.lab.server.kill(signal.SIGKILL)
    assert (shown["images_total"], shown["bytes_total"]) == (IMAGES, IMAGES * SIZE)
    assert 2 * SIZE <= shown["bytes_done"] < shown["bytes_total"]
    urgent = str(cloud.ours.create("made meanwhile", b"a user waits for it")["id"])
    cloud.start()
    cloud.sync(urgent)
    most = 0

    def filled() -> bool:
        nonlocal most
        most = max(most, len([task for task in cloud.outstanding(TWO) if task["image_id"] != urgent]))
        return cloud.fill(TWO) is None

    eventually(filled, 120, every_seconds=0.1, what="the region is filled")
    assert most <= BATCH
    cloud.converge()
    assert_newest_first(cloud.started(TWO, images), images)
    assert cloud.started(TWO, [*images, urgent])[-1] != urgent, "the user had to wait for the whole fill"
    log = cloud.lab.server.log_path.read_text("utf-8")
    assert f"region {TWO} is being filled, newest images first: 0 of {IMAGES} images" in log
    assert re.search(rf"region {TWO} is filled: (\d+) of \1 images, ", log)


def test_a_region_that_is_added_is_found_and_filled(cloud: Cloud, images: list[str]) -> None:
    cloud.start()
    cloud.lab.up(LabOptions(regions=3, with_filter=False), with_server=False)
    before = cloud.lab.server.pid
    eventually(lambda: cloud.fill(THREE) is not None, 60, every_seconds=0.05, what="it is found")
    eventually(lambda: (cloud.fill(THREE) or {"images_done": 99})["images_done"] >= 2, 60, every_seconds=0.05,
               what="some are there")
    cloud.call("POST", f"/v1/regions/{THREE}/freeze", json={})
    _status, output = manage(cloud.lab, "region", "show", THREE)
    shown = json.loads(output)["fill"]
    assert 2 <= shown["images_done"] < shown["images_total"] == IMAGES + 1
    assert shown["eta_seconds"] is None
    _status, output = manage(cloud.lab, "region", "list")
    assert f"is being filled: {shown['images_done']} of {IMAGES + 1} images, " in output
    assert cloud.fill(THREE)["images_done"] == shown["images_done"], "nothing ends in a frozen region"
    cloud.call("POST", f"/v1/regions/{THREE}/thaw", json={})
    eventually(lambda: cloud.fill(THREE) is None, 120, what="it is filled")
    assert_newest_first(cloud.started(THREE, images), images)
    cloud.converge()
    assert cloud.lab.server.pid == before
    assert f"region {THREE} is new: everything in it is compared" in cloud.lab.server.log_path.read_text("utf-8")
