# SPDX-License-Identifier: Apache-2.0
"""The actions that a plan is made of: values, carried out by execute."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glancesync.model.image import Digest, ImageChanges, NewImage
from glancesync.model.replica import IdReason


@dataclass(frozen=True, kw_only=True)
class CreateReplica:
    """One POST: private and hidden under the service project, with everything else in it."""

    new: NewImage


@dataclass(frozen=True, kw_only=True)
class CopyBytes:
    """Fill the queued replica from the source and verify what the target computed."""

    replica_id: str
    size: int | None
    digest: Digest | None


@dataclass(frozen=True, kw_only=True)
class VerifyByReading:
    """Read whatever side has no comparable hash, and record the digest when both agree."""

    replica_id: str


@dataclass(frozen=True, kw_only=True)
class CompareStranger:
    """Read the image and one that is not ours, each where its hash may be a client's claim; note whether they agree."""

    stranger_id: str


@dataclass(frozen=True, kw_only=True)
class AdoptReplica:
    """The image was there before us; owner and bytes are the same, so it is ours to keep in sync from now on.
    `id_reason` is why it has another id than the image, where it has."""

    replica_id: str
    id_reason: IdReason | None = None


@dataclass(frozen=True, kw_only=True)
class ScrubReplica:
    """Read the stored bytes again and hold them to the hash that Glance computed when they arrived."""

    replica_id: str


@dataclass(frozen=True, kw_only=True)
class UpdateReplica:
    """One PATCH."""

    replica_id: str
    changes: ImageChanges


@dataclass(frozen=True, kw_only=True)
class RemoveMember:
    replica_id: str
    member_id: str


@dataclass(frozen=True, kw_only=True)
class SetMember:
    """Add the member if it is not there, then give it the status (pending is what adding gives)."""

    replica_id: str
    member_id: str
    status: str
    add: bool


@dataclass(frozen=True, kw_only=True)
class Deactivate:
    replica_id: str


@dataclass(frozen=True, kw_only=True)
class Reactivate:
    replica_id: str


@dataclass(frozen=True, kw_only=True)
class DeleteReplica:
    """`cause` is the code that history and log show; a protected one is unprotected when nothing else stands in the
    way. `empty`: it had no bytes yet, so a file that was put there for it is known to nobody afterwards."""

    replica_id: str
    cause: str
    protected: bool = False
    empty: bool = False


@dataclass(frozen=True, kw_only=True)
class TakeNewId:
    """From now on the replica has another id than its image, for this reason."""

    reason: IdReason


@dataclass(frozen=True, kw_only=True)
class RegisterLocation:
    """Let the queued replica's bytes be those at the image's own external URL."""

    replica_id: str
    url: str
    digest: Digest


@dataclass(frozen=True, kw_only=True)
class RefuseLocation:
    """The bytes are to be copied though the image lies at an external URL, for this reason."""

    fingerprint: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class BringHome:
    """Have the bytes of a replica that is usable unverified copied into the region's own store `home`, compare them,
    and leave the stores `away`."""

    replica_id: str
    home: str
    away: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class FillSource:
    """Give the queued image of the cascading region the snapshot's bytes, and first the formats that it lacks."""

    snapshot_id: str
    size: int | None
    digest: Digest | None
    formats: Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class CheckFilled:
    """Find out by reading whether the image has the snapshot's bytes: it has some, and nothing says that they are. An
    image with others that the server may have sent is deactivated."""

    snapshot_id: str
    may_be_ours: bool


@dataclass(frozen=True, kw_only=True)
class ForgetBirth:
    """The image was not made from the region's image, for this reason."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class GiveUpSnapshot:
    """End the run with the error of this code."""

    code: str
    reason: str


Action = (CreateReplica | CopyBytes | VerifyByReading | CompareStranger | AdoptReplica | ScrubReplica | UpdateReplica
          | RemoveMember | SetMember | Deactivate | Reactivate | DeleteReplica | TakeNewId | FillSource | CheckFilled
          | BringHome | ForgetBirth | GiveUpSnapshot | RegisterLocation | RefuseLocation)


def describe(action: Action) -> dict[str, Any]:
    """An action for a dry run's answer: {"action": name, "detail": {...}}."""
    detail: dict[str, Any] = {}
    for name, value in vars(action).items():
        if isinstance(value, NewImage):
            detail.update(replica_id=value.id, name=value.name)
        elif isinstance(value, ImageChanges):
            detail.update(set={**{key: _plain(item) for key, item in value.fields.items()}, **value.set_properties},
                          remove=list(value.remove_properties))
        elif isinstance(value, Digest):
            detail[name] = f"{value.algorithm}:{value.value}"
        elif name == "url":
            detail[name] = str(value).partition("?")[0]  # what follows may be a signature
        else:
            detail[name] = dict(value) if isinstance(value, Mapping) else value
    return {"action": type(action).__name__, "detail": detail}


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else value
