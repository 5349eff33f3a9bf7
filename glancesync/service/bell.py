# SPDX-License-Identifier: Apache-2.0
"""Tells the other servers of the database that there is something to do, and hears it from them. Run by the daemon
where [doorbell] names a broker.

The messages go through a process of its own (cmd.ring), as notifications do: oslo.messaging's RabbitMQ driver waits in
ways that would stop every green thread. The two exchange single bytes over a socket: one that the server sends rings at
all others, one that it receives was rung by another. A ring may be lost, doubled or late: the queue's claim decides who
does what, and every server looks by itself each `poll_seconds`.
"""
from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable
from typing import Any

from glancesync.clock import Clock
from glancesync.concurrency import send_at_once
from glancesync.exceptions import GlanceSyncError
from glancesync.service.feed import Listener, end_listener

LOG = logging.getLogger(__name__)
_RESTART_SECONDS = 3.0
_READ_BYTES = 4096
_RING = b"r"


class SharedBell:
    """`start(socket)` starts the ringer with its end of the connection; `heard()` is called for what others rang."""

    def __init__(self, *, start: Callable[[socket.socket], Listener], heard: Callable[[], object], clock: Clock,
                 guard: Callable[..., Any]) -> None:
        self._start = start
        self._heard = heard
        self._clock = clock
        self._guard = guard
        self._ours: socket.socket | None = None

    def ring(self) -> None:
        """Have the other servers look; to be called after the commit. Never waits: while nobody takes it, the ringer
        has enough to ring for already."""
        if self._ours is not None:
            with contextlib.suppress(OSError):
                send_at_once(self._ours, _RING)

    def run_forever(self) -> None:
        """One ringer after the other."""
        while True:
            failed = self._guard("share the doorbell", self.run_once)
            if isinstance(failed, GlanceSyncError):
                LOG.warning("the doorbell is not shared for now: %s", failed)
            self._clock.sleep(_RESTART_SECONDS)

    def run_once(self) -> None:
        """The life of one ringer; returns when it ended."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                ringer = self._start(theirs)
            self._ours = ours
            self.ring()  # what was queued while there was none
            try:
                LOG.info("the doorbell is shared by process %d", ringer.pid)
                while ours.recv(_READ_BYTES):
                    self._heard()
                LOG.warning("the doorbell's process %d ended; another is started", ringer.pid)
            except OSError as error:
                LOG.warning("the doorbell's process %d is lost: %s", ringer.pid, error)
            finally:
                self._ours = None
                ours.close()
                end_listener(ringer)
