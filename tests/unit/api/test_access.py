# SPDX-License-Identifier: Apache-2.0
"""Who may do what, and that a refusal tells nothing and changes nothing."""
from __future__ import annotations

from collections.abc import Callable

import pytest

from glancesync.api.routes import ROUTES
from tests.unit.api.access_table import ATTEMPTS, CHANGING_CALLS, Attempt
from tests.unit.api.fakes import (
    CALLERS,
    OTHER_IMAGE,
    OTHER_TASK,
    OWN_IMAGE,
    OWN_TASK,
    OWNERLESS_IMAGE,
    UNKNOWN_IMAGE,
    UNKNOWN_TASK,
    Caller,
    FakeService,
    error_of,
)

CallerOf = Callable[[str], Caller]


@pytest.mark.parametrize("name", CALLERS)
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_every_route_for_every_caller(caller: CallerOf, service: FakeService, attempt: Attempt, name: str) -> None:
    response = caller(name)(attempt.route[0], attempt.url, attempt.body)

    assert response.status_int == attempt.expected(name), response.text
    if response.status_int >= 400:
        error_of(response)
        assert not {call for call, _ in service.calls} & CHANGING_CALLS


def test_the_table_has_every_route() -> None:
    assert {attempt.route for attempt in ATTEMPTS} == {(route.method, route.path) for route in ROUTES}


@pytest.mark.parametrize(("name", "existing", "missing"), [
    ("stranger", f"/v1/images/{OWN_IMAGE}", f"/v1/images/{UNKNOWN_IMAGE}"),
    ("member", f"/v1/images/{OWNERLESS_IMAGE}", f"/v1/images/{UNKNOWN_IMAGE}"),
    ("stranger", f"/v1/tasks/{OWN_TASK}", f"/v1/tasks/{UNKNOWN_TASK}"),
    ("events", f"/v1/images/{OWN_IMAGE}", f"/v1/images/{UNKNOWN_IMAGE}"),
    ("service", f"/v1/tasks/{OWN_TASK}", f"/v1/tasks/{UNKNOWN_TASK}"),
    ("stranger", f"/v1/tasks?image_id={OWN_IMAGE}", f"/v1/tasks?image_id={UNKNOWN_IMAGE}"),
])
def test_a_refusal_does_not_tell_that_a_thing_exists(caller: CallerOf, name: str, existing: str,
                                                     missing: str) -> None:
    ids = [url.rpartition("/")[2].rpartition("=")[2] for url in (existing, missing)]
    answers = [caller(name)("GET", url) for url in (existing, missing)]

    first, second = ({"status": answer.status, "text": _without_ids(answer.text, answer.headers, ids)}
                     for answer in answers)
    assert first == second


def test_a_pages_marker_tells_nothing_of_another_projects_things(caller: CallerOf) -> None:
    """Where the marker's place would be is the name of its image, or the time of its task."""
    for path, other, missing in (
            ("/v1/images?sort_key=name", OTHER_IMAGE, UNKNOWN_IMAGE),
            (f"/v1/tasks?image_id={OWN_IMAGE}&sort_key=created_at", OTHER_TASK, UNKNOWN_TASK)):
        answers = [caller("member")("GET", f"{path}&marker={marker}") for marker in (other, missing)]
        assert [answer.status_int for answer in answers] == [404, 404]
        texts = [_without_ids(answer.text, answer.headers, [other, missing]) for answer in answers]
        assert texts[0] == texts[1]
    assert caller("member")("GET", f"/v1/images?sort_key=name&marker={OWN_IMAGE}").status_int == 200
    assert caller("member")("GET", f"/v1/tasks?image_id={OWN_IMAGE}&marker={OWN_TASK}").status_int == 200
    assert caller("admin")("GET", f"/v1/images?sort_key=name&marker={OTHER_IMAGE}").status_int == 200


def _without_ids(text: str, headers: object, ids: list[str]) -> str:
    for known in [*ids, headers["x-openstack-request-id"]]:  # type: ignore[index]
        text = text.replace(known, "ID")
    return text


def test_a_project_lists_its_own_images_only(caller: CallerOf) -> None:
    assert [image["id"] for image in caller("member")("GET", "/v1/images").json["images"]] == [OWN_IMAGE]
    assert [image["id"] for image in caller("stranger")("GET", "/v1/images").json["images"]] == [OTHER_IMAGE]
    assert len(caller("admin")("GET", "/v1/images").json["images"]) == 3


def test_another_projects_images_cannot_be_asked_for(caller: CallerOf, service: FakeService) -> None:
    assert caller("member")("GET", "/v1/images?owner=own").status_int == 200
    assert error_of(caller("member")("GET", "/v1/images?owner=other"))["code"] == "forbidden"
    images = caller("admin")("GET", "/v1/images?owner=other").json["images"]
    assert [image["id"] for image in images] == [OTHER_IMAGE]


def test_a_project_sees_tasks_of_its_own_images_only(caller: CallerOf) -> None:
    url = f"/v1/tasks?image_id={OWN_IMAGE}"
    assert [task["id"] for task in caller("member")("GET", url).json["tasks"]] == [OWN_TASK]
    assert caller("stranger")("GET", url).json == {"tasks": []}


def test_which_server_works_on_a_task_is_the_operators_matter(caller: CallerOf) -> None:
    shown = caller("member")("GET", f"/v1/tasks/{OWN_TASK}").json
    assert "server" not in shown["task"]
    assert "server" not in shown["runs"][0]
    assert (shown["attempts"][0]["code"], shown["attempts"][0]["reason"]) == ("store_unreachable", None)
    seen = caller("admin")("GET", f"/v1/tasks/{OWN_TASK}").json
    assert seen["task"]["server"] == "host:1:abcd"
    assert seen["attempts"][0]["reason"] == "host 192.0.2.7 is away"


def test_submitting_tells_the_events_account_nothing_but_task_ids(caller: CallerOf) -> None:
    response = caller("events")("PUT", f"/v1/images/{OWN_IMAGE}", {"body": {}})
    assert response.json == {"tasks": [{"id": OWN_TASK, "image_id": OWN_IMAGE, "region": "RegionTwo"}]}
