# SPDX-License-Identifier: Apache-2.0
"""What is said of the ways of an image's bytes."""
from __future__ import annotations

from pathlib import Path

import pytest

from glancesync.exceptions import ImageNotFoundError, InvalidInputError, RegionNotFoundError
from glancesync.sync.shortcut import StoreShortcut
from tests.fixtures.memory_cloud import MemoryCloud
from tests.unit.stores.fakes import FakeDriver, stores


@pytest.fixture
def cloud(tmp_path: Path) -> MemoryCloud:
    return MemoryCloud(tmp_path)


def test_without_drivers_there_is_one_way(cloud: MemoryCloud) -> None:
    assert cloud.service.list_ways(cloud.upload().id, "Two") == [
        {"source": "One", "driver": "stream", "carrier": "server", "refusal": None, "route": None,
         "doubt": None}]


def test_each_way_with_its_refusal(cloud: MemoryCloud) -> None:
    cloud.shortcut = StoreShortcut(
        drivers={"filesystem": FakeDriver()}, clock=cloud.clock,
        find_stores=lambda region: None if region.name == "Three" else stores(region.name),
        regions=lambda: [cloud.directory.cascading(), *cloud.directory.cascaded()])
    cloud.restart()
    image = cloud.upload()
    assert [(way["driver"], way["refusal"]) for way in cloud.service.list_ways(image.id, "Two")] == [
        ("filesystem", None), ("stream", None)]
    assert [(way["driver"], way["refusal"]) for way in cloud.service.list_ways(image.id, "Three")] == [
        ("stream", None), ("filesystem", "glance_store.yaml names no store of Three")]


def test_what_is_not_there(cloud: MemoryCloud) -> None:
    image = cloud.upload()
    with pytest.raises(RegionNotFoundError):
        cloud.service.list_ways(image.id, "Four")
    with pytest.raises(InvalidInputError):
        cloud.service.list_ways(image.id, "One")
    with pytest.raises(ImageNotFoundError):
        cloud.service.list_ways("0b0a7ad1-0000-4000-8000-000000000001", "Two")
