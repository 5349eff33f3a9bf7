# SPDX-License-Identifier: Apache-2.0
"""A region frozen for its maintenance, in the middle of a copy, and thawed, on the real cloud."""
from __future__ import annotations

import secrets

import pytest

from tests.fixtures.images import ImagesOf
from tests.fixtures.polling import eventually
from tests.fixtures.trusting import Trusting

pytestmark = pytest.mark.lab
TWO, THREE, MIB = "RegionTwo", "RegionThree", 1 << 20


def test_frozen_in_the_middle_of_a_copy_and_thawed(trusting: Trusting, images: ImagesOf) -> None:
    """Its tasks wait and say why, nothing appears there, the other region is served; thawed it has all of it."""
    [known] = trusting.make(images, "known before")
    ours = images("demo")
    large = str(ours.create("large")["id"])
    ours.upload(large, (secrets.token_bytes(1024) + bytes(MIB - 1024) for _ in range(512)))
    eventually(lambda: (trusting.states(large).get(TWO) or {}).get("bytes_done"), 60, every_seconds=0.02,
               what="the copy runs")
    frozen = trusting.call("POST", f"/v1/regions/{TWO}/freeze", json={"reason": "new disks"})["region"]["frozen"]
    try:
        assert (frozen["reason"], frozen["by"] is None) == ("new disks", False)
        trusting.wait_for(large, "waiting", code="region_frozen", regions=[TWO])
        trusting.wait_for(large, regions=[THREE])
        ours.set(known, name="renamed meanwhile")
        trusting.wait_for(known, regions=[THREE])
        trusting.wait_for(known, "waiting", code="region_frozen", regions=[TWO])
        replica = images("admin", TWO).find(large)
        assert replica is None or replica["status"] == "queued"
        assert images("admin", TWO).get(known)["name"] == "known before"
        assert "new disks" in trusting.states(large)[TWO]["reason"]
    finally:
        trusting.call("POST", f"/v1/regions/{TWO}/thaw", json={})
    views = trusting.wait_for(large)
    assert views[TWO]["replica_id"] == large
    trusting.wait_for(known)
    assert images("admin", TWO).get(known)["name"] == "renamed meanwhile"
