# SPDX-License-Identifier: Apache-2.0
"""Every verified replica may give the image's bytes: which one is read, and what becomes of a run when it fails."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from glancesync.cmd.joints import spared, suspecting
from glancesync.exceptions import (
    ImageNotFoundError,
    RegionUnavailableError,
    SourceCorruptError,
    SourceReadError,
    SourcesBusyError,
    VerificationError,
)
from glancesync.model.image import Digest, Image
from glancesync.model.task import Pair, TaskFilter, TaskState, Trigger
from glancesync.stores.select import Site
from glancesync.sync.readers import OwnReaders, Read
from glancesync.sync.records import ReplicaRecords
from glancesync.sync.shortcut import StoreShortcut
from glancesync.sync.sources import Held, Sources
from tests.fixtures.clocks import MovingClock
from tests.fixtures.memory_cloud import MemoryCloud

DATA = b"the image's bytes"
MIB = 1024 * 1024


class World:
    """A cloud whose regions read from one another."""

    def __init__(self, folder: Path) -> None:
        self.cloud = cloud = MemoryCloud(folder)
        self.most = 2
        self.woken: list[str] = []
        self.readers = OwnReaders()
        self.sources = Sources(
            clock=cloud.clock, readers=self.readers, list_held=lambda image_id: self.records.list_held(image_id),
            most=lambda: self.most,
            why_not=lambda region: spared(cloud.health, cloud.frozen)(region), woken=self.woken.append)
        cloud.shortcut = StoreShortcut(
            clock=cloud.clock, sources=self.sources, client=cloud.directory.client,
            regions=lambda: [cloud.directory.cascading(), *cloud.directory.cascaded()],
            suspect=lambda image_id, region: suspecting(cloud.records, cloud.queue)(image_id, region))
        cloud.restart()

    @property
    def records(self) -> ReplicaRecords:
        return self.cloud.records

    def in_two(self, data: bytes = DATA) -> Image:
        """An image that Two has already."""
        image = self.cloud.upload(data)
        self.cloud.run(image.id)
        self.cloud.one.faults.calls.clear()
        self.cloud.two.faults.calls.clear()
        return image

    def reads(self) -> dict[str, int]:
        return {glance.region_name: glance.faults.calls.count("open_data")
                for glance in (self.cloud.one, self.cloud.two, self.cloud.three)}

    def sources_of_three(self, image: Image) -> list[str]:
        assert self.cloud.shortcut is not None
        return [way.source_region for way in self.cloud.shortcut.explain(image, "One", "Three") if not way.refusal]


def need(read: Read | None) -> Read:
    assert read is not None
    return read


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def lose_one(world: World) -> Callable[[], None]:
    """The cascading region shows its images and has lost its store."""
    def lose() -> None:
        world.cloud.one.fail_next("open_data", RegionUnavailableError("its store is gone", region="One"), times=100)

    return lose


def test_a_verified_replica_is_read_when_the_cascading_store_is_lost(world: World,
                                                                     lose_one: Callable[[], None]) -> None:
    image = world.in_two()
    lose_one()
    world.cloud.run(image.id, "Three")
    replica = world.cloud.three.get_image(image.id)
    assert (replica.digest, replica.owner, replica.os_hidden) == (image.digest, "demo", False)
    assert world.reads() == {"One": 1, "Two": 1, "Three": 0}
    shown = {(each.source_region, each.code) for each in world.cloud.service.list_attempts("t")
             if each.region == "Three"}
    assert shown == {("One", "region_unavailable"), ("Two", "ok")}


def test_who_failed_a_moment_ago_is_read_last(world: World, lose_one: Callable[[], None]) -> None:
    image = world.in_two()
    lose_one()
    assert world.sources_of_three(image) == ["One", "Two"]
    world.cloud.run(image.id, "Three")
    assert world.sources_of_three(image) == ["Two", "One"]
    world.cloud.clock.advance(200)
    assert world.sources_of_three(image) == ["One", "Two"]


def test_nobody_has_it(world: World, lose_one: Callable[[], None]) -> None:
    image = world.cloud.upload(DATA)
    lose_one()
    with pytest.raises(RegionUnavailableError, match="its store is gone"):
        world.cloud.run(image.id, "Three")
    assert world.cloud.three.get_image(image.id).status == "queued"


def test_wrong_bytes_of_a_replica_reach_nobody_and_are_read_again(world: World) -> None:
    image = world.in_two()
    world.cloud.two._bytes[image.id] = DATA[::-1]  # on its disk
    world.sources.failed(image.id, "One", "slow")  # so that Two is read first
    world.cloud.run(image.id, "Three")
    assert world.cloud.three.get_image(image.id).digest == image.digest
    assert world.reads() == {"One": 1, "Two": 1, "Three": 0}
    record = world.records.read(image.id, "Two").replica
    assert record is not None
    assert record.scrub_wanted
    [task] = world.cloud.queue.list_tasks(TaskFilter(image_id=image.id, regions=frozenset({"Two"})), 10)
    assert (task.state, task.trigger) == (TaskState.WAITING, Trigger.TIMER)


def test_wrong_bytes_everywhere_say_how_the_cascading_region_is(world: World) -> None:
    image = world.in_two()
    for glance in (world.cloud.one, world.cloud.two):
        glance._bytes[image.id] = DATA[::-1]
    with pytest.raises(SourceCorruptError) as caught:
        world.cloud.run(image.id, "Three")
    assert caught.value.region == "One"
    assert world.cloud.three.get_image(image.id).status == "queued"


def test_a_wrong_replica_alone_does_not_stop_the_image(world: World, lose_one: Callable[[], None]) -> None:
    """The cascading region's failure passes; that a replica is rotten must not end the task for good."""
    image = world.in_two()
    world.cloud.two._bytes[image.id] = DATA[::-1]
    lose_one()
    with pytest.raises(RegionUnavailableError):
        world.cloud.run(image.id, "Three")


