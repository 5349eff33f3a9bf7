# SPDX-License-Identifier: Apache-2.0
"""What the twin offers beyond the contract: states and faults on request."""
from __future__ import annotations

import pytest

from glancesync.clock import ManualClock
from glancesync.exceptions import RegionConflictError, RegionUnavailableError, SourceReadError, TransferError
from glancesync.model.image import Image, ImageChanges, Member, NewImage
from glancesync.regions.memory import MemoryRegion

ID = "b1e4bd3c-4c1e-4a6e-9f0a-0d7f3f9b6d11"
OTHER = "c1e4bd3c-4c1e-4a6e-9f0a-0d7f3f9b6d11"
NEW = NewImage(id=ID, name="n", owner=None, visibility="private", protected=False, os_hidden=False, disk_format="raw",
               container_format="bare", min_disk=0, min_ram=0, tags=frozenset(), properties={})


def test_a_call_that_fails_and_the_next_that_does_not() -> None:
    region = MemoryRegion()
    region.fail_next("create_image", RegionUnavailableError("down"), times=2)
    for _ in range(2):
        with pytest.raises(RegionUnavailableError):
            region.create_image(NEW)
    assert region.find_image(ID) is None
    assert region.create_image(NEW).owner == "service"
    assert region.faults.calls == ["create_image", "create_image", "get_image", "create_image"]


def test_an_answer_that_is_lost() -> None:
    region = MemoryRegion()
    region.fail_next("create_image", RegionUnavailableError("lost"), after_effect=True)
    with pytest.raises(RegionUnavailableError):
        region.create_image(NEW)
    assert region.find_image(ID) is not None


def test_a_page_that_fails() -> None:
    region = MemoryRegion()
    for image_id in (ID, OTHER):
        region.put_image(Image(id=image_id, status="queued"))
    listed = region.list_images(hidden=False, page_size=1)
    assert next(listed).id == ID
    region.fail_next("list_images", RegionUnavailableError("down"))
    with pytest.raises(RegionUnavailableError):
        next(listed)


def test_streams_that_break() -> None:
    region = MemoryRegion()
    region.create_image(NEW)
    region.faults.break_stream("upload_data", 3, TransferError("cut"))
    with pytest.raises(TransferError):
        region.upload_data(ID, [b"ab", b"cd"], size=4)
    assert region.get_image(ID).status == "queued"
    region.upload_data(ID, [b"ab", b"cd"], size=4)
    region.faults.break_stream("open_data", 3, SourceReadError("cut"))
    with region.open_data(ID, chunk_bytes=2) as data, pytest.raises(SourceReadError):
        list(data.chunks)


def test_any_state_can_be_set() -> None:
    region = MemoryRegion()
    region.put_image(Image(id=ID, status="active", visibility="shared", members=(Member(member_id="m",
                                                                                        status="accepted"),)), b"data")
    image = region.get_image(ID)
    assert (image.size, image.members) == (4, (Member(member_id="m", status="accepted"),))
    region.put_image(Image(id=OTHER, status="saving"))
    with pytest.raises(RegionConflictError):
        region.upload_data(OTHER, [b"x"], size=1)


def test_rot_is_not_noticed_by_the_record() -> None:
    region = MemoryRegion()
    before = region.put_image(Image(id=ID, status="active"), b"data")
    region.set_data(ID, b"dat4")
    assert region.get_image(ID).digest == before.digest
    with region.open_data(ID) as data:
        assert b"".join(data.chunks) == b"dat4"
    region.set_data(ID, b"da")
    with region.open_data(ID) as data, pytest.raises(SourceReadError):
        list(data.chunks)


def test_an_old_glance_without_os_hash() -> None:
    region = MemoryRegion(algorithm=None)
    region.create_image(NEW)
    region.upload_data(ID, [b"x"], size=None)
    image = region.get_image(ID)
    assert image.digest is None
    assert image.checksum


def test_times_have_glances_resolution() -> None:
    clock = ManualClock(1000.9)
    region = MemoryRegion(clock=clock)
    assert region.create_image(NEW).created_at == 1000.0
    clock.advance(1)
    assert region.update_image(ID, ImageChanges(fields={"name": "x"})).updated_at == 1001.0
