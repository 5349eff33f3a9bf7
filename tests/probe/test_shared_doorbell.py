# SPDX-License-Identifier: Apache-2.0
"""Two real servers on one PostgreSQL that share a doorbell on a real RabbitMQ: what one queues starts at the
other at once, and with the broker away all is done just the same, a little later."""
from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest

from tests.fixtures.fake_cloud import CASCADING, FakeCloud, Upload
from tests.fixtures.polling import eventually
from tests.fixtures.rabbitmq import RabbitMQ
from tests.fixtures.several import Several

pytest_plugins = ["tests.fixtures.rabbitmq"]
pytestmark = [pytest.mark.full, pytest.mark.parametrize("backend", ["postgresql"])]
POLL_SECONDS = 20
REGIONS, IMAGES = 2, 2


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[FakeCloud]:
    cloud = FakeCloud(tmp_path, regions=REGIONS, images=IMAGES, seconds=1)
    yield cloud
    cloud.stop()


@pytest.fixture
def servers(tmp_path: Path, cloud: FakeCloud, rabbitmq: RabbitMQ, backend: str,
            new_database: Callable[[str], str]) -> Iterator[list[Several]]:
    """Each runs one task at a time, and looks by itself very rarely."""
    url = new_database(backend)
    options: dict[str, dict[str, object]] = {
        "worker": {"max_tasks": 1, "poll_seconds": POLL_SECONDS},
        "doorbell": {"transport_url": rabbitmq.url, "topic": f"bell-{uuid.uuid4().hex[:8]}"}}
    made = [Several(tmp_path, cloud, workers=1, url=url, options=options) for _ in range(2)]
    yield made
    for each in made:
        each.end()


def copies(cloud: FakeCloud, word: str, image_ids: Collection[str]) -> list[Upload]:
    """Of these images, to the cascaded regions."""
    return [each for each in cloud.uploads(word) if each.region != CASCADING and each.image_id in image_ids]


def submit(server: Several, image_id: str) -> None:
    assert server.call("POST", "/v1/sync", {"image_ids": [image_id]})["tasks"]


def test_what_one_server_queues_starts_at_the_other_at_once(servers: list[Several], cloud: FakeCloud,
                                                            rabbitmq: RabbitMQ) -> None:
    daemons = [server.start() for server in servers]
    for daemon in daemons:
        daemon.wait_for("the doorbell is connected")
    # What the regions lack at the start goes its own way; afterwards both servers have nothing to do.
    eventually(lambda: len(cloud.uploads("end")) == REGIONS * IMAGES and all(
        server.call("GET", "/v1/tasks?state=running")["tasks"] == [] for server in servers), 60)
    image_id = cloud.add_image()
    submit(servers[0], image_id)
    began = time.monotonic()
    eventually(lambda: len(copies(cloud, "begin", [image_id])) == REGIONS, 30, every_seconds=0.02)
    first, second = copies(cloud, "begin", [image_id])
    assert second.at - first.at < 1, "the other server did not hear that there is something to do"
    assert time.monotonic() - began < POLL_SECONDS / 2
    eventually(lambda: all(daemon.lines(image_id, "done, in_sync") for daemon in daemons), 20,
               what="each server ran one of the two")
    rabbitmq.kill()
    added = [cloud.add_image() for _ in range(5)]
    for each in added:
        submit(servers[1], each)  # 202, though nobody can be told
    eventually(lambda: len(copies(cloud, "end", added)) == REGIONS * len(added), 90)
    cloud.check_no_two_at_once()
    rabbitmq.start()
    assert [daemon.stop() for daemon in daemons] == [0, 0]
    assert all("guest:guest" not in daemon.log and "Traceback" not in daemon.log for daemon in daemons)
