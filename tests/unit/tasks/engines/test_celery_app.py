# SPDX-License-Identifier: Apache-2.0
"""The Celery application: its queues, and a broker that does not take messages."""
from __future__ import annotations

import random
import socket
from pathlib import Path

import pytest

from glancesync.clock import SystemClock
from glancesync.conf.celery import CelerySettings
from glancesync.conf.worker import WorkerSettings
from glancesync.db.engine import Database
from glancesync.exceptions import BrokerUnavailableError, ConfigurationError
from glancesync.model.task import Outcome
from glancesync.tasks.engine import EngineParts, load_engine
from glancesync.tasks.engines.celery_app import CeleryCarrier, new_app, queue_name, queue_of
from glancesync.tasks.queue import TaskQueue

NAMES = ["RegionOne", "regionone", "Region One", "Region/One", "Rég\u200bion", "", ".", "#", "*", "a" * 255, "\x00\n"]


def test_every_region_has_a_queue_of_its_own_whatever_its_name() -> None:
    found = {queue_name("glance-sync", name) for name in NAMES}
    assert len(found) == len(NAMES)
    for name in found:
        assert len(name) < 200
        assert name.isascii()
        assert name.isprintable()
        assert not set(name) & set(" /#*")


def test_a_queue_keeps_nothing_on_disk_and_is_of_its_region_alone() -> None:
    queue = queue_of("glance-sync", "RegionOne")
    assert queue.exchange.name == "glance-sync"
    assert queue.exchange.delivery_mode == 1
    assert queue.routing_key == queue.name == queue_name("glance-sync", "RegionOne")


def test_celery_gets_what_it_has_to(monkeypatch: pytest.MonkeyPatch) -> None:
    app = new_app(CelerySettings(broker_url="amqp://u:s3cret@127.0.0.1:1//"))
    assert (app.conf.task_serializer, app.conf.task_acks_late) == ("json", False)
    monkeypatch.setenv("CELERY_BROKER_URL", "amqp://elsewhere")
    with pytest.raises(ConfigurationError, match="CELERY_BROKER_URL"):
        new_app(CelerySettings(broker_url="amqp://u:s3cret@127.0.0.1:1//"))


def test_a_misspelt_setting_is_named() -> None:
    with pytest.raises(ConfigurationError, match="no task_compresion; did you mean task_compression"):
        new_app(CelerySettings(broker_url="amqp://u:p@h//", settings={"task_compresion": "gzip"}))


def carrier(port: int, seconds: float = 5) -> CeleryCarrier:
    settings = CelerySettings(broker_url=f"amqp://u:s3cret@127.0.0.1:{port}//", broker_timeout_seconds=seconds)
    return CeleryCarrier(new_app(settings), settings)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(BrokerUnavailableError, match="refused") as away:
        carrier(port).check()
    assert "s3cret" not in str(away.value)


def test_somebody_listens_who_is_no_broker() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        with pytest.raises(BrokerUnavailableError, match="does not take messages"):
            carrier(listener.getsockname()[1], 0.3).check()


def test_a_database_of_one_server_is_refused(tmp_path: Path) -> None:
    database, settings = Database(f"sqlite:///{tmp_path}/x.db"), WorkerSettings()
    parts = EngineParts(database=database, queue=TaskQueue(database, "one", settings), settings=settings,
                        celery=CelerySettings(broker_url="amqp://u:p@h//"), clock=SystemClock(), random=random.random,
                        run=lambda _handle: Outcome(code="in_sync", reason=""))
    with pytest.raises(ConfigurationError, match="needs a database that several processes share"):
        load_engine("celery", parts)
