# SPDX-License-Identifier: Apache-2.0
"""What is to be done for an image that was made in a cascaded region (pure). Called by plan.

    its region of birth   queued   the region's image is active, of the same owner -> FillSource, from there
                                   not yet   -> wait; too long -> GiveUpSnapshot
                                   never     -> GiveUpSnapshot, or where it stands: cannot_travel
                          active   the same bytes -> in sync: the region's own image is the replica, and stays its own
    the other regions     queued   wait for that; afterwards as for any image

Whoever claims a birth only says where to look: owner, status and bytes are what the two Glances show. A claim about an
image that has other bytes already is dropped. Bytes that the two hash differently, and those that this server may have
sent without coming to verify them, are read first; until then they reach no other region.
"""
from __future__ import annotations

import json

from glancesync.exceptions import SnapshotRefusedError, SnapshotTimeoutError
from glancesync.model.birth import Birth
from glancesync.model.image import Image
from glancesync.model.replica import Origin, ReplicaState
from glancesync.sync import actions as act
from glancesync.sync.codes import Code
from glancesync.sync.diff import FORMAT_FIELDS
from glancesync.sync.disallowed import plan_left_out
from glancesync.sync.situation import UNSEEN_SECONDS, Plan, Situation

_MAPPING = "block_device_mapping"


def _is_block_devices_only(image: Image) -> bool:
    mapping = image.properties.get(_MAPPING)
    if image.size or not mapping or not image.has_bytes:
        return False
    try:
        return bool(json.loads(mapping))
    except ValueError:
        return True


def plan_block_devices(image: Image) -> Plan | None:
    """The plan for an image that has no bytes of its own and only names volumes or snapshots of its region's block
    storage; None for any other."""
    if not _is_block_devices_only(image):
        return None
    return Plan(state=ReplicaState.CANNOT_TRAVEL, code=Code.BLOCK_DEVICES_ONLY,
                reason=f"image {image.id} has no bytes, it only names volumes or snapshots of its own region")


def plan_born(situation: Situation) -> Plan | None:
    """The plan for the image in its region of birth; None in any other region."""
    birth, record = situation.birth, situation.record
    if (birth is None or birth.region != situation.region or record is None or record.origin is not Origin.BORN):
        return None
    if situation.source is None:
        return _plan_without_source(situation, birth)
    if situation.source.has_bytes:
        return _plan_filled(situation, birth, situation.source)
    if not situation.selected and situation.treatment is None:  # the strategy is that nothing is copied at all
        return plan_left_out(situation)
    if situation.source.status != "queued" or situation.source.importing:
        return Plan(state=ReplicaState.WAITING, code=Code.SOURCE_NOT_READY, delay_seconds=situation.source_poll_seconds,
                    reason=f"the image is {situation.source.status}: somebody else fills it, or died at it")
    if birth.filled_at is not None and (birth.waiting_since is None or birth.waiting_since <= birth.filled_at):
        return Plan(state=ReplicaState.WAITING, code=Code.SOURCE_NOT_READY,
                    reason="the image lost all its locations; its origin is kept, and fills it once it is named again")
    return _plan_filling(situation, birth, situation.source)


def plan_pending(situation: Situation, source: Image) -> Plan | None:
    """The plan for another region while the image waits for its snapshot's bytes; None where it does not."""
    birth = situation.birth
    if birth is None or birth.filled_at is not None:
        return None
    if source.has_bytes:
        return None if birth.filling_since is None else Plan(
            state=ReplicaState.WAITING, code=Code.SNAPSHOT_PENDING, delay_seconds=situation.snapshot_poll_seconds,
            reason=f"the bytes that the image got from {birth.region} are not verified yet")
    if birth.reason_code == Code.BLOCK_DEVICES_ONLY:
        return Plan(state=ReplicaState.CANNOT_TRAVEL, code=Code.BLOCK_DEVICES_ONLY, reason=birth.reason or "")
    delay, reason = situation.snapshot_poll_seconds, f"the image waits for its bytes from {birth.region}"
    if birth.reason_code in (SnapshotTimeoutError.code, SnapshotRefusedError.code):
        age = 0.0 if source.updated_at is None else max(0.0, situation.now - source.updated_at)
        delay, reason = max(situation.source_poll_seconds, age / 2), f"{reason}: {birth.reason}"
    return Plan(state=ReplicaState.WAITING, code=Code.SNAPSHOT_PENDING, reason=reason, delay_seconds=delay)


