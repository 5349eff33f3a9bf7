# SPDX-License-Identifier: Apache-2.0
"""A core that remembers what it was asked, a clean way around Keystone, and the app built over both."""
from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import webob
from oslo_config import cfg

from glancesync.api.app import load_app
from glancesync.api.errors import HttpError
from glancesync.api.parts import Parts
from glancesync.api.policies import new_enforcer
from glancesync.conf.api import ApiSettings
from glancesync.conf.image_rules import ImageRules
from glancesync.exceptions import GlanceSyncError, ImageNotFoundError, TaskNotFoundError
from glancesync.model.attempt import Attempt
from glancesync.model.birth import BirthClaim
from glancesync.model.event import Event
from glancesync.model.sort import Sort
from glancesync.model.task import Run, Task, TaskFilter, TaskState, Trigger
from glancesync.service.conflicts import Chosen
from glancesync.service.plans import PlanPage

PASTE_FILE = Path(__file__).parents[3] / "etc" / "glance-sync-paste.ini"
OWN_IMAGE = "11111111-1111-4111-8111-111111111111"
OTHER_IMAGE = "22222222-2222-4222-8222-222222222222"
OWNERLESS_IMAGE = "33333333-3333-4333-8333-333333333333"
UNKNOWN_IMAGE = "99999999-9999-4999-8999-999999999999"
OWN_TASK, OTHER_TASK, OWNERLESS_TASK = "a" * 32, "b" * 32, "c" * 32
UNKNOWN_TASK = "f" * 32


def new_task(task_id: str, image_id: str, **fields: Any) -> Task:
    known: dict[str, Any] = {
        "region": "RegionTwo", "state": TaskState.WAITING, "trigger": Trigger.EVENT, "wanted": 1, "seen": 0,
        "priority": 0, "run_at": 1000.0, "attempts": 0, "created_at": 1000.0, "updated_at": 1000.0,
        "owner": "host:1:abcd"}
    return Task(id=task_id, image_id=image_id, **(known | fields))


def new_image(image_id: str, owner: str | None) -> dict[str, Any]:
    replica = {
        "region": "RegionTwo", "state": "in_sync", "reason_code": None, "reason": None, "bytes_done": 5,
        "bytes_total": 5, "replica_id": image_id, "id_reason": None, "origin": "created",
        "choice": None, "scrubbed_at": None,
        "digest": {"algorithm": "sha512", "value": "ab" * 64}, "verified_at": "2026-01-31T12:00:00.000Z",
        "synced_at": "2026-01-31T12:00:00.000Z", "lag_seconds": 1.5, "rate_bytes_per_second": None, "attempts": 0,
        "next_try_at": None, "task_id": OWN_TASK}
    return {"id": image_id, "name": "cirros", "owner": owner, "status": "active", "visibility": "private", "size": 5,
            "updated_at": "2026-01-31T12:00:00.000Z", "removed_at": None, "birth": None,
            "regions": [replica]}


def new_conflict(image_id: str) -> dict[str, Any]:
    return {"id": f"{image_id}:RegionTwo", "image_id": image_id, "region": "RegionTwo", "name": "cirros",
            "owner": "own", "replica_id": OWNERLESS_IMAGE, "reason_code": "conflict", "reason": "It is another.",
            "differences": [{"field": "size", "image": 5, "replica": 6},
                            {"field": "tags", "image": ["a"], "replica": []}],
            "choices": ["skip", "replace", "new_id"], "choice": None, "choice_by": None, "choice_at": None}


