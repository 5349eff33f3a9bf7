# SPDX-License-Identifier: Apache-2.0
"""What becomes of an image that stands in a replica's way, case by case."""
from __future__ import annotations

from dataclasses import replace

import pytest

from glancesync.model.image import Digest, Image
from glancesync.model.replica import ConflictChoice, IdReason, Origin, ReplicaRecord, StrangerBytes
from glancesync.sync.plan import plan_replica
from glancesync.sync.situation import Situation
from glancesync.sync.stranger import by_likeness, is_namesake

IMAGE_ID = "0b0a7ad1-0000-4000-8000-000000000001"
OTHER_ID = "0b0a7ad1-0000-4000-8000-000000000002"
NEW_ID = "0b0a7ad1-0000-4000-8000-000000000003"
SERVICE = "service-project"
GOOD, BAD = Digest(algorithm="sha512", value="aa"), Digest(algorithm="sha512", value="bb")
SHA256 = Digest(algorithm="sha256", value="cc")
SOURCE = Image(id=IMAGE_ID, status="active", name="cirros", owner="demo", disk_format="raw", container_format="bare",
               size=10, digest=GOOD, checksum="md5", properties={"os": "linux"})
TWIN = replace(SOURCE, id=OTHER_ID)
CLAIMED = replace(SOURCE, checksum=None, hash_is_claim=True)
UNKNOWN = ReplicaRecord(image_id=IMAGE_ID, region="RegionTwo")
ADOPTED = replace(UNKNOWN, replica_id=IMAGE_ID, origin=Origin.ADOPTED)


def known(bytes_=None, choice=None, stranger=IMAGE_ID, **fields):
    return replace(UNKNOWN, stranger_id=stranger, stranger_bytes=bytes_, choice=choice, **fields)


def plan(**changes):
    given = {"image_id": IMAGE_ID, "region": "RegionTwo", "source": SOURCE, "replica": None, "record": UNKNOWN,
             "removal": None, "wanted": True, "now": 1000.0, "service_project_id": SERVICE}
    return plan_replica(Situation(**{**given, **changes}))


MATCH, DIFFER = StrangerBytes.MATCH, StrangerBytes.DIFFER
SKIP, REPLACE, BESIDE = ConflictChoice.SKIP, ConflictChoice.REPLACE, ConflictChoice.NEW_ID
OURS = replace(UNKNOWN, replica_id=NEW_ID, origin=Origin.CREATED)
FRESH = replace(SOURCE, id=NEW_ID, owner=SERVICE, os_hidden=True)

