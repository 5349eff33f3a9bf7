# SPDX-License-Identifier: Apache-2.0
"""Tasks, runs and pages as the API shows them."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from glancesync.api.call import Call
from glancesync.clock import isoformat
from glancesync.model.attempt import Attempt
from glancesync.model.sort import Sort
from glancesync.model.task import Run, Task

Json = dict[str, Any]
Row = TypeVar("Row")

_DEFAULT_PAGE = 100


def task_ref(task: Task) -> Json:
    """Enough to follow the task, and nothing of its state: also the account that may only submit events sees this."""
    return {"id": task.id, "image_id": task.image_id, "region": task.region}


def task_json(task: Task, *, with_server: bool) -> Json:
    fields = ("id", "image_id", "region", "state", "trigger", "priority", "attempts", "cancel", "step", "bytes_done",
              "bytes_total", "request_id", "reason_code", "reason")
    times = ("run_at", "created_at", "started_at", "finished_at", "updated_at")
    shown = {name: getattr(task, name) for name in fields}
    shown |= {name: isoformat(getattr(task, name)) for name in times}
    shown["run_again"] = task.wanted > task.seen
    if with_server:
        shown["server"] = task.owner
    return shown


def run_json(run: Run, *, with_server: bool) -> Json:
    fields = ("id", "trigger", "attempt", "outcome", "reason_code", "reason", "bytes_moved", "request_id")
    shown = {name: getattr(run, name) for name in fields}
    shown |= {name: isoformat(getattr(run, name)) for name in ("started_at", "finished_at")}
    if with_server:
        shown["server"] = run.server
    return shown


def attempt_json(attempt: Attempt, *, with_reason: bool) -> Json:
    """The reason names hosts of stores, which are the operator's matter."""
    fields = ("driver", "source_region", "region", "seconds", "bytes_moved", "code")
    return {**{name: getattr(attempt, name) for name in fields}, "began_at": isoformat(attempt.began_at),
            "reason": attempt.reason if with_reason else None}


def submitted(tasks: Iterable[Task]) -> Json:
    return {"tasks": [task_ref(task) for task in tasks]}


def sort_of(call: Call, default: Sort) -> Sort:
    """The order that was asked for, the default where none was."""
    key, direction = call.query.get("sort_key"), call.query.get("sort_dir")
    if key is None and direction is None:
        return default
    return Sort(key=key or default.key, descending=direction == "desc")


def page_limit(call: Call) -> int:
    """Rows of this page: what was asked for, within max_page_size."""
    return int(min(call.query.get("limit", _DEFAULT_PAGE), call.settings.max_page_size))


def page(call: Call, name: str, rows: Sequence[Row], show: Callable[[Row], Json]) -> Json:
    """One page of the listing `name` from one row more than fits, with the link to the next page where there is one."""
    limit = page_limit(call)
    answer: Json = {name: [show(row) for row in rows[:limit]]}
    if len(rows) > limit:
        answer["next"] = next_link(call, limit, answer[name][-1]["id"])
    return answer


def next_link(call: Call, limit: int, marker: str) -> str:
    """The path of the next page, so that it holds behind any proxy that keeps paths."""
    query = {**call.query, "limit": limit, "marker": marker}
    return f"{call.request.script_name}{call.request.path_info}?{urlencode(query)}"
