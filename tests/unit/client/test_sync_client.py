# SPDX-License-Identifier: Apache-2.0
"""Over a session that answers without a network; tests/functional/test_sync_client.py speaks real HTTP."""
from __future__ import annotations

from typing import Any

import pytest
import requests
from keystoneauth1 import exceptions as ksa

from glancesync.client import SyncClient
from glancesync.exceptions import (
    ConfigurationError,
    GlanceSyncError,
    RegionAnswerError,
    RegionUnauthorizedError,
    RegionUnavailableError,
)
from glancesync.model.event import Event, Operation
from tests.unit.client.test_answers import answer

EVENT = Event(id="e", operation=Operation.SAVE, image_id="00000000-0000-4000-8000-000000000001", at=1.0)


class Session:
    def __init__(self, reply: object) -> None:
        self.reply = reply
        self.calls: list[tuple[str, str, dict[str, Any]]] = []

    def request(self, url: str, method: str, **options: Any) -> Any:
        self.calls.append((method, url, options))
        if isinstance(self.reply, Exception):
            raise self.reply
        return answer(200, self.reply)


def client(reply: object = None) -> tuple[SyncClient, Session]:
    session = Session({} if reply is None else reply)
    return SyncClient(session=session, base_url="http://sync:9595/prefix/", timeout_seconds=3), session  # type: ignore[arg-type]


def test_events_become_task_ids() -> None:
    sync, session = client({"tasks": [{"id": "a"}, {"id": "b"}]})
    assert sync.submit_events([EVENT]) == ["a", "b"]
    [(method, url, options)] = session.calls
    assert (method, url) == ("POST", "http://sync:9595/prefix/v1/events")
    assert options["json"] == {"events": [EVENT.to_json()]}


def test_every_request_is_bounded_and_follows_nobody() -> None:
    sync, session = client({"tasks": []})
    sync.submit_events([EVENT])
    sync.get_image("x")
    for _, _, options in session.calls:
        assert options["timeout"] == (3, 3)
        assert options["redirect"] is False
        assert options["stream"] is True
        assert options["log"] is False


@pytest.mark.parametrize("reply", [{}, {"tasks": 5}, {"tasks": ["a"]}, {"tasks": None}])
def test_an_acknowledgement_without_tasks_is_none(reply: object) -> None:
    with pytest.raises(RegionAnswerError):
        client(reply)[0].submit_events([EVENT])


@pytest.mark.parametrize(("call", "path", "params"), [
    (lambda sync: sync.list_images(limit=5, region=None), "/v1/images", {"limit": 5}),
    (lambda sync: sync.get_image("a/../b?c"), "/v1/images/a%2F..%2Fb%3Fc", {}),
    (lambda sync: sync.list_tasks(state="failed"), "/v1/tasks", {"state": "failed"}),
    (lambda sync: sync.get_task("t"), "/v1/tasks/t", {}),
    (lambda sync: sync.list_regions(), "/v1/regions", {}),
    (lambda sync: sync.list_servers(), "/v1/servers", {}),
])
def test_reads(call: Any, path: str, params: dict[str, object]) -> None:
    sync, session = client({"x": 1})
    assert call(sync) == {"x": 1}
    [(method, url, options)] = session.calls
    assert (method, url, options["params"]) == ("GET", "http://sync:9595/prefix" + path, params)


def test_sync() -> None:
    sync, session = client({"plan": []})
    assert sync.sync({"dry_run": True}) == {"plan": []}
    assert session.calls[0][2]["json"] == {"dry_run": True}


@pytest.mark.parametrize(("error", "kind"), [
    (ksa.ConnectFailure("secret"), RegionUnavailableError),
    (ksa.ConnectTimeout("secret"), RegionUnavailableError),
    (ksa.SSLError("secret"), RegionUnavailableError),
    (ksa.DiscoveryFailure("secret"), RegionUnavailableError),
    (ksa.Unauthorized("secret"), RegionUnauthorizedError),
    (ksa.Forbidden("secret"), RegionUnauthorizedError),
    (ksa.ServiceUnavailable("secret"), RegionUnavailableError),
    (ksa.MissingRequiredOptions([]), ConfigurationError),
    (requests.exceptions.ChunkedEncodingError("secret"), RegionUnavailableError),
    (OSError("secret"), RegionUnavailableError),
])
def test_foreign_errors_are_translated_and_not_quoted(error: Exception, kind: type[GlanceSyncError]) -> None:
    with pytest.raises(GlanceSyncError) as raised:
        client(error)[0].list_regions()
    assert type(raised.value) is kind
    assert "secret" not in str(raised.value)
