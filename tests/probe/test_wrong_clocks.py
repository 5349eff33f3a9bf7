# SPDX-License-Identifier: Apache-2.0
"""Three real servers on one PostgreSQL or MariaDB, whose machines tell different times: one is an hour ahead, one an
hour behind, one is set forth and back in mid-run. Nobody's work is taken, no deletion is confirmed early or late."""
from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fixtures.daemon import Daemon
from tests.fixtures.databases import BACKENDS
from tests.fixtures.fake_cloud import CASCADING, FakeCloud, image_ids
from tests.fixtures.polling import eventually
from tests.fixtures.several import Several

pytestmark = [pytest.mark.full, pytest.mark.parametrize("backend", BACKENDS)]

HOUR = 3600
CONFIRM_SECONDS = 20
IMAGES = 10
LEASE_SECONDS = 5
#: A server looks at the chores every 2 s, and a comparison begins each 2 s; the rest is for a busy machine.
LATE_SECONDS = 20
#: What an interpreter runs before anything else: the machine's wall clock as a file says, the steady one as it is.
_WRONG_CLOCK = """
import os, socket, time
_real, _steady, _path, _known = time.time, time.monotonic, os.environ["GLANCESYNC_TEST_CLOCK"], [0.0, 0.0]
def _ahead():
    if _steady() > _known[0]:
        with open(_path) as file:
            _known[:] = _steady() + 0.05, float(file.read())
    return _known[1]
time.time = lambda: _real() + _ahead()
socket.gethostname = lambda: os.environ["GLANCESYNC_TEST_HOST"]
"""


class World:
    """A cloud, and a server for each name on a machine of its own, which is wrong by so many seconds."""

    def __init__(self, folder: Path, url: str, **ahead: float) -> None:
        self._folder = folder
        (folder / "clock").mkdir()
        (folder / "clock" / "sitecustomize.py").write_text(_WRONG_CLOCK)
        self.cloud = FakeCloud(folder, regions=2, images=IMAGES, seconds=2 * LEASE_SECONDS)
        self.servers: dict[str, Several] = {}
        self.daemons: dict[str, Daemon] = {}
        options = {"DEFAULT": {"reconcile_interval_seconds": 2},
                   "worker": {"lease_seconds": LEASE_SECONDS, "max_tasks_per_region": 3},
                   "deletion": {"delete_confirm_seconds": CONFIRM_SECONDS}}
        for name, seconds in ahead.items():
            self.set_clock(name, seconds)
            self.servers[name] = Several(folder, self.cloud, workers=1, url=url, options=options)

    def start(self) -> None:
        for name, server in self.servers.items():
            self.daemons[name] = server.start(
                PYTHONPATH=str(self._folder / "clock"), GLANCESYNC_TEST_HOST=name,
                GLANCESYNC_TEST_CLOCK=str(self._folder / f"ahead-{name}"))

    def set_clock(self, name: str, ahead_seconds: float) -> None:
        new = self._folder / f"ahead-{name}.new"
        new.write_text(str(ahead_seconds))
        new.rename(self._folder / f"ahead-{name}")

    def ahead(self) -> dict[str, float]:
        """As any server tells of each host."""
        shown = self.servers["behind"].call("GET", "/v1/servers")["servers"]
        return {each["host"]: each["clock_ahead_seconds"] for each in shown}

    def states(self) -> list[str]:
        return [task["state"] for task in self.servers["ahead"].call("GET", "/v1/tasks?limit=1000")["tasks"]]

    def compared(self) -> dict[str, int]:
        return {name: len(daemon.lines("the comparison took")) for name, daemon in self.daemons.items()}

    def remove(self, region: str, image_id: str) -> None:
        """Behind the servers' back."""
        self._ask("DELETE", region, image_id)

    def has(self, region: str, image_id: str) -> bool:
        try:
            self._ask("GET", region, image_id)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return False
        return True

    def _ask(self, method: str, region: str, image_id: str) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.cloud.port}/{region}/v2/images/{image_id}", method=method,
            headers={"X-Auth-Token": "a-token", "Connection": "close"})
        urllib.request.urlopen(request, timeout=30).close()

    def end(self) -> None:
        for server in self.servers.values():
            server.end()
        self.cloud.stop()


@pytest.fixture
def world(tmp_path: Path, backend: str, new_database: Callable[[str], str]) -> Iterator[World]:
    made = World(tmp_path, new_database(backend), ahead=HOUR, behind=-HOUR, jumping=0)
    yield made
    made.end()


def test_nothing_is_taken_and_nothing_deleted_early(world: World, tell: Callable[..., None]) -> None:
    world.start()
    _copies_of_twice_the_lease_run_once(world)
    at = _removed_after(world, tell)
    assert CONFIRM_SECONDS <= at <= CONFIRM_SECONDS + LATE_SECONDS
    assert sum(each > 0 for each in world.compared().values()) >= 2, "one alone compared: nothing was shown"
    assert [daemon.stop() for daemon in world.daemons.values()] == [0, 0, 0]
    for name, daemon in world.daemons.items():
        assert not daemon.lines("Traceback"), name
        assert daemon.lines("the clock of this machine is"), name


def _copies_of_twice_the_lease_run_once(world: World) -> None:
    eventually(lambda: world.cloud.uploads("begin"), 30)
    world.set_clock("jumping", HOUR)
    eventually(lambda: abs(world.ahead().get("jumping", 0)) > 5, 20)
    assert world.ahead() == {"ahead": pytest.approx(HOUR, abs=5), "behind": pytest.approx(-HOUR, abs=5),
                    "jumping": pytest.approx(HOUR, abs=5)}
    world.set_clock("jumping", -HOUR)
    eventually(lambda: Counter(world.states()) == {"done": 2 * IMAGES}, 120)
    world.cloud.check_no_two_at_once()
    assert Counter((each.region, each.image_id) for each in world.cloud.uploads("begin")) == Counter(
        (region, image_id) for region in world.cloud.names for image_id in image_ids(IMAGES))
    assert not [line for daemon in world.daemons.values() for line in daemon.lines("lease_lost")]


def _removed_after(world: World, tell: Callable[..., None]) -> float:
    """How long after its image in the cascading region a replica was deleted, with clocks set in between."""
    gone, kept = image_ids(IMAGES)[0], image_ids(IMAGES)[1]
    before = world.compared()
    removed_at = time.monotonic()
    world.remove(CASCADING, gone)
    eventually(lambda: sum(world.compared().values()) >= sum(before.values()) + 2, LATE_SECONDS)
    world.set_clock("jumping", HOUR)
    region = world.cloud.names[0]
    eventually(lambda: not world.has(region, gone), CONFIRM_SECONDS + LATE_SECONDS, every_seconds=0.05)
    took = time.monotonic() - removed_at
    tell(f"comparisons by server: {world.compared()}; deleted {took:.1f} s after, {CONFIRM_SECONDS} s is the least")
    assert world.has(region, kept)
    return took
