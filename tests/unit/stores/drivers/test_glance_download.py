# SPDX-License-Identifier: Apache-2.0
"""Orders to a Glance to fetch by itself: how they are watched, and what becomes of each end."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from glancesync.exceptions import (
    NoWayError,
    RegionForbiddenError,
    ReplicaSavingError,
    StoreCopyError,
    StoreImportError,
    StoreImportRefusedError,
    StoreTimeoutError,
    TaskCancelledError,
    VerificationError,
)
from glancesync.model.replica import ReplicaState
from glancesync.stores.driver import StoreCopy
from glancesync.stores.drivers.glance_download import GlanceDownloadDriver
from glancesync.stores.loading import DriverOptions
from glancesync.sync.shortcut import StoreShortcut
from tests.contract.store_worlds import ImportWorld, Watch
from tests.fixtures.clocks import MovingClock
from tests.fixtures.memory_cloud import SERVICE, MemoryCloud

DATA = b"x" * 3 * 2 ** 20
SMALL = b"bytes of an image"


class Timed:
    """A driver over a clock that nobody waits for."""

    def __init__(self) -> None:
        self.world = ImportWorld()
        self.world.two.slow = True
        self.copy: StoreCopy = self.world.put(DATA)
        self.clock = MovingClock()
        self.driver = GlanceDownloadDriver(DriverOptions(
            clock=self.clock, copy_timeout_seconds=lambda: 60.0, shell_tries=lambda: 1))

    def then(self, *steps: Callable[[], None]) -> Watch:
        """One that takes these steps at its looks."""
        left = list(steps)

        def look() -> None:
            if left:
                left.pop(0)()

        return Watch(look)


def nothing() -> None:
    """Passes."""


def test_what_glance_tells_of_its_task_is_the_progress() -> None:
    timed = Timed()
    two, replica_id = timed.world.two, timed.copy.replica_id
    watch = timed.then(nothing, lambda: two.tell_import(replica_id, "Copied 2 MiB"),
                       lambda: two.tell_import(replica_id, "Copied 1 MiB"),
                       lambda: two.tell_import(replica_id, "Copied 999999 MiB"), two.settle_imports)
    assert timed.driver.copy(timed.copy, watch) is None
    assert watch.seen == [0, 0, 2 * 2 ** 20, 2 * 2 ** 20, len(DATA), len(DATA)]
    assert two.data(replica_id) == DATA


def test_one_that_takes_too_long_is_left_to_its_end() -> None:
    timed = Timed()
    with pytest.raises(StoreTimeoutError):
        timed.driver.copy(timed.copy, Watch())
    assert timed.world.two.get_image(timed.copy.replica_id).status == "importing"
    assert timed.clock.monotonic() >= 60


def test_one_that_fails_says_what_glance_says() -> None:
    timed = Timed()
    timed.world.two.slow = False
    with pytest.raises(StoreImportError) as caught:
        timed.driver.copy(replace(timed.copy, source_region="Nowhere"), Watch())
    assert caught.value.region == "Two"
    assert "could not import image" in str(caught.value)


@pytest.mark.parametrize("refuses", ["method", "policy"])
def test_one_that_is_refused(refuses: str) -> None:
    timed = Timed()
    if refuses == "method":
        timed.world.two.import_methods = frozenset({"web-download"})
    else:
        timed.world.two.fail_next("import_from_region", RegionForbiddenError("policy"))
    with pytest.raises(StoreImportRefusedError):
        timed.driver.copy(timed.copy, Watch())


def test_who_cancels_before_it_began_orders_nothing() -> None:
    timed = Timed()

    def cancel() -> None:
        raise TaskCancelledError("cancelled")

    with pytest.raises(TaskCancelledError):
        timed.driver.copy(timed.copy, Watch(cancel))
    assert timed.world.two.get_image(timed.copy.replica_id).status == "queued"


def test_a_glance_that_tells_no_tasks_is_waited_for() -> None:
    timed = Timed()
    timed.world.two.fail_next("list_import_tasks", RegionForbiddenError("policy"), times=9)
    assert timed.driver.copy(timed.copy, timed.then(nothing, nothing, timed.world.two.settle_imports)) is None


def test_without_a_glance_there_is_no_copy() -> None:
    timed = Timed()
    for changes in ({"glance": None}, {"source_region": ""}):
        with pytest.raises(StoreCopyError):
            timed.driver.copy(replace(timed.copy, **changes), Watch())


@pytest.fixture
def cloud(tmp_path: Path) -> MemoryCloud:
    """Its images go by glance-download, then by stream."""
    made = MemoryCloud(tmp_path)
    made.two.peers = {"One": made.one}
    drivers = {"glance-download": GlanceDownloadDriver(DriverOptions(
        clock=made.clock, copy_timeout_seconds=lambda: 60.0, shell_tries=lambda: 1))}
    made.order = ("glance-download", "stream")  # type: ignore[attr-defined]
    made.shortcut = StoreShortcut(drivers=drivers, find_stores=lambda region: None, clock=made.clock,
                                  order=lambda: made.order,  # type: ignore[attr-defined]
                                  regions=lambda: [made.directory.cascading(), *made.directory.cascaded()])
    made.restart()
    made.trust.prepare()
    return made


def codes(cloud: MemoryCloud) -> dict[str, str]:
    return {each.driver: each.code for each in cloud.service.list_attempts("t")}


def test_no_byte_passes_through_the_server(cloud: MemoryCloud) -> None:
    image = cloud.upload(SMALL)
    cloud.run(image.id)
    assert cloud.record(image.id).state is ReplicaState.IN_SYNC
    assert (codes(cloud), cloud.two.faults.calls.count("upload_data")) == ({"glance-download": "ok"}, 0)
    assert cloud.two.get_image(image.id).owner == "demo"


def test_changed_bytes_are_replaced_and_the_driver_is_set_aside(cloud: MemoryCloud) -> None:
    cloud.two.plugin = bytes.swapcase
    image = cloud.upload(SMALL)
    with pytest.raises(VerificationError):
        cloud.run(image.id)
    wrong = cloud.two.get_image(image.id)
    assert (wrong.visibility, wrong.os_hidden, wrong.owner) == ("private", True, SERVICE)
    cloud.run(image.id)
    record = cloud.record(image.id)
    assert (record.state, record.id_reason) == (ReplicaState.IN_SYNC, "bytes_differ")
    assert codes(cloud) == {"glance-download": "verification_failed", "stream": "ok"}
    assert cloud.two.find_image(image.id) is None
    assert cloud.two.data(str(record.replica_id)) == SMALL
    refusal = {each["driver"]: each["refusal"] for each in cloud.service.list_ways(image.id, "Two")}
    assert "is set aside" in str(refusal["glance-download"])
    cloud.order = ("glance-download",)  # type: ignore[attr-defined]
    with pytest.raises(NoWayError):
        cloud.run(cloud.upload(SMALL).id)


def test_a_failed_import_takes_the_next_way_in_the_same_run(cloud: MemoryCloud) -> None:
    cloud.two.peers = {}
    image = cloud.upload(SMALL)
    cloud.run(image.id)
    assert cloud.record(image.id).state is ReplicaState.IN_SYNC
    assert codes(cloud) == {"glance-download": "store_import_failed", "stream": "ok"}


def test_an_import_that_goes_on_is_waited_for_then_verified(cloud: MemoryCloud) -> None:
    """The server that ordered it had to end."""
    cloud.two.slow = True
    image = cloud.upload(SMALL)
    with pytest.raises(ReplicaSavingError):  # the driver gave up waiting, and the stream cannot
        cloud.run(image.id)
    assert codes(cloud) == {"glance-download": "store_timeout"}
    cloud.run(image.id)
    assert cloud.record(image.id).reason_code == "replica_saving"
    cloud.two.settle_imports()
    cloud.run(image.id)
    assert cloud.record(image.id).state is ReplicaState.IN_SYNC
    assert cloud.two.get_image(image.id).owner == "demo"
