# SPDX-License-Identifier: Apache-2.0
"""`openstack image sync run` and `diff`: have images compared and copied now, or see what that would do."""
from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from keystoneauth1 import exceptions as ksa
from openstack.exceptions import SDKException
from osc_lib import exceptions as osc_errors
from osc_lib.command import command

from glancesync.cli import text
from glancesync.cli.base import Json, Speaks, shown
from glancesync.cli.follow import Follower
from glancesync.cli.plans import is_difference, stands_out
from glancesync.cli.progress import Bars, Lines
from glancesync.clock import SystemClock
from glancesync.model.text import inert

_IMAGES_AT_ONCE = 1000
_TASKS = ("Image ID", "Region", "Task ID", "State", "Reason code", "Reason")
#: What ends a command: a refusal, a login that fails, a catalog without us, Glance's own client in trouble.
_TROUBLE = (osc_errors.CommandError, osc_errors.EndpointNotFound, osc_errors.AuthorizationFailure,
            osc_errors.ClientException, ksa.ClientException, SDKException)
_PLANS = ("Image ID", "Region", "State", "Reason code", "Actions", "Size", "Reason")


class _Chosen(Speaks, command.Lister):
    """What `run` and `diff` share: which images and regions."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Regions that a dry run could not compare, and why.
        self.left_out: dict[str, str] = {}

    def tell_left_out(self) -> bool:
        """Say which regions were not compared; whether there are any."""
        for name, reason in self.left_out.items():
            print(f"{inert(name)} was not compared to its end and may differ: {inert(reason)}", file=sys.stderr)
        return bool(self.left_out)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("image", metavar="<image>", nargs="*", help="Images (names or ids; default: all)")
        parser.add_argument("--region", metavar="<region>", action="append",
                            help="Only this cascaded region (may be repeated)")
        parser.add_argument("--filter", metavar="<condition>", action="append", default=[],
                            help="Only images that meet this, such as name=gold*, visibility=public, tag=web, "
                            "property:os=linux, owner!=<project id>, size<=1GiB (all of them when it is repeated)")
        return parser

    def bodies(self, given: argparse.Namespace) -> Iterator[Json]:
        """Requests that together name what was chosen. Raises CommandError when it is nothing."""
        regions = {"regions": given.region} if given.region else {}
        if given.image and given.filter:
            raise osc_errors.CommandError("Name images or a --filter, not both.")
        if not given.image:
            yield {"filter": " ".join(map(shlex.quote, given.filter)), **regions} if given.filter else regions
            return
        unique = list(dict.fromkeys(self.image_id(each) for each in given.image))
        for first in range(0, len(unique), _IMAGES_AT_ONCE):
            yield {"image_ids": unique[first:first + _IMAGES_AT_ONCE], **regions}

    def plans(self, given: argparse.Namespace) -> Iterator[Json]:
        """What a run would do, where it would do something or cannot."""
        for body in self.bodies(given):
            yield from filter(stands_out, self.plan(body, self.left_out))


class Run(_Chosen):
    """Compare images with their replicas and bring the replicas in line.

    Exit status: 0 done (queued, without --wait), 1 with --wait when something did not come in sync, with --dry-run when
    a region could not be compared.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("--dry-run", action="store_true", help="Only show what a run would do")
        parser.add_argument("--wait", action="store_true", help="Wait until it is done, with progress on stderr")
        return parser

    def take_action(self, given: argparse.Namespace) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
        if given.dry_run:
            return _PLANS, (_plan_row(given, each) for each in self.plans(given))
        tasks = [task for body in self.bodies(given) for task in self.asked(self.sync.sync, body)["tasks"]]
        if not tasks:
            print("Nothing differs." if not given.image else "Nothing to do.", file=sys.stderr)
        if not given.wait:
            return _TASKS[:3], [(task["image_id"], task["region"], task["id"]) for task in tasks]
        self.ended = self._follow(tasks)
        return _TASKS, [_task_row(given, task) for task in self.ended]

    def run(self, given: argparse.Namespace) -> int:
        self.ended: list[Json] = []
        status: int = super().run(given)
        return status or int(self.tell_left_out() or any(task["state"] != "done" for task in self.ended))

    def _follow(self, tasks: Sequence[Json]) -> list[Json]:
        clock = SystemClock()
        follower = Follower(lambda path, query: self.asked(self.sync.get, path, query), tasks, clock)
        view = Bars(sys.stderr) if sys.stderr.isatty() else Lines(sys.stderr, clock)
        with view:
            return follower.follow(view)


class Diff(_Chosen):
    """List every image and region that differ, and what a run would do about it. Changes nothing.

    Images of a region that are not ours are named, too, and are no difference.
    Exit status: 0 no difference, 1 differences, 2 trouble, or a region could not be compared.
    """

    #: The client logs in before it runs a command and ends with 1 where it cannot, which is our word for differences:
    #: `run` has it log in.
    auth_required = False

    def take_action(self, given: argparse.Namespace) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
        return _PLANS, self._counted(given)

    def run(self, given: argparse.Namespace) -> int:
        self.count = 0
        try:
            self.auth_required = True
            self.app.prepare_to_run_command(self)
            super().run(given)
        except _TROUBLE as error:
            print(error, file=sys.stderr)
            return 2
        return 2 if self.tell_left_out() else int(self.count > 0)

    def _counted(self, given: argparse.Namespace) -> Iterator[Sequence[Any]]:
        for plan in self.plans(given):
            self.count += is_difference(plan)
            yield _plan_row(given, plan)


def _plan_row(given: argparse.Namespace, plan: Json) -> Sequence[Any]:
    actions = ", ".join(each["action"] for each in plan["actions"])
    return (plan["image_id"], plan["region"], plan["state"], plan["reason_code"], actions,
            text.size(plan["bytes"]) if plan["bytes"] else "", shown(given, plan["reason"]))


def _task_row(given: argparse.Namespace, task: Json) -> Sequence[Any]:
    return (task["image_id"], task["region"], task["id"], task["state"], task["reason_code"],
            shown(given, task["reason"]))

