# SPDX-License-Identifier: Apache-2.0
"""The engine `celery`: servers publish ids of tasks on RabbitMQ, workers claim and run them. Loaded by its entry point.

This process only publishes; in a worker (`glance-sync-worker`) `CeleryEngine.consumer` brings it the messages.
"""
from __future__ import annotations

from glancesync.exceptions import ConfigurationError
from glancesync.tasks.engine import EngineParts
from glancesync.tasks.engines.celery_app import CeleryCarrier, new_app
from glancesync.tasks.engines.celery_consumer import CeleryConsumer
from glancesync.tasks.fleet import FleetWorker

NAME = "celery"


class CeleryEngine(FleetWorker):
    """`consumer` is run beside the engine by a process that runs tasks."""

    def __init__(self, parts: EngineParts) -> None:
        app = new_app(parts.celery)
        super().__init__(NAME, parts, CeleryCarrier(app, parts.celery))
        self.consumer = CeleryConsumer(app=app, engine=self, settings=parts.celery, clock=parts.clock)


def new_engine(parts: EngineParts) -> CeleryEngine:
    """Raises ConfigurationError for a database that cannot be shared, and for settings of Celery's that lose work."""
    if parts.database.is_sqlite:
        raise ConfigurationError("[worker] engine = celery needs a database that several processes share: [database] "
                                 "connection = postgresql+psycopg2://... or mysql+pymysql://...")
    return CeleryEngine(parts)
