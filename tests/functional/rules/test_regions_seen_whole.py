# SPDX-License-Identifier: Apache-2.0
"""A cascaded Glance whose policy takes us for no admin any more: 404 for each private image, 409 for its id."""
from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.glance import Glance
from tests.fixtures.images import ImagesOf
from tests.fixtures.polling import eventually
from tests.fixtures.trusting import Trusting, manage

pytestmark = [pytest.mark.lab, pytest.mark.full]
REGION = "RegionTwo"


@contextmanager
def nobody_is_admin(lab: Lab) -> Iterator[None]:
    """The region's administrator closed its policy."""
    glance = Glance(lab.state, REGION)
    policy = glance.directory / "policy.yaml"
    glance.stop()
    policy.write_text(json.dumps({"context_is_admin": "role:somebody_else"}))
    try:
        glance.start()
        glance.wait_ready()
        yield
    finally:
        policy.unlink()
        glance.stop()
        glance.start()
        glance.wait_ready()


def test_a_policy_that_takes_us_for_no_admin(trusting: Trusting, images: ImagesOf, lab: Lab) -> None:
    """No replica is made again under another id, none of their records changes, and all goes on when it is over."""
    ours = images("demo")
    private, shared = (ours.create(f"seen whole {kind}", b"x" * 1000, visibility=kind)["id"]
                       for kind in ("private", "shared"))
    for image_id in (private, shared):
        trusting.wait_for(image_id)
    before = _ids(images)
    with nobody_is_admin(lab):
        ours.set(private, name="renamed meanwhile")
        new = ours.create("made meanwhile", b"y" * 1000, visibility="private")["id"]
        for image_id in (private, new):
            views = trusting.wait_for(image_id, "waiting", code="region_not_seen_whole", regions=[REGION])
            assert "give the service user its admin role back" in views[REGION]["reason"]
        trusting.compare(2)
        status, told = manage(lab, "region", "status")
        assert (status, REGION in told, "RegionThree: is seen whole" in told) == (1, True, True)
        region = next(each for each in trusting.call("GET", "/v1/regions")["regions"] if each["name"] == REGION)
        assert region["problems"]
    assert "ALARM: " + REGION in trusting.alarms()
    eventually(lambda: manage(lab, "region", "release", REGION)[0] == 0, 60, what="the region is seen whole")
    trusting.compare(2)
    for image_id in (private, shared, new):
        views = trusting.wait_for(image_id)
        assert (views[REGION]["replica_id"], views[REGION]["id_reason"]) == (image_id, None)
    assert _ids(images) == before | {new}
    assert trusting.deletions() == []
    for image_id in (private, shared, new):
        ours.delete(image_id)
    trusting.wait_gone(images, private, shared, new)


def _ids(images: ImagesOf) -> set[str]:
    """Every image of the region but canaries."""
    admin = images("admin", REGION)
    return {record["id"] for hidden in ("true", "false") for record in admin.list(visibility="all", os_hidden=hidden)
            if not (record["name"] or "").startswith("glancesync canary")}