@pytest.mark.parametrize("change", ["deleted", "deactivated", "other_hash"])
def test_a_replica_that_is_not_what_it_was_is_passed_over(world: World, change: str) -> None:
    image = world.in_two()
    world.sources.failed(image.id, "One", "slow")
    if change == "deleted":
        world.cloud.two.delete_image(image.id)
    elif change == "deactivated":
        world.cloud.two.deactivate_image(image.id)
    else:
        shown = world.cloud.two.get_image(image.id)
        world.cloud.two.put_image(replace(shown, digest=Digest(algorithm="sha512", value="00" * 64)), DATA)
    world.cloud.run(image.id, "Three")
    assert world.reads() == {"One": 1, "Two": 0, "Three": 0}
    assert world.cloud.three.get_image(image.id).digest == image.digest


def test_frozen_and_failing_regions_are_spared(world: World) -> None:
    image = world.in_two()
    world.cloud.service.freeze_region("Two", by=None, reason="new disks")
    assert world.sources_of_three(image) == ["One"]
    world.cloud.service.thaw_region("Two")
    for _ in range(5):
        world.cloud.health.probed("Two", RegionUnavailableError("away", region="Two"))
    assert world.sources_of_three(image) == ["One"]


def test_no_replica_serves_an_image_whose_hash_nobody_computed(world: World) -> None:
    image = world.in_two()
    assert world.sources_of_three(replace(image, digest=None)) == ["One"]
    assert world.sources_of_three(replace(image, hash_is_claim=True)) == ["One"]
    assert world.sources_of_three(replace(image, size=1)) == ["One"]


def test_what_the_target_does_wrong_ends_the_run(world: World) -> None:
    image = world.in_two()
    world.cloud.three.fail_next("upload_data", RegionUnavailableError("full", region="Three"))
    with pytest.raises(RegionUnavailableError, match="full"):
        world.cloud.run(image.id, "Three")
    assert world.reads()["Two"] == 0
    assert world.sources_of_three(image) == ["One", "Two"]


