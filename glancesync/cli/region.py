# SPDX-License-Identifier: Apache-2.0
"""`openstack image sync region list|show|freeze|thaw`."""
from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from osc_lib import exceptions as osc_errors
from osc_lib.command import command

from glancesync.cli import text
from glancesync.cli.base import RAW_FORMATS, Json, Speaks
from glancesync.model.text import inert

#: As the page has it; a breaker's own words say the opposite to who does not know it. `region show` has both.
_HEALTH = {"closed": "well", "half_open": "on trial", "open": "left alone"}


class RegionList(Speaks, command.Lister):
    """List the regions with their endpoints, the number of images by state, and how far a fill has come."""

    def take_action(self, given: argparse.Namespace) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
        found = self.asked(self.sync.list_regions)["regions"]
        return ("Region", "Role", "Endpoint", "Health", "Images", "Fill"), [
            (each["name"], _role(each), each["endpoint"], _health(each), _counts(given, each), _fill(given, each))
            for each in found]


class RegionShow(Speaks, command.ShowOne):
    """Show one region."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _one(super().get_parser(prog_name))

    def take_action(self, given: argparse.Namespace) -> tuple[Sequence[str], Sequence[Any]]:
        found = self.asked(self.sync.list_regions)["regions"]
        for each in found:
            if each["name"] == given.region:
                rest = {name: value for name, value in each.items() if name not in ("images", "cascading")}
                fields = {**rest, "role": _role(each), "images": _counts(given, each), "fill": _fill(given, each)}
                return tuple(fields), tuple(fields.values())
        names = ", ".join(each["name"] for each in found)
        raise osc_errors.CommandError(f"There is no region {inert(given.region)}; there are {names}.")


class RegionFreeze(Speaks, command.Command):
    """Have nothing written to a region, for its maintenance: its tasks wait, what runs there ends, reads go on."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = _one(super().get_parser(prog_name))
        parser.add_argument("--reason", metavar="<text>", help="Why; shown wherever the region's tasks are")
        return parser

    def take_action(self, given: argparse.Namespace) -> None:
        self.asked(self.sync.freeze_region, given.region, given.reason)
        print(f"{inert(given.region)} is frozen", file=self.app.stdout)


class RegionThaw(Speaks, command.Command):
    """Let a frozen region's tasks go on."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _one(super().get_parser(prog_name))

    def take_action(self, given: argparse.Namespace) -> None:
        self.asked(self.sync.thaw_region, given.region)
        print(f"{inert(given.region)} is thawed", file=self.app.stdout)


def _one(parser: Any) -> argparse.ArgumentParser:
    parser.add_argument("region", metavar="<region>", help="Region (name)")
    found: argparse.ArgumentParser = parser
    return found


def _role(region: Json) -> str:
    return "cascading" if region["cascading"] else "cascaded"


def _health(region: Json) -> str:
    if region["gone_at"]:
        return f"gone from the catalog since {region['gone_at']}"
    if region["frozen"]:
        return f"frozen since {region['frozen']['since']}"
    breaker = region.get("breaker")
    state = str(breaker["state"]) if breaker else "-"
    if region.get("problems") and state != "open":
        return "not seen whole"
    return _HEALTH.get(state, state)


def _fill(given: argparse.Namespace, region: Json) -> Any:
    """How far the region has come with the images that it lacked."""
    fill = region.get("fill")
    if given.formatter in RAW_FORMATS:
        return fill
    if not fill:
        return "-"
    failed = f", {fill['images_failed']} failed" if fill["images_failed"] else ""
    left = "" if fill["eta_seconds"] is None else f", about {text.duration(fill['eta_seconds'])} left"
    return (f"{fill['images_done']} of {fill['images_total']} images{failed}, "
            f"{text.size(fill['bytes_done'])} of {text.size(fill['bytes_total'])}{left}")


def _counts(given: argparse.Namespace, region: Json) -> Any:
    counts = region["images"]
    if given.formatter in RAW_FORMATS:
        return counts
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none"
