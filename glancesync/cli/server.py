# SPDX-License-Identifier: Apache-2.0
"""`openstack image sync server list`."""
from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from osc_lib.command import command

from glancesync.cli import text
from glancesync.cli.base import RAW_FORMATS, Json, Speaks, shown

#: Less is not worth a word: nothing is decided by a server's own clock.
_RIGHT_SECONDS = 5


class ServerList(Speaks, command.Lister):
    """List the sync servers that share the work, their last sign of life and the tasks that they run."""

    def take_action(self, given: argparse.Namespace) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
        found = self.asked(self.sync.list_servers)["servers"]
        return ("Host", "PID", "State", "Running tasks", "Last sign", "Clock", "Version", "Engine", "Capacity",
                "Started", "Trouble"), [
            (shown(given, each["host"]), each["pid"], each["state"], each["running_tasks"], _age(given, each),
             _clock(given, each), shown(given, each["version"]), shown(given, each["engine"]), each.get("capacity"),
             each["started_at"], shown(given, each.get("trouble"))) for each in found]


def _age(given: argparse.Namespace, server: Json) -> Any:
    seconds = server["heartbeat_age_seconds"]
    return seconds if given.formatter in RAW_FORMATS else f"{text.duration(seconds)} ago"


def _clock(given: argparse.Namespace, server: Json) -> Any:
    """How far the machine's clock is from the database's; a server of an older version does not tell."""
    ahead = server.get("clock_ahead_seconds")
    if given.formatter in RAW_FORMATS or ahead is None:
        return ahead
    if abs(ahead) <= _RIGHT_SECONDS:
        return "right"
    return f"{text.duration(abs(ahead))} {'ahead' if ahead > 0 else 'behind'}"
