# SPDX-License-Identifier: Apache-2.0
"""The catalog reader, before a scripted Keystone and before a real one."""
from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from keystoneauth1.plugin import BaseAuthPlugin
from keystoneauth1.session import Session

from glancesync import exceptions as exc
from glancesync.lab.cloud import Lab
from glancesync.regions.catalog import Catalog
from glancesync.regions.endpoints import CatalogEntry, normalize_endpoint
from tests.contract.scripted_server import Exchange, serving

CATALOG = {"catalog": [
    {"type": "identity", "endpoints": [{"interface": "public", "region_id": "A", "url": "http://k"}]},
    {"type": "image", "endpoints": [{"interface": "public", "region_id": "B", "region": "B", "url": "http://b"},
                                    {"interface": "admin", "region_id": "A", "url": "http://a"}]}]}
ENTRIES = [CatalogEntry(region="A", interface="admin", url="http://a"),
           CatalogEntry(region="B", interface="public", url="http://b")]


class Login(BaseAuthPlugin):
    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def get_token(self, session: Session, **_kwargs: Any) -> str:
        return "token"

    def get_endpoint(self, session: Session, **_kwargs: Any) -> str:
        return self._url


def read(answers: dict[str, tuple[int, object]]) -> list[CatalogEntry]:
    def script(exchange: Exchange) -> None:
        status, body = answers[exchange.path]
        exchange.answer(status, body if isinstance(body, bytes) else json.dumps(body).encode())

    with serving(script) as server:
        session = Session(auth=Login(f"{server.url}/v3"))
        session.session.trust_env = False
        return Catalog(session=session, timeout_seconds=2).list_endpoints()


def test_the_image_endpoints_of_all_interfaces() -> None:
    assert read({"/v3/auth/catalog": (200, CATALOG)}) == ENTRIES


@pytest.mark.parametrize("own", [(403, {}), (200, {"catalog": []})])
def test_a_token_without_a_catalog(own: tuple[int, object]) -> None:
    assert read({
        "/v3/auth/catalog": own,
        "/v3/services?type=image": (200, {"services": [{"id": "s"}, {"id": "off", "enabled": False}]}),
        "/v3/endpoints": (200, {"endpoints": [
            {"service_id": "s", "interface": "public", "region_id": "B", "url": "http://b"},
            {"service_id": "s", "interface": "admin", "region_id": "A", "url": "http://a"},
            {"service_id": "s", "interface": "internal", "region_id": "A", "url": "http://x", "enabled": False},
            {"service_id": "off", "interface": "public", "region_id": "A", "url": "http://x"},
            {"service_id": "other", "interface": "public", "region_id": "A", "url": "http://x"}]})}) == ENTRIES


@pytest.mark.parametrize(("own", "error"), [
    ((500, {}), exc.RegionUnavailableError), ((404, {}), exc.RegionAnswerError), ((200, []), exc.RegionAnswerError),
    ((200, b"<html>"), exc.RegionAnswerError), ((200, {"catalog": [1]}), exc.RegionAnswerError),
    ((300, {}), exc.RegionAnswerError),
    ((200, {"catalog": [{"type": "image", "endpoints": [{"interface": "public", "url": None}]}]}),
     exc.RegionAnswerError)])
def test_a_failure_is_never_an_empty_list(own: tuple[int, object], error: type[Exception]) -> None:
    with pytest.raises(error, match="Keystone"):
        read({"/v3/auth/catalog": own})


def test_no_image_endpoint_at_all() -> None:
    with pytest.raises(exc.RegionAnswerError, match="no image endpoint"):
        read({"/v3/auth/catalog": (200, {"catalog": []}), "/v3/services?type=image": (200, {"services": []}),
              "/v3/endpoints": (200, {"endpoints": []})})


@pytest.mark.lab
def test_a_real_keystone(lab: Lab, session_of: Callable[[str], Session]) -> None:
    entries = Catalog(session=session_of("glance-sync")).list_endpoints()
    assert {(entry.region, entry.interface, normalize_endpoint(entry.url)) for entry in entries} == {
        (region, interface, lab.endpoint(region))
        for region in lab.regions for interface in ("public", "internal", "admin")}
