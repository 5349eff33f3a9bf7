# SPDX-License-Identifier: Apache-2.0
"""What is to be done with a replica that is usable unverified (pure). Called by plan.

    registered at the source's web server -> handed over, unverified (the operator opted in)
    copy-image into the region's own store, whose Glance hashes what it copies -> compared -> the http location goes
    other bytes -> replaced under a new id
"""
from __future__ import annotations

from glancesync.model.image import Image
from glancesync.model.replica import ReplicaState
from glancesync.sync import actions as act
from glancesync.sync.codes import Code
from glancesync.sync.diff import diff_images
from glancesync.sync.situation import UNSEEN_SECONDS, Plan, Situation
from glancesync.sync.update import plan_update

_WEB = "http"


def is_unverified(situation: Situation) -> bool:
    return situation.record is not None and situation.record.unverified_since is not None


def has_other_bytes(source: Image, replica: Image) -> bool:
    """Whether its Glance computed that already, from whichever store."""
    if source.size is not None and replica.size is not None and source.size != replica.size:
        return True
    return (source.digest is not None and replica.digest is not None
            and source.digest.algorithm == replica.digest.algorithm and source.digest != replica.digest)


def plan_unverified(situation: Situation, source: Image, replica: Image) -> Plan:
    """For one whose bytes nothing speaks against, of formats that are the image's."""
    difference = diff_images(source, replica)
    if difference:
        return Plan(state=ReplicaState.USABLE_UNVERIFIED, code=Code.UPDATING,
                    reason=f"differs in {', '.join(difference.names())}",
                    actions=plan_update(difference, source, replica, situation.service_project_id))
    away = tuple(store.id for store in situation.stores if store.kind == _WEB)
    homes = sorted((store for store in situation.stores if store.kind != _WEB), key=lambda each: not each.is_default)
    reason = "its bytes are served from the source's web server"
    if not homes or not away:
        return Plan(state=ReplicaState.USABLE_UNVERIFIED, code=Code.USABLE_UNVERIFIED, delay_seconds=UNSEEN_SECONDS,
                    reason=f"{reason}; {situation.region} does not tell of a store to bring them home to")
    return Plan(state=ReplicaState.USABLE_UNVERIFIED, code=Code.USABLE_UNVERIFIED, reason=reason,
                actions=(act.BringHome(replica_id=replica.id, home=homes[0].id, away=away),))
