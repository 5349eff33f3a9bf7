# SPDX-License-Identifier: Apache-2.0
"""What the real core answers through the API is what /v1/openapi.json says, for the people it is meant for."""
from __future__ import annotations

import re
import uuid
from typing import Any

import jsonschema
import pytest
from keystoneauth1.session import Session

from glancesync.lab.cloud import Lab
from glancesync.lab.server import SyncServer
from tests.fixtures.images import ImagesOf
from tests.fixtures.polling import eventually

pytestmark = pytest.mark.lab


class Api:
    """Requests to the running server as a user of the lab; each answer is held to the document."""

    def __init__(self, server: SyncServer, session: Session) -> None:
        self._server = server
        self._session = session
        self._document = self._send("GET", "/v1/openapi.json").json()

    def __call__(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        answer = self._send(method, path, json=body)
        assert answer.status_code == status, answer.text
        schema = self._responses(method, path)[str(status)]["content"]["application/json"]["schema"]
        jsonschema.Draft202012Validator({**schema, "components": self._document["components"]}).validate(answer.json())
        return answer.json()

    def _responses(self, method: str, path: str) -> dict[str, Any]:
        plain = path.partition("?")[0]
        for template, operations in self._document["paths"].items():
            if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), plain) and method.lower() in operations:
                return dict(operations[method.lower()]["responses"])
        raise AssertionError(f"{method} {path} is not in the document")

    def _send(self, method: str, path: str, **options: Any) -> Any:
        return self._session.request(self._server.url + path, method, raise_exc=False, **options)


@pytest.fixture
def api(sync_server: SyncServer, lab: Lab) -> Any:
    return lambda user: Api(sync_server, lab.session(user))


def test_one_image_from_the_dry_run_to_its_history(api: Any, images: ImagesOf, lab: Lab) -> None:
    image_id = images("demo").create("answers", b"x" * 1000)["id"]
    admin, owner, stranger = api("admin"), api("demo"), api("rival")

    plan = admin("POST", "/v1/sync", {"image_ids": [image_id], "dry_run": True})["plan"]
    assert {each["region"] for each in plan} == set(lab.cascaded_regions)
    tasks = admin("POST", "/v1/sync", {"image_ids": [image_id]}, status=202)["tasks"]
    assert {(task["image_id"], task["region"]) for task in tasks} == {(image_id, name)
                                                                      for name in lab.cascaded_regions}

    def in_sync() -> bool:
        shown = admin("GET", f"/v1/images/{image_id}")["image"]
        assert [each["state"] for each in shown["regions"]] == ["in_sync"] * len(lab.cascaded_regions), shown
        return True

    eventually(in_sync, 60, what="the image is in sync everywhere")
    assert owner("GET", f"/v1/images/{image_id}")["image"]["regions"][0]["bytes_done"] == 1000
    assert image_id in [image["id"] for image in owner("GET", "/v1/images")["images"]]
    stranger("GET", f"/v1/images/{image_id}", status=404)
    assert image_id not in [image["id"] for image in stranger("GET", "/v1/images")["images"]]

    task_id = tasks[0]["id"]
    assert admin("GET", f"/v1/tasks/{task_id}")["runs"]
    assert "server" not in owner("GET", f"/v1/tasks/{task_id}")["task"]
    stranger("GET", f"/v1/tasks/{task_id}", status=404)
    assert stranger("GET", f"/v1/tasks?image_id={image_id}") == {"tasks": []}
    assert len(owner("GET", f"/v1/tasks?image_id={image_id}")["tasks"]) == len(lab.cascaded_regions)
    admin("POST", f"/v1/tasks/{task_id}/retry", status=202)


def test_the_operators_views(api: Any, lab: Lab) -> None:
    admin = api("admin")
    admin("GET", "/v1/regions")
    [server] = [each for each in admin("GET", "/v1/servers")["servers"] if each["state"] == "serving"]
    assert server["engine"] == "local"
    assert server["heartbeat_age_seconds"] < 15
    admin("GET", "/v1/tasks?limit=2")
    admin("GET", "/v1/images?limit=1&state=in_sync")
    endpoints = admin("POST", "/v1/cascaded-eps", {"regions": []})["eps"]
    assert sorted(endpoints) == sorted(lab.endpoint(name) for name in lab.cascaded_regions)
    assert admin("POST", "/v1/cascaded-eps", {"regions": ["Nowhere"]}, status=404)["error"]["code"] \
        == "region_not_found"
    admin("POST", "/v1/sync", {"regions": [lab.cascading_region], "dry_run": True}, status=400)


def test_the_filters_account_submits_and_reads_nothing(api: Any, images: ImagesOf) -> None:
    image_id = images("demo").create("hinted", b"x")["id"]
    events = api("glance-sync-events")
    event = {"id": uuid.uuid4().hex, "operation": "save", "image_id": image_id, "at": 1.0}
    first = events("POST", "/v1/events", {"events": [event]}, status=202)
    assert events("POST", "/v1/events", {"events": [event]}, status=202) == first
    assert first["tasks"]
    for path in (f"/v1/images/{image_id}", "/v1/images", "/v1/tasks", f"/v1/tasks/{first['tasks'][0]['id']}",
                 "/v1/regions"):
        events("GET", path, status=403)


@pytest.mark.parametrize("kind", ["shared", "public", "community"])
def test_who_may_use_an_image_may_not_see_how_its_owner_fares(api: Any, images: ImagesOf, project_ids: dict[str, str],
                                                              kind: str) -> None:
    """An image that others may boot is in Glance for them to see; its states, tasks and digests are its owner's."""
    owner = "admin" if kind == "public" else "demo"
    image_id = images(owner).create(kind, b"x", visibility=kind)["id"]
    if kind == "shared":
        images(owner).add_member(image_id, project_ids["rival"])
        images("rival").set_member_status(image_id, project_ids["rival"], "accepted")
    assert images("rival").get(image_id)["visibility"] == kind
    ours, stranger, missing = api(owner), api("rival"), str(uuid.uuid4())
    eventually(lambda: any(image["id"] == image_id for image in ours("GET", "/v1/images?limit=1000")["images"]), 30)
    task_id = api("admin")("GET", f"/v1/tasks?image_id={image_id}")["tasks"][0]["id"]

    for path, other in ((f"/v1/images/{image_id}", f"/v1/images/{missing}"),
                        (f"/v1/tasks/{task_id}", f"/v1/tasks/{missing.replace('-', '')}")):
        told = [stranger("GET", each, status=404)["error"] for each in (path, other)]
        assert told[0]["code"] == told[1]["code"]
        texts = [error["message"].replace(each.rpartition("/")[2], "ID") for error, each in
                 zip(told, (path, other), strict=True)]
        assert texts[0] == texts[1]
    assert image_id not in [image["id"] for image in stranger("GET", "/v1/images?limit=1000")["images"]]
    assert stranger("GET", f"/v1/tasks?image_id={image_id}") == {"tasks": []}
    stranger("GET", f"/v1/images?owner={project_ids[owner]}", status=403)
    ours("GET", f"/v1/images/{image_id}")
