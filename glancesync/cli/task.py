# SPDX-License-Identifier: Apache-2.0
"""`openstack image sync task list|show|retry|cancel`."""
from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from osc_lib import exceptions as osc_errors
from osc_lib.command import command

from glancesync.cli import text
from glancesync.cli.base import RAW_FORMATS, Json, Speaks, positive, shown
from glancesync.model.text import inert

_COLUMNS = ("ID", "Image ID", "Region", "State", "Step", "Progress", "Attempts", "Reason code", "Updated at")
_FILTERS = ("image_id", "region", "state", "reason_code", "request_id")


class TaskList(Speaks, command.Lister):
    """List tasks, newest first: one for each image and region that was ever asked for."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        _add_filters(parser, "waiting, running, done, failed or cancelled")
        parser.add_argument("--long", action="store_true", help="Also reason, request id, trigger and next run")
        parser.add_argument("--limit", metavar="<n>", type=positive, help="At most so many tasks")
        parser.add_argument("--marker", metavar="<task-id>", help="Begin after this task")
        return parser

    def take_action(self, given: argparse.Namespace) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
        query = {**_filters(self, given), "marker": given.marker}
        rows = self.rows("/v1/tasks", "tasks", query, given.limit)
        if not given.long:
            return _COLUMNS, (_row(task) for task in rows)
        columns = (*_COLUMNS, "Reason", "Request ID", "Trigger", "Next run at")
        return columns, ((*_row(task), shown(given, task["reason"]), task["request_id"], task["trigger"],
                          task["run_at"] if task["state"] == "waiting" else None) for task in rows)


class TaskShow(Speaks, command.ShowOne):
    """Show one task, its last runs, and each attempt to copy its bytes."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _one(super().get_parser(prog_name))

    def take_action(self, given: argparse.Namespace) -> tuple[Sequence[str], Sequence[Any]]:
        answer = self.asked(self.sync.get_task, given.task)
        runs = answer["runs"] if given.formatter in RAW_FORMATS else "\n".join(map(_run_line, answer["runs"]))
        attempts = answer.get("attempts", [])  # a server of an older version tells none
        told = attempts if given.formatter in RAW_FORMATS else "\n".join(map(_attempt_line, attempts))
        return _fields(given, answer["task"], runs=runs, attempts=told)


class TaskRetry(Speaks, command.Command):
    """Make tasks due now: those named, or all that failed (--failed) and pass the filters."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("task", metavar="<task-id>", nargs="*", help="Tasks")
        parser.add_argument("--failed", action="store_true", help="All that failed")
        _add_filters(parser, None)
        return parser

    def take_action(self, given: argparse.Namespace) -> None:
        filters = _filters(self, given)
        if bool(given.task) == given.failed or (given.task and filters):
            raise osc_errors.CommandError("Name tasks, or --failed with or without filters.")
        if given.failed:
            count = self.asked(self.sync.post, "/v1/tasks/retry", filters)["retried"]
            print(f"{count} tasks are due now", file=self.app.stdout)
        _each(self, given.task, "retry", "is due now")


class TaskCancel(Speaks, command.Command):
    """Cancel tasks. What runs stops at its next step and leaves nothing half-done."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("task", metavar="<task-id>", nargs="+", help="Tasks")
        return parser

    def take_action(self, given: argparse.Namespace) -> None:
        _each(self, given.task, "cancel", "is cancelled")


def _each(speaks: Speaks, task_ids: Sequence[str], verb: str, word: str) -> None:
    """All are tried; raises CommandError that names those that were refused."""
    refused = []
    for task_id in task_ids:
        try:
            task = speaks.asked(speaks.sync.act_on_task, task_id, verb)["task"]
        except osc_errors.CommandError as error:
            refused.append(f"{inert(task_id)}: {error}")
            continue
        running = verb == "cancel" and task["state"] == "running"
        print(f"{task_id} {'stops at its next step' if running else word}", file=speaks.app.stdout)
    if refused:
        raise osc_errors.CommandError("\n".join(refused))


def _one(parser: Any) -> argparse.ArgumentParser:
    parser.add_argument("task", metavar="<task-id>", help="Task")
    found: argparse.ArgumentParser = parser
    return found


def _add_filters(parser: argparse.ArgumentParser, states: str | None) -> None:
    parser.add_argument("--image", metavar="<image>", help="Only of this image (name or id)")
    parser.add_argument("--region", metavar="<region>", help="Only of this region")
    if states:
        parser.add_argument("--state", metavar="<state>", help=f"Only in this state: {states}")
    parser.add_argument("--reason-code", metavar="<code>", help="Only with this reason code")
    parser.add_argument("--request-id", metavar="<id>", help="Only what this request asked for")


def _filters(speaks: Speaks, given: argparse.Namespace) -> Json:
    found = {name: getattr(given, name, None) for name in _FILTERS}
    found["image_id"] = speaks.image_id(given.image) if given.image else None
    return {name: value for name, value in found.items() if value is not None}


def _row(task: Json) -> Sequence[Any]:
    return (task["id"], task["image_id"], task["region"], task["state"], task["step"],
            text.progress(task["bytes_done"], task["bytes_total"]), task["attempts"], task["reason_code"],
            task["updated_at"])


def _fields(given: argparse.Namespace, task: Json, **more: Any) -> tuple[Sequence[str], Sequence[Any]]:
    fields = {**task, "reason": shown(given, task["reason"]), **more}
    return tuple(fields), tuple(fields.values())


def _run_line(run: Json) -> str:
    moved = f", {text.size(run['bytes_moved'])}" if run["bytes_moved"] else ""
    reason = f": {inert(run['reason'])}" if run["reason"] else ""
    return f"{run['finished_at']} {run['outcome']} ({run['reason_code'] or 'ok'}){moved}{reason}"


def _attempt_line(attempt: Json) -> str:
    reason = f": {inert(attempt['reason'])}" if attempt["reason"] else ""
    return (f"{attempt['began_at']} {inert(attempt['driver'])} from {inert(attempt['source_region'])}: "
            f"{inert(attempt['code'])}, {text.size(attempt['bytes_moved'])} in {attempt['seconds']:.1f} s{reason}")
