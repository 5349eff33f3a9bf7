# SPDX-License-Identifier: Apache-2.0
"""Live progress: one reader for all, each sees his own, nobody holds anybody up."""
from __future__ import annotations

import json
from typing import Any

import pytest

from glancesync.clock import ManualClock
from glancesync.concurrency import sleep
from glancesync.exceptions import NotReadyError
from glancesync.web import stream
from glancesync.web.stream import Streams, Viewer, event
from tests.unit.api.fakes import guard


class Source:
    def __init__(self) -> None:
        self.images: list[dict[str, Any]] = []
        self.regions: list[dict[str, Any]] = []
        self.looks: list[float | None] = []
        self.error: Exception | None = None

    def list_changed_images(self, *, since: float | None, limit: int) -> tuple[list[dict[str, Any]], float]:
        self.looks.append(since)
        if self.error:
            raise self.error
        return [dict(image) for image in self.images[:limit]], 7.0

    def list_regions(self) -> list[dict[str, Any]]:
        return self.regions


class YieldingClock(ManualClock):
    """Its sleep lets other green threads run."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        sleep(0)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def clock() -> YieldingClock:
    return YieldingClock()


@pytest.fixture
def streams(source: Source, clock: YieldingClock) -> Streams:
    return Streams(source=source, clock=clock, most=2, guard=guard)


ADMIN = Viewer(sees=lambda owner: True, sees_regions=True)
BLIND = Viewer(sees=lambda owner: True, sees_regions=False)
MEMBER = Viewer(sees=lambda owner: owner == "own", sees_regions=False)


def _open(streams: Streams, viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A stream whose reader a test turns by hand."""
    monkeypatch.setattr(stream, "spawn", lambda function: None)
    found = streams.open(viewer, seconds=100)
    assert next(found).startswith(b"retry:")
    return found


def _told(message: bytes) -> tuple[str, Any]:
    name, data = message.decode().strip().split("\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def test_each_is_told_what_he_may_see(streams: Streams, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    admin, member = (_open(streams, viewer, monkeypatch) for viewer in (ADMIN, MEMBER))
    source.images = [{"id": "1", "owner": "own"}, {"id": "2", "owner": "other"}]
    streams.look_once()
    assert _told(next(admin)) == ("images", source.images)
    assert _told(next(member)) == ("images", source.images[:1])
    assert source.looks == [None]  # once for both


def test_what_did_not_change_is_not_told_again(streams: Streams, source: Source,
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    admin = _open(streams, BLIND, monkeypatch)
    source.images = [{"id": "1", "owner": None, "n": 1}]
    streams.look_once()
    streams.look_once()
    source.images = [{"id": "1", "owner": None, "n": 2}]
    streams.look_once()
    assert [_told(next(admin))[1][0]["n"] for _ in range(2)] == [1, 2]
    assert source.looks == [None, 7.0, 7.0]


def test_regions_are_told_when_they_change(streams: Streams, source: Source, clock: YieldingClock,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    admin = _open(streams, ADMIN, monkeypatch)
    for regions in ([{"name": "a"}], [{"name": "a"}], [{"name": "b"}]):
        source.regions = regions
        streams.look_once()
        clock.advance(10)
    assert [_told(next(admin))[1] for _ in range(2)] == [[{"name": "a"}], [{"name": "b"}]]


def test_there_is_a_bound(streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _second = (_open(streams, ADMIN, monkeypatch) for _ in range(2))
    with pytest.raises(NotReadyError, match="As many"):
        streams.open(ADMIN, seconds=1)
    first.close()
    assert streams.listeners == 1
    streams.open(ADMIN, seconds=1)


def test_who_does_not_keep_up_is_let_go(streams: Streams, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, quick = (_open(streams, ADMIN, monkeypatch) for _ in range(2))
    for number in range(20):
        source.images = [{"id": "1", "owner": None, "n": number}]
        streams.look_once()
        if number < 15:
            next(quick)
    with pytest.raises(StopIteration):
        next(slow)


def test_it_ends_with_the_session_and_says_that_it_lives(streams: Streams, clock: YieldingClock,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    admin = _open(streams, ADMIN, monkeypatch)
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.01)
    assert next(admin).startswith(b":")
    clock.advance(101)
    with pytest.raises(StopIteration):
        next(admin)


def test_the_reader_runs_while_somebody_listens_and_survives_errors(streams: Streams, source: Source) -> None:
    source.error = NotReadyError("the database is away")
    found = streams.open(ADMIN, seconds=1e9)
    for _ in range(5):
        sleep(0)
    assert len(source.looks) > 1
    found.close()
    sleep(0)
    before = len(source.looks)
    for _ in range(5):
        sleep(0)
    assert len(source.looks) == before
    source.error = None
    again = streams.open(ADMIN, seconds=1e9)
    sleep(0)
    assert len(source.looks) > before
    again.close()
    sleep(0)


def test_a_stop_lets_everybody_go(streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = _open(streams, ADMIN, monkeypatch)
    streams.stop()
    assert (streams.listeners, list(admin)) == (0, [])


def test_a_message_is_one_event_whatever_is_in_it() -> None:
    message = event("images", [{"name": "a\n\ndata: forged\r\u2028ü"}])
    assert message.count(b"\n") == 3
    assert message.isascii()
    assert b"\r" not in message
