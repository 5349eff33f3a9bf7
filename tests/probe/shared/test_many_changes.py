# SPDX-License-Identifier: Apache-2.0
"""Two real servers on the real cloud, and users who do not wait: many changes of an image that is being copied, and
what is cancelled."""
from __future__ import annotations

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.server import SyncServer
from tests.fixtures.images import ImagesOf
from tests.fixtures.main_job import MIB, MainJob, counterparts
from tests.fixtures.polling import eventually
from tests.fixtures.takeover import REGION, HeldRegion, HoldingProxy

pytestmark = [pytest.mark.lab, pytest.mark.full, pytest.mark.parametrize("lab", ["postgresql"], indirect=True,
                                                                         scope="package")]
CHANGES = 100
SIZE = 64 * MIB
SLOW = 1.0 * MIB


def test_a_hundred_changes_of_an_image_that_is_copied(servers: list[SyncServer], held: HeldRegion, job: MainJob,
                                                      lab: Lab, proxy: HoldingProxy, images: ImagesOf) -> None:
    """Each change is an event to one server, each tenth a request to the other one. The region that is slow runs at
    most twice more, and ends with what was said last."""
    first, second = servers
    second.bring_up()
    proxy.bytes_per_second = SLOW
    image_id = held.copy_slowly(SIZE)
    before = len(job.runs(image_id, REGION))
    for number in range(CHANGES):
        held.ours.set(image_id, name=f"change {number}", change=str(number))
        if number % 10 == 9:
            lab.server = second
            job.sync(image_id)
            lab.server = first
    assert job.stored_bytes(REGION, image_id) < SIZE, "the copy had ended before"
    proxy.bytes_per_second = None
    job.wait_for(image_id)
    job.converge()
    assert len(job.runs(image_id, REGION)) - before <= 3, job.runs(image_id, REGION)
    for region, record in counterparts(lab, images, image_id).items():
        assert record is not None, region
        assert (record["name"], record["change"]) == (f"change {CHANGES - 1}", str(CHANGES - 1))


def test_a_copy_is_cancelled_at_the_other_server(servers: list[SyncServer], held: HeldRegion, job: MainJob, lab: Lab,
                                                 proxy: HoldingProxy) -> None:
    """It ends within seconds, nothing of it is left to be booted, and who asks again gets it."""
    first, second = servers
    proxy.bytes_per_second = SLOW
    image_id = held.copy_slowly(SIZE)
    second.bring_up()
    lab.server = second
    task = job.tasks(image_id)[REGION]
    job.call("POST", f"/v1/tasks/{task['id']}/cancel")
    eventually(lambda: job.tasks(image_id)[REGION]["state"] == "cancelled", 10)
    assert job.stored_bytes(REGION, image_id) < SIZE
    proxy.bytes_per_second = None
    job.sync(image_id)
    job.wait_for(image_id)
    job.converge()
