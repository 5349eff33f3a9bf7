# SPDX-License-Identifier: Apache-2.0
"""Two real servers on the real cloud, one of which is killed every two seconds while users make, change and delete
images: the regions end equal, and nothing was run by two at once."""
from __future__ import annotations

import itertools
import random
import secrets
import time
from collections import defaultdict
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from glancesync.db.engine import Database
from glancesync.db.schema import runs
from glancesync.lab.server import SyncServer
from tests.fixtures.main_job import MIB, MainJob
from tests.fixtures.takeover import HeldRegion
from tests.probe.test_queue_probe import new_chance

pytestmark = [pytest.mark.lab, pytest.mark.full, pytest.mark.parametrize("lab", ["postgresql"], indirect=True,
                                                                         scope="package")]
SECONDS = 40.0
KILL_SECONDS = 2.0
IMAGES = 30


def test_servers_are_killed_in_turns(servers: list[SyncServer], held: HeldRegion, job: MainJob,
                                     tell: Callable[[str], None]) -> None:
    chance = new_chance()
    servers[1].bring_up()
    kept: list[str] = []
    kills = 0
    deadline, next_kill = time.monotonic() + SECONDS, time.monotonic() + KILL_SECONDS
    while time.monotonic() < deadline or len(kept) < IMAGES:
        kept = live(held, kept, chance)
        if time.monotonic() > next_kill:
            victim = chance.choice(servers)
            victim.kill()
            victim.start()
            kills, next_kill = kills + 1, time.monotonic() + KILL_SECONDS
    tell(f"{len(kept)} images are left after {kills} kills in {SECONDS:g} s")
    assert kills > SECONDS / KILL_SECONDS / 2
    for server in servers:
        server.wait_ready()
    for image_id in kept:
        job.wait_for(image_id, deadline_seconds=90)
    job.converge()
    assert overlapping_runs(held.database) == []


def live(held: HeldRegion, kept: list[str], chance: random.Random) -> list[str]:
    """A user's next step; which of their images are left after it."""
    if len(kept) < IMAGES or chance.random() < 0.3:
        made = held.ours.create("born", secrets.token_bytes(chance.randrange(1, 2 * MIB)), visibility="shared")
        return [*kept, str(made["id"])]
    image_id = chance.choice(kept)
    what = chance.choice(["rename", "tag", "share", "delete"])
    if what == "rename":
        held.ours.set(image_id, name=f"name {chance.random()}", colour=secrets.token_hex(4))
    elif what == "tag":
        held.ours.add_tag(image_id, secrets.token_hex(4))
    elif what == "share":
        share(held, image_id)
    else:
        held.ours.delete(image_id)
        return [each for each in kept if each != image_id]
    return kept


def share(held: HeldRegion, image_id: str) -> None:
    """With whom it is not shared yet, else no more."""
    if held.rival_id in held.ours.members(image_id):
        held.ours.remove_member(image_id, held.rival_id)
    else:
        held.ours.add_member(image_id, held.rival_id)


def overlapping_runs(database: Database) -> list[str]:
    """Runs of one pair of which one began before the other had ended, or was given up, by the database's clock."""
    spans = defaultdict(list)
    for run in database.read(lambda connection: connection.execute(sa.select(runs)).all()):
        spans[run.image_id, run.region].append((run.started_at, run.finished_at, run.id))
    return [f"{pair}: {first} {second}" for pair, found in spans.items()
            for first, second in itertools.pairwise(sorted(found)) if second[0] < first[1]]
