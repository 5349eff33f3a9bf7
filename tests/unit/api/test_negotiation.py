# SPDX-License-Identifier: Apache-2.0
"""Clients and servers of different releases: the real client against the real application, in one process."""
from __future__ import annotations

from typing import Any

import pytest
import requests

from glancesync.api import versions as served
from glancesync.client import SyncClient
from glancesync.client.versions import OURS, Spoken, Version
from glancesync.exceptions import RegionAnswerError, VersionNotSpokenError
from tests.unit.api.fakes import Caller
from tests.unit.client.test_answers import answer


def spoken(lowest: str, highest: str) -> Spoken:
    return Spoken(*(Version(*map(int, each.split("."))) for each in (lowest, highest)))


class Wire:
    """A session that hands the client's requests to the real application of a server, in this process."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.asked: list[str] = []

    def request(self, url: str, method: str, *, headers: dict[str, str], **_options: Any) -> requests.Response:
        self.asked.append(headers[served.HEADER])
        found = self._caller(method, url.removeprefix("http://sync"), headers=headers)
        return answer(found.status_int, found.body)


def client(caller: Caller, ours: Spoken = OURS) -> tuple[SyncClient, Wire]:
    wire = Wire(caller)
    return SyncClient(session=wire, base_url="http://sync", spoken=ours), wire  # type: ignore[arg-type]


def test_of_one_release(admin: Caller) -> None:
    """Both from this tree: what the client asks for is what the server speaks."""
    sync, wire = client(admin)
    assert "regions" in sync.list_regions()
    assert wire.asked == [f"image-sync {served.MAXIMUM.text}"]
    assert (str(OURS.lowest), str(OURS.highest)) == (served.MINIMUM.text, served.MAXIMUM.text)


def test_a_newer_client_with_this_server(admin: Caller) -> None:
    sync, wire = client(admin, spoken("1.0", "1.7"))
    sync.list_regions()
    sync.list_regions()
    assert wire.asked == ["image-sync 1.7", "image-sync 1.0", "image-sync 1.0"]


def test_a_client_that_needs_more_than_this_server_has(admin: Caller) -> None:
    sync, wire = client(admin, spoken("1.5", "1.7"))
    with pytest.raises(VersionNotSpokenError, match="upgrade the server"):
        sync.list_regions()
    assert wire.asked == ["image-sync 1.7"]


def test_this_client_with_newer_servers(admin: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that still speaks the old version, and one that does not any more."""
    monkeypatch.setattr(served, "MAXIMUM", served.ApiVersion(1, 9))
    sync, wire = client(admin)
    sync.list_regions()
    assert wire.asked == ["image-sync 1.0"]
    monkeypatch.setattr(served, "MINIMUM", served.ApiVersion(1, 5))
    with pytest.raises(VersionNotSpokenError, match=r"1\.5 to 1\.9 of its API, this client 1\.0 to 1\.0: upgrade the "
                                                    "client"):
        sync.list_regions()


def test_who_answers_406_without_a_version_is_no_server_of_ours() -> None:
    class Foreign:
        def request(self, *_arguments: Any, **_options: Any) -> requests.Response:
            return answer(406, {"error": {"code": "version_not_supported"}})

    with pytest.raises(RegionAnswerError, match="names no other"):
        SyncClient(session=Foreign(), base_url="http://sync").list_regions()  # type: ignore[arg-type]
