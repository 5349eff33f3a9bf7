# SPDX-License-Identifier: Apache-2.0
"""The Celery application of servers and workers: its settings, its queues, and how messages get into them.

Made by celery_engine. Everything that is Celery's or the broker's stays in this module and in celery_consumer.
"""
from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Sequence
from typing import Any

from celery import Celery
from celery.app.defaults import DEFAULTS
from celery.exceptions import CeleryError
from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.exceptions import KombuError
from kombu.messaging import Producer

from glancesync.concurrency import Timeout
from glancesync.conf.celery import CelerySettings
from glancesync.exceptions import BrokerUnavailableError, ConfigurationError
from glancesync.model.text import inert
from glancesync.tasks.engines.celery_settings import check_effective, check_environment, settings_of
from glancesync.tasks.publications import Message

#: The task that a message asks for; its arguments are a task's id and fence.
TASK = "glancesync.run"
_GLANCE_SECONDS = 0.001
_READABLE = re.compile(r"[^A-Za-z0-9_-]+")


def new_app(settings: CelerySettings) -> Celery:
    """Raises ConfigurationError for settings that would lose work. Connects to nothing."""
    check_environment(os.environ)
    for name in settings.settings:
        if name not in DEFAULTS:
            near = difflib.get_close_matches(name, list(DEFAULTS), n=1)
            raise ConfigurationError(f"[celery] settings: Celery has no {name}" + "".join(
                f"; did you mean {each}?" for each in near))
    app = Celery("glance-sync", set_as_current=False, fixups=[])
    app.conf.update(settings_of(settings))
    app.conf.update(task_default_queue=f"{settings.queue_prefix}.none", task_queues=[])
    check_effective(app.conf)
    return app


def queue_name(prefix: str, region: str) -> str:
    """A name for the region's queue which no other region has, whatever characters it is written with (pure)."""
    readable = _READABLE.sub("-", region)[:60].strip("-")
    return f"{prefix}.{readable}.{hashlib.sha256(region.encode()).hexdigest()[:16]}"


def queue_of(prefix: str, region: str) -> Queue:
    """Messages are not written to disk: the database remembers what they are about."""
    name = queue_name(prefix, region)
    return Queue(name, exchange=Exchange(prefix, type="direct", durable=True, delivery_mode="transient"),
                 routing_key=name, durable=True)


class CeleryCarrier:
    """Publishes over one connection, which is made when it is first needed, and anew after an error."""

    def __init__(self, app: Celery, settings: CelerySettings) -> None:
        self._app = app
        self._settings = settings
        self._connection: Connection | None = None
        self._producer: Producer | None = None
        known = app.connection_for_write()  # connects when it is first used, which this one never is
        self._errors = (*known.connection_errors, *known.channel_errors, KombuError, CeleryError, OSError, _SilentError)

    def check(self) -> None:
        if self._connection is not None and not self._lives(self._connection):
            self._drop()
        self._guarded(self._connected)

    def send(self, messages: Sequence[Message]) -> None:
        self._guarded(self._send, messages)

    def _guarded(self, function: Any, *args: Any) -> None:
        try:
            with Timeout(self._settings.broker_timeout_seconds, _SilentError("it does not answer")):
                function(*args)
        except self._errors as error:
            self._drop()
            why = inert(str(error)) or type(error).__name__
            raise BrokerUnavailableError(f"the message broker does not take messages: {why}") from None

    def _lives(self, connection: Connection) -> bool:
        """Whether the broker said no farewell since, and the kernel none for it: nobody else reads from here."""
        try:
            connection.drain_events(timeout=_GLANCE_SECONDS)
        except TimeoutError:
            return True
        except self._errors:
            return False
        return True

    def _connected(self) -> Producer:
        if self._producer is None or self._connection is None or not self._connection.connected:
            self._drop()
            self._connection = self._app.connection_for_write()
            self._connection.connect()
            self._producer = Producer(self._connection, auto_declare=False)
        return self._producer

    def _send(self, messages: Sequence[Message]) -> None:
        producer, prefix = self._connected(), self._settings.queue_prefix
        for region in {message.region for message in messages if message.again}:
            # Each connection declares a queue once. Where messages are lost, somebody may have deleted it since.
            queue_of(prefix, region)(producer.channel).declare()
        for message in messages:
            queue = queue_of(prefix, message.region)
            # Without the exchange's name Celery writes into the broker's own, which an account may have no right to.
            self._app.send_task(TASK, args=list(message.name), queue=queue, exchange=queue.exchange.name,
                                routing_key=queue.routing_key, producer=producer, retry=False, ignore_result=True,
                                expiration=self._settings.republish_seconds, delivery_mode="transient")

    def _drop(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            # Without the farewell of the protocol, which waits for a broker that may be gone.
            connection.collect(socket_timeout=0.1)


class _SilentError(Exception):
    """The broker did not answer in time."""