CASES = [
    # the same id
    ("same owner, hashes by Glance", {"replica": SOURCE}, ["AdoptReplica"], "adopting"),
    ("its hash is a claim", {"replica": CLAIMED}, ["CompareStranger"], "verifying"),
    ("the image's own hash is a claim", {"source": CLAIMED, "replica": SOURCE}, ["CompareStranger"], "verifying"),
    ("no hash", {"replica": replace(SOURCE, digest=None)}, ["CompareStranger"], "verifying"),
    ("another algorithm", {"replica": replace(SOURCE, digest=SHA256)}, ["CompareStranger"], "verifying"),
    ("a claim that reading bore out", {"replica": CLAIMED, "record": known(MATCH)}, ["AdoptReplica"], "adopting"),
    ("a claim that reading refuted", {"replica": CLAIMED, "record": known(DIFFER)}, [], "conflict"),
    ("what was read was another image", {"replica": CLAIMED, "record": known(MATCH, stranger=OTHER_ID)},
     ["CompareStranger"], "verifying"),
    ("another owner", {"replica": replace(SOURCE, owner="rival")}, [], "conflict"),
    ("another owner, though the bytes were read", {"replica": replace(SOURCE, owner="rival"), "record": known(MATCH)},
     [], "conflict"),
    ("other bytes", {"replica": replace(SOURCE, digest=BAD)}, [], "conflict"),
    ("another claim", {"replica": replace(CLAIMED, digest=BAD)}, [], "conflict"),
    ("another size", {"replica": replace(SOURCE, size=11)}, [], "conflict"),
    ("another format", {"replica": replace(SOURCE, disk_format="qcow2")}, [], "conflict"),
    ("no bytes yet", {"replica": replace(SOURCE, status="queued")}, [], "conflict"),
    ("left out", {"replica": replace(SOURCE, digest=BAD), "record": known(choice=SKIP)}, [], "conflict_skipped"),
    ("left out, and gone by now", {"record": known(choice=SKIP)}, [], "conflict_skipped"),
    ("beside it", {"replica": replace(SOURCE, digest=BAD), "record": known(choice=BESIDE)}, ["TakeNewId"],
     "making_way"),
    ("instead of it", {"replica": replace(SOURCE, digest=BAD), "record": known(choice=REPLACE)}, ["TakeNewId"],
     "making_way"),
    ("a choice about another image", {"replica": replace(SOURCE, digest=BAD),
                                      "record": known(choice=REPLACE, stranger=OTHER_ID)}, [], "conflict"),
    # the same name
    ("a namesake", {"stranger": TWIN}, [], "conflict"),
    ("a namesake, adopted by hash", {"stranger": TWIN, "adopt_by_hash": True}, ["AdoptReplica"], "adopting"),
    ("a namesake's claim", {"stranger": replace(CLAIMED, id=OTHER_ID), "adopt_by_hash": True}, ["CompareStranger"],
     "verifying"),
    ("a namesake's claim, borne out", {"stranger": replace(CLAIMED, id=OTHER_ID), "adopt_by_hash": True,
                                       "record": known(MATCH, stranger=OTHER_ID)}, ["AdoptReplica"], "adopting"),
    ("a namesake's claim, refuted", {"stranger": replace(CLAIMED, id=OTHER_ID), "adopt_by_hash": True,
                                     "record": known(DIFFER, stranger=OTHER_ID)}, [], "conflict"),
    ("a namesake with another hash", {"stranger": replace(TWIN, digest=BAD), "adopt_by_hash": True}, [], "conflict"),
    ("a namesake without a hash", {"stranger": replace(TWIN, digest=None), "adopt_by_hash": True}, [], "conflict"),
    ("a namesake of another format", {"stranger": replace(TWIN, disk_format="iso"), "adopt_by_hash": True}, [],
     "conflict"),
    ("beside a namesake", {"record": known(choice=BESIDE, stranger=OTHER_ID)}, ["CreateReplica", "CopyBytes"],
     "creating"),
    ("instead of a namesake: made first", {"stranger": TWIN, "record": known(choice=REPLACE, stranger=OTHER_ID)},
     ["CreateReplica", "CopyBytes"], "creating"),
    ("instead of it: the verified replica is ready, then it goes",
     {"replica": FRESH, "stranger": TWIN, "record": replace(OURS, choice=REPLACE, stranger_id=OTHER_ID)},
     ["DeleteReplica"], "replacing"),
    ("instead of it: not verified yet, so it stays",
     {"replica": replace(FRESH, digest=None), "stranger": TWIN,
      "record": replace(OURS, choice=REPLACE, stranger_id=OTHER_ID)}, ["VerifyByReading"], "verifying"),
    ("instead of it: handed over after it went",
     {"replica": FRESH, "record": replace(OURS, choice=REPLACE, stranger_id=OTHER_ID)}, ["UpdateReplica"], "updating"),
    # adopted before, and no longer fit
    ("adopted, another format by now", {"replica": replace(SOURCE, disk_format="iso"), "record": ADOPTED}, [],
     "adopted_differs"),
    ("adopted, may be deleted", {"replica": replace(SOURCE, disk_format="iso"), "record": ADOPTED,
                                 "delete_adopted": True}, ["DeleteReplica", "TakeNewId"], "format_differs"),
    ("adopted and rotten", {"replica": SOURCE, "record": replace(ADOPTED, rotten_at=1.0)}, ["Deactivate"],
     "adopted_differs"),
    ("adopted, rotten and hidden", {"replica": replace(SOURCE, status="deactivated"),
                                    "record": replace(ADOPTED, rotten_at=1.0)}, [], "adopted_differs"),
    ("adopted and rotten, an operator chose", {
        "replica": replace(SOURCE, status="deactivated"),
        "record": replace(ADOPTED, rotten_at=1.0, choice=REPLACE, stranger_id=IMAGE_ID)}, ["TakeNewId"],
     "making_way"),
    # created and rotten
    ("rotten", {"replica": SOURCE, "record": replace(ADOPTED, origin=Origin.CREATED, rotten_at=1.0)},
     ["Deactivate", "DeleteReplica", "TakeNewId"], "rotten"),
    ("to be scrubbed", {"replica": SOURCE, "record": replace(ADOPTED, scrub_wanted=True)}, ["ScrubReplica"],
     "scrubbing"),
    ("to be scrubbed, but first updated", {"replica": replace(SOURCE, name="x"),
                                           "record": replace(ADOPTED, scrub_wanted=True)}, ["UpdateReplica"],
     "updating"),
]


