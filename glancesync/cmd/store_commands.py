# SPDX-License-Identifier: Apache-2.0
"""`glance-sync-manage store ...`: what the host's administrator asks of glance_store.yaml. Called by `manage`."""
from __future__ import annotations

import argparse

from glancesync.cmd.build import Server
from glancesync.exceptions import ConfigurationError
from glancesync.model.region import Region
from glancesync.model.store import FilesystemScheme, Scheme
from glancesync.model.text import inert
from glancesync.stores.passwords import fetch_password


def check(server: Server, _given: argparse.Namespace) -> int:
    """A line for each store of each region; 1 when one cannot be used. Raises ConfigurationError."""
    if server.settings.stores.config_file is None:
        print("[stores] config_file is not set: all bytes go through the Glances")
        return 0
    server.take_stores()
    problems = [_check_region(server, region) for region in sorted(server.directory.known())]
    return 1 if any(problems) else 0


def _check_region(server: Server, region: Region) -> bool:
    found = server.stores.find(region)
    if found is None or not found.schemes:
        print(f"{inert(region.name)}: the file names no store; its bytes go through its Glance")
        return False
    problems = [_find_problem(scheme) for scheme in found.schemes]
    for scheme, problem in zip(found.schemes, problems, strict=True):
        print(f"{inert(region.name)}: {inert(_describe(scheme))}: {inert(problem or 'ok')}")
    return any(problems)


def _describe(scheme: Scheme) -> str:
    if isinstance(scheme, FilesystemScheme):
        return f"{scheme.name} {scheme.ssh.user}@{scheme.ssh.host}:{scheme.ssh.port}{scheme.datadir}"
    return f"{scheme.name} {scheme.netloc}{scheme.path}"


def _find_problem(scheme: Scheme) -> str | None:
    if isinstance(scheme, FilesystemScheme) and scheme.ssh.password is not None:
        try:
            fetch_password(scheme.ssh.password)
        except ConfigurationError as error:
            return str(error)
    return None
