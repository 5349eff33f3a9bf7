# SPDX-License-Identifier: Apache-2.0
"""Takes what the notification listener hears. Started by the daemon where [notifications] is enabled.

The listener is a process of its own: oslo.messaging's RabbitMQ driver waits in ways that would stop every green thread.
The two speak over a socket, line by line:

    listener: {"batch": 7, "heard": [...]}      server: {"batch": 7, "taken": true}

`taken` is said after the commit, and only then the listener acknowledges to the broker. Whatever ends in between, the
notifications come again, here or at another server of the pool; the same event twice starts nothing twice.
"""
from __future__ import annotations

import json
import logging
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from glancesync.clock import Clock
from glancesync.exceptions import GlanceSyncError
from glancesync.model.notification import Heard, from_line
from glancesync.model.task import Task
from glancesync.service.timers import Guard

LOG = logging.getLogger(__name__)
_RESTART_SECONDS = 3.0
_END_SECONDS = 5.0
_READ_BYTES = 65536


class Listener(Protocol):
    """The process, as subprocess.Popen is."""

    pid: int

    def terminate(self) -> None: ...

    def kill(self) -> None: ...

    def wait(self, timeout: float | None = None) -> int: ...


class Hears(Protocol):
    """What is needed of the core."""

    def hear(self, heard: Sequence[Heard]) -> list[Task]:
        """Queue what the notifications hint at; returns after the commit."""


class NotificationFeed:
    """`start(socket)` starts the listener with its end of the connection."""

    def __init__(self, *, service: Hears, start: Callable[[socket.socket], Listener], clock: Clock,
                 guard: Guard) -> None:
        self._service = service
        self._start = start
        self._clock = clock
        self._guard = guard

    def run_forever(self) -> None:
        """One listener after the other."""
        while True:
            self._guard("listen to notifications", self.run_once)
            self._clock.sleep(_RESTART_SECONDS)

    def run_once(self) -> None:
        """The life of one listener; returns when it ended."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                listener = self._start(theirs)
            try:
                LOG.info("the notification listener runs as process %d", listener.pid)
                for line in _lines(ours):
                    ours.sendall(self._take(line))
                LOG.warning("the notification listener (process %d) ended; another is started", listener.pid)
            except OSError as error:
                LOG.warning("the notification listener (process %d) is lost: %s", listener.pid, error)
            finally:
                ours.close()
                end_listener(listener)

    def _take(self, line: bytes) -> bytes:
        batch, heard = from_line(line)
        try:
            self._service.hear(heard)
            taken = True
        except GlanceSyncError as error:
            LOG.warning("%d notifications are left to the broker for now: %s", len(heard), error)
            taken = False
        return json.dumps({"batch": batch, "taken": taken}).encode() + b"\n"


def _lines(connection: socket.socket) -> Iterator[bytes]:
    rest = b""
    while data := connection.recv(_READ_BYTES):
        *lines, rest = (rest + data).split(b"\n")
        yield from lines


def end_listener(listener: Listener) -> None:
    """In an orderly way, or else at once."""
    listener.terminate()
    try:
        listener.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        listener.kill()
        listener.wait(_END_SECONDS)
