# SPDX-License-Identifier: Apache-2.0
"""An image as one Glance shows it, reduced to what this package compares and copies."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, order=True)
class Member:
    """A project that an image is shared with, and what it said to that: pending, accepted or rejected."""

    member_id: str
    status: str


@dataclass(frozen=True, kw_only=True)
class Digest:
    """A hash of an image's bytes: algorithm as hashlib names it, and the value in lower-case hex."""

    algorithm: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image record.

    `status` is Glance's: queued, saving, uploading, importing, active, deactivated, pending_delete, killed, deleted.
    `members` is None where they were not read (a listing does not carry them, private images have none).
    `properties` holds the custom properties only; `os_glance_*` and what belongs to the place are left out.
    Sizes are in bytes, `min_disk` in GiB, `min_ram` in MiB, times in seconds since the epoch.
    """

    id: str
    status: str
    name: str | None = None
    owner: str | None = None
    visibility: str = "private"
    protected: bool = False
    os_hidden: bool = False
    disk_format: str | None = None
    container_format: str | None = None
    min_disk: int = 0
    min_ram: int = 0
    tags: frozenset[str] = frozenset()
    properties: Mapping[str, str | None] = field(default_factory=dict)
    members: tuple[Member, ...] | None = None
    size: int | None = None
    virtual_size: int | None = None
    checksum: str | None = None
    digest: Digest | None = None
    importing: bool = False          # an import task has stores left to fill with its bytes
    locked: bool = False             # an import or location task of its Glance works on it
    stores: tuple[str, ...] = ()     # the ids of the stores that have its bytes, where its Glance tells them
    hash_is_claim: bool = False      # the digest may be what a client said, not what Glance computed
    created_at: float | None = None
    updated_at: float | None = None

    @property
    def has_bytes(self) -> bool:
        return self.status in ("active", "deactivated")


@dataclass(frozen=True, kw_only=True)
class NewImage:
    """What a create request carries: all that is known, in one POST."""

    id: str
    name: str | None
    owner: str | None
    visibility: str
    protected: bool
    os_hidden: bool
    disk_format: str | None
    container_format: str | None
    min_disk: int
    min_ram: int
    tags: frozenset[str]
    properties: Mapping[str, str | None]


@dataclass(frozen=True, kw_only=True)
class ImageChanges:
    """One PATCH: `fields` by their Glance names (name, owner, visibility, protected, os_hidden, min_disk, min_ram,
    disk_format, container_format, tags), custom properties to set (add or replace) and to remove."""

    fields: Mapping[str, object] = field(default_factory=dict)
    set_properties: Mapping[str, str | None] = field(default_factory=dict)
    remove_properties: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.fields or self.set_properties or self.remove_properties)
