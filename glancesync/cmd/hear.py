# SPDX-License-Identifier: Apache-2.0
"""The notification listener: a process of its own, never green, started by the server with a socket as its stdin.

It hands on what Glance's notifications say and acknowledges them when the server has them in its database. When the
server is gone the socket ends, and it ends too; when the broker is gone oslo.messaging connects again by itself.
"""
from __future__ import annotations

import json
import logging
import os
import queue
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import oslo_messaging
from oslo_config import cfg
from oslo_log import log
from oslo_messaging.notify.dispatcher import NotificationResult

from glancesync import __version__
from glancesync import conf as options
from glancesync.clock import Clock, SystemClock
from glancesync.cmd.logs import make_inert
from glancesync.conf.notifications import NotificationSettings
from glancesync.model.event import Event, Operation, new_event_id
from glancesync.model.notification import Heard, heard_from, to_line

LOG = logging.getLogger(__name__)
_PROG = "glance-sync"
_BATCH_SIZE = 100
_BATCH_SECONDS = 0.2
#: How long what the server could not take stays here before the broker gives it out again.
_PAUSE_SECONDS = 1.0
_Message = Mapping[str, Any]


class Channel:
    """The server's end, seen from here. Batches are handed over one by one."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._turn = threading.Lock()
        self._answers: queue.Queue[bool] = queue.Queue()
        self._batch = 0

    def hand_over(self, heard: Sequence[Heard]) -> bool:
        """Whether the server has them in its database now."""
        with self._turn:
            self._batch += 1
            try:
                self._connection.sendall(to_line(self._batch, heard))
            except OSError:
                return False
            return self._answers.get()

    def read_answers(self) -> None:
        """Until the server is gone."""
        with self._connection.makefile("rb") as lines:
            for line in lines:
                self._answers.put(bool(json.loads(line)["taken"]))
        self._answers.put(False)


class Endpoint:
    """What oslo.messaging calls with notifications of one topic; `region` is the topic's."""

    def __init__(self, settings: NotificationSettings, region: str | None, channel: Channel, clock: Clock) -> None:
        self._settings = settings
        self._region = region
        self._channel = channel
        self._clock = clock

    def info(self, messages: Sequence[_Message]) -> NotificationResult:
        heard = [found for message in messages
                 if (found := heard_from(message, self._region_of(message), self._clock.now())) is not None]
        if not heard or self._channel.hand_over(heard):
            return NotificationResult.HANDLED
        self._clock.sleep(_PAUSE_SECONDS)
        return NotificationResult.REQUEUE

    warn = info
    error = info

    def _region_of(self, message: _Message) -> str | None:
        return self._settings.region_publishers.get(str(message.get("publisher_id")), self._region)


def new_listeners(conf: cfg.ConfigOpts, settings: NotificationSettings, channel: Channel,
                  clock: Clock) -> list[Any]:
    """One for each topic; none is started."""
    url = oslo_messaging.TransportURL.parse(conf, settings.transport_url)
    url.query = {"rabbit_qos_prefetch_count": str(_BATCH_SIZE),
                 "amqp_durable_queues": str(settings.durable_queues).lower(), **(url.query or {})}
    transport = oslo_messaging.get_notification_transport(conf, url=url)
    topics: dict[str, str | None] = {settings.topic: None, **settings.region_topics}
    return [oslo_messaging.get_batch_notification_listener(
        transport, [oslo_messaging.Target(exchange=settings.exchange, topic=topic)],
        [Endpoint(settings, region, channel, clock)], executor="threading", allow_requeue=True,
        # The queue has the pool's name; topics that shared one could not be told apart.
        pool=f"{settings.pool}-{topic}", batch_size=_BATCH_SIZE, batch_timeout=_BATCH_SECONDS)
        for topic, region in topics.items()]


def listen(listener: Any, channel: Channel, clock: Clock) -> None:
    """Start it, which waits for the broker, and have everything compared: what was emitted before there was a queue
    for it went nowhere."""
    listener.start()
    LOG.info("listening to notifications")
    lost = Heard(region=None, event=Event(id=new_event_id(), operation=Operation.ALL, image_id=None, at=clock.now()))
    while not channel.hand_over([lost]):
        clock.sleep(_PAUSE_SECONDS)


def main(arguments: Sequence[str] | None = None) -> None:
    """Listen until the server is gone. Never returns: threads that wait for a broker are not waited for."""
    conf = options.parse(list(sys.argv[1:] if arguments is None else arguments), prog=_PROG)
    log.setup(conf, _PROG, version=__version__)
    make_inert(logging.getLogger())
    connection = socket.socket(fileno=0)
    connection.setblocking(True)
    channel = Channel(connection)
    settings = options.read_settings(conf).notifications
    for listener in new_listeners(conf, settings, channel, SystemClock()):
        threading.Thread(target=listen, args=(listener, channel, SystemClock()), daemon=True).start()
    channel.read_answers()
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main()
