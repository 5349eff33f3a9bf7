# SPDX-License-Identifier: Apache-2.0
"""A file that was put into a region's store is removed by nobody who cannot know that it is still his to remove."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glancesync.exceptions import (
    GlanceSyncError,
    LeaseLostError,
    NotReadyError,
    NoWayError,
    RegionUnavailableError,
    StoreRegistrationError,
    TaskCancelledError,
)
from glancesync.model.replica import IdReason, ReplicaState
from glancesync.stores.select import DEFAULT_ORDER
from glancesync.sync.shortcut import StoreShortcut
from tests.fixtures import memory_cloud
from tests.fixtures.memory_cloud import MemoryCloud
from tests.unit.stores.fakes import FakeDriver, stores

DATA = b"the image's bytes"


class World:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cloud = MemoryCloud(folder)
        self.driver = FakeDriver(DATA, self.cloud.two.web)
        self.order: tuple[str, ...] = DEFAULT_ORDER
        self.unseen: str | None = None
        self.lease: GlanceSyncError | None = None
        monkeypatch.setattr(memory_cloud.Handle, "ensure_lease", lambda _handle: self._ensure())
        self.cloud.shortcut = StoreShortcut(
            drivers={"filesystem": self.driver}, find_stores=lambda region: stores(region.name),
            clock=self.cloud.clock, order=lambda: self.order, why_unseen=lambda _region: self.unseen,
            regions=lambda: [self.cloud.directory.cascading(), *self.cloud.directory.cascaded()])
        self.cloud.restart()

    def _ensure(self) -> None:
        if self.lease is not None:
            raise self.lease

    def at(self, method: str, act: Any) -> None:
        """`act` runs instead of the target's method."""
        setattr(self.cloud.two, method, act)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


@pytest.mark.parametrize(("answer", "lease", "left"), [
    (RegionUnavailableError("down"), LeaseLostError("another server has it"), True),
    (RegionUnavailableError("down"), NotReadyError("the database is away"), True),
    (LeaseLostError("another server has it"), None, True),
    (TaskCancelledError("cancelled"), TaskCancelledError("cancelled"), False),
    (RegionUnavailableError("down"), None, False)])
def test_only_who_has_the_task_takes_its_file_back(world: World, answer: GlanceSyncError,
                                                   lease: GlanceSyncError | None, left: bool) -> None:
    def refuse(*_given: Any, **_named: Any) -> None:
        world.lease = lease
        raise answer

    world.at("add_location", refuse)
    image = world.cloud.upload(DATA)
    with pytest.raises(GlanceSyncError):
        world.cloud.run(image.id)
    assert world.driver.calls == ["copy", "discard"][:1 if left else 2]
    assert len(world.cloud.two.web) == left


@pytest.mark.parametrize("unseen", [None, "it does not show its canary"])
def test_what_a_region_only_hides_keeps_its_file(world: World, unseen: str | None) -> None:
    """An image that its Glance may be taking at this moment looks deleted to a user who is no admin any more."""
    def hide(image_id: str, *_given: Any, **_named: Any) -> None:
        world.unseen = unseen
        world.cloud.two._images.pop(image_id)
        raise RegionUnavailableError("the answer was lost")

    world.at("add_location", hide)
    image = world.cloud.upload(DATA)
    with pytest.raises(GlanceSyncError):
        world.cloud.run(image.id)
    assert world.driver.calls == (["copy", "discard"] if unseen is None else ["copy"])


def test_a_glance_that_died_while_it_took_a_file_blocks_nothing_and_leaves_nothing(world: World) -> None:
    """The lock of a task that died with its process is never given back, and the file is in the way of every upload."""
    cloud = world.cloud
    cloud.two.slow = True
    image = cloud.upload(DATA)
    world.order = ("filesystem",)
    with pytest.raises(StoreRegistrationError):
        cloud.run(image.id)
    cloud.two._coming = {}  # it died
    cloud.two.slow = False
    with pytest.raises(NoWayError):
        cloud.run(image.id)
    cloud.clock.sleep(1000)
    cloud.run(image.id)
    record = cloud.record(image.id)
    assert (record.state, record.id_reason) == (ReplicaState.IN_SYNC, IdReason.STUCK_SAVING)
    assert list(cloud.two.web) == [f"file:///{record.replica_id}"]
    assert cloud.two.find_image(image.id) is None


def test_the_file_of_an_image_that_is_deleted_before_it_has_it_goes_too(world: World) -> None:
    cloud = world.cloud
    cloud.compare()  # it is known who the cascading Glance is
    image = cloud.upload(DATA)
    world.at("add_location", lambda *_given, **_named: (_ for _ in ()).throw(LeaseLostError("killed")))
    with pytest.raises(LeaseLostError):
        cloud.run(image.id)
    assert len(cloud.two.web) == 1
    cloud.one.delete_image(image.id)
    cloud.report_removal(image.id)
    cloud.work()
    assert cloud.two.find_image(image.id) is None
    assert cloud.two.web == {}
