# SPDX-License-Identifier: Apache-2.0
"""What the notification listener does with a broker: oslo.messaging's in memory, and a real RabbitMQ."""
from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import oslo_messaging
import pytest

from glancesync.clock import SystemClock
from glancesync.cmd.hear import listen, new_listeners
from glancesync.conf import new_conf
from glancesync.conf.notifications import NotificationSettings
from glancesync.model.event import Operation
from glancesync.model.notification import Heard
from tests.fixtures.polling import eventually

pytest_plugins = ["tests.fixtures.rabbitmq"]


class Channel:
    """A server that keeps what it is handed, and may be unable to."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.refused = 0
        self.able = True

    def hand_over(self, heard: Sequence[Heard]) -> bool:
        if not self.able:
            self.refused += 1
            return False
        self.heard += heard
        return True

    def ids(self) -> list[str]:
        return [str(each.event.image_id) for each in self.heard]


class Broker:
    """One transport with a Glance that emits into it and listeners of any pool."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._topic = f"t{uuid.uuid4().hex}"
        self._running: list[Any] = []

    def emit(self, *, topic: str = "", event_type: str = "image.update", publisher: str = "image.one",
             image_id: str | None = None) -> str:
        conf, image_id = new_conf(), image_id or str(uuid.uuid4())
        conf([], project="test", default_config_files=[])
        notifier = oslo_messaging.Notifier(
            oslo_messaging.get_notification_transport(conf, url=self.url), driver="messagingv2",
            publisher_id=publisher, topics=[self._topic + topic])
        notifier.info({}, event_type, {"id": image_id, "owner": "demo"})
        return image_id

    def listen(self, pool: str = "pool", *, start: bool = True, **options: Any) -> Channel:
        channel, conf = Channel(), new_conf()
        conf([], project="test", default_config_files=[])
        settings = NotificationSettings(
            enabled=True, transport_url=self.url, topic=self._topic, pool=f"{pool}{self._topic}", exchange="openstack",
            region_topics={f"{self._topic}two": "RegionTwo"}, **options)
        for listener in new_listeners(conf, settings, channel, SystemClock()):  # type: ignore[arg-type]
            self._running.append(listener)
            if start:
                listener.start()
        return channel

    @property
    def idle(self) -> list[Any]:
        return list(self._running)

    def close(self) -> None:
        threads = [threading.Thread(target=_end, args=(listener,)) for listener in self._running]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _end(listener: Any) -> None:
    listener.stop()
    listener.wait()


@pytest.fixture(params=["memory", pytest.param("rabbitmq", marks=[pytest.mark.full, pytest.mark.lab])])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    found = Broker("fake://" if request.param == "memory" else request.getfixturevalue("rabbitmq").url)
    yield found
    found.close()


def _arrive(channel: Channel, *image_ids: str) -> None:
    def arrived() -> bool:
        assert sorted(channel.ids()) == sorted(image_ids)
        return True

    eventually(arrived, 20, what="the notifications arrive")


def test_what_is_emitted_is_handed_over_with_its_region(broker: Broker) -> None:
    channel = broker.listen(region_publishers={"image.three": "RegionThree"})
    one, two = broker.emit(), broker.emit(topic="two")
    three = broker.emit(publisher="image.three")
    broker.emit(event_type="image.send")
    _arrive(channel, one, two, three)
    assert {each.event.image_id: each.region for each in channel.heard} == {
        one: None, two: "RegionTwo", three: "RegionThree"}


def test_what_the_server_did_not_take_comes_again(broker: Broker) -> None:
    channel = broker.listen()
    channel.able = False
    image_id = broker.emit()
    eventually(lambda: channel.refused >= 2, 20, what="it is handed over again")
    channel.able = True
    _arrive(channel, image_id)


def test_servers_of_a_pool_share_and_other_pools_get_all(broker: Broker) -> None:
    first, second, other = broker.listen(), broker.listen(), broker.listen("other")
    emitted = [broker.emit() for _ in range(20)]
    _arrive(other, *emitted)

    def shared() -> bool:
        assert sorted(first.ids() + second.ids()) == sorted(emitted)
        return True

    eventually(shared, 20, what="each went to one server")


def test_everything_is_compared_once_there_is_a_queue(broker: Broker) -> None:
    channel = broker.listen(start=False)
    [one, two] = broker.idle
    for listener in (one, two):
        listen(listener, channel, SystemClock())  # type: ignore[arg-type]
    assert [(each.region, each.event.operation) for each in channel.heard] == [(None, Operation.ALL)] * 2


@pytest.mark.full
@pytest.mark.lab
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_broker_that_went_away_is_found_again(rabbitmq: Any, end: str) -> None:
    broker = Broker(rabbitmq.url)
    try:
        channel = broker.listen()
        before = broker.emit()
        _arrive(channel, before)
        getattr(rabbitmq, end)()
        rabbitmq.start()

        def heard_again() -> bool:
            broker.emit()
            return len(channel.ids()) > 1

        eventually(heard_again, 60, every_seconds=1, what="the listener hears again")
    finally:
        broker.close()
