# SPDX-License-Identifier: Apache-2.0
"""`glance-sync-manage region ...`: what the host's administrator sees of the regions, and does. Called by `manage`."""
from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from glancesync.cmd.build import Server
from glancesync.exceptions import RegionNotFoundError
from glancesync.model.text import inert
from glancesync.sync.new_ids import region_problems


def print_list(server: Server, _given: argparse.Namespace) -> int:
    """A line for each region."""
    for region in server.service.list_regions():
        print(f"{inert(region['name'])}  {_what(region)}  {inert(region['endpoint'] or '-')}  {_counts(region)}"
              f"{_fill(region)}")
    return 0


def print_one(server: Server, given: argparse.Namespace) -> int:
    """All that is known of a region, as JSON. Raises RegionNotFoundError."""
    found = server.service.list_regions()
    for region in found:
        if region["name"] == given.name:
            # A command is no server: the breaker that it knows is its own and tells nothing.
            json.dump({name: value for name, value in region.items() if name != "breaker"}, sys.stdout, indent=2)
            print()
            return 0
    names = ", ".join(inert(region["name"]) for region in found)
    raise RegionNotFoundError(f"there is no region {given.name!r}; there are {names}")


def freeze(server: Server, given: argparse.Namespace) -> int:
    """Have nothing written there. Raises RegionNotFoundError, InvalidInputError."""
    server.service.freeze_region(given.name, by=None, reason=given.reason)
    print(f"{inert(given.name)} is frozen: within seconds nothing is written there, its tasks wait")
    return 0


def thaw(server: Server, given: argparse.Namespace) -> int:
    """Raises RegionNotFoundError, InvalidInputError."""
    server.service.thaw_region(given.name)
    print(f"{inert(given.name)} is thawed: within seconds its tasks go on")
    return 0


def print_status(server: Server, _given: argparse.Namespace) -> int:
    """Whether each is seen whole, looked at now; 1 when one has a problem."""
    for region in server.directory.cascaded():
        server.sight.look(region.name)
    problems = server.database.read(region_problems)
    for region in server.directory.cascaded():
        for line in problems.get(region.name, ["is seen whole"]):
            print(f"{region.name}: {inert(line)}")
    return 1 if problems else 0


def release(server: Server, given: argparse.Namespace) -> int:
    """Let replicas take new ids there again; 1 when it is not seen whole."""
    server.service.check_regions([given.name])
    held = server.sight.new_ids.release(given.name)
    print("replicas take new ids again; the server takes up those that were held within a minute" if held
          else "new ids were not held; the window of max_new_ids begins anew")
    problem = server.sight.try_again(given.name)
    print(inert(problem or f"{given.name} is seen whole"))
    return 1 if problem else 0


def _what(region: dict[str, Any]) -> str:
    if region["gone_at"]:
        return f"gone from the catalog since {region['gone_at']}"
    role = "cascading" if region["cascading"] else "cascaded"
    return f"{role}, frozen since {region['frozen']['since']}" if region["frozen"] else role


def _fill(region: dict[str, Any]) -> str:
    fill = region["fill"]
    return (f"  is being filled: {fill['images_done']} of {fill['images_total']} images, {fill['bytes_done'] >> 20} of "
            f"{fill['bytes_total'] >> 20} MiB") if fill else ""


def _counts(region: dict[str, Any]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(region["images"].items())) or "no images"
