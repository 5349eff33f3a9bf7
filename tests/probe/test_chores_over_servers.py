# SPDX-License-Identifier: Apache-2.0
"""What is done once for all servers, by real processes over a cloud that only answers: two servers compare as often as
one, another goes on where one is killed, and a comparison that was asked for outlives whom it was asked of."""
from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from glancesync.model.chore import LEASE_SECONDS, RECONCILE
from tests.fixtures.daemon import Daemon
from tests.fixtures.databases import BACKENDS
from tests.fixtures.fake_cloud import FakeCloud
from tests.fixtures.polling import eventually
from tests.fixtures.several import Several

INTERVAL = 4
#: A server looks at the chores every 2 s; the rest is for a busy machine.
LOOK_SECONDS = 2 + 8
DATABASES = ["sqlite", *(pytest.param(name, marks=pytest.mark.full) for name in BACKENDS)]


class World:
    """A cloud, and its servers: on SQLite one, on the others two on hosts of different names."""

    def __init__(self, folder: Path, url: str | None) -> None:
        self.folder = folder
        self.url = url
        self.servers: list[Several] = []
        self.daemons: list[Daemon] = []
        names = folder / "names"
        names.mkdir()
        (names / "sitecustomize.py").write_text(
            "import os, socket\nsocket.gethostname = lambda: os.environ['GLANCESYNC_TEST_HOST']\n")

    def begin(self, *, listing_seconds: float, workers: int = 1, **options: object) -> None:
        """Every server serves afterwards, the first one of them first."""
        self.cloud = FakeCloud(self.folder, regions=2, images=3, listing_seconds=listing_seconds)
        for number in range(1 if self.url is None else 2):
            server = Several(self.folder, self.cloud, workers=workers if self.url is None else 1, url=self.url,
                             options={"DEFAULT": {"reconcile_interval_seconds": INTERVAL, **options}})
            self.servers.append(server)
            self.daemons.append(self.start(number))

    def start(self, number: int) -> Daemon:
        return self.servers[number].start(PYTHONPATH=str(self.folder / "names"), GLANCESYNC_TEST_HOST=f"host-{number}")

    def ask(self, number: int) -> None:
        """As an outbox does that lost changes; returns after the 202."""
        self.servers[number].call("POST", "/v1/events", {"events": [
            {"id": uuid.uuid4().hex, "operation": "all", "at": time.time()}]})

    def shown(self, number: int = 0) -> dict[str, Any]:
        """The servers by name, and the chore of comparing."""
        found = self.servers[number].call("GET", "/v1/servers")
        [chore] = [each for each in found["chores"] if each["name"] == RECONCILE]
        return {"servers": {each["name"]: each for each in found["servers"]}, "chore": chore}

    def ended(self) -> int:
        """How many comparisons came to their end."""
        return sum(len(daemon.lines("the comparison took")) for daemon in self.daemons)

    def end(self) -> None:
        for server in self.servers:
            server.end()
        self.cloud.stop()


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    url = None if request.param == "sqlite" else request.getfixturevalue("new_database")(request.param)
    made = World(tmp_path, url)
    yield made
    made.end()


@pytest.mark.full
@pytest.mark.parametrize("world", DATABASES, indirect=True)
def test_two_compare_as_often_as_one(world: World, tell: Callable[..., None]) -> None:
    """The first asks for a comparison at its start; neither a start beside it nor a second timer adds any."""
    world.begin(listing_seconds=0, workers=2)
    eventually(lambda: len(world.cloud.comparisons()) >= 4, 10 * INTERVAL)
    assert len(world.shown()["servers"]) == 2
    at = world.cloud.comparisons()
    gaps = [later - earlier for earlier, later in zip(at, at[1:], strict=False)]
    tell(f"two servers that compare every {INTERVAL} s: {', '.join(f'{gap:.1f}' for gap in gaps)} s between")
    assert min(gaps) >= INTERVAL - 0.1
    assert max(gaps) <= INTERVAL + LOOK_SECONDS
    eventually(lambda: world.ended() == len(world.cloud.comparisons()), LOOK_SECONDS)


@pytest.mark.full
@pytest.mark.parametrize("world", DATABASES, indirect=True)
def test_another_goes_on_where_the_comparing_one_is_killed(world: World, tell: Callable[..., None]) -> None:
    """Of several processes at once, for who started them knows that it ended; of another host's when its lease is
    over."""
    world.begin(listing_seconds=5, workers=2, reconcile_interval_seconds=0)
    eventually(lambda: world.cloud.comparisons(), LOOK_SECONDS)
    shown = world.shown()
    assert world.ended() == 0
    comparing = shown["servers"][shown["chore"]["server"]]
    survivor = 1 if world.url is not None and comparing["host"] == "host-0" else 0
    os.kill(comparing["pid"], signal.SIGKILL)
    killed_at = time.time()
    bound = LOOK_SECONDS + (0 if world.url is None else LEASE_SECONDS)
    eventually(lambda: len(world.cloud.comparisons()) == 2, bound + 5)
    tell(f"another compares {world.cloud.comparisons()[1] - killed_at:.1f} s after a kill -9")
    assert world.cloud.comparisons()[1] - killed_at <= bound
    eventually(lambda: world.ended() == 1, 20)
    after = eventually(lambda: found if (found := world.shown(survivor)["chore"])["server"] is None else None, 5)
    assert (after["asked"], after["failures"]) == (False, 0)
    assert len(world.cloud.comparisons()) == 2


@pytest.mark.parametrize("world", DATABASES, indirect=True)
def test_what_was_asked_for_is_done_though_the_asked_one_is_killed_after_its_answer(
        world: World, tell: Callable[..., None]) -> None:
    """By another server, or by the next start of the only one, which compares for no other reason."""
    world.begin(listing_seconds=3, reconcile_interval_seconds=0, reconcile_at_start=False)
    eventually(lambda: world.ended() == 1, 20)  # regions that nobody knew before
    eventually(lambda: world.shown()["chore"]["server"] is None, 5)
    assert (len(world.cloud.comparisons()), world.shown()["chore"]["asked"]) == (1, False)
    world.ask(0)
    world.daemons[0].send(signal.SIGKILL)
    killed_at = time.time()
    assert world.daemons[0].ended() == -signal.SIGKILL
    if world.url is None:
        world.daemons.append(world.start(0))
    bound = LOOK_SECONDS + (10 if world.url is None else LEASE_SECONDS)
    eventually(lambda: world.ended() == 2, bound + 5)
    done_at = world.cloud.comparisons()[-1]
    tell(f"a comparison that was asked for begins {done_at - killed_at:.1f} s after the kill -9 of the asked one")
    assert 0 < done_at - killed_at <= bound
