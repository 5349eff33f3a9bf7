# SPDX-License-Identifier: Apache-2.0
"""How a server process stands to others: alone on its host's port, or one of several. Used by the daemon.

A process that is alone takes the database and the port itself and tells systemd; one of several was given them, and
tells the process that started it.
"""
from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping

from glancesync import concurrency
from glancesync.cmd.listener import listen
from glancesync.cmd.notify import Notifier
from glancesync.cmd.place import Place
from glancesync.conf.server import ServerSettings
from glancesync.db.alone import SoleUse


class Standing:
    """`place` is None for a process that is alone."""

    def __init__(self, settings: ServerSettings, place: Place | None, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._place = place
        self._alone = SoleUse(settings.connection)
        self._channel = concurrency.take_socket(place.channel) if place else None
        self.notifier = Notifier(environment, channel=self._channel)

    @property
    def is_first(self) -> bool:
        """Whether this process does what one has to do for all."""
        return self._place is None or self._place.is_first

    @property
    def begins(self) -> bool:
        """Whether the server begins with this process: no other one of it runs, nor did one before it."""
        return self._place is None or self._place.answers_early

    @property
    def answers_early(self) -> bool:
        """Whether callers are told that the server starts. Where other processes serve, they answer instead."""
        return self._place is None or self._place.answers_early

    @property
    def words(self) -> str:
        """For the log, before the address."""
        return "serves on" if self._place is None else f"process {self._place.number} answers on"

    def take(self) -> socket.socket:
        """Sole use of an SQLite file, then the socket to listen on. Raises NotReadyError, ConfigurationError."""
        if self._place is not None:
            return concurrency.take_socket(self._place.listener)
        self._alone.take()
        return listen(self._settings)

    def when_orphaned(self, call: Callable[[], None]) -> None:
        """Call it when the process that started this one is gone."""
        if self._channel is not None:
            concurrency.spawn(_wait_for_end, self._channel.dup(), call)

    def release(self) -> None:
        self._alone.release()


def _wait_for_end(channel: socket.socket, call: Callable[[], None]) -> None:
    channel.settimeout(None)
    with contextlib.suppress(ConnectionError):  # its end all the same
        while channel.recv(1):
            pass
    call()
