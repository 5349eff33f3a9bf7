# SPDX-License-Identifier: Apache-2.0
"""SyncClient against real HTTP that misbehaves."""
from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from keystoneauth1 import noauth, token_endpoint
from keystoneauth1.plugin import BaseAuthPlugin
from keystoneauth1.session import Session

from glancesync.client import SyncClient
from glancesync.client.deadline import new_requests_session
from glancesync.exceptions import (
    ForbiddenError,
    GlanceSyncError,
    NotFoundError,
    RegionAnswerError,
    RegionUnauthorizedError,
    RegionUnavailableError,
)
from glancesync.model.event import Event, Operation
from tests.fixtures.recorder import MODES, Recorder

EVENT = Event(id="e", operation=Operation.SAVE, image_id="00000000-0000-4000-8000-000000000001", at=1.0)
TIMEOUT_SECONDS = 0.5


def new_session(auth: BaseAuthPlugin) -> Session:
    return Session(auth=auth, session=new_requests_session(TIMEOUT_SECONDS))


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def client(recorder: Recorder) -> SyncClient:
    return SyncClient(session=new_session(noauth.NoAuth()), base_url=recorder.url,
                      timeout_seconds=TIMEOUT_SECONDS, max_answer_bytes=1024 * 1024)


def test_events_arrive(client: SyncClient, recorder: Recorder) -> None:
    assert client.submit_events([EVENT]) == ["t1"]
    assert recorder.events == [EVENT.to_json()]


EXPECTED: dict[str, type[GlanceSyncError]] = {
    "hang": RegionUnavailableError, "reset": RegionUnavailableError, "drip": RegionUnavailableError,
    "401": RegionUnauthorizedError, "403": ForbiddenError, "404": NotFoundError, "500": RegionUnavailableError,
    "503": RegionUnavailableError, "redirect": RegionAnswerError, "garbage": RegionUnavailableError,
    "empty": RegionAnswerError, "html": RegionAnswerError, "endless": RegionAnswerError,
    "other-400": RegionAnswerError, "drip-headers": RegionUnavailableError,
    "endless-continue": RegionUnavailableError,
}


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "accept"])
def test_each_misbehaviour_ends_soon_in_its_error(client: SyncClient, recorder: Recorder, mode: str) -> None:
    recorder.mode = mode
    start = time.monotonic()
    with pytest.raises(GlanceSyncError) as raised:
        client.submit_events([EVENT])
    assert type(raised.value) is EXPECTED[mode]
    assert time.monotonic() - start < 10 * TIMEOUT_SECONDS
    assert all(path == "/v1/events" for _, path, _ in recorder.requests), "a redirect was followed"
    recorder.mode = "accept"
    assert client.submit_events([EVENT]) == ["t1"]


def test_nobody_listens(client: SyncClient) -> None:
    nowhere = SyncClient(session=new_session(noauth.NoAuth()), base_url="http://127.0.0.1:1",
                         timeout_seconds=TIMEOUT_SECONDS)
    with pytest.raises(RegionUnavailableError):
        nowhere.list_regions()


def test_no_token_in_any_error(recorder: Recorder) -> None:
    auth = token_endpoint.Token(recorder.url, "gAAAA-the-token")
    client = SyncClient(session=new_session(auth), base_url=recorder.url, timeout_seconds=TIMEOUT_SECONDS)
    for mode in MODES[1:]:
        recorder.mode = mode
        with pytest.raises(GlanceSyncError) as raised:
            client.submit_events([EVENT])
        assert "the-token" not in repr(raised.value) + str(raised.value)
    assert all(headers["X-Auth-Token"] == "gAAAA-the-token" for _, _, headers in recorder.requests)
