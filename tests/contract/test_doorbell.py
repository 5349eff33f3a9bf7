# SPDX-License-Identifier: Apache-2.0
"""The doorbell's processes on a real RabbitMQ, as several servers have them."""
from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import kombu
import pytest

from tests.fixtures.polling import eventually
from tests.fixtures.rabbitmq import RabbitMQ

pytest_plugins = ["tests.fixtures.rabbitmq"]
pytestmark = pytest.mark.full


class Ringer:
    """The process and the end that a server has of it. `heard` counts what others rang."""

    def __init__(self, configuration: Path, log: Path) -> None:
        self.heard = 0
        self._log = log
        self._ours, theirs = socket.socketpair()
        with theirs, log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "glancesync.cmd.ring", f"--config-file={configuration}"],
                stdin=theirs.fileno(), stdout=output, stderr=subprocess.STDOUT)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while data := self._ours.recv(1024):
            self.heard += len(data)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def ring(self, times: int = 1) -> None:
        for _ in range(times):
            self._ours.sendall(b"r")

    def end(self) -> int:
        """As the end of its server ends it."""
        self._ours.shutdown(socket.SHUT_RDWR)
        return self.process.wait(10)


@pytest.fixture
def topic() -> str:
    return f"doorbell-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def new_ringer(rabbitmq: RabbitMQ, tmp_path: Path, topic: str) -> Iterator[Callable[..., Ringer]]:
    made: list[Ringer] = []

    def new(*, wait: bool = True) -> Ringer:
        configuration = tmp_path / "glance-sync.conf"
        configuration.write_text("[DEFAULT]\ncascading_region = RegionOne\n[doorbell]\n"
                                 f"transport_url = {rabbitmq.url}\ntopic = {topic}\n")
        made.append(Ringer(configuration, tmp_path / f"log-{len(made)}"))
        if wait:
            eventually(lambda: "the doorbell is connected" in made[-1].log, 60)
        return made[-1]

    yield new
    for each in made:
        each.process.kill()
        each.process.wait(10)


def test_all_others_hear_it_at_once_and_the_ringing_one_does_not(new_ringer: Callable[..., Ringer]) -> None:
    one, two, three = (new_ringer() for _ in range(3))
    one.ring()
    began = time.monotonic()
    eventually(lambda: (two.heard, three.heard) == (1, 1), 10, every_seconds=0.005)
    print(f"heard after {(time.monotonic() - began) * 1000:.0f} ms")
    two.ring()
    eventually(lambda: (one.heard, three.heard) == (1, 2), 10)
    assert two.heard == 1
    assert [each.end() for each in (one, two, three)] == [0, 0, 0]


def test_a_thousand_rings_become_few(new_ringer: Callable[..., Ringer]) -> None:
    one, two = new_ringer(), new_ringer()
    one.ring(1000)
    eventually(lambda: two.heard, 10)
    one.ring()
    eventually(lambda: two.heard >= 2, 10)
    assert two.heard < 100


def test_rubbish_on_the_exchange_is_no_ring_and_ends_nobody(new_ringer: Callable[..., Ringer], rabbitmq: RabbitMQ,
                                                            topic: str) -> None:
    one, two = new_ringer(), new_ringer()
    with kombu.Connection(rabbitmq.url.replace("rabbit://", "amqp://")) as connection:
        producer = connection.Producer()
        for body, kind in ((b"\x00\xff rubbish", "application/data"), (b"{}", "application/json"),
                           (b'{"oslo.version": "2.0", "oslo.message": "[]"}', "application/json"),
                           (b'{"oslo.version": "2.0", "oslo.message": "{\\"method\\": \\"end\\", \\"args\\": {}}"}',
                            "application/json"), (b"x" * 100_000, "text/plain")):
            producer.publish(body, exchange=f"{topic}_fanout", content_type=kind, content_encoding="utf-8")
    one.ring()
    eventually(lambda: two.heard == 1, 20)
    assert [each.process.poll() for each in (one, two)] == [None, None]


def test_a_broker_that_goes_and_comes(new_ringer: Callable[..., Ringer], rabbitmq: RabbitMQ) -> None:
    one, two = new_ringer(), new_ringer()
    rabbitmq.kill()
    one.ring(10)
    late = new_ringer(wait=False)
    rabbitmq.start()

    def is_heard() -> bool:
        one.ring()
        return two.heard > 0 and late.heard > 0

    eventually(is_heard, 90, every_seconds=0.5)
    assert "guest:guest" not in one.log + two.log + late.log
    assert "Traceback" not in one.log


def test_it_ends_with_its_server_also_without_a_broker(new_ringer: Callable[..., Ringer], rabbitmq: RabbitMQ) -> None:
    rabbitmq.stop()
    try:
        ringer = new_ringer(wait=False)
        eventually(lambda: "unreachable" in ringer.log or "refused" in ringer.log.lower(), 60)
        assert ringer.end() == 0
    finally:
        rabbitmq.start()
