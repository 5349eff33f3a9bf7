# SPDX-License-Identifier: Apache-2.0
"""Two real servers share a PostgreSQL or MariaDB on the real cloud: what one leaves when it dies, the other ends.

The first one's runs are held in every step that a Glance sees, each at another image, before the request has reached
that Glance or after it was carried out.
"""
from __future__ import annotations

from collections.abc import Callable

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.server import SyncServer
from tests.fixtures.faults import Hang
from tests.fixtures.main_job import MIB, MainJob
from tests.fixtures.takeover import (
    REGION,
    TAKEOVER_SECONDS,
    HeldRegion,
    HoldingProxy,
    Step,
    deactivate,
    delete,
    lose,
    now,
    reactivate,
    rename,
    unshare,
)

pytestmark = [pytest.mark.lab, pytest.mark.full]
IMAGES, IMAGE, FILE, MEMBERS = r"/v2/images$", "{id}$", "{id}/file$", "{id}/members"
SIZE = 160 * MIB
SLOW = 4.0 * MIB  # a second; the upload is under way for 40 s


STEPS = [
    Step(name="create asked", method="POST", path=IMAGES, fault=Hang()),
    Step(name="create done", method="POST", path=IMAGES, fault=Hang(after=True)),
    Step(name="upload asked", method="PUT", path=FILE, fault=Hang()),
    Step(name="upload done", method="PUT", path=FILE, fault=Hang(after=True)),
    Step(name="verifying", method="GET", path=IMAGE, fault=Hang(), after_upload=True),
    Step(name="reveal asked", method="PATCH", path=IMAGE, fault=Hang()),
    Step(name="reveal done", method="PATCH", path=IMAGE, fault=Hang(after=True)),
    Step(name="member asked", method="POST", path=MEMBERS, fault=Hang()),
    Step(name="member done", method="POST", path=MEMBERS, fault=Hang(after=True)),
    Step(name="update asked", method="PATCH", path=IMAGE, fault=Hang(), change=rename),
    Step(name="update done", method="PATCH", path=IMAGE, fault=Hang(after=True), change=rename),
    Step(name="member removed", method="DELETE", path=MEMBERS, fault=Hang(after=True), change=unshare),
    Step(name="deactivated", method="POST", path="{id}/actions/deactivate", fault=Hang(after=True), change=deactivate),
    Step(name="reactivated", method="POST", path="{id}/actions/reactivate", fault=Hang(after=True), before=deactivate,
         change=reactivate),
    Step(name="deletion asked", method="DELETE", path=IMAGE, fault=Hang(), change=delete, state="deleted"),
    Step(name="deletion done", method="DELETE", path=IMAGE, fault=Hang(after=True), change=delete, state="deleted"),
    Step(name="new id taken", method="POST", path=IMAGES, fault=Hang(), change=lose, skip=1, id_reason="id_burned"),
    Step(name="new id made", method="POST", path=IMAGES, fault=Hang(after=True), change=lose, skip=1,
         id_reason="id_burned"),
]


def test_a_killed_server_in_every_step(servers: list[SyncServer], held: HeldRegion, job: MainJob, lab: Lab,
                                       proxy: HoldingProxy, tell: Callable[[str], None]) -> None:
    first, second = servers
    made = held.prepare(STEPS)
    made |= {step.name: held.hold(step, made.get(step.name)) for step in STEPS}
    proxy.bytes_per_second = SLOW
    made["copying"] = held.copy_slowly(SIZE)
    second.bring_up()
    lab.server = second  # it is asked what is true
    held.wait_owned(list(made.values()))
    first.kill()
    killed_at = now()
    assert job.stored_bytes(REGION, made["copying"]) < SIZE, "it had ended before"
    proxy.clear()
    proxy.bytes_per_second = None
    took = held.wait_begun_again(list(made.values()), killed_at)
    tell(f"{len(took)} runs in as many steps, taken over {min(took):.1f} to {max(took):.1f} s after the kill")
    assert max(took) <= TAKEOVER_SECONDS
    for step in STEPS:
        view = job.wait_for(made[step.name], step.state, deadline_seconds=60)[REGION]
        assert view["id_reason"] == step.id_reason, step.name
        if step.state == "in_sync":
            assert (view["replica_id"] == made[step.name]) == (step.id_reason is None), step.name
        assert "lost" in held.outcomes(made[step.name]), step.name
    job.wait_for(made["copying"], deadline_seconds=60)
    job.converge()
