# SPDX-License-Identifier: Apache-2.0
"""What differs between an image and its replica (pure).

Only what a client can set is compared, never what belongs to the place: locations, stores, direct_url, times and
`os_glance_*`.
"""
from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from glancesync.model.image import Image, ImageChanges, Member
from glancesync.model.replica import ReplicaRecord

#: Fields that PATCH can change on an image in any status.
METADATA_FIELDS = ("name", "owner", "visibility", "os_hidden", "min_disk", "min_ram", "tags", "protected")
#: Fields that Glance lets nobody change once the image has bytes.
FORMAT_FIELDS = ("disk_format", "container_format")


class Bytes(enum.Enum):
    """How the replica's bytes stand to the image's."""

    ABSENT = "absent"          # the replica has none
    MATCH = "match"            # proved: size and a hash that the target computed
    DIFFER = "differ"          # proved different
    UNPROVED = "unproved"      # the two hashes cannot be compared; somebody has to read


@dataclass(frozen=True, kw_only=True)
class MemberDifference:
    """Ids to remove, members to add (with the status to give), and statuses to change."""

    remove: tuple[str, ...] = ()
    add: tuple[Member, ...] = ()
    change: tuple[Member, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.remove or self.add or self.change)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """All differences. `fields` holds the source's values by Glance's names; empty everywhere means in sync."""

    fields: Mapping[str, object] = field(default_factory=dict)
    formats: Mapping[str, object] = field(default_factory=dict)
    set_properties: Mapping[str, str | None] = field(default_factory=dict)
    remove_properties: tuple[str, ...] = ()
    members: MemberDifference = field(default_factory=MemberDifference)
    deactivate: bool = False
    reactivate: bool = False

    def __bool__(self) -> bool:
        return bool(self.fields or self.formats or self.set_properties or self.remove_properties or self.members
                    or self.deactivate or self.reactivate)

    def names(self) -> tuple[str, ...]:
        """What differs, in words for a person."""
        found = [*self.fields, *self.formats, *(f"property {name}" for name in self.set_properties),
                 *(f"property {name}" for name in self.remove_properties)]
        if self.members:
            found.append("members")
        if self.deactivate or self.reactivate:
            found.append("status")
        return tuple(found)


def diff_images(source: Image, replica: Image) -> Difference:
    """Differences of the replica from the source; bytes are the business of diff_bytes."""
    return Difference(
        fields=_differing(source, replica, METADATA_FIELDS),
        formats=_differing(source, replica, FORMAT_FIELDS),
        set_properties={name: value for name, value in source.properties.items()
                        if name not in replica.properties or replica.properties[name] != value},
        remove_properties=tuple(sorted(set(replica.properties) - set(source.properties))),
        members=diff_members(source, replica),
        deactivate=source.status == "deactivated" and replica.status == "active",
        reactivate=source.status == "active" and replica.status == "deactivated",
    )


def _differing(source: Image, replica: Image, names: tuple[str, ...]) -> dict[str, object]:
    return {name: getattr(source, name) for name in names if getattr(source, name) != getattr(replica, name)}


def diff_members(source: Image, replica: Image) -> MemberDifference:
    """Members to change. An image that is not shared has none; None on either side means not read: no difference."""
    if source.visibility != "shared":
        return MemberDifference(remove=tuple(member.member_id for member in replica.members or ()))
    if source.members is None:
        return MemberDifference()
    wanted = {member.member_id: member.status for member in source.members}
    found = {member.member_id: member.status for member in replica.members or ()}
    return MemberDifference(
        remove=tuple(sorted(set(found) - set(wanted))),
        add=tuple(Member(member_id=key, status=wanted[key]) for key in sorted(set(wanted) - set(found))),
        change=tuple(Member(member_id=key, status=wanted[key]) for key in sorted(set(wanted) & set(found))
                     if wanted[key] != found[key]),
    )


def diff_bytes(source: Image, replica: Image, record: ReplicaRecord | None) -> Bytes:
    """How the bytes stand, from sizes and hashes alone.

    Where source and target hash differently, or the source has no hash, the record's digest stands in for the source's:
    it was computed from the source's bytes, for this replica.
    """
    if not replica.has_bytes:
        return Bytes.ABSENT
    if source.size is not None and replica.size is not None and source.size != replica.size:
        return Bytes.DIFFER
    if source.digest and replica.digest and source.digest.algorithm == replica.digest.algorithm:
        return Bytes.MATCH if source.digest.value == replica.digest.value else Bytes.DIFFER
    if record is None or record.digest is None or record.replica_id != replica.id or record.size != replica.size:
        return Bytes.UNPROVED
    if replica.digest is None:  # a Glance that computes none: it was read back when the record was written
        return Bytes.MATCH
    if replica.digest.algorithm != record.digest.algorithm:
        return Bytes.UNPROVED
    return Bytes.MATCH if replica.digest == record.digest else Bytes.DIFFER


def patch_for(difference: Difference, *, without: frozenset[str] = frozenset()) -> ImageChanges:
    """The one PATCH that removes the metadata differences, `without` the named fields."""
    return ImageChanges(fields={name: value for name, value in difference.fields.items() if name not in without},
                        set_properties=difference.set_properties, remove_properties=difference.remove_properties)
