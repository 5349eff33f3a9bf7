# SPDX-License-Identifier: Apache-2.0
"""A real server that stands still (SIGSTOP) for longer than its lease, in the midst of an upload and with answers under
way to it on which it would change, delete and make replicas; another one does all that; then it goes on."""
from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.server import SyncServer
from tests.fixtures.faults import Hold
from tests.fixtures.main_job import MIB, MainJob
from tests.fixtures.polling import eventually
from tests.fixtures.takeover import (
    REGION,
    SAVING_SECONDS,
    TAKEOVER_SECONDS,
    HeldRegion,
    HoldingProxy,
    Step,
    as_admin,
    deactivate,
    delete,
    lose,
    now,
    rename,
)

pytestmark = [pytest.mark.lab, pytest.mark.full, pytest.mark.parametrize("lab", ["postgresql"], indirect=True,
                                                                         scope="package")]
IMAGE = "{id}$"
SIZE = 160 * MIB
SLOW = 4.0 * MIB  # a second; the upload is under way for 40 s
UNUSED = Hold(threading.Event())
STEPS = [
    Step(name="about to reveal", method="GET", path=IMAGE, fault=UNUSED, after_upload=True),
    Step(name="about to update", method="GET", path=IMAGE, fault=UNUSED, change=rename),
    Step(name="about to deactivate", method="GET", path=IMAGE, fault=UNUSED, change=deactivate),
    Step(name="about to delete", method="GET", path=IMAGE, fault=UNUSED, change=delete, state="deleted"),
    Step(name="about to make it anew", method="GET", path=IMAGE, fault=UNUSED, change=lose, id_reason="id_burned"),
]


def test_a_stopped_server_changes_nothing_when_it_goes_on(
        servers: list[SyncServer], held: HeldRegion, job: MainJob, lab: Lab, proxy: HoldingProxy,
        tell: Callable[[str], None]) -> None:
    zombie, heir = servers
    answered = threading.Event()
    steps = [replace(step, fault=Hold(answered)) for step in STEPS]
    made = held.prepare(steps)
    made |= {step.name: held.hold(step, made.get(step.name)) for step in steps}
    proxy.bytes_per_second = SLOW
    copied = held.copy_slowly(SIZE)
    heir.bring_up()
    lab.server = heir  # it is asked what is true
    held.wait_owned([copied, *(made[step.name] for step in steps)])
    zombie.kill(signal.SIGSTOP)
    stopped_at = now()
    assert job.stored_bytes(REGION, copied) < SIZE, "it had ended before"
    proxy.bytes_per_second = None
    answered.set()  # what Glance says now is what the zombie will read
    took = held.wait_begun_again([made[step.name] for step in steps], stopped_at)
    assert max(took) <= TAKEOVER_SECONDS
    for step in steps:
        view = job.wait_for(made[step.name], step.state)[REGION]
        assert view["id_reason"] == step.id_reason, step.name
    assert_copy_was_replaced(held, copied, stopped_at, tell)
    assert_nothing_is_written(held, [*made.values(), copied], zombie, heir)
    assert as_admin(held, REGION).find(copied) is None, "its upload was given up"
    job.converge()


def assert_copy_was_replaced(held: HeldRegion, image_id: str, since: float, tell: Callable[[str], None]) -> None:
    """The target's `saving` is waited for, within a bound; then its id counts as used up."""
    views = held.job.wait_for(image_id, deadline_seconds=60)
    tell(f"a target in `saving` was replaced {now() - since:.1f} s after its server stood still")
    assert now() - since < TAKEOVER_SECONDS + SAVING_SECONDS + 10
    assert views[REGION]["id_reason"] == "stuck_saving"


def assert_nothing_is_written(held: HeldRegion, image_ids: list[str], zombie: SyncServer, heir: SyncServer) -> None:
    """The heir stands still meanwhile, so that whatever happens is the zombie's doing."""
    eventually(lambda: held.states(image_ids) == {"done"}, what="all tasks rest")
    heir.kill(signal.SIGSTOP)
    asked, rows, logged = len(held.proxy.requests), held.rows_of(image_ids), zombie.log_path.stat().st_size
    zombie.kill(signal.SIGCONT)
    given_up = b"it is not this server's any more"
    eventually(lambda: zombie.log_path.read_bytes()[logged:].count(given_up) >= len(image_ids),
               what="the zombie gives up all of its runs")
    assert [request for request in held.proxy.requests[asked:] if request[0] != "GET"] == []
    changed = changes(rows, held.rows_of(image_ids))
    assert not changed, "\n".join(changed)
    heir.kill(signal.SIGCONT)


def changes(before: list[list[str]], after: list[list[str]]) -> list[str]:
    """Rows that went or came, a table after the other."""
    return [line for old, new in zip(before, after, strict=True) for line in (
        *(f"- {row}" for row in old if row not in new), *(f"+ {row}" for row in new if row not in old))]
