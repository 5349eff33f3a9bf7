# SPDX-License-Identifier: Apache-2.0
"""What becomes of an image where it does not belong (pure). Called by plan and born, and by reconcile.

    no replica with bytes    nothing is made; an upload that was begun is not gone on with
    one of ours, kept        follows its image, without new bytes: one that would have to be replaced is deactivated
    one of ours, hidden      the same, and os_hidden; whoever may be there again is shown again
    one of ours, removed     kept until two comparisons found it so, then deleted; adopted ones only if opted in
    nobody knows             as it is now: it follows its image, nothing is hidden, shown or removed
"""
from __future__ import annotations

from dataclasses import replace as changed

from glancesync.conf.strategy import HIDDEN, REMOVED
from glancesync.model.deletion import DeletionCause
from glancesync.model.image import Image
from glancesync.model.replica import IdReason, Origin, ReplicaState
from glancesync.sync import actions as act
from glancesync.sync.codes import Code
from glancesync.sync.situation import UNDECIDED_SECONDS, Plan, Situation, is_ours

#: What the image itself lost, its replica loses wherever it is.
_LOST_BY_IMAGE = frozenset({IdReason.EMPTIED, IdReason.LOCATION_GONE})
_KEPT = {Code.NOT_ALLOWED_KEPT: "its replica gets no new bytes and follows its image",
         Code.NOT_ALLOWED_HIDDEN: "its replica is hidden and follows its image",
         Code.NOT_ALLOWED_REMOVING: "its replica is removed when two comparisons far enough apart found it so"}


def plan_left_out(situation: Situation) -> Plan:
    """The image has no replica here, and gets none."""
    if situation.undecided is not None:
        return _undecided(situation.undecided)
    return Plan(state=ReplicaState.UNWANTED, code=Code.NOT_SELECTED,
                reason="snapshot_region_names does not name this region" if situation.selected else situation.why_not)


def is_removable(situation: Situation) -> bool:
    """Whether there is a replica that is to be removed for this, once that is confirmed."""
    record = situation.record
    if situation.wanted or situation.undecided is not None or situation.treatment != REMOVED:
        return False
    adopted = record is not None and record.origin is Origin.ADOPTED and not situation.delete_adopted
    born = record is not None and record.origin is Origin.BORN
    return is_ours(situation) and not adopted and not born


def plan_removal(situation: Situation) -> Plan | None:
    """The deletion, where two comparisons far enough apart found that the image does not belong here."""
    replica, record = situation.replica, situation.record
    if replica is None or record is None or record.disallowed_confirmed_at is None or not is_removable(situation):
        return None
    return Plan(state=ReplicaState.WAITING, code=Code.NOT_ALLOWED_REMOVING, reason=situation.why_not, actions=(
        act.DeleteReplica(replica_id=replica.id, cause=DeletionCause.NOT_ALLOWED.value, protected=replica.protected,
                          empty=not replica.has_bytes),
        act.TakeNewId(reason=IdReason.NOT_ALLOWED)))


def as_kept(situation: Situation, source: Image, replica: Image) -> Image:
    """The image as a replica follows it that is where it does not belong."""
    if situation.treatment != HIDDEN:
        return source
    return changed(source, os_hidden=source.os_hidden or situation.undecided is None or replica.os_hidden)


def plan_broken(situation: Situation, replica: Image, why: IdReason, reason: str) -> Plan | None:
    """A replica that would have to be made anew where its image does not belong: nobody boots it, and no other is made.
    None where it may be made anew, or has to go with what its image lost."""
    if situation.wanted or why in _LOST_BY_IMAGE:
        return None
    record = situation.record
    adopted = record is not None and record.origin is Origin.ADOPTED and record.rotten_at is None
    stop = replica.status == "active" and (situation.delete_adopted or not adopted)
    return Plan(state=ReplicaState.UNWANTED, code=_code(situation),
                reason=f"{situation.why_not}; {reason}, and no other is made",
                actions=(act.Deactivate(replica_id=replica.id),) if stop else ())


def end_kept(situation: Situation, plan: Plan) -> Plan:
    """Where a replica that follows its image stands, once nothing differs."""
    if plan.actions or plan.state not in (ReplicaState.IN_SYNC, ReplicaState.UNWANTED):
        return plan
    if situation.undecided is not None:
        return _undecided(situation.undecided)
    if plan.state is ReplicaState.UNWANTED:
        return plan
    code = _code(situation)
    return Plan(state=ReplicaState.UNWANTED, code=code, reason=f"{situation.why_not}; {_KEPT[code]}")


def _code(situation: Situation) -> Code:
    if situation.treatment == HIDDEN:
        return Code.NOT_ALLOWED_HIDDEN
    return Code.NOT_ALLOWED_REMOVING if is_removable(situation) else Code.NOT_ALLOWED_KEPT


def _undecided(reason: str) -> Plan:
    return Plan(state=ReplicaState.WAITING, code=Code.OWNER_REGIONS_UNKNOWN, reason=reason,
                delay_seconds=UNDECIDED_SECONDS)
