# SPDX-License-Identifier: Apache-2.0
"""`openstack image sync region list|show`."""
from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from osc_lib import exceptions as osc_errors
from osc_lib.command import command

from glancesync.cli.base import RAW_FORMATS, Json, Speaks
from glancesync.model.text import inert


class RegionList(Speaks, command.Lister):
    """List the regions with their endpoints and the number of images by state."""

    def take_action(self, given: argparse.Namespace) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
        found = self.asked(self.sync.list_regions)["regions"]
        return ("Region", "Role", "Endpoint", "Health", "Images"), [
            (each["name"], _role(each), each["endpoint"], _health(each), _counts(given, each)) for each in found]


class RegionShow(Speaks, command.ShowOne):
    """Show one region."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("region", metavar="<region>", help="Region (name)")
        return parser

    def take_action(self, given: argparse.Namespace) -> tuple[Sequence[str], Sequence[Any]]:
        found = self.asked(self.sync.list_regions)["regions"]
        for each in found:
            if each["name"] == given.region:
                rest = {name: value for name, value in each.items() if name not in ("images", "cascading")}
                fields = {**rest, "role": _role(each), "images": _counts(given, each)}
                return tuple(fields), tuple(fields.values())
        names = ", ".join(each["name"] for each in found)
        raise osc_errors.CommandError(f"There is no region {inert(given.region)}; there are {names}.")


def _role(region: Json) -> str:
    return "cascading" if region["cascading"] else "cascaded"


def _health(region: Json) -> str:
    if region["gone_at"]:
        return f"gone from the catalog since {region['gone_at']}"
    breaker = region.get("breaker")
    return str(breaker["state"]) if breaker else "-"


def _counts(given: argparse.Namespace, region: Json) -> Any:
    counts = region["images"]
    if given.formatter in RAW_FORMATS:
        return counts
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none"
