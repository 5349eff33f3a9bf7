# SPDX-License-Identifier: Apache-2.0
"""Listings longer than a page, from the commands through the real client to the shipped API over a fake core."""
from __future__ import annotations

import io
import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
import webob

from glancesync.cli.base import Json
from glancesync.cli.run import Diff
from glancesync.cli.status import Status
from glancesync.cli.task import TaskList
from glancesync.client import SyncClient
from glancesync.client.client import MAX_ANSWER_BYTES
from glancesync.conf.image_rules import ImageRules
from glancesync.service.plans import PlanPage
from tests.unit.api.fakes import CALLERS, FakeService, build_app, new_image, new_task
from tests.unit.cli.console import Console

MANY = 2345
REGIONS = 50


class WsgiSession:
    """A keystoneauth1 session whose only server is a WSGI app. `asked` has the queries, `longest` an answer's bytes."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.asked: list[dict[str, str]] = []
        self.longest = 0

    def request(self, url: str, method: str, *, headers: dict[str, str], params: Json | None = None,
                json: Json | None = None, **_how: Any) -> requests.Response:
        prepared = requests.Request(method, url, params=params, json=json).prepare()
        request = webob.Request.blank(str(prepared.url), method=method, body=prepared.body or b"")
        request.headers.update({**prepared.headers, **headers, "X-Auth-Token": TOKEN})
        answer = request.get_response(self._app)
        self.asked.append(dict(request.GET))
        self.longest = max(self.longest, len(answer.body))
        response = requests.Response()
        response.status_code, response.raw = answer.status_int, urllib3.HTTPResponse(
            body=io.BytesIO(answer.body), headers=dict(answer.headers), preload_content=False)
        response.headers.update(answer.headers)
        return response


TOKEN = json.dumps(CALLERS["admin"])


class ManyPlans(FakeService):
    """A comparison of everything comes page by page, and each page says where the next begins."""

    def plan_page(self, *, regions: Sequence[str] | None, limit: int, marker: str | None,
                  only: ImageRules | None = None) -> PlanPage:
        assert only is None
        begin = int(marker.removeprefix(":")) if marker else 0
        ids = sorted(self.images)[begin:begin + limit]
        [plan] = self.plan(image_ids=[], regions=regions).rows
        return PlanPage(rows=[{**plan, "image_id": each} for each in ids], left_out={},
                        marker=f":{begin + limit}" if begin + limit < MANY else None)


@pytest.fixture
def service() -> FakeService:
    found = ManyPlans()
    ids = [str(uuid.UUID(int=number)) for number in range(MANY)]
    found.images = {each: new_image(each, "own") for each in ids}
    found.tasks = {f"{number:032d}": new_task(f"{number:032d}", each) for number, each in enumerate(ids)}
    return found


def listed(service: FakeService, folder: Path, command: type, *options: str,
           **settings: int) -> tuple[list[Json], WsgiSession]:
    """What the command prints as JSON, and what it asked for."""
    session = WsgiSession(build_app(service, folder, **settings))
    console = Console({})
    console.use(SyncClient(session=session, base_url="http://sync"))  # type: ignore[arg-type]
    console.run(command, "-f", "json", *options)
    return json.loads(console.out), session


@pytest.mark.parametrize("command", [Status, TaskList])
@pytest.mark.parametrize("page", [1000, 300])
def test_everything_is_listed_once(service: FakeService, tmp_path: Path, command: type, page: int) -> None:
    rows, session = listed(service, tmp_path, command, max_page_size=page)
    ids = [row.get("ID", row["Image ID"]) for row in rows]
    assert ids == sorted(service.tasks if command is TaskList else service.images)
    size = min(page, int(session.asked[0]["limit"]))
    assert len(session.asked) == -(-MANY // size)


@pytest.mark.parametrize("command", [Status, TaskList])
@pytest.mark.parametrize("limit", [1, 1000, 1001, 2000, 5000])
def test_a_limit_beyond_a_page(service: FakeService, tmp_path: Path, command: type, limit: int) -> None:
    rows, _session = listed(service, tmp_path, command, "--limit", str(limit))
    assert len(rows) == len({json.dumps(row) for row in rows}) == min(limit, MANY)


def test_a_comparison_of_everything_is_shown_to_its_end(service: FakeService, tmp_path: Path) -> None:
    rows, session = listed(service, tmp_path, Diff)
    assert [row["Image ID"] for row in rows] == sorted(service.images)
    assert [each.get("marker") for each in session.asked] == [None, ":1000", ":2000"]


def test_a_page_of_many_regions_is_no_longer_than_the_client_takes(service: FakeService, tmp_path: Path) -> None:
    """An answer over its bound would end the command."""
    for image in service.images.values():
        image["regions"] = [{**image["regions"][0], "region": f"Region{number}", "reason": "r" * 300}
                            for number in range(REGIONS)]
    rows, session = listed(service, tmp_path, Status, "--limit", "400")
    assert len(rows) == 400
    assert session.longest < MAX_ANSWER_BYTES / 1.5
