# SPDX-License-Identifier: Apache-2.0
"""How replicas of images that lie at external URLs get the same (pure). Called by plan.

    INSERT was hinted -> the cascading Glance shows its URLs -> POST /locations on the queued replica, with the image's
    hash -> its Glance reads and verifies it -> handed over as any replica
    refused, or not verified -> the bytes are copied, with the reason
    the URL is not the image's any more (DELETE) -> made again from the bytes, under a new id
"""
from __future__ import annotations

from glancesync.model.image import Image
from glancesync.model.location import Located, Registration, fingerprint
from glancesync.model.replica import ReplicaState
from glancesync.sync import actions as act
from glancesync.sync.codes import Code
from glancesync.sync.situation import Plan, Situation


def _choose_url(source: Image, found: Located | None) -> str | None:
    """The URL to register for a replica that has no bytes yet; None where the bytes are to be copied. Without a hash
    that Glance computed nobody could verify what lies at the URL."""
    if found is None or not found.urls or source.digest is None or source.hash_is_claim:
        return None
    url, before = found.urls[0], found.registration
    return None if before is not None and before.refused and before.fingerprint == fingerprint(url) else url


def find_registered(found: Located | None) -> Registration | None:
    """The registration by which the replica's bytes are (to be) those at a URL."""
    before = found.registration if found is not None else None
    return before if before is not None and before.refused is None else None


def find_withdrawn(found: Located | None) -> Registration | None:
    """The registration of a URL that is not the image's any more."""
    given = find_registered(found)
    if found is None or found.urls is None or given is None:
        return None
    return None if given.fingerprint in {fingerprint(url) for url in found.urls} else given


def how_located(found: Located | None) -> str:
    """How the replica got its bytes, for whoever said that the image lies at an external URL."""
    if found is None:
        return ""
    if find_registered(found) is not None:
        return "; they lie at its external URL"
    why = found.registration.refused if found.registration is not None else (
        "the cascading Glance shows no http or https URL of it, or no hash of its own")
    return f"; they were copied: {why}"


def bytes_action(situation: Situation, source: Image, replica_id: str) -> act.Action:
    """How the queued replica is to get its bytes."""
    url = _choose_url(source, situation.located)
    if url is not None and source.digest is not None:
        return act.RegisterLocation(replica_id=replica_id, url=url, digest=source.digest)
    return act.CopyBytes(replica_id=replica_id, size=source.size, digest=source.digest)


def plan_registering(situation: Situation, replica: Image) -> Plan | None:
    """For a replica without bytes whose Glance was given a URL; None for any other. Its Glance holds a lock on the
    image until it is done, however long it reads."""
    given = find_registered(situation.located)
    if given is None:
        return None
    if replica.locked:
        return Plan(state=ReplicaState.COPYING, code=Code.REGISTERING, delay_seconds=situation.wait_seconds,
                    reason="the region's Glance reads the image's external URL")
    if replica.status != "queued":
        return None
    refuse = act.RefuseLocation(fingerprint=given.fingerprint, reason=f"{situation.region} could not read the image's "
                                "URL, or found other bytes there")
    return Plan(state=ReplicaState.COPYING, code=Code.REGISTERING, reason=refuse.reason, actions=(refuse,))


def is_claimed(situation: Situation, replica: Image) -> bool:
    """Whether the hash is what we said when we registered a URL, and nobody read what lies there yet."""
    record = situation.record
    return replica.hash_is_claim and find_registered(situation.located) is not None and (
        record is None or record.verified_at is None)
