# SPDX-License-Identifier: Apache-2.0
"""A cloud without the filter, whose Glances notify a real RabbitMQ: images follow, an outage of the broker heals."""
from __future__ import annotations

import os
import secrets
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.images import Images
from glancesync.lab.state import LabOptions
from tests.fixtures.cloud import SERVER_OPTIONS
from tests.fixtures.polling import eventually
from tests.fixtures.rabbitmq import RabbitMQ

pytest_plugins = ["tests.fixtures.rabbitmq"]
pytestmark = [pytest.mark.lab, pytest.mark.full]
TWO = "RegionTwo"


class Cloud:
    """Two regions that know nothing of the sync server but through the broker."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.admin = lab.session("admin")
        self.ours = Images(lab.session("demo"), lab.endpoint(lab.cascading_region))
        self.there = Images(self.admin, lab.endpoint(TWO))

    def view(self, image_id: str) -> dict[str, Any]:
        answer = self.admin.get(f"{self.lab.server.url}/v1/images/{image_id}", raise_exc=False)
        return dict(answer.json()["image"]["regions"][0]) if answer.status_code == 200 else {}

    def wait_for(self, image_id: str, state: str = "in_sync", seconds: float = 30) -> dict[str, Any]:
        def reached() -> dict[str, Any]:
            view = self.view(image_id)
            assert view.get("state") == state, view
            return view

        return eventually(reached, seconds, what=f"{image_id} is {state}")

    def listener_pids(self) -> list[int]:
        """Processes of the server that run the listener."""
        server = self.lab.server.pid
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words, stat = path.read_bytes(), (path.parent / "stat").read_text()
            except OSError:
                continue
            if b"glancesync.cmd.hear" in words and int(stat.rpartition(")")[2].split()[1]) == server:
                found.append(int(path.parent.name))
        return found


def _is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def cloud(rabbitmq: RabbitMQ, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    lab = Lab(tmp_path_factory.mktemp("notified") / "cloud")
    try:
        lab.up(LabOptions(regions=2, with_filter=False, notifications_url=rabbitmq.url), with_server=False)
        lab.server.overrides = {**SERVER_OPTIONS, "notifications": {
            "enabled": True, "transport_url": rabbitmq.url, "region_topics": f"notifications_{TWO}:{TWO}"}}
        lab.server.bring_up()
        found = Cloud(lab)
        eventually(found.listener_pids, 30, what="the listener runs")
        yield found
    finally:
        lab.down()


def test_an_image_its_changes_and_its_end_follow(cloud: Cloud) -> None:
    data = secrets.token_bytes(100_000)
    image_id = cloud.ours.create("notified", data)["id"]
    cloud.wait_for(image_id)
    assert cloud.there.read(image_id) == data
    cloud.ours.set(image_id, name="renamed")
    eventually(lambda: cloud.there.get(image_id)["name"] == "renamed", 30, what="the change follows")
    cloud.ours.ensure_deleted(image_id)
    cloud.wait_for(image_id, "deleted")
    assert cloud.there.find(image_id) is None


def test_a_change_made_behind_our_back_is_seen(cloud: Cloud) -> None:
    image_id = cloud.ours.create("kept", b"kept")["id"]
    cloud.wait_for(image_id)
    cloud.there.set(image_id, name="meddled")
    eventually(lambda: cloud.there.get(image_id)["name"] == "kept", 30, what="the replica is mended")
    cloud.there.ensure_deleted(image_id)
    eventually(lambda: cloud.view(image_id)["replica_id"] != image_id, 30, what="the replica is made again")
    cloud.wait_for(image_id)
    cloud.ours.ensure_deleted(image_id)
    cloud.wait_for(image_id, "deleted")


def test_nothing_is_asked_for_without_end(cloud: Cloud) -> None:
    """The server's own writes are notified too: they are looked at, and that is that."""
    image_id = cloud.ours.create("calm", b"calm")["id"]
    task = cloud.wait_for(image_id)["task_id"]

    def resting() -> str | None:
        found = cloud.admin.get(f"{cloud.lab.server.url}/v1/tasks/{task}").json()["task"]
        return str(found["updated_at"]) if found["state"] == "done" else None

    before = eventually(resting, 30, what="the task rests")
    eventually(lambda: (cloud.ours.create("later", b"x"), True)[1], 5, what="something else happens")

    def same_twice() -> bool:
        nonlocal before
        last, before = before, resting()
        return before is not None and last == before

    eventually(same_twice, 30, every_seconds=2, what="the task stays at rest")
    for record in cloud.ours.list():
        cloud.ours.ensure_deleted(record["id"])


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_broker_that_was_away(cloud: Cloud, rabbitmq: RabbitMQ, end: str) -> None:
    first = cloud.ours.create("before", b"before")["id"]
    cloud.wait_for(first)
    getattr(rabbitmq, end)()
    rabbitmq.start()
    second = cloud.ours.create("after", b"after")["id"]

    def heard() -> bool:
        cloud.ours.set(second, touched=secrets.token_hex(4))
        return bool(cloud.view(second))

    eventually(heard, 90, every_seconds=2, what="the server hears again")
    cloud.wait_for(second)


def test_servers_killed_and_stopped_lose_nothing(cloud: Cloud) -> None:
    """What was not acknowledged waits in the pool's queue. The listener ends with its server."""
    [listener] = eventually(cloud.listener_pids, 30, what="the listener runs")
    assert cloud.lab.server.pid is not None
    os.kill(cloud.lab.server.pid, signal.SIGKILL)
    eventually(lambda: not _is_alive(listener), 10, what="the listener ended")
    during = [cloud.ours.create(f"during {number}", b"bytes")["id"] for number in range(5)]
    cloud.lab.server.overrides = {**cloud.lab.server.overrides, "DEFAULT": {
        **SERVER_OPTIONS["DEFAULT"], "reconcile_at_start": False}}
    cloud.lab.server.bring_up()
    for image_id in during:
        cloud.wait_for(image_id)
    with sqlite3.connect(f"file:{cloud.lab.server.database_path}?mode=ro", uri=True) as database:
        heard = {row[0] for row in database.execute("SELECT image_id FROM events WHERE id LIKE 'notification-%'")}
    assert set(during) <= heard


def test_a_listener_that_dies_is_replaced(cloud: Cloud) -> None:
    [before] = eventually(cloud.listener_pids, 30, what="the listener runs")
    os.kill(before, signal.SIGKILL)
    eventually(lambda: cloud.listener_pids() not in ([], [before]), 30, what="another listener runs")
    image_id = cloud.ours.create("heard", b"heard")["id"]
    cloud.wait_for(image_id)
    cloud.lab.server.stop()
    assert cloud.listener_pids() == []
    log = cloud.lab.server.log_path.read_text("utf-8", "replace")
    assert "guest:guest" not in log
    cloud.lab.server.bring_up()
