# SPDX-License-Identifier: Apache-2.0
"""What a Glance in memory does when it is to fetch an image's bytes by itself. A part of MemoryRegion."""
from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from glancesync.clock import Clock
from glancesync.exceptions import (
    RegionAnswerError,
    RegionConflictError,
    RegionForbiddenError,
    RegionRejectedError,
    TransferError,
)
from glancesync.model.facts import GlanceFacts
from glancesync.model.image import Image
from glancesync.model.imports import ImportTask
from glancesync.regions.imports import ImportClient
from glancesync.regions.memory_rules import Faults, filled


class MemoryImports(ImportClient):
    """For tests: `peers` are the regions that it may fetch from, `import_methods` what is enabled, `plugin` what its
    import plugins make of the bytes. With `slow` an import goes on at `settle_imports`."""

    region_name: str
    faults: Faults
    slow: bool
    _clock: Clock
    _algorithm: str | None
    _bytes: dict[str, bytes]
    locations: dict[str, tuple[str, ...]]
    web: dict[str, bytes]
    facts: GlanceFacts
    _get: Callable[[str], Image]
    _set: Callable[[Image], None]

    def __init__(self) -> None:
        self.peers: Mapping[str, Any] = {}
        self.import_methods = frozenset({"glance-direct", "glance-download", "copy-image"})
        self.plugin: Callable[[bytes], bytes] = bytes
        self._tasks: dict[str, list[ImportTask]] = {}
        self._fetching: dict[str, tuple[str, str]] = {}
        self._copying: dict[str, str] = {}

    def import_from_region(self, image_id: str, region: str, source_id: str, *, interface: str) -> None:
        with self.faults.around("import_from_region"):
            image = self._get(image_id)
            if "glance-download" not in self.import_methods:
                raise RegionRejectedError(f"{self.region_name}: Unknown import method name 'glance-download'.")
            if image.status != "queued" or image.locked:
                raise RegionConflictError(f"image {image_id} in {self.region_name} is {image.status}")
            self._note(image_id, ImportTask(id=str(uuid.uuid4()), status="processing", updated_at=self._clock.now()))
            self._set(replace(image, status="importing", locked=True, importing=True))
            self._fetching[image_id] = region, source_id
            if not self.slow:
                self.settle_imports()

    def copy_to_store(self, image_id: str, store: str) -> None:
        """What it copies is `locations` read anew from `web`, or what it holds."""
        with self.faults.around("copy_to_store"):
            image = self._get(image_id)
            if "copy-image" not in self.import_methods or store in image.stores or not self._has_store(store):
                raise RegionRejectedError(f"image {image_id} in {self.region_name} cannot be copied to {store}")
            self._note(image_id, ImportTask(id=str(uuid.uuid4()), status="processing", updated_at=self._clock.now()))
            self._set(replace(image, locked=True))
            self._copying[image_id] = store
            if not self.slow:
                self.settle_imports()

    def remove_from_store(self, image_id: str, store: str) -> None:
        with self.faults.around("remove_from_store"):
            image = self._get(image_id)
            if store not in image.stores:
                raise RegionAnswerError(f"image {image_id} in {self.region_name} is not in {store}")
            if len(image.stores) == 1:
                raise RegionForbiddenError(f"image {image_id} in {self.region_name} is nowhere else")
            self._set(replace(image, stores=tuple(each for each in image.stores if each != store)))
            self.locations.pop(image_id, None)

    def list_import_tasks(self, image_id: str) -> tuple[ImportTask, ...]:
        with self.faults.around("list_import_tasks"):
            self._get(image_id)
            return tuple(self._tasks.get(image_id, ()))

    def tell_import(self, image_id: str, message: str) -> None:
        """What the Glance says of the task that runs."""
        self._tasks[image_id][-1] = replace(self._tasks[image_id][-1], message=message)

    def settle_imports(self) -> None:
        """Let the imports come to their end."""
        self._settle_copies()
        fetching, self._fetching = self._fetching, {}
        for image_id, (region, source_id) in fetching.items():
            image = replace(self._get(image_id), status="queued", locked=False, importing=False)
            data = self._fetch(region, source_id)
            status = "failure" if data is None else "success"
            self._tasks[image_id][-1] = replace(self._tasks[image_id][-1], status=status)
            if data is not None:
                self._bytes[image_id] = data
                image = filled(replace(image, status="active"), data, self._algorithm)
            self._set(image)

    def _settle_copies(self) -> None:
        """What was copied is held to the hash that the image has."""
        copying, self._copying = self._copying, {}
        for image_id, store in copying.items():
            image = replace(self._get(image_id), locked=False)
            urls = self.locations.get(image_id, ())
            data = self.web.get(urls[0]) if urls else self._bytes.get(image_id)
            done = None if data is None else filled(image, data, self._algorithm)
            well = done is not None and (image.digest is None or done.digest == image.digest)
            self._tasks[image_id][-1] = replace(self._tasks[image_id][-1], status="success" if well else "failure")
            if well and done is not None and data is not None:
                self._bytes[image_id] = data
                image = replace(done, stores=(*image.stores, store), hash_is_claim=False)
            self._set(image)

    def _has_store(self, store: str) -> bool:
        return any(each.id == store for each in self.facts.stores or ())

    def _fetch(self, region: str, source_id: str) -> bytes | None:
        peer = self.peers.get(region)
        source = peer.find_image(source_id, with_members=False) if peer is not None else None
        if source is None or source.status != "active" or peer is None:
            return None
        try:
            with peer.open_data(source_id) as data:
                found = b"".join(data.chunks)
        except TransferError:
            return None
        return self.plugin(found)

    def _note(self, image_id: str, task: ImportTask) -> None:
        self._tasks.setdefault(image_id, []).append(task)
