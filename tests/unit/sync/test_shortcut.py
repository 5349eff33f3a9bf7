# SPDX-License-Identifier: Apache-2.0
"""Bytes past the Glances: verified as ever, and through the Glances in the same run when anything is in the way."""
from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glancesync.exceptions import (
    GlanceSyncError,
    NotReadyError,
    NoWayError,
    RegionConflictError,
    RegionForbiddenError,
    StoreCutError,
    StoreRegistrationError,
    TaskCancelledError,
)
from glancesync.model.attempt import Attempt
from glancesync.model.filed import Filed
from glancesync.model.replica import ReplicaState
from glancesync.stores.select import DEFAULT_ORDER
from glancesync.sync.base import Savings
from glancesync.sync.readers import OwnReaders, Read
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
    def with_driver(data: bytes = DATA, error: GlanceSyncError | None = None,
                    order: tuple[str, ...] = DEFAULT_ORDER) -> FakeDriver:
        driver = FakeDriver(data, cloud.two.web, error)
        cloud.shortcut = StoreShortcut(
            drivers={"filesystem": driver}, find_stores=lambda region: stores(region.name), clock=cloud.clock,
            order=lambda: order, regions=lambda: [cloud.directory.cascading(), *cloud.directory.cascaded()])
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


def test_each_attempt_is_written_down(cloud: MemoryCloud, drive: Callable[..., FakeDriver]) -> None:
    drive(error=StoreCutError("the line to host x was cut"))
    image = cloud.upload(DATA)
    cloud.run(image.id)
    driver, stream = sorted(cloud.service.list_attempts("t"), key=lambda each: each.driver)
    assert (driver.driver, driver.source_region, driver.region, driver.code, driver.reason, driver.bytes_moved) == (
        "filesystem", "One", "Two", "store_connection_cut", "the line to host x was cut", 0)
    assert (stream.driver, stream.code, stream.reason, stream.bytes_moved) == ("stream", "ok", None, len(DATA))
    assert stream.image_id == driver.image_id == image.id
    assert stream.began_at >= driver.began_at


def test_a_database_that_is_away_takes_no_copy_down(cloud: MemoryCloud, drive: Callable[..., FakeDriver],
                                                    monkeypatch: pytest.MonkeyPatch,
                                                    caplog: pytest.LogCaptureFixture) -> None:
    def away(attempt: Attempt) -> None:
        raise NotReadyError("the database is away")

    drive()
    monkeypatch.setattr(cloud.records.attempts, "add", away)
    image = cloud.upload(DATA)
    cloud.run(image.id)
    assert_in_sync(cloud, image.id)
    assert "is not written down" in caplog.text


