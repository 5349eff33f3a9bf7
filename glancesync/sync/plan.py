# SPDX-License-Identifier: Apache-2.0
"""What is to be done for one image in one region (pure).

A plan is made from what both sides show now, carried out, and made again from what they show then, until it is empty:

    nothing there      -> CreateReplica, CopyBytes          (private and hidden, under the service project)
    bytes are verified -> Deactivate?, UpdateReplica, SetMember..., UpdateReplica(protected)
    nothing differs    -> in sync

So owner, visibility and members follow only after verified bytes, and an interrupted run goes on where it stopped.
Members are taken away before anything else and a replica is reactivated last: what widens access comes after what
narrows it. What narrows it has a PATCH of its own, for one that the region refuses because of something else (a quota
on properties, say) must not leave the replica public.
"""
from __future__ import annotations

from dataclasses import replace as changed

from glancesync.model.deletion import DeletionCause
from glancesync.model.image import Image, ImageChanges, NewImage
from glancesync.model.location import Registration
from glancesync.model.replica import ConflictChoice, IdReason, Origin, ReplicaState
from glancesync.sync import actions as act
from glancesync.sync.born import plan_block_devices, plan_born, plan_pending
from glancesync.sync.codes import Code
from glancesync.sync.diff import Bytes, diff_bytes, diff_images
from glancesync.sync.disallowed import as_kept, end_kept, plan_broken, plan_left_out, plan_removal
from glancesync.sync.guard import judge_deletion
from glancesync.sync.left_alone import find_excluding_rule
from glancesync.sync.located import bytes_action, find_withdrawn, how_located, is_claimed, plan_registering
from glancesync.sync.obstacles import Obstacle
from glancesync.sync.situation import OBSTACLE_SECONDS, UNSEEN_SECONDS, Plan, Situation, is_ours
from glancesync.sync.stranger import plan_contested, plan_kept, plan_namesake, plan_stranger
from glancesync.sync.strategy import is_transient
from glancesync.sync.unverified import has_other_bytes, is_unverified, plan_unverified
from glancesync.sync.update import plan_update

#: A source in one of these is still being made.
IN_MAKING = frozenset({"queued", "saving", "uploading", "importing"})
#: A Glance that fetches fewer has died. It moves each byte twice: to its staging folder, then to its store.
_FETCHED_BYTES_PER_SECOND = 5 * 2 ** 20
#: So long Glance itself keeps the lock of an import that does not go on.
_IMPORT_SECONDS = 3600.0


def plan_replica(situation: Situation) -> Plan:
    """The next actions for the pair, or where it stands when there are none."""
    source = situation.source
    born = plan_born(situation)
    if born is not None or source is None:
        return born or _plan_without_source(situation)
    if is_transient(source, situation.transient_property):
        return Plan(state=ReplicaState.UNWANTED, code=Code.TRANSIENT,
                    reason=f"the image carries the property {situation.transient_property!r}")
    if not situation.wanted:
        return _plan_unwanted(situation, source)
    rule = find_excluding_rule(situation, source)
    if rule is not None:
        return Plan(state=ReplicaState.UNWANTED, code=Code.LEFT_ALONE,
                    reason=f"it is left alone by the rule {rule.text}")
    held = plan_pending(situation, source) or (None if _is_there(situation) else plan_block_devices(source))
    if held is not None:
        return held
    if not source.has_bytes or _is_held_by_import(situation, source):
        return _plan_emptied(situation, source) or _plan_waiting_for_source(situation, source)
    if situation.unseen is not None:
        return _plan_unseen(situation.unseen)
    return _plan_wanted(situation, source)


def _is_there(situation: Situation) -> bool:
    """Whether a replica of ours has bytes: it follows its image, whatever that is."""
    return situation.replica is not None and situation.replica.has_bytes and is_ours(situation)


