# SPDX-License-Identifier: Apache-2.0
"""Real server processes that share a database, over a cloud that only answers: what they do to one region together.

Two processes of one server on SQLite; with --full two servers on PostgreSQL and MariaDB.
"""
from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.fixtures.daemon import Daemon
from tests.fixtures.databases import BACKENDS
from tests.fixtures.fake_cloud import FakeCloud
from tests.fixtures.polling import eventually
from tests.fixtures.several import Several, child_pids

DOWN = "Region0000"
PAUSE_SECONDS = 2
IMAGES = 14
OPTIONS = {"worker": {"max_tasks_per_region": 3, "backoff_max_seconds": 1},
           "breaker": {"failures": 3, "pause_seconds": PAUSE_SECONDS, "pause_max_seconds": PAUSE_SECONDS}}


class World:
    """Two processes on one database: `servers` are asked, `daemons` are what was started."""

    def __init__(self, folder: Path, backend: str, new_database: Callable[[str], str], images: int = IMAGES) -> None:
        self.images = images
        self.cloud = FakeCloud(folder, regions=2, images=images, seconds=0.4)
        if backend == "sqlite":
            self.servers = [Several(folder, self.cloud, workers=2, options=OPTIONS)]
        else:
            url = new_database(backend)
            self.servers = [Several(folder, self.cloud, workers=1, url=url, options=OPTIONS) for _ in range(2)]
        self.daemons: list[Daemon] = []

    def start(self) -> None:
        self.daemons = [server.start(wait=False) for server in self.servers]
        for daemon in self.daemons:
            daemon.wait_for("serves on")

    def told(self, *words: str) -> int:
        """How many processes have such a line in their log."""
        return len({(number, line.split()[2]) for number, daemon in enumerate(self.daemons)
                    for line in daemon.lines(*words)})

    def all_done(self, region: str | None = None) -> bool:
        regions = f"&region={region}" if region else ""
        found = self.servers[0].call("GET", f"/v1/tasks?limit=1000{regions}")["tasks"]
        assert {task["state"] for task in found} == {"done"}, found[0]
        return len(found) == (self.images if region else 2 * self.images)

    def start_and_take_down(self) -> None:
        """While they work the region goes away, until both know."""
        self.start()
        eventually(lambda: len(self.cloud.uploads("end")) >= 2, 40, every_seconds=0.02)
        self.cloud.take_down(DOWN)
        eventually(lambda: self.told(DOWN, "its breaker opens") == 2, 40, what="both processes leave it alone")

    def breakers(self, name: str) -> set[str]:
        """What the region's breaker has, as each server shows it."""
        return {region["breaker"][name] for server in self.servers
                for region in server.call("GET", "/v1/regions")["regions"] if region["name"] == DOWN}

    def end(self) -> None:
        for server in self.servers:
            server.end()
        self.cloud.stop()


EVERYWHERE = ["sqlite", *(pytest.param(backend, marks=pytest.mark.full) for backend in BACKENDS)]


@pytest.fixture(params=EVERYWHERE)
def world(request: pytest.FixtureRequest, tmp_path: Path, new_database: Callable[[str], str]) -> Iterator[World]:
    made = World(tmp_path, request.param, new_database)
    yield made
    made.end()


@pytest.fixture(params=EVERYWHERE)
def busy_world(request: pytest.FixtureRequest, tmp_path: Path,
               new_database: Callable[[str], str]) -> Iterator[World]:
    """With so much to do that the two know of each other, 3 s after they began, before it is done."""
    made = World(tmp_path, request.param, new_database, images=4 * IMAGES)
    yield made
    made.end()


def test_a_failing_region_is_left_alone_by_all_and_probed_by_one(world: World) -> None:
    """When it is back, all go on."""
    world.start_and_take_down()
    assert world.breakers("state") == {"open"}
    before = len(world.cloud.refused(DOWN))
    eventually(lambda: len(world.cloud.refused(DOWN)) >= before + 3, 10 * PAUSE_SECONDS)
    probes = world.cloud.refused(DOWN)[before:]
    assert all(PAUSE_SECONDS - 0.3 < second - first for first, second in pairwise(probes)), probes
    world.cloud.bring_back(DOWN)
    eventually(lambda: world.told(DOWN, "its breaker is closed") == 2, 40)
    assert world.breakers("state") == {"closed"}
    eventually(lambda: world.all_done(), 60)
    world.cloud.check_no_two_at_once()
    assert max(world.cloud.most_at_once().values()) <= 3
    assert not any(daemon.lines("Traceback") for daemon in world.daemons)


@pytest.mark.full
def test_a_start_forgets_no_breaker(world: World) -> None:
    world.start_and_take_down()
    since = world.breakers("since")
    assert [daemon.stop() for daemon in world.daemons] == [0] * len(world.daemons)
    world.start()
    assert (world.breakers("state"), world.breakers("since")) == ({"open"}, since)
    eventually(lambda: world.all_done("Region0001"), 60)
    assert world.breakers("state") == {"open"}
    world.cloud.bring_back(DOWN)
    eventually(lambda: world.all_done(), 60)


@pytest.mark.full
def test_a_region_bears_no_more_than_its_limit_though_servers_die(busy_world: World) -> None:
    """Each of the two works, both together up to the limit; one is killed (-9) and its places are given out again."""
    world = busy_world
    world.start()
    eventually(lambda: world.told("glancesync.tasks.runner", "done, in_sync") == 2, 40, what="both work")
    if len(world.servers) == 1:
        os.kill(child_pids(world.daemons[0], 2)[1], signal.SIGKILL)
    else:
        world.daemons[1].kill()
    assert not all(state == "done" for state in _states(world.servers[0])), "it was killed too late to show anything"
    eventually(lambda: world.all_done(), 90)
    assert world.cloud.most_at_once() == {"Region0000": 3, "Region0001": 3}
    world.cloud.check_no_two_at_once()


def _states(server: Several) -> list[str]:
    return [task["state"] for task in server.call("GET", "/v1/tasks?limit=1000")["tasks"]]
