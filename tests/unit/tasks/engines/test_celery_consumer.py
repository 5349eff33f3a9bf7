# SPDX-License-Identifier: Apache-2.0
"""Messages that no server wrote: whoever may write to the broker may write anything, and no worker ends over it."""
from __future__ import annotations

import json
from typing import Any

import pytest

from glancesync.clock import ManualClock
from glancesync.conf.celery import CelerySettings
from glancesync.tasks.engines.celery_app import TASK, new_app
from glancesync.tasks.engines.celery_consumer import CeleryConsumer, PatientConsumer, read_name
from glancesync.tasks.publications import Named

SETTINGS = CelerySettings(broker_url="amqp://sync:s3cret@broker:5672/images")


class Message:
    """As kombu hands it over."""

    def __init__(self, headers: object) -> None:
        self.headers = headers
        self.rejected = 0

    def ack_log_error(self, *_arguments: object) -> None:
        raise AssertionError("it was not understood")

    def reject_log_error(self, *_arguments: object) -> None:
        self.rejected += 1


class Broken:
    """A strategy of Celery's for the task, which fails as `error`."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __call__(self, *_arguments: object) -> None:
        raise self._error


def consumer(error: Exception) -> PatientConsumer:
    made = PatientConsumer.__new__(PatientConsumer)
    made.strategies = {TASK: Broken(error)}
    made.on_task_message = set()
    made.call_soon_ack = made._restore_prefetch_count_after_connection_restart = lambda *_arguments: None
    made._maximum_prefetch_restored = True
    made.connection_errors, made.channel_errors = (OSError,), (LookupError,)
    return made


@pytest.mark.parametrize(("headers", "error"), [
    ({"task": ["no", "name"]}, RuntimeError()), ({"task": TASK}, TypeError("no id")),
    ({"task": TASK}, ValueError("two of three parts")), ({"task": TASK}, OverflowError("a date"))])
def test_a_message_that_celery_did_not_foresee_is_dropped(headers: object, error: Exception) -> None:
    message = Message(headers)
    consumer(error).create_task_handler()(message)
    assert message.rejected == 1


@pytest.mark.parametrize("error", [ConnectionResetError(), LookupError()])
def test_a_broker_that_went_away_is_no_message(error: Exception) -> None:
    message = Message({"task": TASK})
    with pytest.raises(type(error)):
        consumer(error).create_task_handler()(message)
    assert message.rejected == 0


@pytest.mark.parametrize("arguments", [
    [], ["t"], ["t", 1, 2], [1, 1], ["t", "1"], ["t", None], ["t", True], ["t", 1.0], ["t", -1], ["t", 10**40], ["", 1],
    ["t" * 65, 1], ["t\0", 1], ["t\nWARNING all is well", 1], ["\u202et", 1], [["t"], 1], [{"t": 1}, 1]])
def test_what_names_no_task_is_not_looked_for(arguments: list[object]) -> None:
    assert read_name(json.loads(json.dumps(arguments))) is None


class Engine:
    publications: Any = None
    capacity = 1

    def __init__(self) -> None:
        self.taken: list[Named] = []

    def take(self, name: Named) -> None:
        self.taken.append(name)


def test_what_names_one_is_handed_on() -> None:
    engine = Engine()
    found = CeleryConsumer(app=new_app(SETTINGS), engine=engine, settings=SETTINGS, clock=ManualClock())
    found._run("6b1f", 7)
    found._run("6b1f", 7, 8)
    found._run("6b1f", 7, callback="x")
    assert engine.taken == [Named("6b1f", 7)]
