# SPDX-License-Identifier: Apache-2.0
"""Tells systemd (Type=notify) how the server is. Used by the daemon, and by the parent of several processes.

The protocol is a datagram to the socket that NOTIFY_SOCKET names; the libraries for it are without a release for
years, or need C. Without NOTIFY_SOCKET nothing is sent. One of several processes says the same to its parent.
"""
from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial

from glancesync import concurrency

LOG = logging.getLogger(__name__)
_SEND_SECONDS = 1.0
_PAUSE_SECONDS = 0.02


class Notifier:
    """`environment` is the process's; everything goes into the `channel` where there is one. A socket that does not
    answer is no reason to fail: it is logged once."""

    def __init__(self, environment: Mapping[str, str], channel: socket.socket | None = None) -> None:
        self._channel = channel
        if channel is not None:
            channel.setblocking(False)
        name = environment.get("NOTIFY_SOCKET", "")
        # systemd writes a socket of the abstract namespace with an @ for its leading zero byte.
        self._address = "\0" + name[1:] if name.startswith("@") else name
        self._status = ""
        self._told_failure = False
        self.watchdog_seconds = _watchdog_seconds(environment)

    @property
    def wanted(self) -> bool:
        """Whether somebody listens."""
        return bool(self._address or self._channel)

    def ready(self, status: str) -> None:
        """The start is over, or a reload."""
        self._status = status
        self._send(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        """One line for `systemctl status`; sent when it is another one."""
        if status != self._status:
            self._status = status
            self._send(f"STATUS={status}")

    def serves(self, status: str) -> None:
        """As `ready`, where that was not said last: after a reload, and when the status is another one."""
        if status != self._status:
            self.ready(status)

    def starting(self, status: str, seconds: float) -> None:
        """The start goes on and takes up to so many seconds more before the next word of it."""
        self.status(status)
        self._send(f"EXTEND_TIMEOUT_USEC={seconds * 1e6:.0f}")

    def reloading(self) -> None:
        """To be followed by `ready`."""
        self._status = "reloading the configuration"
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}\nSTATUS={self._status}")

    def stopping(self, seconds: float) -> None:
        """The end has begun and may take so many seconds."""
        self._send(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={seconds * 1e6:.0f}\nSTATUS=stopping")

    def alive(self) -> None:
        """To be called more often than every `watchdog_seconds`, where that is not None."""
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self.wanted:
            return
        try:
            if self._channel is not None:
                _put(partial(self._channel.send, message.encode()))
                return
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                _put(partial(sender.sendto, message.encode(), self._address))
        except OSError as error:
            if not self._told_failure:
                self._told_failure = True
                whom = f"systemd cannot be notified at {self._address}" if self._channel is None \
                    else "the process that started this one cannot be told how it is"
                LOG.warning("%s: %s", whom.replace("\0", "@"), error)


def _put(send: Callable[[], object]) -> None:
    """Where systemd is behind with reading, the socket calls itself writable and takes nothing: a green
    `sendto()` with a timeout would try for ever."""
    deadline = time.monotonic() + _SEND_SECONDS
    while True:
        try:
            send()
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
        concurrency.sleep(_PAUSE_SECONDS)


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """After how long without a sign of life systemd ends this process; None when it does not watch this one."""
    microseconds, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not microseconds.isdigit() or int(microseconds) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(microseconds) / 1e6