def _plan_without_source(situation: Situation, birth: Birth) -> Plan:
    if birth.filled_at is None and situation.trust.problem is None:
        return _drop("the cascading region does not show the image that the snapshot was to become")
    return Plan(state=ReplicaState.SOURCE_MISSING, code=Code.SNAPSHOT_KEPT,
                reason="the image is gone; the one that it was made from is the region's own and is kept")


def _plan_filled(situation: Situation, birth: Birth, source: Image) -> Plan:
    snapshot, filled = situation.replica, birth.filled_at is not None
    if snapshot is None and situation.unseen is not None:
        return Plan(state=ReplicaState.WAITING, code=Code.REGION_NOT_SEEN_WHOLE, reason=situation.unseen,
                    delay_seconds=UNSEEN_SECONDS)
    if snapshot is None and filled:
        return Plan(state=ReplicaState.UNWANTED, code=Code.SNAPSHOT_GONE,
                    reason="the region deleted the snapshot that the image was made from; it is not made again there")
    if snapshot is not None and (filled or _is_same(source, snapshot)):
        return Plan(state=ReplicaState.IN_SYNC, code=Code.BORN_HERE,
                    reason="the image was born here; the region keeps its own")
    may_be_ours = birth.filling_since is not None
    if may_be_ours or (snapshot is not None and _may_be_same(source, snapshot)):
        return Plan(state=ReplicaState.COPYING, code=Code.FILLING, reason="whether the image has the snapshot's bytes "
                    "is found out by reading", actions=(act.CheckFilled(snapshot_id=birth.origin_id,
                                                                        may_be_ours=may_be_ours),))
    return _drop("the region does not show the image that it is said to be made from" if snapshot is None else
                 "the image has other bytes than the one that it is said to be made from")


def _may_be_same(source: Image, snapshot: Image) -> bool:
    """Whether nothing tells the two apart, and nothing says that they are the same."""
    one, other = source.digest, snapshot.digest
    is_told = one is not None and other is not None and one.algorithm == other.algorithm
    return snapshot.has_bytes and source.owner == snapshot.owner and source.size == snapshot.size and not is_told


def _is_same(source: Image, snapshot: Image) -> bool:
    return (snapshot.has_bytes and source.owner == snapshot.owner and source.size == snapshot.size
            and source.digest is not None and source.digest == snapshot.digest)


def _plan_filling(situation: Situation, birth: Birth, source: Image) -> Plan:
    snapshot = situation.replica
    if snapshot is None or snapshot.status != "active":
        return _plan_wait(situation, birth, "not there yet" if snapshot is None else snapshot.status)
    refused = _why_refused(source, snapshot, birth.region)
    if refused is not None:
        return _give_up(SnapshotRefusedError.code, refused)
    block_devices = plan_block_devices(snapshot)
    if block_devices is not None:
        return block_devices
    formats = {name: getattr(snapshot, name) for name in FORMAT_FIELDS if getattr(source, name) is None}
    return Plan(state=ReplicaState.COPYING, code=Code.FILLING, reason=f"the image gets its bytes from {birth.region}",
                actions=(act.FillSource(snapshot_id=snapshot.id, size=snapshot.size, digest=snapshot.digest,
                                        formats=formats),))


def _plan_wait(situation: Situation, birth: Birth, status: str) -> Plan:
    since = birth.waiting_since
    if since is not None and situation.now - since >= situation.snapshot_timeout_seconds:
        return _give_up(SnapshotTimeoutError.code,
                        f"image {birth.origin_id} of {birth.region} is {status} after "
                        f"{situation.snapshot_timeout_seconds:g} s; retry the task to wait once more")
    return Plan(state=ReplicaState.WAITING, code=Code.SNAPSHOT_NOT_READY,
                reason=f"image {birth.origin_id} of {birth.region} is {status}",
                delay_seconds=situation.snapshot_poll_seconds)


def _why_refused(source: Image, snapshot: Image, region: str) -> str | None:
    """Nobody fills another's image."""
    if snapshot.owner is None or snapshot.owner != source.owner:
        return f"image {snapshot.id} of {region} does not belong to the project of image {source.id}"
    for name in FORMAT_FIELDS:
        if getattr(source, name) not in (None, getattr(snapshot, name)):
            return f"image {snapshot.id} of {region} has the {name} {getattr(snapshot, name)}, image {source.id} " \
                   f"{getattr(source, name)}"
    return None


def _give_up(code: str, reason: str) -> Plan:
    return Plan(state=ReplicaState.WAITING, code=code, reason=reason,
                actions=(act.GiveUpSnapshot(code=code, reason=reason),))


def _drop(reason: str) -> Plan:
    return Plan(state=ReplicaState.WAITING, code=Code.NOT_BORN_HERE, reason=reason,
                actions=(act.ForgetBirth(reason=reason),))