@pytest.mark.parametrize(("changes", "actions", "code"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_plan(changes, actions, code):
    made = plan(**changes)
    assert ([type(action).__name__ for action in made.actions], made.code) == (actions, code)


def test_nothing_of_a_stranger_is_touched_unasked():
    """Without a choice no plan updates, deletes or deactivates an image that is not ours."""
    for changes in (case[1] for case in CASES):
        record = changes.get("record", UNKNOWN)
        if record.origin is None and record.choice is None:
            for action in plan(**changes).actions:
                assert type(action).__name__ in ("AdoptReplica", "CompareStranger", "CreateReplica", "CopyBytes")


def test_an_adopted_namesake_keeps_its_id_with_a_reason():
    [action] = plan(stranger=TWIN, adopt_by_hash=True).actions
    assert (action.replica_id, action.id_reason) == (OTHER_ID, IdReason.ADOPTED)
    [action] = plan(replica=SOURCE).actions
    assert (action.replica_id, action.id_reason) == (IMAGE_ID, None)


def test_a_conflict_lists_what_differs():
    stranger = replace(SOURCE, owner="rival", size=11, digest=BAD, tags=frozenset({"b", "a"}), properties={"x": "1"})
    conflict = plan(replica=stranger).conflict
    assert conflict.stranger_id == IMAGE_ID
    assert {each.field: (each.image, each.replica) for each in conflict.differences} == {
        "owner": ("demo", "rival"), "size": (10, 11), "tags": ([], ["a", "b"]), "os_hash": ("sha512:aa", "sha512:bb"),
        "bytes": ("the image's", "others"), "property os": ("linux", None), "property x": (None, "1")}


def test_a_namesake_that_is_the_same_differs_in_its_id_alone():
    assert [each.field for each in plan(stranger=TWIN).conflict.differences] == ["id"]


@pytest.mark.parametrize(("changes", "expected"), [
    ({}, True), ({"name": "Cirros"}, False), ({"owner": "rival"}, False), ({"os_hidden": True}, False),
    ({"status": "queued"}, False), ({"status": "deactivated"}, True), ({"id": IMAGE_ID}, False)])
def test_who_is_a_namesake(changes, expected):
    assert is_namesake(SOURCE, replace(TWIN, **changes)) is expected


def test_images_without_a_name_have_no_namesakes():
    for name in (None, ""):
        assert not is_namesake(replace(SOURCE, name=name), replace(TWIN, name=name))


def test_the_likest_comes_first():
    other = replace(TWIN, id="0", digest=BAD)
    assert by_likeness(SOURCE, [other, TWIN]) == [TWIN, other]
