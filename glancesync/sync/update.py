# SPDX-License-Identifier: Apache-2.0
"""How the differences between an image and its verified replica become actions, in an order that never widens access
before it narrows it (pure). Called by plan."""
from __future__ import annotations

from dataclasses import replace as changed

from glancesync.model.image import Image, ImageChanges
from glancesync.sync import actions as act
from glancesync.sync.diff import Difference, patch_for

#: Who reaches an image: the more the higher.
_REACH = {"private": 0, "shared": 1, "community": 2, "public": 3}
_ACCESS_FIELDS = ("owner", "visibility")


def plan_update(difference: Difference, source: Image, replica: Image,
                   service_project_id: str) -> tuple[act.Action, ...]:
    found: list[act.Action] = [act.RemoveMember(replica_id=replica.id, member_id=member_id)
                               for member_id in difference.members.remove]
    if difference.deactivate:
        found.append(act.Deactivate(replica_id=replica.id))
    members = [*difference.members.add, *difference.members.change]
    protect_last = bool(members) and difference.fields.get("protected") is True
    changes = patch_for(difference, without=frozenset({"protected"}) if protect_last else frozenset())
    access = ImageChanges(fields={name: changes.fields[name] for name in _ACCESS_FIELDS if name in changes.fields})
    if _takes_access(source, replica, service_project_id) and changes != access:
        found.append(act.UpdateReplica(replica_id=replica.id, changes=access))
        changes = changed(changes, fields={name: value for name, value in changes.fields.items()
                                           if name not in _ACCESS_FIELDS})
    if changes:
        found.append(act.UpdateReplica(replica_id=replica.id, changes=changes))
    added = {member.member_id for member in difference.members.add}
    found.extend(act.SetMember(replica_id=replica.id, member_id=member.member_id, status=member.status,
                               add=member.member_id in added) for member in members)
    if protect_last:
        found.append(act.UpdateReplica(replica_id=replica.id, changes=ImageChanges(fields={"protected": True})))
    if difference.reactivate:
        found.append(act.Reactivate(replica_id=replica.id))
    return tuple(found)


def _takes_access(source: Image, replica: Image, service_project_id: str) -> bool:
    """Whether somebody reaches the replica who does not reach the image."""
    return (_REACH[source.visibility] < _REACH[replica.visibility]
            or replica.owner not in (source.owner, service_project_id))
