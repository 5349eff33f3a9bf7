# SPDX-License-Identifier: Apache-2.0
"""The disk of a PostgreSQL or MariaDB is full while two servers work: a clear word, nothing lost, nothing doubled, and
they go on by themselves when there is room. SQLite's: tests/probe/test_full_disks.py."""
from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from glancesync.exceptions import NotReadyError
from glancesync.model.task import Pair
from tests.fixtures.databases import BACKENDS, PrivatePostgresql, Servers
from tests.fixtures.polling import eventually
from tests.fixtures.queues import new_pairs
from tests.fixtures.small_disk import fill, mounted
from tests.probe.test_queue_probe import Bench

pytestmark = [pytest.mark.full, pytest.mark.parametrize("backend", BACKENDS)]


@pytest.fixture
def disk(database_servers: Servers, backend: str, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A small disk, and the URL of a database that lies on it."""
    server, name = database_servers.get(backend), f"t{uuid.uuid4().hex[:12]}"
    if isinstance(server, PrivatePostgresql):
        (path := server.directory / name).mkdir()
        with mounted(path, 32 * 1024):
            if server._user:
                shutil.chown(path, server._user)
            server._execute(f"CREATE TABLESPACE {name} LOCATION '{path}'")
            url = server.create_database(name)
            server._execute(f'ALTER DATABASE "{name}" SET TABLESPACE {name}')
            yield path, url
            server._execute(f'DROP DATABASE "{name}" WITH (FORCE)')
            server._execute(f"DROP TABLESPACE {name}")
    else:
        url = server.create_database(name)
        [path] = server.directory.rglob(name)
        with mounted(path, 32 * 1024):
            _given_to_the_owner_of(path.parent, path)
            yield path, url


def _given_to_the_owner_of(above: Path, path: Path) -> None:
    subprocess.run(["chown", f"--reference={above}", str(path)], check=True)


def test_a_full_disk_is_told_and_waited_for(disk: tuple[Path, str], tmp_path: Path) -> None:
    """What is asked is refused with a clear word, what was accepted is done when there is room."""
    path, url = disk
    bench = Bench(tmp_path, url)
    try:
        servers = [bench.start("--lease", "5", "--step-seconds", "0.3") for _ in range(2)]
        accepted = new_pairs(30, "R1", "R2")
        bench.submit(*accepted)
        eventually(lambda: len(bench.lines("end")) >= 5, 30, every_seconds=0.02)
        fill(path / "filler")
        with pytest.raises(NotReadyError, match="its disk is full: free some space, the work goes on by itself"):
            _submit_until_refused(bench, accepted)
        assert len(bench.lines("end")) < len(accepted), "the disk was full too late to show anything"
        assert [server.poll() for server in servers] == [None, None]
        (path / "filler").unlink()
        bench.submit(*accepted[-100:])
        bench.wait_until_done(len(accepted), 400)
        bench.check_history()
        bench.check_no_two_at_once()
        assert [server.poll() for server in servers] == [None, None]
    finally:
        bench.end()


def _submit_until_refused(bench: Bench, asked: list[Pair]) -> None:
    """The last ones asked for are refused, all or some of them."""
    while len(asked) < 100_000:
        asked += (more := new_pairs(50, "R1", "R2"))
        bench.submit(*more)
