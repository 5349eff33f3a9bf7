# SPDX-License-Identifier: Apache-2.0
"""The table of routes and callers over the shipped pipeline, with tokens that a real Keystone gave out and checks."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from keystoneauth1.session import Session
from oslo_config import cfg

from glancesync.api.app import load_app
from glancesync.api.parts import Parts
from glancesync.api.policies import new_enforcer
from glancesync.conf.api import ApiSettings
from glancesync.lab.cloud import Lab
from tests.unit.api.access_table import ATTEMPTS, CHANGING_CALLS, Attempt
from tests.unit.api.fakes import (
    OTHER_IMAGE,
    OTHER_TASK,
    OWN_IMAGE,
    OWN_TASK,
    OWNERLESS_IMAGE,
    OWNERLESS_TASK,
    PASTE_FILE,
    UNKNOWN_IMAGE,
    UNKNOWN_TASK,
    Caller,
    FakeService,
    error_of,
)

pytestmark = pytest.mark.lab

#: Callers of the table as users of the lab.
USERS = {"events": "glance-sync-events", "service": "glance", "member": "demo", "stranger": "rival", "admin": "admin"}


class Tried:
    """The app over a fake core whose images belong to the lab's projects; requests as a user of the lab."""

    def __init__(self, lab: Lab) -> None:
        self.sessions: dict[str, Session] = {name: lab.session(user) for name, user in USERS.items()}
        self.service = FakeService(own_project=str(self.sessions["member"].get_project_id()),
                                   other_project=str(self.sessions["stranger"].get_project_id()))
        conf = new_conf(lab)
        self.app = load_app(Parts(service=self.service, settings=ApiSettings(), enforcer=new_enforcer(conf),
                                  conf=conf), PASTE_FILE)

    def __call__(self, name: str, method: str, path: str, body: Any = None, *,
                 headers: Mapping[str, str] | None = None) -> Any:
        token = {} if name == "nobody" else {"X-Auth-Token": str(self.sessions[name].get_token())}
        return Caller(self.app, "nobody")(method, path, body, headers={**token, **(headers or {})})


def new_conf(lab: Lab, **changes: str) -> cfg.ConfigOpts:
    """Options as a configuration file gives them: [keystone_authtoken] with the server's own account."""
    path = lab.directory / "api-test.conf"
    options = lab.state.auth_options("glance-sync") | {"www_authenticate_uri": lab.keystone_url} | changes
    path.touch(mode=0o600)
    path.write_text("[keystone_authtoken]\n" + "".join(f"{name} = {value}\n" for name, value in options.items()),
                    "utf-8")
    conf = cfg.ConfigOpts()
    conf([], project="glance-sync", default_config_files=[str(path)])
    path.unlink()
    return conf


@pytest.fixture(scope="module")
def tried(lab: Lab) -> Tried:
    return Tried(lab)


@pytest.fixture
def service(tried: Tried) -> FakeService:
    tried.service.calls.clear()
    return tried.service


@pytest.mark.parametrize("name", ["nobody", *USERS])
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_every_route_for_every_caller(tried: Tried, service: FakeService, attempt: Attempt, name: str) -> None:
    response = tried(name, attempt.route[0], attempt.url, attempt.body)

    assert response.status_int == attempt.expected(name), response.text
    if response.status_int >= 400:
        error_of(response)
        assert not {call for call, _ in service.calls} & CHANGING_CALLS


@pytest.mark.parametrize("name", ["events", "service", "member", "stranger"])
@pytest.mark.parametrize(("kind", "ids"), [
    ("images", [OWN_IMAGE, OTHER_IMAGE, OWNERLESS_IMAGE, UNKNOWN_IMAGE]),
    ("tasks", [OWN_TASK, OTHER_TASK, OWNERLESS_TASK, UNKNOWN_TASK])])
def test_a_refusal_says_the_same_of_what_is_there_and_what_is_not(tried: Tried, name: str, kind: str,
                                                                  ids: list[str]) -> None:
    told = set()
    for each in ids:
        response = tried(name, "GET", f"/v1/{kind}/{each}")
        if response.status_int != 200:
            error = error_of(response)
            told.add((response.status_int, error["code"], error["message"].replace(each, "ID")))
    assert len(told) == 1


def test_a_member_lists_the_images_of_its_own_project(tried: Tried) -> None:
    assert [image["id"] for image in tried("member", "GET", "/v1/images").json["images"]] == [OWN_IMAGE]
    assert len(tried("admin", "GET", "/v1/images").json["images"]) == 3


@pytest.mark.parametrize("token", ["nonsense", "gAAAAA" + "x" * 200, "\xff", "x" * 7000, "x" * 15_000])
def test_tokens_that_keystone_never_gave(tried: Tried, token: str) -> None:
    response = tried("nobody", "GET", "/v1/images", headers={"X-Auth-Token": token})
    assert (response.status_int, error_of(response)["code"]) == (401, "unauthenticated")


def test_a_refusal_names_keystone(tried: Tried, lab: Lab) -> None:
    response = tried("nobody", "GET", "/v1/images", headers={"X-Auth-Token": "nonsense"})
    assert response.headers.getall("WWW-Authenticate") == [f'Keystone uri="{lab.keystone_url}"']


def test_a_claimed_identity_does_not_replace_the_tokens(tried: Tried, service: FakeService) -> None:
    response = tried("member", "GET", "/v1/regions", headers={"X-Roles": "admin", "X-Is-Admin-Project": "True",
                                                              "X-Project-Id": "admin"})
    assert response.status_int == 403
    assert service.calls == []


def test_without_keystone_nobody_gets_in_and_everybody_is_told_why(lab: Lab, tried: Tried) -> None:
    conf = new_conf(lab, auth_url="http://127.0.0.1:1/v3", http_request_max_retries="0")
    app = load_app(Parts(service=tried.service, settings=ApiSettings(), enforcer=new_enforcer(conf), conf=conf),
                   PASTE_FILE)
    response = Caller(app, "nobody")("GET", "/v1/images", headers={"X-Auth-Token": "some"})
    assert (response.status_int, error_of(response)["code"]) == (503, "not_ready")
    assert "Keystone" in response.json["error"]["message"]
    assert Caller(app, "nobody")("GET", "/healthcheck").status_int == 200