class Contended(OwnReaders):
    """Somebody else begins the last read that may be, the first `times` that this server is about to."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def begin(self, image_id: str, region: str, most: int) -> Read | None:
        self.times -= 1
        return super().begin(image_id, region, most) if self.times < 0 else None


def test_who_is_overtaken_while_it_asks_the_regions_chooses_anew(cloud: MemoryCloud, drive: Callable[..., FakeDriver],
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    driver, readers = drive(), Contended(times=2)
    assert cloud.shortcut is not None
    monkeypatch.setattr(cloud.shortcut._sources, "_readers", readers)
    image = cloud.upload(DATA)
    cloud.run(image.id)
    assert_in_sync(cloud, image.id)
    assert (driver.calls, readers.counts(image.id)) == (["copy"], {})
    assert [attempt.code for attempt in cloud.service.list_attempts("t")] == ["ok"], "what was not tried is none"


def test_a_region_without_the_stream_waits(cloud: MemoryCloud, drive: Callable[..., FakeDriver]) -> None:
    driver = drive(error=StoreCutError("cut"), order=("filesystem",))
    image = cloud.upload(DATA)
    with pytest.raises(StoreCutError):
        cloud.run(image.id)
    assert (driver.calls, uploads(cloud), cloud.record(image.id).reason_code) == (["copy"], 0, "store_connection_cut")
    driver.error = None
    driver.data = b"other bytes in it"
    with pytest.raises(StoreRegistrationError):
        cloud.run(image.id)
    with pytest.raises(NoWayError) as caught:  # the driver is set aside
        cloud.run(image.id)
    assert (uploads(cloud), caught.value.retry_after_seconds) == (0, 300)


def test_what_is_not_the_image_is_not_taken_and_removed(cloud: MemoryCloud, drive: Callable[..., FakeDriver]) -> None:
    driver = drive(b"other bytes in it")
    image = cloud.upload(DATA)
    cloud.run(image.id)
    assert_in_sync(cloud, image.id)
    assert [copy.unhashed for copy in driver.copies] == [True, False]  # the host tells whether the bytes are wrong
    assert (driver.calls, cloud.two.web, uploads(cloud)) == (["copy", "discard"] * 2, {}, 1)


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


def test_a_glance_that_verifies_is_left_to_it(cloud: MemoryCloud, drive: Callable[..., FakeDriver]) -> None:
    driver = drive()
    image = cloud.upload(DATA)
    cloud.run(image.id)
    assert driver.calls == ["copy"]
    assert [copy.unhashed for copy in driver.copies] == [True]
    assert_in_sync(cloud, image.id)


@pytest.mark.parametrize("hashed", [False, True])
def test_a_store_filter_is_told_what_was_done_already(cloud: MemoryCloud, hashed: bool,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    driver, told = FakeDriver(DATA, cloud.two.web), []
    cloud.shortcut = StoreShortcut(
        drivers={"filesystem": driver}, find_stores=lambda region: stores(region.name), clock=cloud.clock,
        regions=lambda: [cloud.directory.cascading(), *cloud.directory.cascaded()],
        savings=Savings(hash_on_host=lambda: hashed))
    cloud.restart()
    add = cloud.two.add_location

    def add_location(*given: Any, filed: Filed | None = None) -> None:
        told.append(filed)
        add(*given, filed=filed)

    monkeypatch.setattr(cloud.two, "add_location", add_location)
    image = cloud.upload(DATA)
    cloud.run(image.id)
    assert_in_sync(cloud, image.id)
    assert [copy.unhashed for copy in driver.copies] == [not hashed]
    assert told == [Filed(compared=hashed, checksum=cloud.one.get_image(image.id).checksum)]
    assert told[0] is not None
    assert told[0].checksum == hashlib.md5(DATA, usedforsecurity=False).hexdigest()


def test_where_the_glance_does_not_verify_the_driver_does(cloud: MemoryCloud,
                                                          drive: Callable[..., FakeDriver]) -> None:
    driver = drive()
    cloud.two.verifies_locations = False
    for _ in range(2):
        image = cloud.upload(DATA)
        cloud.run(image.id)
        assert_in_sync(cloud, image.id)
    assert driver.calls == ["copy", "verify", "copy"]
    assert [copy.unhashed for copy in driver.copies] == [True, False]


def test_a_file_that_nobody_registered_does_not_stop_an_upload(cloud: MemoryCloud,
                                                               drive: Callable[..., FakeDriver]) -> None:
    """Glance answers 409 where such a file lies."""
    driver = drive(order=("stream",))
    image = cloud.upload(DATA)
    cloud.two.faults.fail_next("upload_data", RegionConflictError("409"))
    cloud.run(image.id)
    assert_in_sync(cloud, image.id)
    assert driver.calls == ["discard"]


def test_another_conflict_stays_one(cloud: MemoryCloud, drive: Callable[..., FakeDriver]) -> None:
    driver = drive(order=("stream",))
    image = cloud.upload(DATA)
    for _ in range(2):
        cloud.two.faults.fail_next("upload_data", RegionConflictError("409"))
    with pytest.raises(RegionConflictError):
        cloud.run(image.id)
    assert driver.calls == ["discard"]
