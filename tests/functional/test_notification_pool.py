# SPDX-License-Identifier: Apache-2.0
"""Two listeners of one pool on a real RabbitMQ, as two servers have them: each notification goes to one of them."""
from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import oslo_messaging
import pytest
from oslo_config import cfg

from glancesync.model.event import Operation
from glancesync.model.notification import from_line
from tests.fixtures.polling import eventually
from tests.fixtures.rabbitmq import RabbitMQ

pytest_plugins = ["tests.fixtures.rabbitmq"]
pytestmark = pytest.mark.full


class Listener:
    """A listener's process and the end that a server has of it. What it hears is kept by its image."""

    def __init__(self, configuration: Path) -> None:
        self.heard: list[str] = []
        self.is_ready = False
        self._ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "glancesync.cmd.hear", f"--config-file={configuration}"], stdin=theirs.fileno())
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with self._ours.makefile("rb") as lines:
            for line in lines:
                batch, heard = from_line(line)
                self.is_ready = self.is_ready or any(each.event.operation is Operation.ALL for each in heard)
                self.heard += [each.event.image_id for each in heard if each.event.image_id is not None]
                self._ours.sendall(json.dumps({"batch": batch, "taken": True}).encode() + b"\n")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)
        self._reader.join(10)
        self._ours.close()


@pytest.fixture
def listen(rabbitmq: RabbitMQ, tmp_path: Path) -> Iterator[Callable[[], Listener]]:
    configuration = tmp_path / "glance-sync.conf"
    pool = f"shared-{uuid.uuid4().hex}"
    configuration.write_text(f"[DEFAULT]\ncascading_region = RegionOne\n[notifications]\nenabled = true\n"
                             f"transport_url = {rabbitmq.url}\nexchange = openstack\npool = {pool}\n")
    made: list[Listener] = []

    def start() -> Listener:
        made.append(Listener(configuration))
        eventually(lambda: made[-1].is_ready, 60, what="it listens")
        return made[-1]

    yield start
    for each in made:
        each.kill()


@pytest.fixture
def emit(rabbitmq: RabbitMQ) -> Iterator[Callable[[int], list[str]]]:
    """emit(count): so many images are changed, as Glance tells it; their ids."""
    conf = cfg.ConfigOpts()
    conf([])
    transport = oslo_messaging.get_notification_transport(conf, url=rabbitmq.url)
    notifier = oslo_messaging.Notifier(transport, publisher_id="image.one", driver="messagingv2",
                                       topics=["notifications"])

    def send(count: int) -> list[str]:
        image_ids = [str(uuid.uuid4()) for _ in range(count)]
        for image_id in image_ids:
            notifier.info({}, "image.update", {"id": image_id, "owner": "demo"})
        return image_ids

    yield send
    transport.cleanup()


def test_each_notification_goes_to_one_server_of_the_pool(listen: Callable[[], Listener],
                                                          emit: Callable[[int], list[str]]) -> None:
    one, two = listen(), listen()
    sent = emit(400)
    eventually(lambda: len(one.heard) + len(two.heard) >= len(sent), 60, what="all are heard")
    assert sorted(one.heard + two.heard) == sorted(sent)
    assert one.heard
    assert two.heard


def test_what_a_server_leaves_goes_to_the_other(listen: Callable[[], Listener],
                                                emit: Callable[[int], list[str]]) -> None:
    one, two = listen(), listen()
    before = emit(20)
    eventually(lambda: len(one.heard) + len(two.heard) >= len(before), 60, what="all are heard")
    one.kill()
    sent = emit(50)
    eventually(lambda: set(sent) <= set(two.heard), 60, what="the other hears all of it")
