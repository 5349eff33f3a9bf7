# SPDX-License-Identifier: Apache-2.0
"""`openstack image sync server list`."""
from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from osc_lib.command import command

from glancesync.cli import text
from glancesync.cli.base import RAW_FORMATS, Json, Speaks, shown


class ServerList(Speaks, command.Lister):
    """List the sync servers that share the work, their last sign of life and the tasks that they run."""

    def take_action(self, given: argparse.Namespace) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
        found = self.asked(self.sync.list_servers)["servers"]
        return ("Host", "PID", "State", "Running tasks", "Last sign", "Version", "Engine", "Started"), [
            (shown(given, each["host"]), each["pid"], each["state"], each["running_tasks"], _age(given, each),
             shown(given, each["version"]), shown(given, each["engine"]), each["started_at"]) for each in found]


def _age(given: argparse.Namespace, server: Json) -> Any:
    seconds = server["heartbeat_age_seconds"]
    return seconds if given.formatter in RAW_FORMATS else f"{text.duration(seconds)} ago"