class FakeService:
    """The core's interface over three images and their tasks. `calls` holds what changed something or was listed.

    `error`, when set, is raised by the next call.
    """

    def __init__(self, *, own_project: str = "own", other_project: str = "other") -> None:
        self.images = {image["id"]: image for image in (
            new_image(OWN_IMAGE, own_project), new_image(OTHER_IMAGE, other_project),
            new_image(OWNERLESS_IMAGE, None))}
        self.tasks = {task.id: task for task in (
            new_task(OWN_TASK, OWN_IMAGE), new_task(OTHER_TASK, OTHER_IMAGE),
            new_task(OWNERLESS_TASK, OWNERLESS_IMAGE))}
        self.calls: list[tuple[str, Any]] = []
        self.error: Exception | None = None

    def _record(self, name: str, **arguments: Any) -> None:
        self.calls.append((name, arguments))
        if self.error is not None:
            raise self.error

    def submit_events(self, events: Sequence[Event]) -> list[Task]:
        self._record("submit_events", events=list(events))
        return [new_task(OWN_TASK, event.image_id) for event in events if event.image_id]

    def hint(self, image_id: str, *, trigger: Trigger, request_id: str | None) -> list[Task]:
        self._record("hint", image_id=image_id, trigger=trigger, request_id=request_id)
        return [new_task(OWN_TASK, image_id, trigger=trigger)]

    def claim_birth(self, claim: BirthClaim) -> list[Task]:
        self._record("claim_birth", claim=claim)
        return [new_task(OWN_TASK, claim.image_id)]

    def mark_located(self, image_id: str, *, request_id: str | None) -> list[Task]:
        self._record("mark_located", image_id=image_id, request_id=request_id)
        return [new_task(OWN_TASK, image_id)]

    def region_of_endpoint(self, url: str) -> str | None:
        return "RegionTwo" if url.startswith("http://two/v2/images/") else None

    def submit(self, *, image_ids: Sequence[str] | None, regions: Sequence[str] | None,
               request_id: str | None, only: ImageRules | None = None) -> list[Task]:
        self._record("submit", image_ids=image_ids, regions=regions, request_id=request_id, only=only)
        return [new_task(OWN_TASK, image_id) for image_id in image_ids or [OWN_IMAGE]]

    def plan_page(self, *, regions: Sequence[str] | None, limit: int, marker: str | None,
                  only: ImageRules | None = None) -> PlanPage:
        self._record("plan_page", regions=regions, limit=limit, marker=marker, only=only)
        return PlanPage(rows=self.plan(image_ids=[OWN_IMAGE], regions=regions).rows,
                        left_out={"RegionThree": "no answer"},
                        marker=f"{OWN_IMAGE}:3" if marker is None else None)

    def plan(self, *, image_ids: Sequence[str], regions: Sequence[str] | None) -> PlanPage:
        self._record("plan", image_ids=image_ids, regions=regions)
        return PlanPage(left_out={}, marker=None, rows=[
            {"image_id": OWN_IMAGE, "region": "RegionTwo", "state": "waiting", "reason_code": "create",
             "reason": "It is not there.", "actions": [{"action": "CreateReplica", "detail": {"name": "cirros"}}],
             "bytes": 5}])

    def list_images(self, *, limit: int, marker: str | None, owner: str | None, filters: dict[str, str],
                    sort: Sort) -> list[dict[str, Any]]:
        self._record("list_images", limit=limit, marker=marker, owner=owner, filters=filters, sort=sort)
        return [image for image_id, image in sorted(self.images.items())
                if owner in (None, image["owner"]) and image_id > (marker or "")][:limit]

    def get_image(self, image_id: str) -> dict[str, Any]:
        self._record("get_image", image_id=image_id)
        if image_id not in self.images:
            raise ImageNotFoundError("other words than a stranger is told")
        return self.images[image_id]

    def owner_of(self, image_id: str) -> str | None:
        owner: str | None = self.images.get(image_id, {}).get("owner")
        return owner

    def list_tasks(self, task_filter: TaskFilter, limit: int, marker: str | None, sort: Sort) -> list[Task]:
        self._record("list_tasks", filter=task_filter, limit=limit, marker=marker, sort=sort)
        return [task for task_id, task in sorted(self.tasks.items())
                if task_filter.image_id in (None, task.image_id) and task_id > (marker or "")][:limit]

    def get_task(self, task_id: str) -> Task:
        self._record("get_task", task_id=task_id)
        if task_id not in self.tasks:
            raise TaskNotFoundError("other words than a stranger is told")
        return self.tasks[task_id]

    def list_runs(self, task_id: str) -> list[Run]:
        return [Run(id="d" * 32, task_id=task_id, image_id=self.tasks[task_id].image_id, region="RegionTwo",
                    trigger=Trigger.EVENT, attempt=1, started_at=1.0, finished_at=2.0, outcome="done",
                    server="host:1:abcd")]

    def list_attempts(self, task_id: str) -> list[Attempt]:
        return [Attempt(task_id=task_id, image_id=self.tasks[task_id].image_id, region="RegionTwo",
                        source_region="RegionOne", driver="filesystem", began_at=1.0, seconds=0.5, bytes_moved=7,
                        code="store_unreachable", reason="host 192.0.2.7 is away")]

    def retry_task(self, task_id: str) -> Task:
        self._record("retry_task", task_id=task_id)
        return self.tasks[task_id]

    def retry_tasks(self, task_filter: TaskFilter, *, request_id: str | None) -> int:
        self._record("retry_tasks", filter=task_filter)
        return 3

    def list_conflicts(self, *, limit: int, marker: str | None, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        self._record("list_conflicts", limit=limit, marker=marker, filters=filters)
        return [new_conflict(image_id) for image_id in (OWN_IMAGE, OTHER_IMAGE)
                if f"{image_id}:RegionTwo" > (marker or "")][:limit]

    def choose(self, image_id: str, region: str, chosen: Chosen) -> Task:
        self._record("choose", image_id=image_id, region=region, chosen=chosen)
        return self.tasks[OWN_TASK]

    def list_deletions(self, *, limit: int, marker: str | None, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        self._record("list_deletions", limit=limit, marker=marker, filters=filters)
        return [{"id": "e" * 32, "image_id": OWN_IMAGE, "region": "RegionTwo", "replica_id": OWN_IMAGE,
                 "cause": "source_removed", "trigger": "event", "request_id": "req-1",
                 "at": "2026-01-31T12:00:00.000Z", "done_at": None}][:limit]

    def deletions_held(self) -> str | None:
        return None

    def cancel_task(self, task_id: str) -> Task:
        self._record("cancel_task", task_id=task_id)
        return self.tasks[task_id]

    def list_servers(self) -> list[dict[str, Any]]:
        self._record("list_servers")
        return [{"name": "one/1", "host": "one", "pid": 7, "version": "1", "engine": "local", "state": "serving",
                 "running_tasks": 2, "capacity": 16, "trouble": None, "started_at": "2026-01-01T00:00:00.000000Z",
                 "heartbeat_at": "2026-01-01T00:00:00.000000Z", "heartbeat_age_seconds": 0.5,
                 "clock_ahead_seconds": 0.01}]

    def list_chores(self) -> list[dict[str, Any]]:
        self._record("list_chores")
        return [{"name": "reconcile", "server": "one/1", "asked": False, "failures": 0, "ended_at": None,
                 "began_at": "2026-01-01T00:00:00.000000Z"}]

    def list_regions(self) -> list[dict[str, Any]]:
        self._record("list_regions")
        return [{"name": "RegionOne", "endpoint": "http://192.0.2.1/image", "cascading": True, "gone_at": None,
                 "problems": [], "images": {}, "breaker": None, "frozen": None, "fill": None},
                {"name": "RegionTwo", "endpoint": "http://192.0.2.2/image", "cascading": False, "gone_at": None,
                 "problems": [], "images": {"in_sync": 3},
                 "fill": {"images_done": 3, "images_failed": 1, "images_total": 9, "bytes_done": 3000,
                          "bytes_total": 9000, "since": "2026-01-31T12:00:00.000Z", "eta_seconds": 120},
                 "frozen": {"since": "2026-01-31T12:00:00.000Z", "by": None, "reason": "new disks"}, "breaker": {
                     "state": "open", "since": "2026-01-31T12:00:00.000Z", "failures": 5, "reason": "no answer",
                     "next_probe_at": "2026-01-31T12:00:30.000Z"}}]

    def freeze_region(self, name: str, *, by: str | None, reason: str | None) -> None:
        self._record("freeze_region", region=name, by=by, reason=reason)

    def thaw_region(self, name: str) -> None:
        self._record("thaw_region", region=name)

    def history(self, *, seconds: float, points: int, region: str | None) -> dict[str, Any]:
        self._record("history", seconds=seconds, points=points, region=region)
        return {"begins_at": "2026-01-31T12:00:00.000Z", "step_seconds": seconds / points, "points": [
            {"at": "2026-01-31T12:00:00.000Z", "region": "RegionTwo", "bytes": 5, "done": 1, "failed": 0,
             "lag_seconds": 1.5}]}

    def list_ways(self, image_id: str, region: str) -> list[dict[str, Any]]:
        self._record("list_ways", image_id=image_id, region=region)
        return [{"source": "RegionOne", "driver": "stream", "carrier": "server", "refusal": None, "route": None,
                 "doubt": None}]

    def cascaded_endpoints(self, region_names: Sequence[str], project_id: str | None) -> list[str]:
        self._record("cascaded_endpoints", region_names=region_names, project_id=project_id)
        return ["http://192.0.2.2/image"]


class HeaderAuth:
    """In place of auth_token: X-Auth-Token holds the caller as JSON ({"roles", "project_id"}), and is believed."""

    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        token = environ.get("HTTP_X_AUTH_TOKEN")
        if not token:
            raise HttpError(401, "A token is needed.")
        caller = json.loads(token)
        environ["HTTP_X_ROLES"] = ",".join(caller.pop("roles", []))
        for name, value in caller.items():
            environ[f"HTTP_{name.upper()}"] = value
        return self._application(environ, start_response)


def header_auth_factory(_global_conf: Mapping[str, Any]) -> Callable[[Any], HeaderAuth]:
    return HeaderAuth


def guard(_doing: str, function: Callable[[], Any]) -> Any:
    """As the worker's: what it returns, or its error."""
    try:
        return function()
    except GlanceSyncError as error:
        return error


def new_conf() -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    conf([], project="glance-sync", default_config_files=[])
    return conf


def build_app(service: FakeService, folder: Path, *, conf: cfg.ConfigOpts | None = None, **settings: int) -> Any:
    """The shipped pipeline with HeaderAuth in the place of authtoken."""
    conf = conf or new_conf()
    text = PASTE_FILE.read_text("utf-8")
    shipped = "glancesync.api.middleware.authtoken:filter_factory"
    assert shipped in text
    paste_file = folder / "paste.ini"
    paste_file.write_text(text.replace(shipped, "tests.unit.api.fakes:header_auth_factory"), "utf-8")
    return load_app(Parts(service=service, settings=ApiSettings(**settings), enforcer=new_enforcer(conf), conf=conf),
                    paste_file)


# As Keystone gives them: admin and member imply what is below them.
CALLERS: dict[str, dict[str, Any] | None] = {
    "nobody": None,
    "events": {"roles": ["glance_sync_events"], "x_project_id": "service"},
    "service": {"roles": ["service"], "x_project_id": "service"},
    "reader": {"roles": ["reader"], "x_project_id": "own"},
    "member": {"roles": ["member", "reader"], "x_project_id": "own"},
    "stranger": {"roles": ["member", "reader"], "x_project_id": "other"},
    "admin": {"roles": ["admin", "manager", "member", "reader"], "x_project_id": "admin"},
    "system_admin": {"roles": ["admin", "member", "reader"], "openstack_system_scope": "all"},
    "unscoped_reader": {"roles": ["reader"]},
}


class Caller:
    """Sends requests to a WSGI app as one of CALLERS."""

    def __init__(self, app: Any, name: str) -> None:
        self._app = app
        self._headers = {} if CALLERS[name] is None else {"X-Auth-Token": json.dumps(CALLERS[name])}

    def __call__(self, method: str, path: str, body: Any = None, *, raw: bytes | None = None,
                 headers: Mapping[str, str] | None = None, environ: Mapping[str, Any] | None = None) -> webob.Response:
        """`body` is sent as JSON, `raw` as it is."""
        request = webob.Request.blank(path, method=method)
        request.headers.update({**self._headers, **(headers or {})})
        if body is not None or raw is not None:
            request.content_type = (headers or {}).get("Content-Type", "application/json")
            request.body = json.dumps(body).encode() if raw is None else raw
        request.environ.update(environ or {})
        return request.get_response(self._app)


def new_event(**fields: Any) -> dict[str, Any]:
    return {"id": uuid.uuid4().hex, "operation": "save", "image_id": OWN_IMAGE, "at": 1000.5} | fields


def error_of(response: webob.Response) -> dict[str, Any]:
    """The error's fields, after a look at their form."""
    assert response.content_type == "application/json", response
    error = response.json["error"]
    known = {"code", "message", "request_id"}
    if response.status_int == 406:
        known |= {"min_version", "max_version"}
    assert set(error) == known, response.text
    assert error["request_id"] == response.headers["x-openstack-request-id"]
    assert isinstance(error["message"], str)
    assert error["message"].strip()
    return dict(error)