def test_bytes_that_change_on_their_way_from_a_replica_are_replaced(world: World,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    image = world.in_two()
    world.sources.failed(image.id, "One", "slow")
    receive = world.cloud.three.faults.receive
    monkeypatch.setattr(world.cloud.three.faults, "receive", lambda chunks: receive(chunks).replace(b"t", b"T"))
    with pytest.raises(VerificationError):
        world.cloud.run(image.id, "Three")


def test_who_finds_all_sources_busy_waits_and_is_woken(world: World) -> None:
    image, world.most = world.in_two(), 1
    reads = {region: world.sources.begin(image.id, region) for region in ("One", "Two")}
    with pytest.raises(SourcesBusyError, match="1 copies of the image are read from One"):
        world.cloud.run(image.id, "Three")
    assert world.reads() == {"One": 0, "Two": 0, "Three": 0}
    assert world.records.read(image.id, "Three").replica.reason_code == "sources_busy"  # type: ignore[union-attr]
    world.sources.end(need(reads["Two"]))
    world.cloud.run(image.id, "Three")
    assert world.reads() == {"One": 0, "Two": 1, "Three": 0}


def test_a_copy_that_ends_wakes_who_waits(world: World, lose_one: Callable[[], None]) -> None:
    """On whichever server: so it is told of each, also of one that failed."""
    image = world.in_two()
    assert world.woken == [image.id]
    world.cloud.run(image.id, "Three")
    assert world.woken == [image.id] * 2
    lose_one()
    other = world.cloud.upload(DATA)
    with pytest.raises(RegionUnavailableError):
        world.cloud.run(other.id, "Three")
    assert world.woken == [image.id] * 2 + [other.id]


def test_counts_are_given_back_however_a_copy_ends(world: World, lose_one: Callable[[], None]) -> None:
    image = world.cloud.upload(DATA)
    lose_one()
    with pytest.raises(RegionUnavailableError):
        world.cloud.run(image.id)
    assert world.readers.counts(image.id).get("One", 0) == 0
    world.cloud.one.faults._waiting.clear()
    world.cloud.run(image.id)
    assert world.readers.counts(image.id).get("One", 0) == 0


def test_links_are_measured_by_copies_that_tell_something() -> None:
    sources = Sources(clock=MovingClock())
    image = Image(id="i", status="active", size=5, digest=Digest(algorithm="sha512", value="0"))

    def speed() -> object:
        [holder] = sources.list_holders(image, "One", "Two", site=lambda name: Site(region=name),
                                        joins=lambda *_: False)
        return holder.speeds.get("stream")

    sources.measured(source="One", target="Two", driver="stream", size=1000, seconds=0.1)
    sources.measured(source="Two", target="One", driver="stream", size=MIB, seconds=1)
    assert speed() is None
    sources.measured(source="One", target="Two", driver="stream", size=10 * MIB, seconds=1)
    assert speed() == 10 * MIB
    sources.measured(source="One", target="Two", driver="stream", size=20 * MIB, seconds=1)
    assert speed() == pytest.approx(14 * MIB)


def test_only_the_same_bytes_count_as_held() -> None:
    digest = Digest(algorithm="sha512", value="0")
    image = Image(id="i", status="active", size=5, digest=digest)
    other = Digest(algorithm="sha512", value="1")
    sources = Sources(clock=MovingClock(), list_held=lambda _id: [
        Held(region="Two", replica_id="i2", size=5, digest=digest), Held(region="Three", replica_id="i", size=5,
                                                                          digest=other),
        Held(region="Four", replica_id="i", size=4, digest=digest), Held(region="One", replica_id="x", size=5,
                                                                         digest=digest)])
    found = sources.list_holders(image, "One", "Five", site=lambda name: Site(region=name), joins=lambda *_: False)
    assert [(each.site.region, each.image_id) for each in found] == [("One", "i"), ("Two", "i2")]


def test_a_task_that_waits_for_a_source_is_due_when_one_ends(world: World) -> None:
    queue, image_id = world.cloud.queue, world.cloud.upload().id
    queue.submit([Pair(image_id, "Two"), Pair(image_id, "Three")], trigger=Trigger.EVENT)
    two, three = queue.claim(lambda _region: 9, 9)
    queue.fail(two, SourcesBusyError("busy", retry_after_seconds=600))
    queue.fail(three, SourceReadError("broke off", retry_after_seconds=600))
    assert queue.claim(lambda _region: 9, 9) == []
    assert queue.hasten(image_id, SourcesBusyError.code) == 1
    assert [task.id for task in queue.claim(lambda _region: 9, 9)] == [two.id]


def test_there_is_no_more_room_than_is_given(world: World) -> None:
    world.most = 2
    first, second, third = (world.sources.begin("i", "One") for _ in range(3))
    assert third is None
    assert need(second)
    world.sources.end(need(first))
    assert world.sources.begin("i", "One") is not None


def test_who_is_put_off_wakes_nobody(world: World) -> None:
    """Else two that wait would wake one another for ever."""
    image, world.most = world.in_two(), 1
    world.woken.clear()
    for region in ("One", "Two"):
        world.sources.begin(image.id, region)
    for _ in range(2):
        with pytest.raises(SourcesBusyError):
            world.cloud.run(image.id, "Three")
    assert world.woken == []


def test_a_store_that_lost_the_file_is_passed_over_and_tried_again(world: World) -> None:
    """Glance shows the image as active and answers that there are no bytes."""
    image, lost = world.in_two(), ImageNotFoundError("it has no bytes", region="One")
    world.cloud.one.fail_next("open_data", lost, times=100)
    world.cloud.run(image.id, "Three")
    assert world.reads() == {"One": 1, "Two": 1, "Three": 0}
    other = world.cloud.upload(DATA)
    with pytest.raises(SourceReadError, match="it has no bytes"):
        world.cloud.run(other.id, "Three")
