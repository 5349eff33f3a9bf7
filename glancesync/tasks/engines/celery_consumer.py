# SPDX-License-Identifier: Apache-2.0
"""Celery's own worker with its eventlet pool, inside glance-sync-worker. Made by celery_engine, run by cmd.

Celery connects, waits for a broker that is away, acknowledges a message when it arrives, and calls the engine in a
green thread of its pool. It neither sends heartbeats nor gossips nor takes commands: see celery_settings.REQUIRED.
"""
from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol

from celery import Celery
from celery.worker import WorkController, state
from celery.worker.consumer import Consumer

from glancesync.clock import Clock
from glancesync.concurrency import kill, sleep, spawn
from glancesync.conf.celery import CelerySettings
from glancesync.exceptions import GlanceSyncError
from glancesync.model.text import inert
from glancesync.tasks.engines.celery_app import TASK, queue_of
from glancesync.tasks.engines.celery_settings import POOL
from glancesync.tasks.publications import Named, Publications

LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 0.5
_REFUSED_SECONDS = 3.0
_LONGEST_ID, _FENCES = 64, 2**63
#: These tell of each message; the engine tells of each run.
_CHATTY = ("celery.worker.strategy", "celery.app.trace")


def _is_news(record: logging.LogRecord) -> bool:
    """Not that a broker which died did not get an acknowledgement: that it died is told, and the message is dropped
    when it comes again."""
    return not str(record.msg).startswith(("call_soon_ack", "Couldn't ack"))


def read_name(arguments: Sequence[object]) -> Named | None:
    """The task that a message names; None for what a database would refuse to look for (pure)."""
    if len(arguments) != 2:
        return None
    task_id, fence = arguments
    if not isinstance(task_id, str) or not 0 < len(task_id) <= _LONGEST_ID:
        return None
    if not (task_id.isascii() and task_id.isprintable()):
        return None
    if not isinstance(fence, int) or isinstance(fence, bool) or not 0 <= fence < _FENCES:
        return None
    return Named(task_id, fence)


class Takes(Protocol):
    """The engine, seen from here."""

    publications: Publications

    @property
    def capacity(self) -> int: ...

    def take(self, name: Named) -> None: ...


class PatientConsumer(Consumer):  # type: ignore[misc]
    """Celery tries a broker that refuses it (a wrong password, no such vhost) again at once, and for ever; and it ends
    over a message whose headers or body it did not foresee, which the broker then gives to the next worker."""

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], None]:
        handle = super().create_task_handler(*args, **options)

        def on_message(message: Any) -> None:
            try:
                handle(message)
            except (*self.connection_errors, *self.channel_errors):
                raise
            except Exception as error:  # noqa: BLE001 - whatever Celery stumbles over
                LOG.warning("a message that cannot be read was dropped: %s", type(error).__name__)
                message.reject_log_error(LOG, self.connection_errors)

        return on_message

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        LOG.error("the message broker refuses this worker, it is tried again: %s", inert(str(exc)))
        sleep(_REFUSED_SECONDS)


class CeleryConsumer:
    """Constructing it connects to nothing."""

    def __init__(self, *, app: Celery, engine: Takes, settings: CelerySettings, clock: Clock) -> None:
        self._app = app
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._controller: WorkController | None = None
        self._heard: set[str] = set()
        self._size = 0

    def run_forever(self, regions: Iterable[str] = ()) -> None:
        """Take messages until `stop`; those of the `regions` from the beginning on, of others as soon as something is
        published for them."""
        self._app.set_default()  # Celery looks up what a message asks for in the process's application
        self._app.task(name=TASK, ignore_result=True, acks_late=False, shared=False)(self._run)
        for region in regions:
            self._app.amqp.queues.select_add(self._queue(region))
        self._size = 2 * self._engine.capacity
        self._controller = WorkController(
            app=self._app, pool_cls=POOL[0], consumer_cls=PatientConsumer, concurrency=self._size,
            prefetch_multiplier=1, loglevel="INFO",
            without_heartbeat=True, without_gossip=True, without_mingle=True)
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
        for name in ("celery.worker.consumer.consumer", "celery.worker.request"):
            logging.getLogger(name).addFilter(_is_news)
        state.should_stop = None
        looking = spawn(self._look_forever)
        try:
            self._controller.start()
        finally:
            kill(looking)

    def stop(self) -> None:
        """Take no more messages. What arrived and was not acknowledged goes back to the broker."""
        state.should_stop = 0  # looked at by Celery's loop, also while it waits for its broker

    def _run(self, *arguments: object, **more: object) -> None:
        """What a message asks for. Who may write to the broker may write anything."""
        name = read_name(arguments)
        if name is None or more:
            LOG.warning("a message that names no task was dropped")
        else:
            self._engine.take(name)

    def _look_forever(self) -> None:
        """Listen to queues that are new, and keep Celery's pool larger than what this worker may run."""
        while True:
            try:
                for region in self._engine.publications.list_regions():
                    self._listen_to(region)
            except GlanceSyncError as error:
                LOG.debug("cannot look which regions have work: %s", error)
            self._resize()
            self._clock.sleep(_LOOK_SECONDS)

    def _listen_to(self, region: str) -> None:
        consumer = self._consumer()
        if region in self._heard or consumer is None:
            return
        self._heard.add(region)
        queue = self._queue(region)
        if queue.name in self._app.amqp.queues.consume_from:
            return
        self._app.amqp.queues.add(queue)
        consumer.call_soon(partial(consumer.add_task_queue, queue.name))

    def _resize(self) -> None:
        wanted, consumer = 2 * self._engine.capacity, self._consumer()
        if consumer is None or wanted <= self._size:
            return
        more, self._size = wanted - self._size, wanted
        consumer.call_soon(partial(self._grow, consumer, more))

    @staticmethod
    def _grow(consumer: Any, more: int) -> None:
        consumer.pool.grow(more)
        consumer._update_prefetch_count(more)

    def _consumer(self) -> Any:
        """Celery's, once it is connected to the broker."""
        consumer = getattr(self._controller, "consumer", None)
        return consumer if consumer is not None and consumer.task_consumer is not None else None

    def _queue(self, region: str) -> Any:
        self._heard.add(region)
        return queue_of(self._settings.queue_prefix, region)
