# SPDX-License-Identifier: Apache-2.0
"""Two real servers on one PostgreSQL or MariaDB that share a doorbell on a real RabbitMQ: what one queues starts at the
other at once, and with the broker away all is done just the same, a little later."""
from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fixtures.databases import BACKENDS
from tests.fixtures.fake_cloud import FakeCloud, image_ids
from tests.fixtures.polling import eventually
from tests.fixtures.rabbitmq import RabbitMQ
from tests.fixtures.several import Several

pytest_plugins = ["tests.fixtures.rabbitmq"]
pytestmark = [pytest.mark.full, pytest.mark.parametrize("backend", BACKENDS)]
POLL_SECONDS = 20


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[FakeCloud]:
    cloud = FakeCloud(tmp_path, regions=2, images=6, seconds=1)
    yield cloud
    cloud.stop()


@pytest.fixture
def servers(tmp_path: Path, cloud: FakeCloud, rabbitmq: RabbitMQ, backend: str,
            new_database: Callable[[str], str]) -> Iterator[list[Several]]:
    """Each runs one task at a time, and looks by itself very rarely."""
    url = new_database(backend)
    options = {"DEFAULT": {"reconcile_at_start": False}, "worker": {"max_tasks": 1, "poll_seconds": POLL_SECONDS},
               "doorbell": {"transport_url": rabbitmq.url, "topic": f"bell-{uuid.uuid4().hex[:8]}"}}
    made = [Several(tmp_path, cloud, workers=1, url=url, options=options) for _ in range(2)]
    yield made
    for each in made:
        each.end()


def submit(server: Several, image_id: str) -> None:
    assert server.call("POST", "/v1/sync", {"image_ids": [image_id]})["tasks"]


def test_what_one_server_queues_starts_at_the_other_at_once(servers: list[Several], cloud: FakeCloud,
                                                            rabbitmq: RabbitMQ) -> None:
    daemons = [server.start() for server in servers]
    for daemon in daemons:
        daemon.wait_for("the doorbell is connected")
    submit(servers[0], image_ids(1)[0])
    began = time.monotonic()
    eventually(lambda: len(cloud.uploads("begin")) == 2, 30, every_seconds=0.02)
    first, second = cloud.uploads("begin")
    assert second.at - first.at < 1, "the other server did not hear that there is something to do"
    assert time.monotonic() - began < POLL_SECONDS / 2
    assert all(daemon.lines("glancesync.tasks.runner", "done, in_sync") or
               eventually(lambda: daemon.lines("glancesync.tasks.runner", "done, in_sync"), 20)  # noqa: B023
               for daemon in daemons), "each server ran one of the two"
    rabbitmq.kill()
    for image_id in image_ids(6)[1:]:
        submit(servers[1], image_id)  # 202, though nobody can be told
    eventually(lambda: len(cloud.uploads("end")) == 12, 90)
    cloud.check_no_two_at_once()
    rabbitmq.start()
    assert [daemon.stop() for daemon in daemons] == [0, 0]
    assert all("guest:guest" not in daemon.log and "Traceback" not in daemon.log for daemon in daemons)
