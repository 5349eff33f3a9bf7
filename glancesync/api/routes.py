# SPDX-License-Identifier: Apache-2.0
"""The whole API as data: one line per route. The router, the policy test and /v1/openapi.json are made of it."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import routes as routes_library

from glancesync.api import openapi, schemas
from glancesync.api.call import Call, Reply
from glancesync.api.handlers import conflicts, deletions, events, images, locations, regions, root, servers, sync, tasks
from glancesync.api.schemas import Schema


@dataclass(frozen=True, kw_only=True)
class Body:
    """What a route takes."""

    schema: Schema
    required: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Route:
    """`rule` is the policy rule asked before the handler runs; without one the route is for anybody.

    `status` with `answer` is what it answers, `other_answers` (by status) what it may answer instead.
    """

    method: str
    path: str
    handler: Callable[[Call], Reply]
    summary: str
    rule: str | None = None
    query: Mapping[str, Schema] = field(default_factory=dict)
    body: Body | None = None
    status: int = 200
    answer: Schema
    other_answers: Mapping[int, Schema] = field(default_factory=dict)


def _document(_call: Call) -> Reply:
    return Reply(body=openapi.document(ROUTES))


def _public(path: str, handler: Callable[[Call], Reply], summary: str, answer: Schema) -> Route:
    return Route(method="GET", path=path, handler=handler, summary=summary, answer=answer)


def _get(path: str, handler: Callable[[Call], Reply], rule: str, summary: str, *, answer: Schema,
         query: Mapping[str, Schema] | None = None) -> Route:
    return Route(method="GET", path=path, handler=handler, rule=rule, summary=summary, answer=answer, query=query or {})


def _post(path: str, handler: Callable[[Call], Reply], rule: str, summary: str, *, body: Body,
          answer: Schema) -> Route:
    """Answers 202 after what it started is committed."""
    return Route(method="POST", path=path, handler=handler, rule=rule, summary=summary, body=body, status=202,
                 answer=answer)


def _hint(method: str, path: str, summary: str, body: Body) -> Route:
    return Route(method=method, path=path, handler=events.hint, rule="images:hint",
                 summary=f"Original route: {summary} The image is looked at again.", body=body, status=202,
                 answer=schemas.SUBMITTED)


_NOTHING = Body(schema=schemas.NOTHING_BODY, required=False)

ROUTES: Sequence[Route] = (
    _public("/", root.list_versions, "The versions that this server speaks.", schemas.VERSIONS),
    _public("/v1", root.get_version, "Version 1 and its microversions.", schemas.VERSION),
    _public("/v1/openapi.json", _document, "This API as an OpenAPI document.", schemas.DOCUMENT),
    _public("/healthcheck", root.healthcheck, "Whether the process answers.", schemas.HEALTH),

    _post("/v1/events", events.submit_events, "events:submit", "Report changed images.",
          body=Body(schema=schemas.EVENTS_BODY), answer=schemas.SUBMITTED),
    _hint("PATCH", "/v1/images/{image_id}", "metadata changed.", Body(schema=schemas.CHANGES_BODY)),
    _hint("DELETE", "/v1/images/{image_id}", "the image was deleted, which is not believed unseen.",
          Body(schema=schemas.REMOVAL_BODY, required=False)),
    _hint("PUT", "/v1/images/{image_id}", "the image has data.", Body(schema=schemas.IMAGE_BODY)),
    Route(method="PUT", path="/v1/images/{image_id}/location", handler=locations.put_location, rule="images:hint",
          summary="Original route: locations changed. With image_from the image is to be filled from the region that "
                  "it was made in, else it is looked at again.",
          body=Body(schema=schemas.LOCATION_BODY), status=202, answer=schemas.SUBMITTED),
    Route(method="POST", path="/v1/cascaded-eps", handler=regions.list_endpoints, rule="endpoints:list",
          summary="Original route: the image endpoints of the cascaded regions that the caller's project may use.",
          body=Body(schema=schemas.ENDPOINTS_BODY), answer=schemas.ENDPOINTS),

    _get("/v1/images", images.list_images, "images:list", "Images with their state in each region.",
         query=schemas.IMAGES_QUERY, answer=schemas.IMAGES),
    _get("/v1/images/{image_id}", images.get_image, "images:get", "One image with its state in each region.",
         answer=schemas.IMAGE),
    _get("/v1/images/{image_id}/ways/{region}", images.list_ways, "images:explain",
         "The ways that the image's bytes can take to a region, best first, each with why it is not taken.",
         answer=schemas.WAYS),
    _get("/v1/tasks", tasks.list_tasks, "tasks:list", "Tasks, one for each image and region that was ever asked for.",
         query=schemas.TASKS_QUERY, answer=schemas.TASKS),
    _post("/v1/tasks/retry", tasks.retry_tasks, "tasks:retry",
          "Make every task due now that failed (or is in another resting state) and passes the filter.",
          body=Body(schema=schemas.RETRY_BODY, required=False), answer=schemas.RETRIED),
    _get("/v1/tasks/{task_id}", tasks.get_task, "tasks:get", "One task, its runs, and each attempt to copy its bytes.",
         answer=schemas.TASK_WITH_RUNS),
    _post("/v1/tasks/{task_id}/retry", tasks.retry_task, "tasks:retry", "Make a task due now.",
          body=_NOTHING, answer=schemas.TASK),
    _post("/v1/tasks/{task_id}/cancel", tasks.cancel_task, "tasks:cancel", "Cancel a task.",
          body=_NOTHING, answer=schemas.TASK),
    Route(method="POST", path="/v1/sync", handler=sync.submit, rule="sync:submit",
          summary="Compare images and regions now (all where none is named), or with dry_run say what that would do.",
          body=Body(schema=schemas.SYNC_BODY), status=202, answer=schemas.SUBMITTED, query=schemas.SYNC_QUERY,
          other_answers={200: schemas.PLANS}),
    _get("/v1/conflicts", conflicts.list_conflicts, "conflicts:list",
         "Images that stand in a replica's way, with what differs and what can be chosen.",
         query=schemas.CONFLICTS_QUERY, answer=schemas.CONFLICTS),
    _post("/v1/images/{image_id}/conflicts/{region}", conflicts.choose, "conflicts:choose",
          "Decide a conflict: skip, replace or new_id.", body=Body(schema=schemas.CHOICE_BODY), answer=schemas.TASK),
    _get("/v1/deletions", deletions.list_deletions, "deletions:list",
         "Every deletion with its cause, trigger and request id, newest first; and whether the brake holds.",
         query=schemas.DELETIONS_QUERY, answer=schemas.DELETIONS),
    _get("/v1/regions", regions.list_regions, "regions:list", "Regions with their endpoints and tasks.",
         answer=schemas.REGIONS),
    _get("/v1/regions/{region}", regions.get_region, "regions:list", "One region, and how far its fill has come.",
         answer=schemas.REGION),
    _post("/v1/regions/{region}/freeze", regions.freeze, "regions:freeze",
          "Have nothing written to a region: its tasks wait, what runs there ends.",
          body=Body(schema=schemas.FREEZE_BODY, required=False), answer=schemas.REGION),
    _post("/v1/regions/{region}/thaw", regions.thaw, "regions:freeze", "Let a frozen region's tasks go on.",
          body=_NOTHING, answer=schemas.REGION),
    _get("/v1/servers", servers.list_servers, "servers:list",
         "The sync servers that share the work, with their last sign of life and the tasks that they run.",
         answer=schemas.SERVERS),
    _get("/v1/history", regions.get_history, "history:get",
         "Bytes moved, runs and lag over time, a point for each step and region in which something ended.",
         query=schemas.HISTORY_QUERY, answer=schemas.HISTORY),
)
PUBLIC_ROUTES = tuple(route for route in ROUTES if route.rule is None)
GUARDED_ROUTES = tuple(route for route in ROUTES if route.rule is not None)


class RouteMap:
    """Finds the routes of a path. Routes keeps texts only, so it maps a path to its template, and we that to its
    routes by method."""

    def __init__(self, table: Sequence[Route]) -> None:
        self._by_template: dict[str, dict[str, Route]] = {}
        self._mapper = routes_library.Mapper(register=False, explicit=True)
        for route in table:
            if route.path not in self._by_template:
                self._mapper.connect(route.path, template=route.path)
            self._by_template.setdefault(route.path, {})[route.method] = route
        self._mapper.create_regs([])

    def find(self, path: str) -> tuple[Mapping[str, Route], Mapping[str, str]] | None:
        """The path's routes by method and the variable parts of the path; None when there is no such path.

        One slash at the end does not matter: catalogs often carry it.
        """
        match = self._mapper.match(path.removesuffix("/") or "/")
        if match is None:
            return None
        return self._by_template[match.pop("template")], match
