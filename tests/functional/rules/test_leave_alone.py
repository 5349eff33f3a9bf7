# SPDX-License-Identifier: Apache-2.0
"""Images that a rule keeps from being copied, and replicas that were there before the rule, on the real cloud."""
from __future__ import annotations

from collections.abc import Callable

import pytest

from glancesync.lab.server import SyncServer
from tests.fixtures.images import ImagesOf
from tests.fixtures.polling import eventually
from tests.fixtures.trusting import Trusting, options

pytestmark = pytest.mark.lab
REGIONS = ("RegionTwo", "RegionThree")
RULES = 'visibility=private size>1000; name="tmp *" tag!=keep'


def test_a_rule_makes_no_copies_and_leaves_no_access(trusting: Trusting, images: ImagesOf,
                                                     start_server: Callable[..., SyncServer]) -> None:
    ours = images("demo")
    shared = str(images("admin").create("was public", b"x" * 1001, visibility="public")["id"])
    trusting.wait_for(shared)
    start_server(options(DEFAULT={"leave_alone": RULES}))

    large, small = (str(ours.create("image", b"x" * size, visibility="private")["id"])
                    for size in (1001, 1000))
    scratch = str(ours.create("tmp 1", b"x")["id"])
    trusting.wait_for(small)
    for image_id in (large, scratch):
        views = trusting.wait_for(image_id, "unwanted", code="left_alone")
        assert "by the rule" in views["RegionTwo"]["reason"]
        assert not any(images("admin", region).find(image_id) for region in REGIONS)

    images("admin").set(shared, visibility="private", name="now private")
    eventually(lambda: {(record["visibility"], record["name"]) for region in REGIONS
                        for record in [images("admin", region).get(shared)]} == {("private", "now private")}, 60)
    images("admin").delete(shared)
    trusting.wait_for(shared, "deleted")

    ours.set(scratch, name="kept")
    trusting.wait_for(scratch)
    start_server(options())
    trusting.compare()
    trusting.wait_for(large)
    assert all(images("admin", region).find(large) for region in REGIONS)
