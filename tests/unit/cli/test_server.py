# SPDX-License-Identifier: Apache-2.0
"""`openstack image sync server list`."""
from __future__ import annotations

from typing import Any

from glancesync.cli.server import ServerList
from tests.unit.cli.console import Console

SERVERS = ("GET", "/v1/servers")


def server(**fields: Any) -> dict[str, Any]:
    return {"name": "one/ab", "host": "one", "pid": 7, "version": "1.2", "engine": "local", "state": "serving",
            "running_tasks": 3, "started_at": "then", "heartbeat_at": "now", "heartbeat_age_seconds": 1.25,
            "clock_ahead_seconds": -0.5, **fields}


def test_who_shares_the_work() -> None:
    console = Console({SERVERS: [{"servers": [server(), server(
        host="two\x1b", state="silent", heartbeat_age_seconds=99.0, clock_ahead_seconds=3600.0)]}]})
    console.run(ServerList)
    one, two = [line for line in console.out.splitlines() if "1.2" in line]
    assert "serving" in one
    assert " ago" in one
    assert "two\\x1b" in two
    assert "silent" in two
    assert " right " in one
    assert " ahead " in two


def test_a_program_gets_seconds() -> None:
    console = Console({SERVERS: [{"servers": [server()]}]})
    console.run(ServerList, "-f", "json")
    assert '"Last sign": 1.25' in console.out
