# SPDX-License-Identifier: Apache-2.0
"""Bytes that rot in a cascaded region's store: the replica is named, hidden and replaced."""
from __future__ import annotations

from collections.abc import Callable

import pytest
from keystoneauth1 import exceptions

from glancesync.lab.cloud import Lab
from glancesync.lab.glance import Glance
from glancesync.lab.server import SyncServer
from tests.fixtures.images import ImagesOf
from tests.fixtures.polling import eventually
from tests.fixtures.trusting import Trusting, manage, options

pytestmark = pytest.mark.lab
TWO = "RegionTwo"


def flip_a_byte(glance: Glance, image_id: str) -> None:
    """In the middle of the stored file; the size stays."""
    path = glance.store_path / image_id
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_rotten_replicas_are_named_hidden_and_replaced(trusting: Trusting, images: ImagesOf, lab: Lab,
                                                       start_server: Callable[..., SyncServer]) -> None:
    """The brake lets one of the two be replaced; the other can be booted by nobody until the operator releases it."""
    first, second, sound = trusting.make(images, "first", "second", "sound")
    for image_id in (first, second):
        flip_a_byte(lab.glances[TWO], image_id)
    start_server(options(DEFAULT={"scrub_interval_seconds": 1, "scrub_fraction": 1}, deletion={"max_deletes": 1}))
    eventually(lambda: trusting.call("GET", "/v1/deletions")["held"], 60, what="the brake holds the second")

    def judged() -> tuple[str, str]:
        """(replaced, held)."""
        reasons = {each: trusting.states(each)[TWO]["id_reason"] for each in (first, second)}
        assert sorted(reasons.values(), key=str) == [None, "rotten"], reasons
        return (first, second) if reasons[first] else (second, first)

    replaced, held = eventually(judged, 60, what="one is replaced, one is held")
    for image_id in (first, second):
        assert f"replica {image_id} of image {image_id} in {TWO} is rotten" in trusting.log()
    assert images("admin", TWO).get(held)["status"] == "deactivated"
    with pytest.raises(exceptions.Forbidden):
        images("demo", TWO).read(held)
    trusting.wait_for(held, "waiting", code="deletions_held", regions=[TWO])
    new_id = trusting.wait_for(replaced)[TWO]["replica_id"]
    assert images("demo", TWO).read(new_id) == images("demo").read(replaced)
    assert {(row["image_id"], row["region"], row["cause"]) for row in trusting.deletions()} == {
        (replaced, TWO, "rotten")}

    assert manage(lab, "deletion", "release")[0] == 0
    trusting.compare()
    view = trusting.wait_for(held)[TWO]
    assert (view["id_reason"], images("demo", TWO).read(view["replica_id"])) == (
        "rotten", images("demo").read(held))
    eventually(lambda: trusting.states(sound)[TWO]["scrubbed_at"], 30, what="the sound one was read too")
    assert {each["replica_id"] for each in trusting.states(sound).values()} == {sound}
    trusting.converge()
