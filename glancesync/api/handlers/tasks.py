# SPDX-License-Identifier: Apache-2.0
"""Tasks and their runs: look, repeat, cancel."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glancesync.api.call import Call, Reply
from glancesync.api.views import attempt_json, page, page_limit, run_json, sort_of, task_json
from glancesync.exceptions import ForbiddenError, TaskNotFoundError
from glancesync.model.sort import NEWEST_FIRST
from glancesync.model.task import Task, TaskFilter, TaskState


def list_tasks(call: Call) -> Reply:
    sees_all = call.rights.allows("tasks:list_all")
    if sees_all or _owns_image(call):
        if not sees_all:
            _check_marker(call)
        rows = call.service.list_tasks(_filter(call.query), page_limit(call) + 1, call.query.get("marker"),
                                       sort_of(call, NEWEST_FIRST))
    else:
        rows = []
    return Reply(body=page(call, "tasks", rows, lambda task: task_json(task, with_server=sees_all)))


def get_task(call: Call) -> Reply:
    task = _visible_task(call)
    sees_all = call.rights.allows("tasks:list_all")
    runs = call.service.list_runs(task.id)
    return Reply(body={"task": task_json(task, with_server=sees_all),
                       "runs": [run_json(run, with_server=sees_all) for run in runs],
                       "attempts": [attempt_json(each, with_reason=sees_all)
                                    for each in call.service.list_attempts(task.id)]})


def retry_task(call: Call) -> Reply:
    return _task_reply(call, call.service.retry_task(call.path["task_id"]))


def retry_tasks(call: Call) -> Reply:
    wanted = _filter({"state": TaskState.FAILED.value, **call.body})
    return Reply(body={"retried": call.service.retry_tasks(wanted, request_id=call.request_id)})


def cancel_task(call: Call) -> Reply:
    return _task_reply(call, call.service.cancel_task(call.path["task_id"]))


def _task_reply(call: Call, task: Task) -> Reply:
    return Reply(body={"task": task_json(task, with_server=call.rights.allows("tasks:list_all"))})


def _visible_task(call: Call) -> Task:
    task_id = call.path["task_id"]
    try:
        task = call.service.get_task(task_id)
    except TaskNotFoundError:
        task = None
    if task is None or not call.rights.allows("tasks:get", owner=call.service.owner_of(task.image_id)):
        # One text for both, so that it does not tell a stranger that the task exists.
        raise TaskNotFoundError(f"No task {task_id} is known here.")
    return task


def _owns_image(call: Call) -> bool:
    """Whether the one image asked for is the caller's; raises ForbiddenError when the query names none."""
    image_id = call.query.get("image_id")
    if image_id is None:
        raise ForbiddenError("Your roles allow listing the tasks of your own project's images: name one by image_id.")
    return call.rights.allows("tasks:list", owner=call.service.owner_of(image_id))


def _check_marker(call: Call) -> None:
    """Only a task of the listing may mark a page: where another one's place is would tell a stranger of it."""
    marker = call.query.get("marker")
    if marker is None:
        return
    try:
        known = call.service.get_task(marker).image_id == call.query["image_id"]
    except TaskNotFoundError:
        known = False
    if not known:
        raise TaskNotFoundError(f"No task {marker} of this listing is known here.")


def _filter(query: Mapping[str, Any]) -> TaskFilter:
    return TaskFilter(
        states=frozenset([TaskState(query["state"])] if "state" in query else []),
        regions=frozenset([query["region"]] if "region" in query else []),
        image_id=query.get("image_id"), reason_code=query.get("reason_code"), request_id=query.get("request_id"))
