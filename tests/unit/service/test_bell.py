# SPDX-License-Identifier: Apache-2.0
"""The server's side of the doorbell: it never waits for its ringer, and outlives it."""
from __future__ import annotations

import socket
import threading
import time

import pytest

from glancesync import concurrency
from glancesync.clock import ManualClock
from glancesync.service.bell import SharedBell


class Ringer:
    """Rings once for each of `others`, then ends after it was rung `until` times."""

    pid = 7

    def __init__(self, *, others: int = 0, until: int = 1) -> None:
        self._others, self._until = others, until
        self.rung = 0
        self.ends: list[str] = []

    def __call__(self, connection: socket.socket) -> Ringer:
        self._thread = threading.Thread(target=self._talk, args=(connection.dup(),))
        self._thread.start()
        return self

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(10)
            for _ in range(self._others):
                connection.sendall(b"r")
            while self.rung < self._until:
                self.rung += len(connection.recv(1))

    def terminate(self) -> None:
        self.ends.append("terminate")

    def kill(self) -> None:
        self.ends.append("kill")

    def wait(self, timeout: float | None = None) -> int:
        self._thread.join(timeout)
        return 0


def new_bell(ringer: Ringer, heard: list[str]) -> SharedBell:
    return SharedBell(start=ringer, heard=lambda: heard.append("heard"), clock=ManualClock(),
                      guard=lambda _doing, function: function())


def test_what_others_ring_is_heard_and_what_was_queued_before_is_rung() -> None:
    heard: list[str] = []
    ringer = Ringer(others=1)
    new_bell(ringer, heard).run_once()
    assert (heard, ringer.rung, ringer.ends) == (["heard"], 1, ["terminate"])


def test_without_a_ringer_nobody_is_rung_for_and_nothing_waits() -> None:
    bell = new_bell(Ringer(), [])
    bell.ring()
    bell.run_once()
    bell.ring()


def test_a_ringer_that_takes_nothing_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    bell = new_bell(Ringer(), [])
    monkeypatch.setattr(bell, "_ours", ours)
    with ours, theirs:
        began = time.monotonic()
        for _ in range(100_000):
            bell.ring()
        assert time.monotonic() - began < 30
        assert theirs.recv(1) == b"r"
    bell.ring()  # its socket is closed


def test_a_ringer_that_takes_nothing_holds_no_green_thread_up(monkeypatch: pytest.MonkeyPatch) -> None:
    native, theirs = socket.socketpair()
    bell = new_bell(Ringer(), [])
    with theirs, concurrency.take_socket(native.detach()) as ours:
        monkeypatch.setattr(bell, "_ours", ours)
        ringing = [concurrency.spawn(lambda: [bell.ring() for _ in range(2_000)]) for _ in range(2)]
        with concurrency.Timeout(10):
            for thread in ringing:
                thread.wait()
        assert len(theirs.recv(4096)) > 0
    bell.ring()  # its socket is closed
