# SPDX-License-Identifier: Apache-2.0
"""What requests and answers look like, as JSON Schema. Validation and /v1/openapi.json are both made of this.

Patterns hold for the whole text. Answers are described, not enforced: a test holds them to it.
"""
from __future__ import annotations

from typing import Any

from glancesync.model.event import Operation
from glancesync.model.replica import ConflictChoice, IdReason, ReplicaState
from glancesync.model.server import ServerState
from glancesync.model.sort import IMAGE_KEYS, TASK_KEYS
from glancesync.model.task import TaskState, Trigger
from glancesync.regions.breaker import BreakerState
from glancesync.tasks.states import RESTING

Schema = dict[str, Any]

MAX_EVENTS = 1000
MAX_IMAGES = 1000
MAX_REGIONS = 100


def _object(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _list(items: Schema, **limits: Any) -> Schema:
    return {"type": "array", "items": items, **limits}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _row(**properties: Schema) -> Schema:
    """An answer's object: every field is always there."""
    return _object(list(properties), **properties)


TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
#: No spaces, controls or letters beyond ASCII: ids and names of services end up in logs and headers.
TOKEN: Schema = {"type": "string", "pattern": "^[!-~]{1,255}$"}
IMAGE_ID: Schema = {"type": "string", "pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
                    "description": "a hyphenated UUID"}
TASK_ID: Schema = {"type": "string", "pattern": "^[0-9A-Za-z_-]{1,64}$", "description": "the id of a task"}
FREE: Schema = {"type": "object", "maxProperties": 1000}

PATH_PARAMETERS: dict[str, Schema] = {"image_id": IMAGE_ID, "task_id": TASK_ID, "region": TEXT}

# -- queries ---------------------------------------------------------------------------------------------------------
_LIMIT: Schema = {"type": "integer", "minimum": 1, "maximum": 1_000_000,
                  "description": "rows of one page; more than max_page_size are not given"}
_SORT_DIR: Schema = {"type": "string", "enum": ["asc", "desc"], "description": "asc where only sort_key is given"}
IMAGES_QUERY: dict[str, Schema] = {
    "limit": _LIMIT, "marker": IMAGE_ID, "region": TEXT, "reason_code": TOKEN,
    "state": {"type": "string", "enum": [state.value for state in ReplicaState]},
    "deleted": {"type": "string", "enum": ["true", "false"],
                "description": "false leaves out the images that are deleted in every region; true where not given"},
    "owner": {**TOKEN, "description": "a project id; for whoever may list the images of every project"},
    "sort_key": {"type": "string", "enum": list(IMAGE_KEYS)}, "sort_dir": _SORT_DIR,
}
TASKS_QUERY: dict[str, Schema] = {
    "limit": _LIMIT, "marker": TASK_ID, "region": TEXT, "reason_code": TOKEN, "image_id": IMAGE_ID,
    "request_id": TOKEN, "state": {"type": "string", "enum": [state.value for state in TaskState]},
    "sort_key": {"type": "string", "enum": list(TASK_KEYS)}, "sort_dir": _SORT_DIR,
}
CONFLICTS_QUERY: dict[str, Schema] = {
    "limit": _LIMIT, "region": TEXT, "image_id": IMAGE_ID,
    "marker": {"type": "string", "pattern": f"^{IMAGE_ID['pattern'].strip('^$')}:.{{1,255}}$",
               "description": "the id of a conflict"},
}
SYNC_QUERY: dict[str, Schema] = {
    "limit": {**_LIMIT, "description": "of a dry run of everything: rows of one page"},
    "marker": {"type": "string", "pattern": "^([0-9a-fA-F-]{36})?:[0-9]{1,9}$",
               "description": "of a dry run of everything: what the link `next` of the page before carries"}}
DELETIONS_QUERY: dict[str, Schema] = {"limit": _LIMIT, "marker": TASK_ID, "region": TEXT, "image_id": IMAGE_ID,
                                      "cause": TOKEN}
HISTORY_QUERY: dict[str, Schema] = {
    "seconds": {"type": "integer", "minimum": 60, "maximum": 86400, "description": "how far back; an hour by default"},
    "points": {"type": "integer", "minimum": 1, "maximum": 500, "description": "steps of that time; 60 by default"},
    "region": TEXT}

# -- bodies ----------------------------------------------------------------------------------------------------------
_EVENT = _object(
    ["id", "operation", "at"],
    id=TOKEN, operation={"type": "string", "enum": [operation.value for operation in Operation]},
    image_id=_or_null(IMAGE_ID), at={"type": "number", "minimum": 0, "exclusiveMaximum": 100_000_000_000},
    request_id=_or_null(TOKEN), user_id=_or_null(TOKEN), project_id=_or_null(TOKEN),
    roles=_list({"type": "string", "maxLength": 255}, maxItems=100), host=_or_null(TEXT))
EVENTS_BODY = _object(["events"], events=_list(_EVENT, minItems=1, maxItems=MAX_EVENTS))
SYNC_BODY = _object(
    [], image_ids=_list(IMAGE_ID, minItems=1, maxItems=MAX_IMAGES, uniqueItems=True),
    regions=_list(TEXT, minItems=1, maxItems=MAX_REGIONS, uniqueItems=True), dry_run={"type": "boolean"},
    filter={"type": "string", "minLength": 1, "maxLength": 1000,
            "description": "only images that meet one of the rules, which are written as those of leave_alone"})
FREEZE_BODY = _object([], reason={**TEXT, "maxLength": 1000})
ENDPOINTS_BODY = _object(["regions"], regions=_list(TEXT, maxItems=MAX_REGIONS, uniqueItems=True))
NOTHING_BODY = _object([])
RETRY_BODY = _object([], region=TEXT, reason_code=TOKEN, image_id=IMAGE_ID, request_id=TOKEN, state={
    "type": "string", "enum": [state.value for state in sorted(RESTING)], "description": "failed unless given"})
CHOICE_BODY = _object(
    ["choice"], choice={"type": "string", "enum": [choice.value for choice in ConflictChoice]},
    replica_id={**IMAGE_ID, "description": "the image in the way that was looked at; another one is refused (409)"})

# The original's bodies: checked so that a broken caller hears of it, and then not used, for the image is read again.
# Only where an image is said to have been born is written down, and looked up there.
_NAMES = _list(TEXT, maxItems=1000)
_LOCATION = _object(["url"], url={"type": "string", "minLength": 1, "maxLength": 4096}, metadata=FREE)
_LOCATIONS = _list({"anyOf": [_LOCATION, {"type": "string", "maxLength": 4096}]}, maxItems=1000)
CHANGES_BODY = _object([], changes=FREE, removes=_NAMES, tags=_object([], add=_NAMES, delete=_NAMES))
REMOVAL_BODY = _object([], locations=_LOCATIONS)
IMAGE_BODY = _object(["body"], body=FREE)
LOCATION_BODY = _object(["action"], action={"type": "string", "enum": ["INSERT", "DELETE", "CLEAR"]},
                        locations=_LOCATIONS, body=FREE)

# -- answers ---------------------------------------------------------------------------------------------------------
_TIME = {"type": "string", "description": "ISO 8601 in UTC"}
_BYTES = {"type": "integer", "minimum": 0}
_STRING: Schema = {"type": "string"}
_ANY_STRING = _or_null(_STRING)
_WHEN = _or_null(_TIME)

_TASK_FIELDS: dict[str, Schema] = {
    "id": TASK_ID, "image_id": IMAGE_ID, "region": _STRING,
    "state": {"type": "string", "enum": [state.value for state in TaskState]},
    "trigger": {"type": "string", "enum": [trigger.value for trigger in Trigger]},
    "priority": {"type": "integer"}, "attempts": _BYTES, "run_again": {"type": "boolean"},
    "cancel": {"type": "boolean"}, "step": _ANY_STRING, "bytes_done": _or_null(_BYTES),
    "bytes_total": _or_null(_BYTES), "request_id": _ANY_STRING, "reason_code": _ANY_STRING, "reason": _ANY_STRING,
    "run_at": _WHEN, "created_at": _WHEN, "started_at": _WHEN, "finished_at": _WHEN, "updated_at": _WHEN,
}
_RUN_FIELDS: dict[str, Schema] = {
    "id": _STRING, "trigger": _TASK_FIELDS["trigger"], "attempt": _BYTES, "outcome": _STRING,
    "reason_code": _ANY_STRING, "reason": _ANY_STRING, "bytes_moved": _BYTES, "request_id": _ANY_STRING,
    "started_at": _WHEN, "finished_at": _WHEN,
}
_SERVER = {"server": {**_ANY_STRING, "description": "which server; shown to whoever may list all tasks"}}

_CHOICE = _or_null({"type": "string", "enum": [choice.value for choice in ConflictChoice]})
_REPLICA_STATE: Schema = {"type": "string", "enum": [state.value for state in ReplicaState]}

COMPONENTS: dict[str, Schema] = {
    "Error": _row(error=_object(["code", "message", "request_id"], code=_STRING, message=_STRING,
                                request_id=_ANY_STRING, min_version=_STRING, max_version=_STRING)),
    "Version": _row(id=_STRING, status=_STRING, min_version=_STRING, version=_STRING,
                    links=_list(_row(rel=_STRING, href=_STRING))),
    "TaskRef": _row(id=TASK_ID, image_id=IMAGE_ID, region=_STRING),
    "Task": _object(list(_TASK_FIELDS), **_TASK_FIELDS, **_SERVER),
    "Run": _object(list(_RUN_FIELDS), **_RUN_FIELDS, **_SERVER),
    "Attempt": _row(
        driver=_STRING, source_region=_STRING, region=_STRING, began_at=_TIME, seconds={"type": "number"},
        bytes_moved=_BYTES, code={**_STRING, "description": "ok, or the code of an error"},
        reason={**_ANY_STRING, "description": "shown to whoever may list all tasks"}),
    "Replica": _row(
        region=_STRING, state=_REPLICA_STATE,
        reason_code=_ANY_STRING, reason=_ANY_STRING, bytes_done=_or_null(_BYTES), bytes_total=_or_null(_BYTES),
        replica_id=_or_null(IMAGE_ID),
        id_reason=_or_null({"type": "string", "enum": [reason.value for reason in IdReason]}),
        origin=_ANY_STRING, choice=_CHOICE,
        digest=_or_null(_row(algorithm=_STRING, value=_STRING)), verified_at=_WHEN, synced_at=_WHEN,
        scrubbed_at=_WHEN, lag_seconds=_or_null({"type": "number"}), rate_bytes_per_second=_or_null({"type": "number"}),
        attempts=_BYTES, next_try_at=_WHEN, task_id=_or_null(TASK_ID)),
    "Image": _row(id=IMAGE_ID, name=_ANY_STRING, owner=_ANY_STRING, status=_ANY_STRING, visibility=_ANY_STRING,
                  size=_or_null(_BYTES), updated_at=_WHEN, removed_at=_WHEN, regions=_list(_ref("Replica")),
                  birth=_or_null(_row(region=_STRING, image_id=IMAGE_ID, image_from=_STRING, filled_at=_WHEN))),
    "Conflict": _row(
        id=_STRING, image_id=IMAGE_ID, region=_STRING, name=_ANY_STRING, owner=_ANY_STRING,
        replica_id=_or_null(IMAGE_ID), reason_code=_ANY_STRING, reason=_ANY_STRING,
        differences=_list(_row(field=_STRING, image={}, replica={})), choices=_list(_STRING), choice=_CHOICE,
        choice_by=_ANY_STRING, choice_at=_WHEN),
    "Deletion": _row(
        id=_STRING, image_id=IMAGE_ID, region=_STRING, replica_id=IMAGE_ID, cause=_STRING, trigger=_STRING,
        request_id=_ANY_STRING, at=_TIME, done_at=_WHEN),
    "Plan": _row(image_id=IMAGE_ID, region=_STRING, state=_REPLICA_STATE, reason_code=_ANY_STRING, reason=_ANY_STRING,
                 actions=_list(_row(action=_STRING, detail={"type": "object"})), bytes=_BYTES),
    "Breaker": _row(state={"type": "string", "enum": [state.value for state in BreakerState]}, since=_WHEN,
                    failures=_BYTES, next_probe_at=_WHEN, reason=_ANY_STRING),
    "Region": _row(name=_STRING, endpoint=_ANY_STRING, cascading={"type": "boolean"},
                   gone_at={**_WHEN, "description": "when it left Keystone's catalog, null while it is in it"},
                   breaker={**_or_null(_ref("Breaker")), "description": "null for a region that left the catalog"},
                   frozen={**_or_null(_row(since=_TIME, by=_ANY_STRING, reason=_ANY_STRING)),
                           "description": "null for a region that is not frozen"},
                   fill={**_or_null(_row(images_done=_BYTES, images_failed=_BYTES, images_total=_BYTES,
                                         bytes_done=_BYTES, bytes_total=_BYTES, since=_TIME,
                                         eta_seconds=_or_null(_BYTES))),
                         "description": "how far the images have come that the region lacked; null when none is left"},
                   problems=_list({**_STRING, "description": "why it is not seen whole, or takes no new ids"}),
                   images={"type": "object", "additionalProperties": _BYTES,
                           "description": "number of images by their state in this region"}),
    "Chore": _row(name={**_STRING, "description": "what one server at a time does for all"},
                  server={"type": ["string", "null"], "description": "the name of the server that does it now"},
                  asked={"type": "boolean", "description": "somebody asked for it, and it was not done since"},
                  failures={**_BYTES, "description": "turns in a row that did not go well"},
                  began_at=_or_null(_TIME), ended_at=_or_null(_TIME)),
    "Server": _row(name={**_STRING, "description": "this incarnation's, as a task's `server`"}, host=_STRING,
                   pid=_BYTES, version=_STRING, engine=_STRING,
                   state={"type": "string", "enum": [state.value for state in ServerState]},
                   running_tasks=_BYTES, started_at=_TIME, heartbeat_at=_TIME,
                   capacity={**_or_null(_BYTES), "description": "how many tasks it runs at once; 0 where others run "
                                                                "them, null for an older program"},
                   trouble={**_ANY_STRING, "description": "what keeps tasks from being run; null while nothing does"},
                   heartbeat_age_seconds={"type": "number", "minimum": 0},
                   clock_ahead_seconds={"type": ["number", "null"], "description": "of its machine's clock before the "
                                        "database's, by which all servers go; behind it where it is negative"}),
}

SERVERS = _row(servers=_list(_ref("Server")), chores=_list(_ref("Chore")))
VERSIONS = _row(versions=_list(_ref("Version")))
VERSION = _row(version=_ref("Version"))
HEALTH = _row(status=_STRING)
DOCUMENT: Schema = {"type": "object"}
SUBMITTED = _row(tasks=_list(_ref("TaskRef")))
PLANS = _object(["plan"], plan=_list(_ref("Plan")), left_out={
    **_list(_row(region=_STRING, reason=_STRING)),
    "description": "regions that could not be asked, or not compared to their end, and why"}, next={
    **_STRING, "description": "the next page of a dry run of everything; POST the same body there"})
TASK = _row(task=_ref("Task"))
TASK_WITH_RUNS = _row(task=_ref("Task"), runs=_list(_ref("Run")), attempts=_list(_ref("Attempt")))
TASKS = _object(["tasks"], tasks=_list(_ref("Task")), next=_STRING)
IMAGE = _row(image=_ref("Image"))
IMAGES = _object(["images"], images=_list(_ref("Image")), next=_STRING)
CONFLICTS = _object(["conflicts"], conflicts=_list(_ref("Conflict")), next=_STRING)
DELETIONS = _object(["deletions", "held"], deletions=_list(_ref("Deletion")), next=_STRING,
                    held={**_ANY_STRING, "description": "why deletions are held now, null when they are not"})
HISTORY = _row(begins_at=_TIME, step_seconds={"type": "number"}, points=_list(_row(
    at={**_TIME, "description": "when the step began"}, region=_STRING, bytes=_BYTES, done=_BYTES, failed=_BYTES,
    lag_seconds={**_or_null({"type": "number"}), "description": "the longest of what came in sync"})))
RETRIED = _row(retried={**_BYTES, "description": "how many tasks are due now"})
WAYS = _row(ways=_list(_row(source=_STRING, driver=_STRING, carrier={
    **_STRING, "description": "the machine that bytes pass through: this `server`, or the `target`'s Glance"}, refusal={
    **_ANY_STRING, "description": "why this way is not taken, null when it is"}, route={
    **_ANY_STRING, "description": "how the bytes pass between the hosts, null where there is no more to say"}, doubt={
    **_ANY_STRING, "description": "how the source failed a moment ago: others are tried before it"})))
REGION = _row(region=_ref("Region"))
REGIONS = _row(regions=_list(_ref("Region")))
ENDPOINTS = _row(eps=_list(_STRING))
