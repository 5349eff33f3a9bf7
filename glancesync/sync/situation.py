# SPDX-License-Identifier: Apache-2.0
"""What a decision rests on, and what a decision is: the values around plan."""
from __future__ import annotations

from dataclasses import dataclass

from glancesync.conf.image_rules import ImageRules
from glancesync.model.birth import Birth
from glancesync.model.facts import StoreFact
from glancesync.model.image import Image
from glancesync.model.location import Located
from glancesync.model.replica import Origin, Removal, ReplicaRecord, ReplicaState
from glancesync.sync import actions as act
from glancesync.sync.guard import Trust
from glancesync.sync.obstacles import Obstacle


@dataclass(frozen=True, kw_only=True)
class Situation:
    """All that a decision rests on. `removal` is Glance's own report that it removed the image, `wanted` what the
    strategy gives the image, `now` seconds since the epoch. `stranger` is another image of the region that is not ours:
    one of the same owner and name where the replica is missing, or the one that it is to replace. `unseen` is why an
    image that the region does not show may be there all the same (None: it is seen whole, or shows what is looked for).
    `taken`: what stands under the replica's id is another image's replica. `selected` is what the strategy says,
    `wanted` what of that a snapshot is given. `why_not` is why it is not selected, `undecided` why nobody knows,
    `treatment` what becomes of a replica where the image's owner may not use the region (None: it is left as it is).
    `awaits` says which image has to be in the region first, `obstacle` why the region would not take its bytes.
    `stores`: those of the region's Glance, asked for a replica that is usable unverified."""

    image_id: str
    region: str
    source: Image | None
    replica: Image | None
    record: ReplicaRecord | None
    removal: Removal | None
    wanted: bool
    now: float
    service_project_id: str
    stranger: Image | None = None
    unseen: str | None = None
    taken: bool = False
    birth: Birth | None = None
    selected: bool = True
    why_not: str = "the strategy does not select this region"
    undecided: str | None = None
    treatment: str | None = None
    awaits: str | None = None
    obstacle: Obstacle | None = None
    stores: tuple[StoreFact, ...] = ()
    located: Located | None = None
    trust: Trust = Trust()
    delete_adopted: bool = False
    adopt_by_hash: bool = False
    transient_property: str | None = None
    leave_alone: ImageRules | None = None
    saving_timeout_seconds: float = 120
    source_poll_seconds: float = 60
    wait_seconds: float = 5
    max_restores: int = 5
    snapshot_timeout_seconds: float = 300
    snapshot_poll_seconds: float = 10


@dataclass(frozen=True, kw_only=True)
class FieldDifference:
    """One thing in which an image and a stranger differ, as JSON shows it."""

    field: str
    image: object
    replica: object


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """The image in the way, and what it differs in."""

    stranger_id: str
    differences: tuple[FieldDifference, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do. Without actions `state`, `code` and `reason` are where the pair stands; `delay_seconds` says when to
    look again though nothing is to be done now (None: when something reports a change)."""

    state: ReplicaState
    code: str
    reason: str
    actions: tuple[act.Action, ...] = ()
    delay_seconds: float | None = None
    conflict: Conflict | None = None


#: How long a pair stays away whose region is not seen whole.
UNSEEN_SECONDS = 60.0
#: How long one stays away whose bytes its region would not take.
OBSTACLE_SECONDS = 600.0
#: How long one stays away of which Keystone does not tell whether its image belongs there.
UNDECIDED_SECONDS = 60.0
#: Clocks of two regions are not further apart, or no token would be valid.
_CLOCKS_APART_SECONDS = 86400.0


def is_ours(situation: Situation) -> bool:
    """Whether this server answers for the replica: it created or adopted it, or meant to create it and the image looks
    exactly as it creates them (the answer to the create request may have been lost). One that came into being after
    ours was verified is another: a region that was emptied gives its ids out again, to anybody."""
    record, replica = situation.record, situation.replica
    if record is None or replica is None or record.replica_id != replica.id:
        return False
    if (record.verified_at is not None and replica.created_at is not None
            and replica.created_at > record.verified_at + _CLOCKS_APART_SECONDS):
        return False
    if record.origin is Origin.INTENDED:
        return (replica.owner == situation.service_project_id and replica.os_hidden
                and replica.visibility == "private")
    return record.origin is not None
