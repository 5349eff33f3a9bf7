# SPDX-License-Identifier: Apache-2.0
"""What systemd hears, on a real socket."""
from __future__ import annotations

import logging
import os
import socket
import uuid

import pytest

from glancesync.cmd.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def listening(request, tmp_path):
    name = str(tmp_path / "notify") if request.param == "path" else f"@glancesync-{uuid.uuid4().hex}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name[1:] if name.startswith("@") else name)
        listener.settimeout(5)
        yield name, lambda: listener.recv(4096).decode().split("\n")


def test_each_word_arrives(listening):
    name, hear = listening
    notifier = Notifier({"NOTIFY_SOCKET": name})
    notifier.starting("waits", 30)
    assert [hear(), hear()] == [["STATUS=waits"], ["EXTEND_TIMEOUT_USEC=30000000"]]
    notifier.ready("serves")
    assert hear() == ["READY=1", "STATUS=serves"]
    notifier.status("serves")
    notifier.status("serves 2")
    assert hear() == ["STATUS=serves 2"]
    notifier.reloading()
    first, second, _status = hear()
    assert first == "RELOADING=1"
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0
    notifier.alive()
    assert hear() == ["WATCHDOG=1"]
    notifier.stopping(3)
    assert hear()[:2] == ["STOPPING=1", "EXTEND_TIMEOUT_USEC=3000000"]


def test_a_socket_that_is_gone_is_told_once(tmp_path, caplog):
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    with caplog.at_level(logging.WARNING):
        notifier.ready("x")
        notifier.alive()
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        f"systemd cannot be notified at {tmp_path}/gone"]


def test_without_systemd_nothing_is_sent(monkeypatch):
    monkeypatch.setattr(socket, "socket", None)
    Notifier({}).ready("x")


@pytest.mark.parametrize(("environment", "seconds"), [
    ({}, None), ({"WATCHDOG_USEC": "0"}, None), ({"WATCHDOG_USEC": "x"}, None), ({"WATCHDOG_USEC": "3000000"}, 3.0),
    ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
    ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "1"}, None),
])
def test_whom_systemd_watches(environment, seconds):
    assert Notifier(environment).watchdog_seconds == seconds


def test_one_of_several_tells_its_parent_alone():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        notifier = Notifier({"NOTIFY_SOCKET": "/not/this"}, channel=ours)
        notifier.ready("serves")
        notifier.serves("serves")
        notifier.serves("serves less")
        theirs.settimeout(5)
        assert [theirs.recv(4096), theirs.recv(4096)] == [b"READY=1\nSTATUS=serves", b"READY=1\nSTATUS=serves less"]


def test_a_parent_that_is_gone_is_told_once(caplog):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.close()
    with ours, caplog.at_level(logging.WARNING):
        notifier = Notifier({}, channel=ours)
        notifier.ready("x")
        notifier.alive()
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "the process that started this one cannot be told how it is"]
