# SPDX-License-Identifier: Apache-2.0
"""When a server listens to notifications, and what the start refuses."""
from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from glancesync.clock import ManualClock
from glancesync.cmd.hearing import new_bell, new_feed
from glancesync.conf import new_conf
from glancesync.conf.doorbell import DoorbellSettings
from glancesync.conf.notifications import NotificationSettings
from glancesync.exceptions import ConfigurationError
from glancesync.service.bell import SharedBell
from glancesync.service.feed import NotificationFeed

URL = "rabbit://user:hunter2@broker:5672/"


class Core:
    def hear(self, heard: Sequence[Any]) -> list[Any]:
        raise AssertionError("nothing is heard")


def _feed(**settings: Any) -> NotificationFeed | None:
    conf = new_conf()
    conf([], project="test", default_config_files=[])
    return new_feed(conf, NotificationSettings(**settings), service=Core(), clock=ManualClock(),
                    guard=lambda _what, function: function())


def test_only_a_server_that_is_told_to_listens() -> None:
    assert _feed(transport_url=URL) is None
    assert _feed(enabled=True, transport_url=URL) is not None


def test_nowhere_to_listen_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="needs transport_url"):
        _feed(enabled=True)


def test_without_the_extra_the_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ConfigurationError, match=r"glancesync\[notifications\]") as refused:
        _feed(enabled=True, transport_url=URL)
    assert "hunter2" not in str(refused.value)


def _bell(**settings: Any) -> SharedBell | None:
    conf = new_conf()
    conf([], project="test", default_config_files=[])
    return new_bell(conf, DoorbellSettings(**settings), heard=lambda: None, clock=ManualClock(),
                    guard=lambda _what, function: function())


def test_without_a_broker_there_is_no_shared_doorbell() -> None:
    assert _bell() is None
    assert _bell(transport_url=URL) is not None


def test_a_doorbell_that_would_never_ring_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="is no URL") as refused:
        _bell(transport_url="user:hunter2@broker")
    assert "hunter2" not in str(refused.value)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ConfigurationError, match=r"glancesync\[notifications\]"):
        _bell(transport_url=URL)


@pytest.mark.parametrize("url", [
    "broker", "rabbit://u:hunter2@[broker/", "rabbit://u:hunter2/x@broker:5672/", "rabbit://u:12/hunter2@broker:5672/",
    "rabbit://u:12?hunter2@broker:5672/", "rabbit://u:12#hunter2@broker:5672/", "rabbit://u:hunter2@broker:99999/",
    "rabbit://u:hunter2@one:5672,u:hunter2@two:x/"])
def test_a_url_that_a_password_tears_apart_is_refused_without_it(url: str) -> None:
    for new in (_bell, partial(_feed, enabled=True)):
        with pytest.raises(ConfigurationError, match="transport_url is no URL: .*%2F") as refused:
            new(transport_url=url)
        assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("url", [
    URL, "rabbit://u:hunter2@one:5672,u:hunter2@two/vhost?ssl=1", "rabbit://u:h%2F%40@[::1]:5672,two:1/",
    "rabbit://one:5672,two:5672/"])
def test_a_url_of_one_or_several_brokers_is_taken(url: str) -> None:
    assert _bell(transport_url=url) is not None
