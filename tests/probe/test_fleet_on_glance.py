# SPDX-License-Identifier: Apache-2.0
"""Real Glances, a server with the engine `celery`, two workers and RabbitMQ: images reach every region while a worker
and the broker are killed."""
from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.images import Images
from glancesync.lab.oracle import Oracle
from glancesync.lab.state import LabOptions
from tests.fixtures.daemon import Daemon
from tests.fixtures.fleet import amqp_url
from tests.fixtures.polling import eventually
from tests.fixtures.rabbitmq import RabbitMQ

pytest_plugins = ["tests.fixtures.rabbitmq"]
pytestmark = [pytest.mark.full, pytest.mark.lab]
SIZE = 8 * 2**20


@pytest.fixture
def cloud(tmp_path: Path, rabbitmq: RabbitMQ, new_database: Callable[[str], str]) -> Iterator[Lab]:
    lab = Lab(tmp_path / "cloud")
    try:
        lab.up(LabOptions(), with_server=False)
        lab.server.overrides = {
            "database": {"connection": new_database("postgresql")},
            "worker": {"engine": "celery", "lease_seconds": 6, "poll_seconds": 0.3, "backoff_max_seconds": 2},
            "celery": {"broker_url": amqp_url(rabbitmq), "republish_seconds": 2}}
        lab.server.bring_up()
        yield lab
    finally:
        lab.down()


def test_images_reach_every_region(cloud: Lab, rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    def start() -> Daemon:
        workers.append(Daemon(cloud.server.conf_path, tmp_path / f"worker{len(workers)}",
                              program="glance-sync-worker"))
        workers[-1].wait_for("tasks at once")
        return workers[-1]

    workers: list[Daemon] = []
    try:
        first, second = start(), start()
        ours = Images(cloud.session("demo"), cloud.endpoint(cloud.cascading_region), lambda _image_id: None)
        ids = [ours.create(f"image {number}", secrets.token_bytes(SIZE))["id"] for number in range(6)]
        eventually(lambda: first.lines("done, in_sync") or second.lines("done, in_sync"), 60)
        first.kill()
        more = [ours.create(f"another {number}", secrets.token_bytes(SIZE))["id"] for number in range(4)]
        rabbitmq.kill()
        ours.ensure_deleted(ids[0])
        ours.ensure_deleted(more[0])
        rabbitmq.start()
        start()
        oracle = Oracle(cloud.state)

        def all_agree() -> bool:
            differences = oracle.judge()
            assert not differences, "\n".join(differences)
            return True

        eventually(all_agree, 120, every_seconds=1, what="all regions agree, files included")
        assert workers[0].lines("tasks.runner"), "the one that was killed had runs behind it"
        assert any(worker.lines("done, in_sync") for worker in workers[1:])
        assert [worker.stop() for worker in workers[1:]] == [0, 0]
        for worker in workers:
            assert not worker.lines("Traceback")
            assert "guest:guest" not in worker.log
    finally:
        for worker in workers:
            worker.kill()