def _plan_unwanted(situation: Situation, source: Image) -> Plan:
    replica, removal = situation.replica, plan_removal(situation)
    if removal is not None or replica is None or situation.treatment is None or not _is_there(situation):
        return removal or plan_left_out(situation)
    if not source.has_bytes:
        return _plan_emptied(situation, source) or plan_left_out(situation)
    return end_kept(situation, _plan_ours(situation, as_kept(situation, source, replica), replica))


def _plan_wanted(situation: Situation, source: Image) -> Plan:
    """The image belongs here, is ready, and what the region shows can be relied on."""
    if situation.replica is not None and is_ours(situation):
        return _plan_ours(situation, source, situation.replica)
    if situation.record is not None and situation.record.choice is ConflictChoice.SKIP:
        return Plan(state=ReplicaState.CONFLICT, code=Code.SKIPPED,
                    reason="an operator chose to leave the image out of this region")
    if situation.replica is not None:
        return plan_stranger(situation, source, situation.replica)
    return _plan_creation(situation, source)


def _plan_without_source(situation: Situation) -> Plan:
    replica, record = situation.replica, situation.record
    if situation.unseen is not None:
        return _plan_unseen(situation.unseen)
    if replica is None:
        if situation.removal is None and (record is None or record.missing_confirmed_at is None):
            return Plan(state=ReplicaState.SOURCE_MISSING, code=Code.SOURCE_MISSING,
                        reason="neither region shows the image, and its removal was not reported")
        if situation.trust.problem is not None:  # who is shown too little here is shown too little there
            return Plan(state=ReplicaState.SOURCE_MISSING, reason=situation.trust.problem,
                        code=situation.trust.problem_code or Code.SOURCE_UNTRUSTED)
        return Plan(state=ReplicaState.DELETED, code=Code.DELETED, reason="the image was deleted")
    if not is_ours(situation):
        return Plan(state=ReplicaState.SOURCE_MISSING, code=Code.NOT_OURS,
                    reason="the image is gone; the one under its id in this region was not made by this server")
    verdict = judge_deletion(removal=situation.removal, record=record, trust=situation.trust,
                             delete_adopted=situation.delete_adopted)
    if not verdict.allowed:
        return Plan(state=ReplicaState.SOURCE_MISSING, code=verdict.code, reason=verdict.reason)
    cause = DeletionCause.SOURCE_REMOVED if situation.removal else DeletionCause.SOURCE_VANISHED
    return Plan(state=ReplicaState.WAITING, code=verdict.code, reason=verdict.reason,
                actions=(_deletion(replica, cause),))


def _plan_unseen(why: str) -> Plan:
    return Plan(state=ReplicaState.WAITING, code=Code.REGION_NOT_SEEN_WHOLE, reason=why, delay_seconds=UNSEEN_SECONDS)


def _deletion(replica: Image, cause: DeletionCause) -> act.DeleteReplica:
    return act.DeleteReplica(replica_id=replica.id, cause=cause.value, protected=replica.protected,
                             empty=not replica.has_bytes)


def _is_held_by_import(situation: Situation, source: Image) -> bool:
    """An import that works on an active image changes none of its bytes, so what is there follows the image meanwhile:
    nobody keeps his access because of it. Only a first copy waits, and not for one that died with its Glance."""
    if not source.importing or (situation.replica is not None and situation.replica.has_bytes):
        return False
    return source.updated_at is not None and situation.now - source.updated_at < _IMPORT_SECONDS


def _plan_emptied(situation: Situation, source: Image) -> Plan | None:
    """Only an image whose last location was taken away is queued again. What it had is not to be had elsewhere."""
    replica, record = situation.replica, situation.record
    if source.status != "queued" or source.locked or replica is None or not _is_there(situation):
        return None
    if record is None or record.verified_at is None:
        return None
    return _replace(situation, source, replica, IdReason.EMPTIED, "the image lost all of its locations")


def _plan_waiting_for_source(situation: Situation, source: Image) -> Plan:
    """An abandoned image stays queued for ever: the older it is, the more rarely it is looked at."""
    age = 0.0 if source.updated_at is None else max(0.0, situation.now - source.updated_at)
    status = "importing" if source.importing else source.status
    return Plan(state=ReplicaState.WAITING, code=Code.SOURCE_NOT_READY, reason=f"the image is {status}",
                delay_seconds=max(situation.source_poll_seconds, age / 2))


