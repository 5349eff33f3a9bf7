# SPDX-License-Identifier: Apache-2.0
"""What to do about an image that stands in a replica's way though we did not make it (pure). Called by plan.

    same id, or same owner and name     owner, formats and bytes the same -> adopted
      (another id: adopt_by_hash only)  a hash that may be a client's claim -> read first
                                        anything else -> a conflict, left alone until an operator chooses
"""
from __future__ import annotations

from collections.abc import Iterable

from glancesync.model.image import Digest, Image
from glancesync.model.replica import ConflictChoice, IdReason, ReplicaRecord, ReplicaState, StrangerBytes
from glancesync.sync import actions as act
from glancesync.sync.codes import Code
from glancesync.sync.diff import FORMAT_FIELDS, METADATA_FIELDS, Bytes, diff_bytes
from glancesync.sync.situation import Conflict, FieldDifference, Plan, Situation

_PLAIN_FIELDS = ("id", "status", "size", *METADATA_FIELDS, *FORMAT_FIELDS)
_SETTLED = frozenset({ConflictChoice.NEW_ID, ConflictChoice.REPLACE})


def is_namesake(source: Image, image: Image) -> bool:
    """Whether a user of the source's project would take the one for the other."""
    return (bool(source.name) and image.name == source.name and image.owner == source.owner and image.has_bytes
            and not image.os_hidden and image.id != source.id)


def has_same_hash(source: Image, image: Image) -> bool:
    return source.digest is not None and source.digest == image.digest


def by_likeness(source: Image, images: Iterable[Image]) -> list[Image]:
    """Those with the source's hash first, then by id."""
    return sorted(images, key=lambda image: (not has_same_hash(source, image), image.id))


def prove_bytes(source: Image, stranger: Image, record: ReplicaRecord | None) -> Bytes:
    """How a stranger's bytes stand to the source's. A hash that may be a client's claim proves nothing but a
    difference; what reading both told is in the record."""
    if record is not None and record.stranger_id == stranger.id and record.stranger_bytes is not None:
        return Bytes.MATCH if record.stranger_bytes is StrangerBytes.MATCH else Bytes.DIFFER
    proof = diff_bytes(source, stranger, None)
    if proof is Bytes.MATCH and (source.hash_is_claim or stranger.hash_is_claim):
        return Bytes.UNPROVED
    return proof


def plan_contested(situation: Situation, record: ReplicaRecord) -> Plan:
    """Whoever deletes the replica again and again has the last word until an operator speaks."""
    return Plan(state=ReplicaState.CONTESTED, code=Code.CONTESTED,
                reason=f"the replica was deleted in {situation.region} {record.restores} times and is not made again; "
                       "find out who deletes it, then retry its task")


def plan_stranger(situation: Situation, source: Image, stranger: Image) -> Plan:
    """An image stands under the replica's id."""
    chosen = _plan_choice(situation, stranger)
    if chosen is not None:
        return chosen
    if situation.taken:
        return _conflict(situation, source, stranger)
    return _plan_adoption(situation, source, stranger, id_reason=None)


def plan_namesake(situation: Situation, source: Image, namesake: Image) -> Plan:
    """An image of the same owner and name stands under another id."""
    if situation.adopt_by_hash and has_same_hash(source, namesake):
        return _plan_adoption(situation, source, namesake, id_reason=IdReason.ADOPTED)
    return _conflict(situation, source, namesake)


def plan_kept(situation: Situation, source: Image, replica: Image, why: str) -> Plan:
    """An adopted replica would have to be replaced for this reason, and may not be deleted."""
    return _plan_choice(situation, replica) or Plan(
        state=ReplicaState.CONFLICT, code=Code.ADOPTED_DIFFERS,
        reason=f"{why}; it was adopted and is kept (delete_adopted is off), choose what is to become of it",
        conflict=_describe(situation, source, replica))


def _plan_choice(situation: Situation, stranger: Image) -> Plan | None:
    """What an operator chose about this very image; None where nothing was."""
    record = situation.record
    if record is None or record.choice not in _SETTLED or record.stranger_id != stranger.id:
        return None
    if record.restores > situation.max_restores:
        return plan_contested(situation, record)
    return Plan(state=ReplicaState.WAITING, code=Code.MAKING_WAY, reason=f"an operator chose {record.choice}",
                actions=(act.TakeNewId(reason=IdReason.CONFLICT),))


def _plan_adoption(situation: Situation, source: Image, stranger: Image, *, id_reason: IdReason | None) -> Plan:
    same = ("owner", *FORMAT_FIELDS)
    if stranger.has_bytes and all(getattr(source, name) == getattr(stranger, name) for name in same):
        proof = prove_bytes(source, stranger, situation.record)
        if proof is Bytes.MATCH:
            return Plan(state=ReplicaState.WAITING, code=Code.ADOPTING, reason="an identical image was here before",
                        actions=(act.AdoptReplica(replica_id=stranger.id, id_reason=id_reason),))
        if proof is Bytes.UNPROVED:
            return Plan(state=ReplicaState.WAITING, code=Code.VERIFYING,
                        reason="an image was here before whose hash proves nothing",
                        actions=(act.CompareStranger(stranger_id=stranger.id),))
    return _conflict(situation, source, stranger)


def _conflict(situation: Situation, source: Image, stranger: Image) -> Plan:
    found = _describe(situation, source, stranger)
    what = [each.field for each in found.differences if each.field in ("owner", "status", "size", "bytes")]
    where = "its id" if stranger.id == situation.image_id else "its name"
    other = f", with another {' and '.join(what)}" if what else ""
    return Plan(state=ReplicaState.CONFLICT, code=Code.CONFLICT, conflict=found,
                reason=f"an image that this server did not make stands under {where}{other}; it is left alone until an "
                       "operator chooses")


def _describe(situation: Situation, source: Image, stranger: Image) -> Conflict:
    found = [FieldDifference(field=name, image=_plain(getattr(source, name)), replica=_plain(getattr(stranger, name)))
             for name in _PLAIN_FIELDS if getattr(source, name) != getattr(stranger, name)]
    if source.digest != stranger.digest:
        found.append(FieldDifference(field="os_hash", image=_hash(source.digest), replica=_hash(stranger.digest)))
    if prove_bytes(source, stranger, situation.record) is Bytes.DIFFER:
        found.append(FieldDifference(field="bytes", image="the image's", replica="others"))
    found += [FieldDifference(field=f"property {name}", image=source.properties.get(name),
                              replica=stranger.properties.get(name))
              for name in sorted({**source.properties, **stranger.properties})
              if source.properties.get(name) != stranger.properties.get(name)]
    return Conflict(stranger_id=stranger.id, differences=tuple(found))


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else value


def _hash(digest: Digest | None) -> str | None:
    return None if digest is None else f"{digest.algorithm}:{digest.value}"
