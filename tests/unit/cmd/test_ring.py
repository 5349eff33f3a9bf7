# SPDX-License-Identifier: Apache-2.0
"""The doorbell's process and a broker that is away, or refuses it."""
from __future__ import annotations

import socket
from typing import Any

import oslo_messaging
import pytest
from amqp.exceptions import AccessRefused, NotAllowed
from kombu.exceptions import OperationalError

from glancesync.clock import ManualClock
from glancesync.cmd.ring import Ears, find_transport, listen, pass_on
from glancesync.conf.doorbell import DoorbellSettings


class Broker:
    """Raises what it is given, one error after the other; then it takes everything."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.taken = 0

    def start(self) -> None:
        if self._errors:
            raise self._errors.pop(0)
        self.taken += 1

    def cast(self, _context: object, _method: str, **_arguments: object) -> None:
        self.start()


ERRORS = (AccessRefused("no"), NotAllowed("no such vhost"), OperationalError("away"), ConnectionRefusedError(),
          oslo_messaging.MessageDeliveryFailure("no"))


class Server:
    """Rings so many times, then it is gone."""

    def __init__(self, rings: int) -> None:
        self._rings = rings

    def recv(self, _size: int) -> bytes:
        self._rings -= 1
        return b"r" if self._rings >= 0 else b""


def test_what_a_broker_refuses_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    broker: Any = Broker(*ERRORS)
    server: Any = Server(len(ERRORS) + 1)
    pass_on(server, broker, "me", ManualClock())
    assert broker.taken == 1
    assert len([each for each in caplog.records if "are not told at once" in each.message]) == 1


def test_who_is_not_let_in_asks_again(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    broker, clock = Broker(*ERRORS), ManualClock()
    monkeypatch.setattr(oslo_messaging, "get_rpc_server", lambda *_arguments, **_options: broker)
    began = clock.monotonic()
    with socket.socket() as connection:
        assert listen(None, DoorbellSettings(), Ears(connection, "me"), clock) is broker
    assert clock.monotonic() - began >= 3 * len(ERRORS)
    assert len([each for each in caplog.records if "is not heard, it is tried again" in each.message]) == 1


@pytest.mark.parametrize("url", ["foo://broker/", "rabbit://broker/?nosuch=1"])
def test_what_oslo_messaging_cannot_use_is_said_once(url: str, caplog: pytest.LogCaptureFixture) -> None:
    assert find_transport(DoorbellSettings(transport_url=f"{url.replace('broker', 'user:secret@broker')}")) is None
    [said] = [each.getMessage() for each in caplog.records if each.name.startswith("glancesync")]
    assert "correct it and restart the server" in said
    assert "secret" not in said