def _plan_creation(situation: Situation, source: Image) -> Plan:
    record = situation.record
    if situation.awaits is not None:
        return Plan(state=ReplicaState.WAITING, code=Code.AWAITS_REFERENCE, reason=situation.awaits,
                    delay_seconds=situation.source_poll_seconds)
    if situation.obstacle is not None:
        return _plan_obstacle(situation.obstacle)
    if record is not None and record.restores > situation.max_restores:
        return plan_contested(situation, record)
    if situation.stranger is not None and (record is None or record.choice is None):
        return plan_namesake(situation, source, situation.stranger)
    replica_id = record.replica_id if record and record.replica_id else situation.image_id
    new = NewImage(
        id=replica_id, name=source.name, owner=situation.service_project_id, visibility="private", protected=False,
        os_hidden=True, disk_format=source.disk_format, container_format=source.container_format,
        min_disk=source.min_disk, min_ram=source.min_ram, tags=source.tags, properties=source.properties)
    copy = bytes_action(situation, source, replica_id)
    return Plan(state=ReplicaState.COPYING, code=Code.CREATING, reason="the region has no copy of the image",
                actions=(act.CreateReplica(new=new), copy))


def _plan_obstacle(obstacle: Obstacle) -> Plan:
    return Plan(state=ReplicaState.WAITING, code=obstacle.code, reason=obstacle.reason, delay_seconds=OBSTACLE_SECONDS)


def _plan_ours(situation: Situation, source: Image, replica: Image) -> Plan:
    if replica.status in IN_MAKING:
        return _plan_making(situation, source, replica)
    if not replica.has_bytes:
        return _replace(situation, source, replica, IdReason.ID_BURNED, f"the replica is {replica.status}")
    if situation.record is not None and situation.record.rotten_at is not None:
        return _plan_rotten(situation, source, replica)
    withdrawn = find_withdrawn(situation.located)
    if withdrawn is not None:
        return _plan_withdrawn(situation, source, replica, withdrawn)
    if is_unverified(situation) and not has_other_bytes(source, replica) and not diff_images(source, replica).formats:
        return plan_unverified(situation, source, replica)
    proof = diff_bytes(source, replica, situation.record)
    if proof is Bytes.MATCH and is_claimed(situation, replica):
        proof = Bytes.UNPROVED
    if proof is Bytes.DIFFER:
        return _replace(situation, source, replica, IdReason.BYTES_DIFFER,
                        "the replica has other bytes than the image")
    if proof is Bytes.UNPROVED:
        return Plan(state=ReplicaState.WAITING, code=Code.VERIFYING, reason="the two hashes cannot be compared",
                    actions=(act.VerifyByReading(replica_id=replica.id),))
    return _plan_verified(situation, source, replica)


def _plan_making(situation: Situation, source: Image, replica: Image) -> Plan:
    registering = plan_registering(situation, replica)
    if registering is not None:
        return registering
    if replica.status == "queued" and not (replica.locked and _is_stuck(situation, source, replica)):
        return _plan_filling(situation, source, replica)
    return _plan_saving(situation, source, replica)


def _plan_withdrawn(situation: Situation, source: Image, replica: Image, gone: Registration) -> Plan:
    reason = "the replica's external URL is not the image's any more"
    plan = _replace(situation, source, replica, IdReason.LOCATION_GONE, reason)
    refuse = act.RefuseLocation(fingerprint=gone.fingerprint, reason=reason)
    return changed(plan, actions=(*plan.actions[:1], refuse, *plan.actions[1:])) if plan.actions else plan


