# SPDX-License-Identifier: Apache-2.0
"""Servers that share one PostgreSQL or MariaDB, which is restarted or dies while they work."""
from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fixtures.databases import PrivatePostgresql, Servers
from tests.fixtures.polling import eventually
from tests.fixtures.queues import new_pairs
from tests.probe.test_queue_probe import Bench

pytestmark = pytest.mark.full
OPTIONS = ("--lease", "5", "--step-seconds", "0.3")


@pytest.fixture
def bench(tmp_path: Path, backend: str, new_database: Callable[[str], str]) -> Iterator[Bench]:
    bench = Bench(tmp_path, new_database(backend))
    yield bench
    bench.end()


def end_all(bench: Bench, *servers: subprocess.Popen[bytes]) -> None:
    for server in servers:
        bench.wait_ready(server)
        server.terminate()
    assert {server.wait(15) for server in servers} == {0}


@pytest.mark.parametrize(("backend", "killed"), [("postgresql", False), ("mariadb", False), ("mariadb", True)],
                         ids=["postgresql", "mariadb", "mariadb killed"])
def test_the_database_goes_and_comes_in_mid_run(bench: Bench, backend: str, database_servers: Servers,
                                                killed: bool) -> None:
    """Both servers live on, their runs are finished or given up for the next, and nothing that was asked is lost."""
    pairs = new_pairs(70, "R1", "R2", "R3")
    servers = [bench.start(*OPTIONS) for _ in range(2)]
    bench.submit(*pairs)
    for least in (20, 80):
        eventually(lambda: len(bench.lines("end")) >= least, 60, every_seconds=0.02)  # noqa: B023 - used at once
        database = database_servers.get(backend)
        if killed:
            database.kill()
        elif isinstance(database, PrivatePostgresql):
            database.end()
        else:
            database.stop()
        assert len(bench.lines("end")) < len(pairs), "it went too late to show anything"
        database_servers.get(backend)
    bench.wait_until_done(len(pairs), 90)
    assert [server.poll() for server in servers] == [None, None], "a server ended with its database"
    end_all(bench, *servers)
    bench.check_history()
    bench.check_no_two_at_once()
