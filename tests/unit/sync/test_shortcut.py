# SPDX-License-Identifier: Apache-2.0
"""Bytes past the Glances: verified as ever, and through the Glances in the same run when anything is in the way."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from glancesync.exceptions import GlanceSyncError, RegionForbiddenError, StoreCutError, TaskCancelledError
from glancesync.model.replica import ReplicaState
from glancesync.sync.shortcut import StoreShortcut
from tests.fixtures.memory_cloud import MemoryCloud
from tests.unit.stores.fakes import FakeDriver, stores

DATA = b"the image's bytes"


@pytest.fixture
def cloud(tmp_path: Path) -> MemoryCloud:
    return MemoryCloud(tmp_path)


@pytest.fixture
def drive(cloud: MemoryCloud) -> Callable[..., FakeDriver]:
    """drive(...): a driver whose files the Glance of Two takes."""
    def with_driver(data: bytes = DATA, error: GlanceSyncError | None = None) -> FakeDriver:
        driver = FakeDriver(data, cloud.two.web, error)
        cloud.shortcut = StoreShortcut(
            drivers={"filesystem": driver}, find_stores=lambda region: stores(region.name), clock=cloud.clock,
            regions=lambda: [cloud.directory.cascading(), *cloud.directory.cascaded()])
        cloud.restart()
        return driver

    return with_driver


def uploads(cloud: MemoryCloud) -> int:
    return cloud.two.faults.calls.count("upload_data")


def assert_in_sync(cloud: MemoryCloud, image_id: str) -> None:
    record = cloud.record(image_id)
    assert record.state is ReplicaState.IN_SYNC
    assert record.verified_at is not None
    replica = cloud.two.get_image(image_id)
    assert (replica.owner, replica.digest, replica.os_hidden) == ("demo", cloud.one.get_image(image_id).digest, False)


def test_no_glance_gives_or_gets_the_bytes(cloud: MemoryCloud, drive: Callable[..., FakeDriver]) -> None:
    driver = drive()
    image = cloud.upload(DATA)
    cloud.one.faults.calls.clear()
    cloud.run(image.id)
    assert_in_sync(cloud, image.id)
    assert (driver.calls, uploads(cloud)) == (["copy"], 0)
    assert "open_data" not in cloud.one.faults.calls


def test_a_failed_copy_goes_through_the_glances(cloud: MemoryCloud, drive: Callable[..., FakeDriver]) -> None:
    driver = drive(error=StoreCutError("cut"))
    image = cloud.upload(DATA)
    cloud.run(image.id)
    assert_in_sync(cloud, image.id)
    assert (driver.calls, uploads(cloud)) == (["copy"], 1)


def test_what_is_not_the_image_is_not_taken_and_removed(cloud: MemoryCloud, drive: Callable[..., FakeDriver]) -> None:
    driver = drive(b"other bytes in it")
    image = cloud.upload(DATA)
    cloud.run(image.id)
    assert_in_sync(cloud, image.id)
    assert (driver.calls, cloud.two.web, uploads(cloud)) == (["copy", "discard"], {}, 1)


@pytest.mark.parametrize("refuses", ["rejects", "forbids"])
def test_a_glance_that_registers_nothing_is_set_aside(cloud: MemoryCloud, drive: Callable[..., FakeDriver],
                                                      refuses: str) -> None:
    driver = drive()
    if refuses == "rejects":
        cloud.two.takes_locations = False
    else:
        cloud.two.faults.fail_next("add_location", RegionForbiddenError("no role"))
    images = [cloud.upload(DATA) for _ in range(2)]
    for image in images:
        cloud.run(image.id)
        assert_in_sync(cloud, image.id)
    assert (driver.calls, cloud.two.web, uploads(cloud)) == (["copy", "discard"], {}, 2)
    assert cloud.shortcut is not None
    stream, refused = cloud.shortcut.explain(images[0], "One", "Two")
    assert (stream.driver, refused.driver) == ("stream", "filesystem")
    assert "Two is set aside: its Glance refuses" in str(refused.refusal)
    cloud.clock.sleep(1000)
    assert cloud.shortcut.explain(images[0], "One", "Two")[0].driver == "filesystem"


def test_who_cancels_gets_no_other_way(cloud: MemoryCloud, drive: Callable[..., FakeDriver]) -> None:
    drive(error=TaskCancelledError("cancelled"))
    image = cloud.upload(DATA)
    with pytest.raises(TaskCancelledError):
        cloud.run(image.id)
    assert uploads(cloud) == 0


def test_a_file_that_a_glance_still_reads_stays(cloud: MemoryCloud, drive: Callable[..., FakeDriver]) -> None:
    """A server that was killed after it had registered the file, and a new one."""
    driver = drive(error=TaskCancelledError("killed"))
    image = cloud.upload(DATA)
    with pytest.raises(TaskCancelledError):
        cloud.run(image.id)
    cloud.two.slow = True
    assert image.digest is not None
    cloud.two.add_location(image.id, f"file:///{image.id}", image.digest)
    driver.error = None
    driver.calls.clear()
    cloud.run(image.id)
    assert driver.calls == []


def test_a_slow_glance_is_waited_for(cloud: MemoryCloud, drive: Callable[..., FakeDriver]) -> None:
    driver = drive()
    cloud.two.slow = True
    image = cloud.upload(DATA)
    slept, sleep = [], cloud.clock.sleep

    def settle_soon(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            cloud.two.settle()
        sleep(seconds)

    cloud.clock.sleep = settle_soon  # type: ignore[method-assign]
    cloud.run(image.id)
    assert_in_sync(cloud, image.id)
    assert (driver.calls, len(slept)) == (["copy"], 3)