def _plan_verified(situation: Situation, source: Image, replica: Image) -> Plan:
    """The bytes are the image's."""
    difference = diff_images(source, replica)
    if difference.formats:
        return _replace(situation, source, replica, IdReason.FORMAT_DIFFERS,
                        "formats of an active image cannot be changed")
    record, stranger = situation.record, situation.stranger if situation.wanted else None
    if stranger is not None and record is not None and record.choice is ConflictChoice.REPLACE:
        return Plan(state=ReplicaState.WAITING, code=Code.REPLACING, reason="an operator chose replace",
                    actions=(_deletion(stranger, DeletionCause.CONFLICT_REPLACED),))
    if difference:
        return Plan(state=ReplicaState.WAITING, code=Code.UPDATING,
                    reason=f"differs in {', '.join(difference.names())}",
                    actions=plan_update(difference, source, replica, situation.service_project_id))
    if record is not None and record.scrub_wanted:
        return Plan(state=ReplicaState.IN_SYNC, code=Code.SCRUBBING, reason="its stored bytes are read again",
                    actions=(act.ScrubReplica(replica_id=replica.id),))
    return Plan(state=ReplicaState.IN_SYNC, code=Code.IN_SYNC,
                reason="same as the image, bytes verified" + how_located(situation.located))


def _plan_rotten(situation: Situation, source: Image, replica: Image) -> Plan:
    """Nobody boots it from now on, whether or not it may be deleted at once."""
    plan = _replace(situation, source, replica, IdReason.ROTTEN, "the stored bytes do not match their hash any more")
    if not situation.wanted or replica.status != "active":
        return plan
    return changed(plan, actions=(act.Deactivate(replica_id=replica.id), *plan.actions))


def _plan_filling(situation: Situation, source: Image, replica: Image) -> Plan:
    """Before bytes arrive the replica must be out of everybody's reach, and have the formats it will keep."""
    if situation.obstacle is not None:
        return _plan_obstacle(situation.obstacle)
    fields: dict[str, object] = dict(diff_images(source, replica).formats)
    wanted = {"owner": situation.service_project_id, "visibility": "private", "os_hidden": True}
    fields.update({name: value for name, value in wanted.items() if getattr(replica, name) != value})
    copy = bytes_action(situation, source, replica.id)
    # Members can be changed only while it is shared, and would come back with it.
    removals = tuple(act.RemoveMember(replica_id=replica.id, member_id=member.member_id)
                     for member in replica.members or ())
    update = (act.UpdateReplica(replica_id=replica.id, changes=ImageChanges(fields=fields)),) if fields else ()
    return Plan(state=ReplicaState.COPYING, code=Code.COPYING, reason="the replica has no bytes yet",
                actions=(*removals, *update, copy))


def _is_stuck(situation: Situation, source: Image, replica: Image) -> bool:
    """Whether its Glance died while it took the bytes: the lock of a task that died with it stays."""
    since = situation.record.saving_since if situation.record else None
    patience = situation.saving_timeout_seconds
    if replica.locked:  # its Glance fetches, or reads, the bytes by itself
        patience += (source.size or 0) / _FETCHED_BYTES_PER_SECOND
    return since is not None and situation.now - since >= patience


def _plan_saving(situation: Situation, source: Image, replica: Image) -> Plan:
    if _is_stuck(situation, source, replica):
        return _replace(situation, source, replica, IdReason.STUCK_SAVING,
                        f"the replica stayed in {replica.status}: its Glance died during an upload")
    return Plan(state=ReplicaState.WAITING, code=Code.REPLICA_SAVING, reason=f"the replica is {replica.status}",
                delay_seconds=situation.wait_seconds)


def _replace(situation: Situation, source: Image, replica: Image, why: IdReason, reason: str) -> Plan:
    record, broken = situation.record, plan_broken(situation, replica, why, reason)
    if broken is not None:
        return broken
    if record is not None and record.origin is Origin.ADOPTED and not situation.delete_adopted:
        return plan_kept(situation, source, replica, reason)
    return Plan(state=ReplicaState.WAITING, code=why.value, reason=reason,
                actions=(_deletion(replica, DeletionCause(why.value)), act.TakeNewId(reason=why)))
