# SPDX-License-Identifier: Apache-2.0
"""Real servers, each on its own node of a Galera cluster, while a node is killed and comes back."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.daemon import Daemon
from tests.fixtures.databases import GALERA, Servers
from tests.fixtures.fake_cloud import FakeCloud, image_ids
from tests.fixtures.galera import Galera
from tests.fixtures.polling import eventually
from tests.fixtures.several import Several

pytestmark = pytest.mark.full

IMAGES, REGIONS = 60, 3
#: The node of the second server; the first has another.
DYING = 1
OPTIONS = {"worker": {"lease_seconds": 10, "max_tasks_per_region": 6}}


@pytest.fixture
def galera(database_servers: Servers) -> Galera:
    return database_servers.galera()


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[FakeCloud]:
    started = FakeCloud(tmp_path, regions=REGIONS, images=IMAGES, seconds=0.5)
    yield started
    started.stop()


@pytest.fixture
def servers(tmp_path: Path, cloud: FakeCloud, galera: Galera, database_servers: Servers) -> Iterator[list[Several]]:
    urls = database_servers.spread(database_servers.create_database(GALERA), 2)
    made = [Several(tmp_path, cloud, workers=1, url=url, options=OPTIONS) for url in urls]
    yield made
    for each in made:
        each.end()


def states(server: Several) -> Counter[str]:
    return Counter(task["state"] for task in server.call("GET", "/v1/tasks?limit=1000")["tasks"])


def serving(server: Several) -> int:
    """How many servers it sees at work; 0 while its database does not answer."""
    try:
        return sum(each["state"] == "serving" for each in server.call("GET", "/v1/servers")["servers"])
    except OSError:
        return 0


def test_a_node_dies_and_its_server_goes_on_when_it_is_back(
        servers: list[Several], cloud: FakeCloud, galera: Galera) -> None:
    """Meanwhile the other server, on another node, takes over what that one ran."""
    daemons = [server.start() for server in servers]
    eventually(lambda: len(cloud.uploads("end")) >= 10, 60, every_seconds=0.05)
    galera.nodes[DYING].kill()
    try:
        assert states(servers[0])["done"] < REGIONS * IMAGES, "it was killed too late to show anything"
        eventually(lambda: states(servers[0]) == {"done": REGIONS * IMAGES}, 120)
        assert serving(servers[1]) == 0, "it answers though its database is gone"
    finally:
        galera.restart(DYING)
    eventually(lambda: serving(servers[1]) == 2, 60, what="the server whose node was away is back")
    servers[1].call("POST", "/v1/sync", {"image_ids": image_ids(1)})
    eventually(lambda: states(servers[1]) == {"done": REGIONS * IMAGES}, 60)
    check_well(cloud, daemons)


def check_well(cloud: FakeCloud, daemons: list[Daemon]) -> None:
    cloud.check_no_two_at_once()
    wanted = {(region, image_id) for region in cloud.names for image_id in image_ids(IMAGES)}
    assert Counter((each.region, each.image_id) for each in cloud.uploads("end")) == Counter(wanted)
    assert not [line for daemon in daemons for line in daemon.lines("Traceback")]
    assert [daemon.stop() for daemon in daemons] == [0, 0]
