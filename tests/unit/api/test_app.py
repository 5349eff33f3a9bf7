# SPDX-License-Identifier: Apache-2.0
"""Loading: the shipped file, files that are wrong, and the stages that need Keystone or a proxy."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg
from paste.deploy import loadapp

from glancesync.api.app import load_app
from glancesync.api.parts import Parts
from glancesync.api.policies import new_enforcer
from glancesync.conf.api import ApiSettings
from glancesync.exceptions import ConfigurationError
from tests.unit.api.fakes import PASTE_FILE, Caller, FakeService, build_app, error_of, new_conf


def _parts(service: FakeService) -> Parts:
    conf = new_conf()
    return Parts(service=service, settings=ApiSettings(), enforcer=new_enforcer(conf), conf=conf)


def test_the_shipped_pipeline_asks_for_a_token_before_all_else(service: FakeService) -> None:
    """The real auth_token: without a token it refuses by itself, without asking Keystone."""
    parts = _parts(service)
    load_app(parts, PASTE_FILE)  # registers the option
    parts.conf.set_override("www_authenticate_uri", "http://192.0.2.1/identity", group="keystone_authtoken")
    nobody = Caller(load_app(parts, PASTE_FILE), "nobody")

    response = nobody("POST", "/v1/events", {"events": []})

    assert response.status_int == 401
    assert error_of(response)["code"] == "unauthenticated"
    assert response.headers.getall("WWW-Authenticate") == ['Keystone uri="http://192.0.2.1/identity"']
    assert nobody("GET", "/healthcheck").status_int == 200


def test_headers_that_claim_an_identity_are_not_believed(service: FakeService) -> None:
    parts = _parts(service)
    load_app(parts, PASTE_FILE)  # registers the option
    parts.conf.set_override("www_authenticate_uri", "http://192.0.2.1/identity", group="keystone_authtoken")
    nobody = Caller(load_app(parts, PASTE_FILE), "nobody")
    response = nobody("GET", "/v1/regions", headers={
        "X-Roles": "admin", "X-Project-Id": "admin", "X-Identity-Status": "Confirmed", "X-User-Id": "admin",
        "X-Service-Roles": "admin", "X-Service-Identity-Status": "Confirmed", "X-Is-Admin-Project": "True"})
    assert response.status_int == 401


def test_two_apps_in_one_process_keep_their_parts_apart(tmp_path: Path) -> None:
    first, second = FakeService(), FakeService()
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    apps = [build_app(first, tmp_path / "first"), build_app(second, tmp_path / "second")]
    Caller(apps[0], "admin")("GET", "/v1/regions")
    assert (len(first.calls), len(second.calls)) == (1, 0)


@pytest.mark.parametrize("text", [
    "", "[pipeline:main]\npipeline = missing\n", "no ini at all",
    "[app:main]\npaste.app_factory = glancesync.api.nothing:factory\n",
    "[app:main]\npaste.app_factory = glancesync.api.app:nothing\n",
    "[app:main]\npaste.app_factory = glancesync.api.app:app_factory\nworkers = 3\n",
])
def test_a_wrong_file_is_named(service: FakeService, tmp_path: Path, text: str) -> None:
    paste_file = tmp_path / "paste.ini"
    paste_file.write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match=r"paste\.ini does not give a pipeline 'main'"):
        load_app(_parts(service), paste_file)


def test_a_missing_file_is_named(service: FakeService, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.ini"):
        load_app(_parts(service), tmp_path / "nowhere.ini")


def test_another_loader_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="glance-sync"):
        loadapp(f"config:{PASTE_FILE}")


@pytest.mark.parametrize(("enabled", "href"), [(True, "https://sync.example.org/v1"), (False, "http://localhost/v1")])
def test_a_proxys_headers_count_only_where_configured(service: FakeService, tmp_path: Path, enabled: bool,
                                                      href: str) -> None:
    conf = new_conf()
    conf.register_opt(cfg.BoolOpt("enable_proxy_headers_parsing", default=False, help=_PROXY_HELP),
                      group="oslo_middleware")
    conf.set_override("enable_proxy_headers_parsing", enabled, group="oslo_middleware")
    nobody: Any = Caller(build_app(service, tmp_path, conf=conf), "nobody")
    version = nobody("GET", "/v1", headers={"X-Forwarded-Proto": "https", "X-Forwarded-Host": "sync.example.org"}).json
    assert version["version"]["links"][0]["href"] == href


# The same option as oslo.middleware's own: another registration must not differ.
_PROXY_HELP = ("Whether the application is behind a proxy or not. This determines if the middleware should parse the "
               "headers or not.")
