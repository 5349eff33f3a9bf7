# SPDX-License-Identifier: Apache-2.0
"""A Glance in memory: the twin of `glance`, held to the same contract. For tests and rehearsals without a network."""
from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from glancesync.clock import Clock, SystemClock
from glancesync.exceptions import (
    IdBurnedError,
    ImageNotFoundError,
    MemberNotFoundError,
    RegionConflictError,
    RegionForbiddenError,
    RegionRejectedError,
)
from glancesync.model.facts import GlanceFacts, StoreFact
from glancesync.model.filed import Filed
from glancesync.model.image import Digest, Image, ImageChanges, Member, NewImage
from glancesync.regions import glance_json
from glancesync.regions.client import ImageData, RegionClient
from glancesync.regions.memory_imports import MemoryImports
from glancesync.regions.memory_rules import Faults, check_new, check_update, filled, updated

Method = TypeVar("Method", bound=Callable[..., Any])


def _call(method: Method) -> Method:
    @functools.wraps(method)
    def call(self: MemoryRegion, *args: Any, **kwargs: Any) -> Any:
        with self.faults.around(method.__name__):
            return method(self, *args, **kwargs)
    return call  # type: ignore[return-value]


class MemoryRegion(MemoryImports, RegionClient):
    """`project_id` is the service user's; `algorithm` hashes what arrives (None: an old Glance that knew md5 only).

    For tests: `faults.fail_next` makes a call fail, `faults.calls` lists the calls so far, `put_image` sets any state,
    `data` and `set_data` reach the stored bytes behind Glance's back. `sees_all` and `makes_for_others` are what an
    admin may: without the one private images of others are hidden, without the other none can be made for them.
    """

    def __init__(self, region_name: str = "MemoryOne", *, project_id: str = "service", algorithm: str | None = "sha512",
                 clock: Clock | None = None) -> None:
        super().__init__()
        self.region_name = region_name
        self.faults = Faults()
        self.sees_all = True
        self.makes_for_others = True
        self._project_id = project_id
        self._algorithm = algorithm
        self._clock = clock or SystemClock()
        self._images: dict[str, Image] = {}
        self._bytes: dict[str, bytes] = {}
        self._members: dict[str, dict[str, str]] = {}
        self._burned: set[str] = set()
        self.locations: dict[str, tuple[str, ...]] = {}
        self.web: dict[str, bytes] = {}
        self.takes_locations, self.verifies_locations, self.slow = True, True, False
        self._coming: dict[str, tuple[str, Digest | None]] = {}
        self.facts = GlanceFacts(stores=(StoreFact(id="local", kind="file", is_default=True),),
                                 disk_formats=frozenset({"raw", "qcow2"}), container_formats=frozenset({"bare", "ovf"}))

    def fail_next(self, method: str, error: Exception, *, after_effect: bool = False, times: int = 1) -> None:
        """See Faults.fail_next."""
        self.faults.fail_next(method, error, after_effect=after_effect, times=times)

    def put_image(self, image: Image, data: bytes | None = None) -> Image:
        """Set an image as it is to be shown, with its members and bytes. Where it has bytes but no size, hashes and
        size are computed as for an upload."""
        if data is not None:
            self._bytes[image.id] = data
            image = image if image.size is not None else filled(image, data, self._algorithm)
        self._members[image.id] = {member.member_id: member.status for member in image.members or ()}
        self._images[image.id] = replace(image, members=None)
        return image

    def data(self, image_id: str) -> bytes | None:
        """The stored bytes."""
        return self._bytes.get(image_id)

    def set_data(self, image_id: str, data: bytes) -> None:
        """Let the stored bytes rot: size and hashes stay as they were."""
        self._bytes[image_id] = data

    @_call
    def get_facts(self) -> GlanceFacts:
        return replace(self.facts, import_methods=self.import_methods)

    @_call
    def get_image(self, image_id: str, *, with_members: bool = True) -> Image:
        image = self._get(image_id)
        return replace(image, members=self._sorted_members(image_id) if with_members and image.visibility == "shared"
                       else None)

    def list_images(self, *, hidden: bool, page_size: int = 200) -> Iterator[Image]:
        marker = ""
        while True:
            with self.faults.around("list_images"):
                ids = sorted(id_ for id_, image in self._images.items() if image.os_hidden == hidden and id_ > marker
                             and self._is_shown(image))
                page = [self._images[image_id] for image_id in ids[:page_size]]
            yield from page
            if len(page) < page_size:
                return
            marker = page[-1].id

    def list_namesakes(self, name: str, owner: str | None) -> Iterator[Image]:
        with self.faults.around("list_namesakes"):
            found = [image for image in self._images.values() if not image.os_hidden and self._is_shown(image)]
        yield from (image for image in found if (image.name, image.owner) == (name, owner))

    @_call
    def create_image(self, new: NewImage) -> Image:
        check_new(new, self.region_name)
        if not self.makes_for_others and new.owner not in (None, self._project_id):
            raise RegionForbiddenError(f"{self.region_name} lets nobody make images owned by {new.owner!r}")
        if new.id in self._images and self._is_shown(self._images[new.id]):
            raise RegionConflictError(f"{self.region_name} has an image {new.id} already")
        if new.id in self._images or new.id in self._burned:
            raise IdBurnedError(f"{self.region_name} refuses id {new.id} though no image has it")
        now = float(int(self._clock.now()))
        self._members[new.id] = {}
        self._images[new.id] = Image(status="queued", created_at=now, updated_at=now,
                                     **{**vars(new), "owner": new.owner or self._project_id,
                                        "properties": dict(new.properties)})
        return self._images[new.id]

    @_call
    def update_image(self, image_id: str, changes: ImageChanges) -> Image:
        image = self._get(image_id)
        check_update(image, changes, self.region_name)
        self._set(updated(image, changes))
        return self._images[image_id]

    @_call
    def delete_image(self, image_id: str) -> None:
        if self._get(image_id).protected:
            raise RegionForbiddenError(f"image {image_id} in {self.region_name} is protected and cannot be deleted")
        del self._images[image_id]
        self._bytes.pop(image_id, None)
        self._burned.add(image_id)

    @_call
    def deactivate_image(self, image_id: str) -> None:
        self._change_status(image_id, "deactivated")

    @_call
    def reactivate_image(self, image_id: str) -> None:
        self._change_status(image_id, "active")

    @_call
    def list_members(self, image_id: str) -> tuple[Member, ...]:
        self._get_shared(image_id)
        return self._sorted_members(image_id)

    @_call
    def add_member(self, image_id: str, member_id: str) -> None:
        self._get_shared(image_id)
        self._members[image_id].setdefault(member_id, "pending")

    @_call
    def set_member_status(self, image_id: str, member_id: str, status: str) -> None:
        self._get_shared(image_id)
        if status not in glance_json.MEMBER_STATUSES:
            raise RegionRejectedError(f"{status!r} is no status of a member in {self.region_name}")
        if member_id not in self._members[image_id]:
            raise MemberNotFoundError(f"{member_id} is no member of image {image_id} in {self.region_name}")
        self._members[image_id][member_id] = status

    @_call
    def remove_member(self, image_id: str, member_id: str) -> None:
        self._get_shared(image_id)
        self._members[image_id].pop(member_id, None)

    @_call
    def list_locations(self, image_id: str) -> tuple[str, ...]:
        self._get(image_id)
        return self.locations.get(image_id, ())

    @_call
    def add_location(self, image_id: str, url: str, digest: Digest | None, *, filed: Filed | None = None) -> None:
        """Its bytes are in `web`; they are checked at once, or later by `settle` where `slow` is set."""
        image = self._get(image_id)
        if image.status != "queued":
            raise RegionConflictError(f"image {image_id} in {self.region_name} is {image.status}")
        if filed is not None and not self.verifies_locations:
            raise ImageNotFoundError(f"{self.region_name} has no such path")
        if not self.takes_locations:
            raise RegionRejectedError(f"{self.region_name} has no store for such a location")
        self._set(replace(image, locked=True))
        self._coming[image_id] = url, digest
        if not self.slow:
            self.settle()

    def settle(self) -> None:
        """Let the location tasks come to their end."""
        for image_id, (url, digest) in self._coming.items():
            image, data = replace(self._images[image_id], locked=False), self.web.get(url)
            store = self.facts.find_store(url.partition(":")[0])
            image_there = replace(image, status="active", stores=(store.id,) if store is not None else ())
            done = None if data is None else filled(image_there, data, digest.algorithm if digest else self._algorithm)
            well = done is not None and digest in (None, done.digest)
            self._set(done if well and done is not None else image)
            if well:
                self._bytes[image_id], self.locations[image_id] = data or b"", (url,)
        self._coming = {}

    @contextmanager
    def open_data(self, image_id: str, *, chunk_bytes: int = 65536) -> Iterator[ImageData]:
        with self.faults.around("open_data"):
            image = self._get(image_id)
            if not image.has_bytes:
                raise ImageNotFoundError(f"image {image_id} in {self.region_name} has no bytes (its status is "
                                         f"{image.status})", region=self.region_name)
        data = self._bytes.get(image_id, b"")
        yield ImageData(size=image.size, chunks=self.faults.stream(data, chunk_bytes, image.size))

    @_call
    def upload_data(self, image_id: str, chunks: Iterable[bytes], *, size: int | None) -> None:
        image = self._get(image_id)
        if image.status != "queued":
            raise RegionConflictError(f"image {image_id} in {self.region_name} takes no data: it is {image.status}")
        self._set(replace(image, status="saving"))
        try:
            data = self.faults.receive(chunks)
            if size is not None and size != len(data):
                raise RegionRejectedError(f"{self.region_name} was promised {size} bytes and got {len(data)}")
        except BaseException:
            self._restore(image_id)
            raise
        if image_id not in self._images:
            raise RegionConflictError(f"image {image_id} in {self.region_name} was deleted during the upload")
        self._bytes[image_id] = data
        self._set(filled(replace(self._images[image_id], status="active"), data, self._algorithm))

    def _restore(self, image_id: str) -> None:
        """What Glance does when an upload breaks off."""
        image = self._images.get(image_id)
        if image is not None and image.status == "saving":
            self._set(replace(image, status="queued"))

    def _get(self, image_id: str) -> Image:
        image = self._images.get(image_id)
        if image is None or not self._is_shown(image):
            raise ImageNotFoundError(f"no image {image_id} in {self.region_name}", request_id=f"req-{uuid.uuid4()}")
        return image

    def _is_shown(self, image: Image) -> bool:
        return self.sees_all or image.owner == self._project_id or image.visibility in ("public", "community")

    def _get_shared(self, image_id: str) -> None:
        if self._get(image_id).visibility != "shared":
            raise RegionForbiddenError(f"image {image_id} in {self.region_name}: only shared images have members")

    def _sorted_members(self, image_id: str) -> tuple[Member, ...]:
        return tuple(sorted(Member(member_id=key, status=value) for key, value in self._members[image_id].items()))

    def _set(self, image: Image) -> None:
        self._images[image.id] = replace(image, updated_at=float(int(self._clock.now())))

    def _change_status(self, image_id: str, wanted: str) -> None:
        image = self._get(image_id)
        if not image.has_bytes:
            raise RegionForbiddenError(f"image {image_id} in {self.region_name} is {image.status} and cannot become "
                                       f"{wanted}")
        if image.status != wanted:
            self._set(replace(image, status=wanted))
