# SPDX-License-Identifier: Apache-2.0
"""Every route for every kind of caller: the answer that the policy as shipped gives. Tried on fakes and on Keystone."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.unit.api.fakes import (
    OTHER_IMAGE,
    OTHER_TASK,
    OWN_IMAGE,
    OWN_TASK,
    OWNERLESS_IMAGE,
    OWNERLESS_TASK,
    UNKNOWN_IMAGE,
    UNKNOWN_TASK,
    new_event,
)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A request and the status that each caller gets: `nobody` 401, and 403 for whoever is not named."""

    route: tuple[str, str]
    url: str
    body: Any = None
    answers: dict[str, int]

    def expected(self, caller: str) -> int:
        if caller in self.answers:
            return self.answers[caller]
        return self.answers.get("anybody", 401 if caller == "nobody" else 403)

    def __str__(self) -> str:
        return f"{self.route[0]} {self.url}"


def _readers(member: int, stranger: int, admin: int = 200) -> dict[str, int]:
    """`member` and `reader` work in the project that owns the first image, `stranger` in another."""
    return {"member": member, "reader": member, "stranger": stranger, "admin": admin}


_ANYBODY = {"anybody": 200}
_SUBMITTERS = {"events": 202, "admin": 202}


def _public(path: str) -> Attempt:
    return Attempt(route=("GET", path), url=path, answers=_ANYBODY)


def _hint(method: str, suffix: str, body: Any) -> Attempt:
    return Attempt(route=(method, f"/v1/images/{{image_id}}{suffix}"), url=f"/v1/images/{OTHER_IMAGE}{suffix}",
                   body=body, answers=_SUBMITTERS)


def _image(image_id: str, answers: dict[str, int]) -> Attempt:
    return Attempt(route=("GET", "/v1/images/{image_id}"), url=f"/v1/images/{image_id}", answers=answers)


def _task(task_id: str, answers: dict[str, int]) -> Attempt:
    return Attempt(route=("GET", "/v1/tasks/{task_id}"), url=f"/v1/tasks/{task_id}", answers=answers)


ATTEMPTS = [
    _public("/"), _public("/v1"), _public("/v1/openapi.json"), _public("/healthcheck"),
    Attempt(route=("POST", "/v1/events"), url="/v1/events", body={"events": [new_event()]}, answers=_SUBMITTERS),
    _hint("PATCH", "", {"changes": {"name": "x"}, "removes": [], "tags": {"add": ["a"], "delete": []}}),
    _hint("DELETE", "", {"locations": [{"url": "http://192.0.2.9/x", "metadata": {}}]}),
    _hint("PUT", "", {"body": {"name": "x"}}),
    _hint("PUT", "/location", {"action": "INSERT", "locations": [{"url": "http://192.0.2.9/x", "metadata": {}}]}),
    Attempt(route=("POST", "/v1/cascaded-eps"), url="/v1/cascaded-eps", body={"regions": []},
            answers=_readers(200, 200)),
    Attempt(route=("GET", "/v1/images"), url="/v1/images", answers=_readers(200, 200)),
    _image(OWN_IMAGE, _readers(200, 404)),
    _image(OTHER_IMAGE, _readers(404, 200)),
    _image(OWNERLESS_IMAGE, _readers(404, 404)),
    _image(UNKNOWN_IMAGE, _readers(404, 404, 404)),
    Attempt(route=("GET", "/v1/tasks"), url="/v1/tasks", answers={"admin": 200}),
    Attempt(route=("GET", "/v1/tasks"), url=f"/v1/tasks?image_id={OWN_IMAGE}", answers=_readers(200, 200)),
    _task(OWN_TASK, _readers(200, 404)),
    _task(OTHER_TASK, _readers(404, 200)),
    _task(OWNERLESS_TASK, _readers(404, 404)),
    _task(UNKNOWN_TASK, _readers(404, 404, 404)),
    Attempt(route=("POST", "/v1/tasks/{task_id}/retry"), url=f"/v1/tasks/{OWN_TASK}/retry", answers={"admin": 202}),
    Attempt(route=("POST", "/v1/tasks/{task_id}/cancel"), url=f"/v1/tasks/{OWN_TASK}/cancel", answers={"admin": 202}),
    Attempt(route=("POST", "/v1/sync"), url="/v1/sync", body={}, answers={"admin": 202}),
    Attempt(route=("POST", "/v1/sync"), url="/v1/sync", body={"dry_run": True}, answers={"admin": 200}),
    Attempt(route=("POST", "/v1/tasks/retry"), url="/v1/tasks/retry", body={"reason_code": "region_quota"},
            answers={"admin": 202}),
    Attempt(route=("GET", "/v1/conflicts"), url="/v1/conflicts", answers={"admin": 200}),
    Attempt(route=("POST", "/v1/images/{image_id}/conflicts/{region}"),
            url=f"/v1/images/{OWN_IMAGE}/conflicts/RegionTwo", body={"choice": "skip"}, answers={"admin": 202}),
    Attempt(route=("GET", "/v1/deletions"), url="/v1/deletions", answers={"admin": 200}),
    Attempt(route=("GET", "/v1/regions"), url="/v1/regions", answers={"admin": 200}),
    Attempt(route=("GET", "/v1/regions/{region}"), url="/v1/regions/RegionTwo", answers={"admin": 200}),
    Attempt(route=("POST", "/v1/regions/{region}/freeze"), url="/v1/regions/RegionTwo/freeze",
            body={"reason": "new disks"}, answers={"admin": 202}),
    Attempt(route=("POST", "/v1/regions/{region}/thaw"), url="/v1/regions/RegionTwo/thaw", answers={"admin": 202}),
    Attempt(route=("GET", "/v1/images/{image_id}/ways/{region}"), url=f"/v1/images/{OWN_IMAGE}/ways/RegionTwo",
            answers={"admin": 200}),
    Attempt(route=("GET", "/v1/history"), url="/v1/history?seconds=600&points=10", answers={"admin": 200}),
    Attempt(route=("GET", "/v1/servers"), url="/v1/servers", answers={"admin": 200}),
]

#: What changes something in the core; refused callers must not get there.
CHANGING_CALLS = {"submit_events", "hint", "submit", "retry_task", "retry_tasks", "cancel_task", "choose",
                  "freeze_region", "thaw_region"}
