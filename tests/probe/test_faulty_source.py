# SPDX-License-Identifier: Apache-2.0
"""The real cascading Glance behind a proxy that falsifies what is read from it: nothing of that becomes active."""
from __future__ import annotations

import secrets

import pytest

from tests.fixtures.faults import Fault, Flip, Truncate
from tests.fixtures.faulty_proxy import FaultyProxy
from tests.fixtures.images import ImagesOf
from tests.fixtures.main_job import MIB, MainJob, counterparts
from tests.fixtures.polling import eventually

pytestmark = [pytest.mark.lab, pytest.mark.full]
SIZE = 3 * MIB


def nothing_is_active(job: MainJob, images: ImagesOf, image_id: str) -> None:
    """Nor is anything left, as soon as the Glances have noticed that their uploads were broken off."""
    def cleaned() -> bool:
        for region, replica in counterparts(job.lab, images, image_id).items():
            if replica is not None and replica["status"] not in ("queued", "saving"):
                pytest.fail(f"{region} has {replica}")
            assert replica is None or replica["status"] == "queued", replica
            assert images("demo", region).find(image_id) is None
            assert job.stored_bytes(region, image_id) == 0
        return True

    eventually(cleaned, 20, every_seconds=0.05)


@pytest.mark.parametrize("healed_by", ["event", "comparison"])
@pytest.mark.parametrize(("fault", "code"), [(Flip(SIZE - 1), "source_corrupt"), (Flip(0), "source_corrupt"),
                                             (Truncate(SIZE // 2), "source_read_failed")],
                         ids=["last byte", "first byte", "cut off"])
def test_wrong_bytes_on_the_way(faulty_source: FaultyProxy, job: MainJob, images: ImagesOf, fault: Fault, code: str,
                                healed_by: str) -> None:
    rule = faulty_source.add("GET", r"/file$", fault)
    ours = images("demo")
    image_id = ours.create("wrong on the way", secrets.token_bytes(SIZE))["id"]
    job.wait_for(image_id, "failed", code=code)
    assert rule.met
    nothing_is_active(job, images, image_id)
    if code == "source_corrupt":
        eventually(lambda: {task["state"] for task in job.tasks(image_id).values()} == {"failed"},
                   what="it is not tried again")
    faulty_source.clear()
    if healed_by == "event":
        ours.set(image_id, name="right on the way")
    else:
        job.sync()
    assert {(view["replica_id"], view["id_reason"]) for view in job.wait_for(image_id).values()} == {(image_id, None)}
    job.converge()
