# SPDX-License-Identifier: Apache-2.0
"""Pages, filters and the link to the next page."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glancesync.model.replica import ConflictChoice
from glancesync.model.sort import BY_ID, NEWEST_FIRST, Sort
from glancesync.model.task import TaskFilter, TaskState
from tests.unit.api.fakes import (
    OTHER_IMAGE,
    OTHER_TASK,
    OWN_IMAGE,
    OWN_TASK,
    OWNERLESS_TASK,
    Caller,
    FakeService,
    build_app,
)


def _pages(caller: Caller, path: str, name: str) -> list[list[str]]:
    pages = []
    link: str | None = path
    while link:
        answer: dict[str, Any] = caller("GET", link).json
        pages.append([row["id"] for row in answer[name]])
        link = answer.get("next")
    return pages


@pytest.mark.parametrize(("limit", "sizes"), [(1, [1, 1, 1]), (2, [2, 1]), (3, [3]), (1000, [3])])
@pytest.mark.parametrize("name", ["images", "tasks"])
def test_pages_hold_everything_once(admin: Caller, name: str, limit: int, sizes: list[int]) -> None:
    pages = _pages(admin, f"/v1/{name}?limit={limit}", name)
    assert [len(page) for page in pages] == sizes
    ids = [each for page in pages for each in page]
    assert ids == sorted(set(ids))


def test_a_page_is_never_larger_than_configured(service: FakeService, tmp_path: Path) -> None:
    admin = Caller(build_app(service, tmp_path, max_page_size=2), "admin")
    assert [len(page) for page in _pages(admin, "/v1/tasks?limit=1000", "tasks")] == [2, 1]
    assert [len(page) for page in _pages(admin, "/v1/tasks", "tasks")] == [2, 1]


def test_filters_go_to_the_core_and_along_with_the_link(admin: Caller, service: FakeService) -> None:
    answer = admin("GET", "/v1/images?limit=1&state=in_sync&region=Region%20Two&reason_code=x&deleted=false").json
    assert service.calls[0][1] == {"limit": 2, "marker": None, "owner": None,
                                   "filters": {"state": "in_sync", "region": "Region Two", "reason_code": "x",
                                               "deleted": "false"},
                                   "sort": BY_ID}
    admin("GET", answer["next"])
    assert service.calls[1][1] == {**service.calls[0][1], "marker": OWN_IMAGE}


def test_filters_of_tasks(admin: Caller, service: FakeService) -> None:
    admin("GET", f"/v1/tasks?state=failed&region=R&image_id={OWN_IMAGE}&reason_code=c&request_id=req-1&"
                 f"marker={OWN_TASK}")
    assert service.calls == [("list_tasks", {
        "filter": TaskFilter(states=frozenset([TaskState.FAILED]), regions=frozenset(["R"]), image_id=OWN_IMAGE,
                             reason_code="c", request_id="req-1"),
        "limit": 101, "marker": OWN_TASK, "sort": NEWEST_FIRST})]


@pytest.mark.parametrize(("query", "sort"), [
    ("sort_key=region", Sort(key="region")), ("sort_key=run_at&sort_dir=desc", Sort(key="run_at", descending=True)),
    ("sort_dir=asc", Sort(key="created_at")), ("limit=1", NEWEST_FIRST)])
def test_the_order_goes_to_the_core_and_along_with_the_link(admin: Caller, service: FakeService, query: str,
                                                            sort: Sort) -> None:
    answer = admin("GET", f"/v1/tasks?{query}&limit=1" if "limit" not in query else f"/v1/tasks?{query}").json
    admin("GET", answer["next"])
    assert [call[1]["sort"] for call in service.calls] == [sort, sort]


@pytest.mark.parametrize("query", ["sort_key=reason", "sort_dir=up", "sort_key="])
def test_an_order_that_is_not_offered(admin: Caller, query: str) -> None:
    for name in ("tasks", "images"):
        assert admin("GET", f"/v1/{name}?{query}").status_int == 400


def test_pages_of_conflicts(admin: Caller, service: FakeService) -> None:
    pages = _pages(admin, "/v1/conflicts?limit=1&region=RegionTwo", "conflicts")
    assert pages == [[f"{OWN_IMAGE}:RegionTwo"], [f"{OTHER_IMAGE}:RegionTwo"]]
    assert service.calls[1][1]["filters"] == {"region": "RegionTwo"}


def test_retry_of_all_that_failed_by_filter(admin: Caller, service: FakeService) -> None:
    assert admin("POST", "/v1/tasks/retry").json == {"retried": 3}
    admin("POST", "/v1/tasks/retry", {"state": "done", "reason_code": "contested", "region": "R"})
    assert [call[1]["filter"] for call in service.calls] == [
        TaskFilter(states=frozenset([TaskState.FAILED])),
        TaskFilter(states=frozenset([TaskState.DONE]), reason_code="contested", regions=frozenset(["R"]))]
    assert admin("POST", "/v1/tasks/retry", {"state": "running"}).status_int == 400


def test_a_choice_goes_to_the_core_with_who_made_it(admin: Caller, service: FakeService) -> None:
    path = f"/v1/images/{OWN_IMAGE}/conflicts/Region%20Two"
    answer = admin("POST", path, {"choice": "replace", "replica_id": OTHER_IMAGE},
                   headers={"X-Openstack-Request-Id": "req-11111111-1111-4111-8111-111111111111"})
    assert answer.status_int == 202
    [(_, given)] = service.calls
    assert (given["region"], given["chosen"].choice, given["chosen"].stranger_id) == (
        "Region Two", ConflictChoice.REPLACE, OTHER_IMAGE)
    assert given["chosen"].request_id
    for wrong in ({}, {"choice": "overwrite"}, {"choice": "skip", "why": "x"}, {"choice": "skip", "replica_id": "x"}):
        assert admin("POST", path, wrong).status_int == 400


def test_links_keep_a_prefix_of_the_server_in_front(admin: Caller) -> None:
    answer = admin("GET", "/v1/tasks?limit=2", environ={"SCRIPT_NAME": "/image-sync"}).json
    assert answer["next"] == f"/image-sync/v1/tasks?limit=2&marker={OTHER_TASK}"


def test_the_last_page_has_no_link(admin: Caller) -> None:
    answer = admin("GET", f"/v1/tasks?marker={OTHER_TASK}").json
    assert [task["id"] for task in answer["tasks"]] == [OWNERLESS_TASK]
    assert "next" not in answer


def test_a_member_pages_within_the_project(service: FakeService, app: Any) -> None:
    service.images[OTHER_IMAGE]["owner"] = "own"
    assert _pages(Caller(app, "member"), "/v1/images?limit=1", "images") == [[OWN_IMAGE], [OTHER_IMAGE]]


def test_a_dry_run_of_everything_comes_in_pages(admin: Caller, service: FakeService) -> None:
    """The link is asked with the same body; it says where to go on and how much to show."""
    first = admin("POST", "/v1/sync?limit=2", {"dry_run": True})
    assert first.json["next"].startswith("/v1/sync?limit=2&marker=")
    assert first.json["left_out"] == [{"region": "RegionThree", "reason": "no answer"}]
    second = admin("POST", first.json["next"], {"dry_run": True})
    assert "next" not in second.json
    asked = [(arguments["limit"], arguments["marker"]) for name, arguments in service.calls if name == "plan_page"]
    assert asked == [(2, None), (2, f"{OWN_IMAGE}:3")]


@pytest.mark.parametrize("body", [{}, {"dry_run": False}, {"dry_run": True, "image_ids": [OWN_IMAGE]}])
def test_what_comes_in_no_pages_takes_no_limit(admin: Caller, service: FakeService, body: dict[str, Any]) -> None:
    answer = admin("POST", "/v1/sync?limit=2", body)
    assert (answer.status_int, answer.json["error"]["code"], service.calls) == (400, "invalid_input", [])
