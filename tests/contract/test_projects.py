# SPDX-License-Identifier: Apache-2.0
"""What is read of a project, before a scripted Keystone and before a real one with its endpoint filtering."""
from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from keystoneauth1.session import Session

from glancesync import exceptions as exc
from glancesync.lab.cloud import Lab
from glancesync.model.owner import Owner
from glancesync.regions.projects import Projects
from tests.contract.scripted_server import Exchange, serving
from tests.contract.test_catalog import Login
from tests.fixtures.keystone_admin import KeystoneAdmin

P = "0" * 32
ENDPOINTS, SERVICES = f"/v3/OS-EP-FILTER/projects/{P}/endpoints", "/v3/services?type=image"
ROLES = f"/v3/role_assignments?scope.project.id={P}&effective&include_names=true"
PROJECT = f"/v3/projects/{P}"
IMAGE_SERVICES = (200, {"services": [{"id": "s"}, {"id": "off", "enabled": False}]})
GONE = (404, {"error": {"code": 404, "message": f"Could not find project: {P}.", "title": "Not Found"}})
Answers = dict[str, tuple[int, Any]]


def read(answers: Answers, project_id: str = P, **questions: bool) -> Owner:
    def script(exchange: Exchange) -> None:
        status, body = answers[exchange.path]
        exchange.answer(status, body if isinstance(body, bytes) else json.dumps(body).encode())

    with serving(script) as server:
        session = Session(auth=Login(f"{server.url}/v3"))
        session.session.trust_env = False
        return Projects(session=session, timeout_seconds=2).read(
            project_id, **{"roles": False, "domain": False, **questions})


def endpoint(region: str, service: str = "s", **more: Any) -> dict[str, Any]:
    return {"region_id": region, "service_id": service, "interface": "public", "enabled": True, **more}


def test_enabled_image_endpoints_count() -> None:
    owner = read({SERVICES: IMAGE_SERVICES, ENDPOINTS: (200, {"endpoints": [
        endpoint("A"), endpoint("A", interface="admin"), endpoint("B", enabled=False), endpoint("C", "other"),
        endpoint("D", "off"), {"region": "E", "service_id": "s"}]})})
    assert owner == Owner(project_id=P, endpoint_regions=frozenset({"A", "E"}))


def test_none_of_any_service_and_none_of_images_are_two_things() -> None:
    assert read({ENDPOINTS: (200, {"endpoints": []})}).endpoint_regions is None
    assert read({ENDPOINTS: (200, {"endpoints": [endpoint("C", "other")]}),
                 SERVICES: IMAGE_SERVICES}).endpoint_regions == frozenset()


def test_roles_and_domain_are_asked_for_when_they_matter() -> None:
    answers: Answers = {
        ENDPOINTS: (200, {"endpoints": []}), PROJECT: (200, {"project": {"id": P, "domain_id": "d"}}),
        ROLES: (200, {"role_assignments": [{"role": {"id": "1", "name": "member"}},
                                           {"role": {"id": "2", "name": "reader"}, "scope": {}}]})}
    owner = read(answers, roles=True, domain=True)
    assert (owner.roles, owner.domain_id) == ({"1", "member", "2", "reader"}, "d")


def test_keystones_own_word_for_a_project_that_is_not_there() -> None:
    assert read({ENDPOINTS: GONE}) == Owner(project_id=P, exists=False)


@pytest.mark.parametrize("owner", ["", "..", "a/b", "é", "a" * 65, "x y", "a?b"])
def test_an_owner_that_is_no_id_of_keystones_is_not_asked_for(owner: str) -> None:
    assert read({}, owner) == Owner(project_id=owner, exists=False)


@pytest.mark.parametrize(("answers", "error"), [
    ({ENDPOINTS: (404, b"<html>nothing here")}, exc.RegionAnswerError),
    ({ENDPOINTS: (404, {"error": {"message": "The resource could not be found."}})}, exc.RegionAnswerError),
    ({ENDPOINTS: (404, [])}, exc.RegionAnswerError),
    ({ENDPOINTS: (403, {})}, exc.RegionForbiddenError),
    ({ENDPOINTS: (500, {})}, exc.RegionUnavailableError),
    ({ENDPOINTS: (200, b"")}, exc.RegionAnswerError),
    ({ENDPOINTS: (200, {})}, exc.RegionAnswerError),
    ({ENDPOINTS: (200, {"endpoints": [1]})}, exc.RegionAnswerError),
    ({ENDPOINTS: (200, {"endpoints": [endpoint("")]}), SERVICES: IMAGE_SERVICES}, exc.RegionAnswerError),
    ({ENDPOINTS: (200, {"endpoints": [endpoint("A")]}), SERVICES: (403, {})}, exc.RegionForbiddenError),
    ({ENDPOINTS: (200, {"endpoints": []}), ROLES: (404, {})}, exc.RegionAnswerError),
    ({ENDPOINTS: (200, {"endpoints": []}), ROLES: (200, {"role_assignments": [{}]})}, exc.RegionAnswerError),
    ({ENDPOINTS: (200, {"endpoints": []}), ROLES: (200, {"role_assignments": []}), PROJECT: (200, {"project": {}})},
     exc.RegionAnswerError),
    ({ENDPOINTS: (200, {"endpoints": []}), ROLES: (200, {"role_assignments": []}), PROJECT: GONE},
     exc.RegionAnswerError)])
def test_a_failure_is_never_no_regions(answers: Answers, error: type[Exception]) -> None:
    with pytest.raises(error, match="Keystone"):
        read(answers, roles=True, domain=True)


@pytest.mark.lab
def test_a_real_keystone(lab: Lab, session_of: Callable[[str], Session]) -> None:
    """The facts of docs/strategies.md, at the Keystone that they were measured on."""
    admin, projects = KeystoneAdmin(lab), Projects(session=session_of("glance-sync"))
    with admin.new_project() as project:
        def seen() -> Owner:
            return projects.read(project, roles=True, domain=True)

        assert seen() == Owner(project_id=project, domain_id="default")
        with admin.endpoint_group(region_id="RegionNine") as empty, admin.grouped(empty, project):
            assert seen().endpoint_regions is None
        with admin.endpoint_group(region_id="RegionThree") as three, admin.grouped(three, project):
            assert seen().endpoint_regions == {"RegionThree"}
            with admin.associated(project, "RegionTwo", "image"):
                assert seen().endpoint_regions == {"RegionTwo", "RegionThree"}
                with admin.region_disabled("RegionTwo"):
                    assert seen().endpoint_regions == {"RegionThree"}
            with admin.inherited_role("demo", "member"):
                assert {"member", "reader"} <= seen().roles, "reader is implied by member"
        assert (seen().endpoint_regions, seen().roles) == (None, frozenset())
        with admin.associated(project, "RegionTwo", "identity"):
            assert seen().endpoint_regions == frozenset()
        with pytest.raises(exc.RegionForbiddenError):
            Projects(session=session_of("demo")).read(project, roles=True, domain=True)
    assert not seen().exists
