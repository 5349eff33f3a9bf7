# SPDX-License-Identifier: Apache-2.0
"""The server is started and ended again and again while it works: by SIGTERM and by SIGKILL, in turns."""
from __future__ import annotations

import fcntl
import random
import secrets
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from glancesync.lab.server import SyncServer
from tests.fixtures.images import ImagesOf
from tests.fixtures.main_job import MIB, MainJob
from tests.fixtures.polling import eventually

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("rounds", [4, pytest.param(50, marks=pytest.mark.full)])
def test_started_and_ended_under_work(job: MainJob, images: ImagesOf, start_server: Callable[..., SyncServer],
                                      rounds: int, tell: Callable[[str], None]) -> None:
    """No round crashes (SQLite ends a process whose connection is freed in mid-statement), loses or doubles a thing, or
    leaves what would keep the next one from its start."""
    seed = secrets.randbits(32)
    tell(f"{rounds} rounds of start and end, seed {seed}")
    chance = random.Random(seed)  # noqa: S311  # nosec B311 - no secret
    server = start_server({"DEFAULT": {"graceful_shutdown_seconds": 0}})
    ours, made, crashes = images("demo"), [], segfaults()
    logged = server.log_path.stat().st_size
    for number in range(rounds):
        server.start()
        server.wait_ready()
        begun = server.log_path.stat().st_size
        made.append(ours.create(f"round {number}", secrets.token_bytes(4 * MIB))["id"])
        if number:
            ours.set(made[-2], name=f"round {number - 1}, renamed")
        eventually(lambda: made[-1].encode() in server.log_path.read_bytes()[begun:], every_seconds=0.01,  # noqa: B023
                   what="it works")
        time.sleep(chance.uniform(0, 0.5))
        end(server, signal.SIGKILL if number % 2 else signal.SIGTERM)
    assert segfaults() == crashes
    assert b"Traceback" not in server.log_path.read_bytes()[logged:]
    server.start()
    server.wait_ready()
    job.sync()
    for image_id in made:
        views = job.wait_for(image_id, deadline_seconds=120)
        assert {view["replica_id"] for view in views.values()} == {image_id}
    job.converge(120)


def end(server: SyncServer, number: signal.Signals) -> None:
    """The process ends as it was told to, and its lock with it; after a SIGTERM its database is closed."""
    if number == signal.SIGTERM:
        server.stop(30)
        assert server.exit_status == 0
        left = [path.name for path in server.directory.glob("glance-sync.db-*")]
        assert not left, left
    else:
        server.kill()
        eventually(lambda: server.exit_status is not None, 10, every_seconds=0.01, what="its last thread is gone")
        assert server.exit_status == -signal.SIGKILL
    with (server.directory / "glance-sync.db.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def segfaults() -> int | None:
    """How many the kernel told of, None where this user may not ask."""
    answer = subprocess.run(["dmesg"], capture_output=True, text=True, check=False)
    return answer.stdout.count("segfault") if answer.returncode == 0 else None
