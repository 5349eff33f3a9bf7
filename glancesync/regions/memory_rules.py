# SPDX-License-Identifier: Apache-2.0
"""What a Glance refuses and computes, as the memory twin needs it, and the faults that tests put into it."""
from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from glancesync.exceptions import (
    RegionConflictError,
    RegionForbiddenError,
    RegionRejectedError,
    SourceReadError,
)
from glancesync.model.event import IMAGE_ID
from glancesync.model.image import Digest, Image, ImageChanges, NewImage
from glancesync.regions import glance_json

#: What PATCH may replace.
FIELDS = frozenset(("name", "owner", "visibility", "protected", "os_hidden", "min_disk", "min_ram", "disk_format",
                    "container_format", "tags"))
_NAME_LIMIT = 255


@dataclass
class _Fault:
    error: Exception
    after_effect: bool
    times: int


class Faults:
    """Faults to come, and the calls so far."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._waiting: dict[str, list[_Fault]] = {}
        self._break_at: dict[str, tuple[int, Exception]] = {}

    def fail_next(self, method: str, error: Exception, *, after_effect: bool = False, times: int = 1) -> None:
        """The next `times` calls of a method raise this; `after_effect`: only after doing their work, as a Glance whose
        answer is lost. A listing counts each page as a call."""
        self._waiting.setdefault(method, []).append(_Fault(error, after_effect, times))

    def break_stream(self, method: str, after_bytes: int, error: Exception) -> None:
        """The next open_data or upload_data breaks off with this error once so many bytes went through."""
        self._break_at[method] = (after_bytes, error)

    @contextmanager
    def around(self, method: str) -> Iterator[None]:
        """Counts the call of a method, and lets it fail if it is to."""
        self.calls.append(method)
        fault = self._take(method)
        if fault and not fault.after_effect:
            raise fault.error
        yield
        if fault:
            raise fault.error

    def stream(self, data: bytes, chunk_bytes: int, size: int | None) -> Iterator[bytes]:
        """Stored bytes as a download gives them."""
        pieces = (data[start:start + chunk_bytes] for start in range(0, len(data), chunk_bytes))
        yield from self._broken("open_data", pieces)
        if size is not None and size != len(data):
            raise SourceReadError(f"the download ended after {len(data)} of {size} bytes")

    def receive(self, chunks: Iterable[bytes]) -> bytes:
        """The bytes of an upload."""
        return b"".join(self._broken("upload_data", chunks))

    def _broken(self, method: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        limit, error = self._break_at.pop(method, (None, None))
        count = 0
        for chunk in chunks:
            count += len(chunk)
            if error and limit is not None and count > limit:
                raise error
            yield chunk

    def _take(self, method: str) -> _Fault | None:
        faults = self._waiting.get(method)
        if not faults:
            return None
        faults[0].times -= 1
        return faults[0] if faults[0].times else faults.pop(0)


def filled(image: Image, data: bytes, algorithm: str | None) -> Image:
    """The image with what Glance computes when these bytes arrive."""
    digest = Digest(algorithm=algorithm, value=hashlib.new(algorithm, data).hexdigest()) if algorithm else None
    return replace(image, size=len(data), digest=digest,
                   checksum=hashlib.md5(data, usedforsecurity=False).hexdigest())


def check_new(new: NewImage, region: str) -> None:
    """Raise what a Glance answers to a create request that it does not take."""
    if not IMAGE_ID.match(new.id):
        raise RegionRejectedError(f"{region}: {new.id[:64]!r} is no image id")
    _check_fields(vars(new), region)
    _check_properties(new.properties, region)


def check_update(image: Image, changes: ImageChanges, region: str) -> None:
    """Raise what a Glance answers to an update that it does not take."""
    try:
        glance_json.patch_body(changes)
    except ValueError as error:
        raise RegionRejectedError(f"image {image.id} in {region} cannot be updated: {error}") from error
    unknown = set(changes.fields) - FIELDS
    if unknown:
        raise RegionForbiddenError(f"{region}: {', '.join(sorted(unknown))} cannot be set")
    for name in ("disk_format", "container_format"):
        if name in changes.fields and image.status != "queued":
            raise RegionForbiddenError(f"{region}: {name} can be replaced for a queued image only")
    _check_fields(changes.fields, region)
    _check_properties(changes.set_properties, region)
    missing = [name for name in changes.remove_properties if name not in {**image.properties, **changes.set_properties}]
    if missing:
        raise RegionConflictError(f"{region}: image {image.id} has no property {missing[0]!r}")


def updated(image: Image, changes: ImageChanges) -> Image:
    """The image after the update."""
    properties = {**image.properties, **changes.set_properties}
    for name in changes.remove_properties:
        del properties[name]
    fields = dict(changes.fields)
    if "tags" in fields:
        fields["tags"] = frozenset(fields["tags"])  # type: ignore[arg-type]
    return replace(image, properties=properties, **fields)  # type: ignore[arg-type]


def _check_fields(fields: Mapping[str, object], region: str) -> None:
    if fields.get("visibility", "private") not in glance_json.VISIBILITIES:
        raise RegionRejectedError(f"{region}: {fields['visibility']!r} is no visibility")
    for name in ("min_disk", "min_ram"):
        value = fields.get(name, 0)
        if not isinstance(value, int) or value < 0:
            raise RegionRejectedError(f"{region}: {name} must be a whole number from 0 up")


def _check_properties(properties: Mapping[str, str | None], region: str) -> None:
    for name in properties:
        if name.startswith(glance_json.RESERVED_PREFIX):
            raise RegionForbiddenError(f"{region}: property {name[:64]!r} is reserved")
        if len(name) > _NAME_LIMIT:
            raise RegionRejectedError(f"{region}: the name of a property has more than {_NAME_LIMIT} characters")


