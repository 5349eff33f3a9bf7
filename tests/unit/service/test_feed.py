# SPDX-License-Identifier: Apache-2.0
"""The server's side of the notification listener: taken after the commit, left to the broker otherwise."""
from __future__ import annotations

import json
import socket
import threading
import uuid
from collections.abc import Sequence
from typing import Any

import pytest

from glancesync.clock import ManualClock
from glancesync.exceptions import NotReadyError
from glancesync.model.event import Event, Operation
from glancesync.model.notification import Heard, to_line
from glancesync.service.feed import NotificationFeed


class Core:
    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.broken = False

    def hear(self, heard: Sequence[Heard]) -> list[Any]:
        if self.broken:
            raise NotReadyError("the database does not answer")
        self.heard += heard
        return []


class Script:
    """A listener that sends lines and keeps the answers, in a thread."""

    pid = 1

    def __init__(self, *lines: bytes) -> None:
        self._lines = lines
        self.answers: list[Any] = []
        self.ends: list[str] = []

    def __call__(self, connection: socket.socket) -> Script:
        self._thread = threading.Thread(target=self._talk, args=(connection.dup(),))
        self._thread.start()
        return self

    def _talk(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as answers:
            for line in self._lines:
                connection.sendall(line)
                if not (answer := answers.readline()):
                    return
                self.answers.append(json.loads(answer))

    def terminate(self) -> None:
        self.ends.append("terminate")

    def kill(self) -> None:
        self.ends.append("kill")

    def wait(self, timeout: float | None = None) -> int:
        self._thread.join(timeout)
        return 0


def _heard(region: str | None = None) -> Heard:
    return Heard(region=region, event=Event(id=uuid.uuid4().hex, operation=Operation.SAVE,
                                            image_id=str(uuid.uuid4()), at=1.0))


def _feed(core: Core, script: Script) -> NotificationFeed:
    return NotificationFeed(service=core, start=script, clock=ManualClock(), guard=lambda _what, function: function())


def test_what_is_heard_is_taken_in_order_and_the_listener_is_ended() -> None:
    first, second, core = _heard(), _heard("RegionTwo"), Core()
    script = Script(to_line(1, [first]), to_line(2, [second]))
    _feed(core, script).run_once()
    assert core.heard == [first, second]
    assert script.answers == [{"batch": 1, "taken": True}, {"batch": 2, "taken": True}]
    assert script.ends == ["terminate"]


def test_what_the_database_did_not_take_is_left_to_the_broker() -> None:
    core, script = Core(), Script(to_line(1, [_heard()]))
    core.broken = True
    _feed(core, script).run_once()
    assert script.answers == [{"batch": 1, "taken": False}]


@pytest.mark.parametrize("line", [b"nonsense\n", b"{}\n", b'{"batch": 1, "heard": [{"region": null}]}\n'])
def test_a_line_of_something_else_ends_the_listener(line: bytes) -> None:
    core, script = Core(), Script(line)
    with pytest.raises(Exception, match="none of ours"):
        _feed(core, script).run_once()
    assert script.ends == ["terminate"]
    assert core.heard == []
