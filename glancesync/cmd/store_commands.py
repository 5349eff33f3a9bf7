# SPDX-License-Identifier: Apache-2.0
"""`glance-sync-manage store ...`: what the host's administrator asks of glance_store.yaml. Called by `manage`."""
from __future__ import annotations

import argparse
import itertools

from glancesync.cmd.build import Server
from glancesync.exceptions import StoreCopyError
from glancesync.model.region import Region
from glancesync.model.store import FilesystemScheme, Scheme
from glancesync.model.text import inert


def check(server: Server, _given: argparse.Namespace) -> int:
    """A line for each store of each region; 1 when one cannot be used. Raises ConfigurationError."""
    if server.settings.stores.config_file is None:
        print("[stores] config_file is not set: all bytes go through the Glances")
        return 0
    server.take_stores()
    try:
        problems = [_check_region(server, region) for region in sorted(server.directory.known())]
        if not any(problems):
            _check_routes(server)
    finally:
        _close(server)
    return 1 if any(problems) else 0


def explain(server: Server, given: argparse.Namespace) -> int:
    """Each way of the image's bytes to the region, best first. What a running
    server learnt of its regions this does not know. Raises RegionNotFoundError, ImageNotFoundError."""
    server.take_stores()
    for way in server.service.list_ways(given.image_id, given.region):
        print(f"{inert(way['driver'])} from {inert(way['source'])}: {inert(way['refusal'] or 'ok')}"
              + (f", {inert(way['route'])}" if way["route"] and not way["refusal"] else ""))
    return 0


def _close(server: Server) -> None:
    for driver in server.drivers.values():
        driver.close()


def _check_region(server: Server, region: Region) -> bool:
    found = server.stores.find(region)
    if found is None or not found.schemes:
        print(f"{inert(region.name)}: the file names no store; its bytes go through its Glance")
        return False
    return any([_check_scheme(server, region, scheme) for scheme in found.schemes])


def _check_routes(server: Server) -> None:
    """How the cascading region's stores and the others' reach one another; a longer way is no problem."""
    cascading = server.directory.cascading().name
    found = [(region.name, scheme) for region in sorted(server.directory.known())
             for scheme in getattr(server.stores.find(region), "schemes", ())]
    for (source, one), (target, two) in itertools.permutations(found, 2):
        if cascading not in (source, target) or source == target:
            continue
        for driver in server.drivers.values():
            route = driver.check_route(one, two)
            if route is not None:
                print(f"{inert(source)} to {inert(target)}: {driver.name}, {inert(route)}")


def _check_scheme(server: Server, region: Region, scheme: Scheme) -> bool:
    """Whether there is a problem."""
    what = f"{inert(region.name)}: {inert(_describe(scheme))}"
    drivers = [each for each in server.drivers.values()
               if scheme.name in (each.capabilities.source_scheme, each.capabilities.target_scheme)]
    if not drivers:
        print(f"{what}: no installed driver uses it")
    for driver in drivers:
        try:
            print(f"{what}: ok; {'; '.join(driver.check(scheme))}")
        except StoreCopyError as error:
            print(f"{what}: {error.code}: {inert(str(error))}")
            return True
    return False


def _describe(scheme: Scheme) -> str:
    if isinstance(scheme, FilesystemScheme):
        return f"{scheme.name} {scheme.ssh.user}@{scheme.ssh.host}:{scheme.ssh.port}{scheme.datadir}"
    return f"{scheme.name} {scheme.netloc}{scheme.path}"
