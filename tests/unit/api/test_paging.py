# SPDX-License-Identifier: Apache-2.0
"""Pages, filters and the link to the next page."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

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
    answer = admin("GET", "/v1/images?limit=1&state=in_sync&region=Region%20Two&reason_code=x").json
    assert service.calls[0][1] == {"limit": 2, "marker": None, "owner": None,
                                   "filters": {"state": "in_sync", "region": "Region Two", "reason_code": "x"}}
    admin("GET", answer["next"])
    assert service.calls[1][1] == {**service.calls[0][1], "marker": OWN_IMAGE}


def test_filters_of_tasks(admin: Caller, service: FakeService) -> None:
    admin("GET", f"/v1/tasks?state=failed&region=R&image_id={OWN_IMAGE}&reason_code=c&request_id=req-1&"
                 f"marker={OWN_TASK}")
    assert service.calls == [("list_tasks", {
        "filter": TaskFilter(states=frozenset([TaskState.FAILED]), regions=frozenset(["R"]), image_id=OWN_IMAGE,
                             reason_code="c", request_id="req-1"),
        "limit": 101, "marker": OWN_TASK})]


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
