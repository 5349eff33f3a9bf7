# SPDX-License-Identifier: Apache-2.0
"""What is asked of a region before a byte moves, how rarely, and what a pair says that may not begin."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from glancesync.clock import ManualClock
from glancesync.conf.transfer import TransferSettings
from glancesync.exceptions import RegionUnavailableError
from glancesync.model.facts import GlanceFacts
from glancesync.model.image import Image
from glancesync.model.replica import ReplicaState
from glancesync.sync.preflight import Preflight
from tests.fixtures.memory_cloud import MemoryCloud

GIB = 2 ** 30
IMAGE = Image(id="i", status="active", size=GIB, disk_format="raw", container_format="bare")


class Region:
    """Counts who asks."""

    def __init__(self, free: int | None = None) -> None:
        self.asked = 0
        self.free = free
        self.facts: GlanceFacts | Exception = GlanceFacts(disk_formats=frozenset({"raw"}))
        self.clock = ManualClock()
        self.preflight = Preflight(read_facts=self._facts, read_free=lambda _region: self.free, clock=self.clock,
                                   settings=TransferSettings())

    def _facts(self, region: str) -> GlanceFacts:
        self.asked += 1
        if isinstance(self.facts, Exception):
            raise self.facts
        return self.facts


def test_a_region_is_asked_once_in_five_minutes() -> None:
    region = Region()
    for _ in range(1000):
        assert region.preflight.check(IMAGE, "Two") is None
    assert region.asked == 1
    assert region.preflight.facts("Two") == region.facts
    region.facts = GlanceFacts(disk_formats=frozenset({"iso"}))
    region.clock.sleep(300)
    found = region.preflight.check(IMAGE, "Two")
    assert found is not None
    assert (found.code, region.asked) == ("format_not_enabled", 2)


def test_what_is_on_its_way_is_no_more_free() -> None:
    region = Region(free=5 * GIB)
    passed = 0
    while region.preflight.check(IMAGE, "Two") is None:
        region.preflight.let_pass(IMAGE, "Two")
        passed += 1
    assert (passed, region.asked) == (4, 1)
    region.clock.sleep(300)
    assert region.preflight.check(IMAGE, "Two") is None


def test_copies_that_fail_fill_no_disk() -> None:
    region = Region(free=2 * GIB)
    for _ in range(10):
        assert region.preflight.check(IMAGE, "Two") is None
        take_back = region.preflight.let_pass(IMAGE, "Two")
        take_back()
    take_back = region.preflight.let_pass(IMAGE, "Two")
    assert region.preflight.check(IMAGE, "Two") is not None
    region.clock.sleep(300)
    assert region.preflight.check(IMAGE, "Two") is None
    region.preflight.let_pass(IMAGE, "Two")
    take_back()  # what was asked anew knows nothing of it
    assert region.preflight.check(IMAGE, "Two") is not None


def test_a_run_that_fails_gives_the_room_back(tmp_path: Path) -> None:
    cloud = MemoryCloud(tmp_path)
    cloud.preflight = Preflight(
        read_facts=lambda name: cloud.directory.client(name).get_facts(), settings=TransferSettings(),
        read_free=lambda _name: 64 * 2 ** 20 + 10, clock=cloud.clock)
    cloud.restart()
    image = cloud.upload(b"10 bytes!!")
    for _ in range(5):
        cloud.two.faults.fail_next("upload_data", RegionUnavailableError("down"))
        with pytest.raises(RegionUnavailableError):
            cloud.run(image.id)
    cloud.run(image.id)
    assert cloud.record(image.id).state is ReplicaState.IN_SYNC


def test_one_that_does_not_answer_stands_in_nobodys_way() -> None:
    region = Region(free=0)
    region.facts = RegionUnavailableError("away")
    assert region.preflight.check(IMAGE, "Two") is None
    region.facts = GlanceFacts()
    region.clock.sleep(30)
    found = region.preflight.check(IMAGE, "Two")
    assert found is not None
    assert found.code == "store_space_short"


@pytest.fixture
def cloud(tmp_path: Path) -> MemoryCloud:
    made = MemoryCloud(tmp_path)
    made.preflight = Preflight(
        read_facts=lambda name: made.directory.client(name).get_facts(), read_free=lambda _name: None,
        settings=TransferSettings(max_image_bytes=100), clock=made.clock)
    made.restart()
    return made


@pytest.mark.parametrize(("code", "arrange"), [
    ("image_too_large", lambda cloud: cloud.upload(b"x" * 101)),
    ("format_not_enabled", lambda cloud: cloud.upload(disk_format="iso"))])
def test_nothing_is_made_where_it_would_not_be_taken(cloud: MemoryCloud, code: str,
                                                     arrange: Callable[[MemoryCloud], Image]) -> None:
    image = arrange(cloud)
    ended = cloud.run(image.id)
    record = cloud.record(image.id)
    assert (record.state, record.reason_code, ended.plan.delay_seconds) == (ReplicaState.WAITING, code, 600)
    assert (cloud.ids(cloud.two), cloud.two.faults.calls.count("upload_data")) == (set(), 0)
    [shown] = cloud.service.plan(image_ids=[image.id], regions=["Two"]).rows
    assert (shown["reason_code"], shown["actions"]) == (code, [])
    assert {way["refusal"] for way in cloud.service.list_ways(image.id, "Two")} == {record.reason}
    [row] = [row for row in cloud.service.plan_all(regions=["Two"]) if row["image_id"] == image.id]
    assert (row["reason_code"], row["actions"], row["bytes"]) == (code, [], 0)


def test_what_is_enabled_later_is_copied(cloud: MemoryCloud) -> None:
    image = cloud.upload(disk_format="iso")
    cloud.run(image.id)
    cloud.two.facts = replace(cloud.two.facts, disk_formats=frozenset({"iso"}))
    cloud.clock.sleep(600)
    cloud.run(image.id)
    assert cloud.record(image.id).state is ReplicaState.IN_SYNC
    assert cloud.two.faults.calls.count("get_facts") == 2


def test_a_replica_that_has_its_bytes_is_not_held_up(cloud: MemoryCloud) -> None:
    image = cloud.upload()
    cloud.run(image.id)
    cloud.two.facts = replace(cloud.two.facts, disk_formats=frozenset())
    cloud.clock.sleep(600)
    cloud.run(image.id)
    assert cloud.record(image.id).state is ReplicaState.IN_SYNC
