# SPDX-License-Identifier: Apache-2.0
"""What an operator is shown of a region that is left alone."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from glancesync.exceptions import RegionUnavailableError
from tests.fixtures.memory_cloud import MemoryCloud


def breaker(cloud: MemoryCloud, name: str) -> dict[str, Any]:
    return dict(next(region["breaker"] for region in cloud.service.list_regions() if region["name"] == name))


def in_two(cloud: MemoryCloud, image_id: str) -> dict[str, Any]:
    return dict(next(view for view in cloud.service.get_image(image_id)["regions"] if view["region"] == "Two"))


def leave_two_alone(cloud: MemoryCloud) -> None:
    for _ in range(5):
        cloud.health.begun("Two")
        cloud.health.ended("Two", RegionUnavailableError("GET / in Two answered 503", region="Two"))


def test_regions_show_their_breaker(tmp_path: Path) -> None:
    cloud = MemoryCloud(tmp_path)
    assert breaker(cloud, "Two") == {"state": "closed", "since": None, "failures": 0, "next_probe_at": None,
                                     "reason": None}
    leave_two_alone(cloud)
    shown = breaker(cloud, "Two")
    assert (shown["state"], shown["failures"], shown["reason"]) == ("open", 5, "GET / in Two answered 503")
    assert shown["since"] == "1970-01-12T13:46:40.000Z"
    assert shown["next_probe_at"] == "1970-01-12T13:46:45.000Z"
    assert breaker(cloud, "Three")["state"] == breaker(cloud, "One")["state"] == "closed"
    cloud.database.close()


def test_an_image_that_waits_for_a_region_says_so(tmp_path: Path) -> None:
    """Unless it failed there itself: what failed tells more."""
    cloud = MemoryCloud(tmp_path)
    cloud.compare()
    known, new = cloud.upload().id, cloud.upload().id
    cloud.service.submit(image_ids=[known], regions=None, request_id=None)
    cloud.two.fail_next("create_image", RegionUnavailableError("no answer", region="Two"))
    cloud.work()
    leave_two_alone(cloud)
    cloud.service.submit(image_ids=[known, new], regions=None, request_id=None)
    for region, paused in cloud.health.pauses().items():
        cloud.queue.postpone(region, 5, code=paused.code, reason=paused.message)
    shown = in_two(cloud, new)
    assert (shown["state"], shown["reason_code"]) == ("waiting", "region_paused")
    assert shown["reason"] == "Two is left alone after 5 failures in a row; the last: GET / in Two answered 503"
    shown = in_two(cloud, known)
    assert (shown["state"], shown["reason_code"], shown["attempts"]) == ("failed", "region_unavailable", 1)
    assert shown["next_try_at"] is not None
    cloud.database.close()
