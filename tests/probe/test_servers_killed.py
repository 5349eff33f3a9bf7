# SPDX-License-Identifier: Apache-2.0
"""Three real servers on one database (of a Galera cluster each on a node of its own), or one of three processes on
SQLite, one of which is killed every two seconds."""
from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.databases import Servers
from tests.fixtures.killing import Killing


@pytest.mark.parametrize(("backend", "tasks"), [
    ("sqlite", 240), pytest.param("sqlite", 600, marks=pytest.mark.full),
    pytest.param("postgresql", 2000, marks=pytest.mark.full), pytest.param("mariadb", 300, marks=pytest.mark.full),
    pytest.param("galera", 120, marks=pytest.mark.full)])
def test_every_task_ends_and_none_runs_twice(tmp_path: Path, backend: str, tasks: int, tell: Callable[[str], None],
                                             database_servers: Servers) -> None:
    urls = [] if backend == "sqlite" else database_servers.spread(database_servers.create_database(backend), 3)
    seed = str(time.time_ns() % 10 ** 6)
    tell(f"seed {seed}")
    killing = Killing(tmp_path, urls=urls, tasks=tasks, seed=seed)
    try:
        killing.run(deadline_seconds=540, tell=tell)
    finally:
        killing.end()
