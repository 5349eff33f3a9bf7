# SPDX-License-Identifier: Apache-2.0
"""The decisions, case by case."""
from __future__ import annotations

from dataclasses import replace

import pytest

from glancesync.conf.image_rules import parse_rules
from glancesync.model.image import Digest, Image, Member
from glancesync.model.replica import IdReason, Origin, Removal, ReplicaRecord, ReplicaState
from glancesync.sync import actions as act
from glancesync.sync.codes import Code
from glancesync.sync.guard import Trust
from glancesync.sync.obstacles import Obstacle
from glancesync.sync.plan import plan_replica
from glancesync.sync.situation import Situation

IMAGE_ID = "0b0a7ad1-0000-4000-8000-000000000001"
OTHER_ID = "0b0a7ad1-0000-4000-8000-000000000002"
SERVICE = "service-project"
GOOD = Digest(algorithm="sha512", value="aa")
BAD = Digest(algorithm="sha512", value="bb")

SOURCE = Image(id=IMAGE_ID, status="active", name="cirros", owner="demo", visibility="private", disk_format="raw",
               container_format="bare", min_disk=1, min_ram=64, tags=frozenset({"t"}), properties={"os": "linux"},
               size=10, digest=GOOD, updated_at=900.0)
#: As this server creates it, filled and not yet handed over.
FRESH = replace(SOURCE, owner=SERVICE, os_hidden=True)
RECORD = ReplicaRecord(image_id=IMAGE_ID, region="RegionTwo", replica_id=IMAGE_ID, origin=Origin.CREATED)
INTENDED = replace(RECORD, origin=Origin.INTENDED)
FULL = Obstacle(code=Code.STORE_SPACE_SHORT, reason="no room")
PRIVATE_ONES = parse_rules("visibility=private")
REMOVAL = Removal(image_id=IMAGE_ID, removed_at=950.0, event_id="e")


def situation(**changes):
    given = {"image_id": IMAGE_ID, "region": "RegionTwo", "source": SOURCE, "replica": None, "record": None,
             "removal": None, "wanted": True, "now": 1000.0, "service_project_id": SERVICE}
    return Situation(**{**given, **changes})


def names(plan):
    return [type(action).__name__ for action in plan.actions]


CASES = [
    ("nothing there", {}, ["CreateReplica", "CopyBytes"], "creating"),
    ("in sync", {"replica": SOURCE, "record": RECORD}, [], "in_sync"),
    ("verified, not handed over", {"replica": FRESH, "record": RECORD}, ["UpdateReplica"], "updating"),
    ("the answer to create was lost", {"replica": FRESH, "record": INTENDED}, ["UpdateReplica"], "updating"),
    ("intended, but somebody else's stands there", {"replica": replace(SOURCE, digest=BAD), "record": INTENDED},
     [], "conflict"),
    ("created and queued", {"replica": replace(FRESH, status="queued", size=None, digest=None), "record": RECORD},
     ["CopyBytes"], "copying"),
    ("queued but within reach", {"replica": replace(SOURCE, status="queued", size=None, digest=None), "record": RECORD},
     ["UpdateReplica", "CopyBytes"], "copying"),
    ("saving", {"replica": replace(FRESH, status="saving"), "record": replace(RECORD, saving_since=950.0)},
     [], "replica_saving"),
    ("saving for too long", {"replica": replace(FRESH, status="saving"), "record": replace(RECORD, saving_since=800.0)},
     ["DeleteReplica", "TakeNewId"], "stuck_saving"),
    ("the region would not take it", {"obstacle": FULL}, [], "store_space_short"),
    ("the region would not take its bytes",
     {"replica": replace(FRESH, status="queued", size=None, digest=None), "record": RECORD, "obstacle": FULL}, [],
     "store_space_short"),
    ("it has its bytes already", {"replica": SOURCE, "record": RECORD, "obstacle": FULL}, [], "in_sync"),
    ("fetched by its Glance", {"source": replace(SOURCE, size=10 ** 9), "record": replace(RECORD, saving_since=800.0),
                               "replica": replace(FRESH, status="importing", locked=True)}, [], "replica_saving"),
    ("fetched for too long", {"source": replace(SOURCE, size=10 ** 8), "record": replace(RECORD, saving_since=800.0),
                              "replica": replace(FRESH, status="importing", locked=True)},
     ["DeleteReplica", "TakeNewId"], "stuck_saving"),
    ("its Glance died with the file it was given", {
        "source": replace(SOURCE, size=10 ** 8), "record": replace(RECORD, saving_since=800.0),
        "replica": replace(FRESH, status="queued", size=None, digest=None, locked=True)},
     ["DeleteReplica", "TakeNewId"], "stuck_saving"),
    ("its Glance reads the file it was given", {
        "source": replace(SOURCE, size=10 ** 9), "record": replace(RECORD, saving_since=800.0),
        "replica": replace(FRESH, status="queued", size=None, digest=None, locked=True)}, ["CopyBytes"], "copying"),
    ("other bytes, ours", {"replica": replace(SOURCE, digest=BAD), "record": RECORD},
     ["DeleteReplica", "TakeNewId"], "bytes_differ"),
    ("other size, ours, protected", {"replica": replace(SOURCE, size=11, protected=True), "record": RECORD},
     ["DeleteReplica", "TakeNewId"], "bytes_differ"),
    ("other format, ours", {"replica": replace(SOURCE, disk_format="qcow2"), "record": RECORD},
     ["DeleteReplica", "TakeNewId"], "format_differs"),
    ("incomparable hashes", {"replica": replace(SOURCE, digest=Digest(algorithm="sha256", value="cc")),
                             "record": RECORD}, ["VerifyByReading"], "verifying"),
    ("incomparable, but verified when copied",
     {"replica": replace(SOURCE, digest=Digest(algorithm="sha256", value="cc")),
      "record": replace(RECORD, digest=Digest(algorithm="sha256", value="cc"), size=10)}, [], "in_sync"),
    ("incomparable, and known to be wrong",
     {"replica": replace(SOURCE, digest=Digest(algorithm="sha256", value="cc")),
      "record": replace(RECORD, digest=Digest(algorithm="sha256", value="dd"), size=10)},
     ["DeleteReplica", "TakeNewId"], "bytes_differ"),
    ("identical stranger", {"replica": SOURCE}, ["AdoptReplica"], "adopting"),
    ("stranger of another owner", {"replica": replace(SOURCE, owner="rival")}, [], "conflict"),
    ("stranger with other bytes", {"replica": replace(SOURCE, digest=BAD)}, [], "conflict"),
    ("stranger without comparable hash", {"replica": replace(SOURCE, digest=None)}, ["CompareStranger"], "verifying"),
    ("queued stranger", {"replica": replace(SOURCE, status="queued")}, [], "conflict"),
    ("source queued", {"source": replace(SOURCE, status="queued")}, [], "source_not_ready"),
    ("source importing", {"source": replace(SOURCE, importing=True)}, [], "source_not_ready"),
    ("import died with its Glance", {"source": replace(SOURCE, importing=True), "now": 900.0 + 3600},
     ["CreateReplica", "CopyBytes"], "creating"),
    ("importing, replica not filled", {"source": replace(SOURCE, importing=True), "record": RECORD,
                                       "replica": replace(FRESH, status="queued")}, [], "source_not_ready"),
    ("importing, to be deactivated", {"source": replace(SOURCE, importing=True, status="deactivated"),
                                      "replica": SOURCE, "record": RECORD}, ["Deactivate"], "updating"),
    ("importing, private again", {"source": replace(SOURCE, importing=True), "record": RECORD,
                                  "replica": replace(SOURCE, visibility="public")}, ["UpdateReplica"], "updating"),
    ("importing, a member leaves",
     {"source": replace(SOURCE, importing=True, visibility="shared", members=()), "record": RECORD,
      "replica": replace(SOURCE, visibility="shared", members=(Member(member_id="m", status="accepted"),))},
     ["RemoveMember"], "updating"),
    ("region not seen whole", {"unseen": "it is not"}, [], "region_not_seen_whole"),
    ("region not seen whole, replica not shown", {"unseen": "it is not", "record": RECORD}, [],
     "region_not_seen_whole"),
    ("region not seen whole, stranger shown", {"unseen": "it is not", "replica": SOURCE,
                                               "record": replace(RECORD, replica_id=OTHER_ID)}, [],
     "region_not_seen_whole"),
    ("region not seen whole, source gone", {"unseen": "it is not", "source": None, "record": RECORD,
                                            "removal": REMOVAL}, [], "region_not_seen_whole"),
    ("identical, but another image's replica", {"replica": SOURCE, "taken": True}, [], "conflict"),
    ("not selected", {"wanted": False}, [], "not_selected"),
    ("transient", {"source": replace(SOURCE, properties={"scratch": "1"}), "transient_property": "scratch"},
     [], "transient"),
    ("a rule leaves it alone", {"leave_alone": PRIVATE_ONES}, [], "left_alone"),
    ("a rule about others", {"leave_alone": parse_rules("visibility=public")},
     ["CreateReplica", "CopyBytes"], "creating"),
    ("a rule, and no bytes there yet", {"leave_alone": PRIVATE_ONES, "record": RECORD, "replica": replace(
        FRESH, status="queued", size=None, digest=None)}, [], "left_alone"),
    ("a rule, and a stranger", {"leave_alone": PRIVATE_ONES, "replica": SOURCE}, [], "left_alone"),
    ("a rule that an image meets by becoming private", {
        "leave_alone": PRIVATE_ONES, "record": RECORD, "replica": replace(SOURCE, visibility="public")},
     ["UpdateReplica"], "updating"),
    ("a rule, and the image is gone", {"leave_alone": PRIVATE_ONES, "source": None, "replica": SOURCE,
                                       "record": RECORD, "removal": REMOVAL}, ["DeleteReplica"], "deleting"),
    ("source gone, removal proved", {"source": None, "replica": SOURCE, "record": RECORD, "removal": REMOVAL},
     ["DeleteReplica"], "deleting"),
    ("source gone, removal proved, protected",
     {"source": None, "replica": replace(SOURCE, protected=True), "record": RECORD, "removal": REMOVAL},
     ["DeleteReplica"], "deleting"),
    ("source gone without proof", {"source": None, "replica": SOURCE, "record": RECORD}, [], "source_missing"),
    ("source gone, adopted", {"source": None, "replica": SOURCE, "record": replace(RECORD, origin=Origin.ADOPTED),
                              "removal": REMOVAL}, [], "adopted_kept"),
    ("source gone, stranger", {"source": None, "replica": SOURCE, "removal": REMOVAL}, [], "not_ours"),
    ("source gone, adopted, opted in",
     {"source": None, "replica": SOURCE, "record": replace(RECORD, origin=Origin.ADOPTED), "removal": REMOVAL,
      "delete_adopted": True}, ["DeleteReplica"], "deleting"),
    ("source gone, missed once", {"source": None, "replica": SOURCE, "record": replace(RECORD, missing_since=1.0)},
     [], "source_missing"),
    ("source gone, missed twice", {"source": None, "replica": SOURCE, "record": replace(
        RECORD, missing_since=1.0, missing_confirmed_at=900.0)}, ["DeleteReplica"], "deleting"),
    ("removal proved, source not believed", {"source": None, "replica": SOURCE, "record": RECORD, "removal": REMOVAL,
                                             "trust": Trust(problem_code="canary_missing", problem="it is not")},
     [], "canary_missing"),
    ("removal proved, brake holds", {"source": None, "replica": SOURCE, "record": RECORD, "removal": REMOVAL,
                                     "trust": Trust(latch="too many")}, [], "deletions_held"),
    ("restored too often", {"record": replace(RECORD, restores=6)}, [], "contested"),
    ("restored often", {"record": replace(RECORD, restores=5)}, ["CreateReplica", "CopyBytes"], "creating"),
    ("both gone, no proof", {"source": None, "record": RECORD}, [], "source_missing"),
    ("both gone, but who looks is shown too little", {
        "source": None, "record": RECORD, "removal": REMOVAL,
        "trust": Trust(problem_code="canary_missing", problem="it is not")}, [], "canary_missing"),
    ("both gone", {"source": None, "record": RECORD, "removal": REMOVAL}, [], "deleted"),
    ("deactivated before it is handed over", {"source": replace(SOURCE, status="deactivated"), "replica": FRESH,
                                              "record": RECORD}, ["Deactivate", "UpdateReplica"], "updating"),
    ("reactivated last", {"replica": replace(SOURCE, status="deactivated", name="old"), "record": RECORD},
     ["UpdateReplica", "Reactivate"], "updating"),
]


@pytest.mark.parametrize(("changes", "actions", "code"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_plan(changes, actions, code):
    plan = plan_replica(situation(**changes))
    assert (names(plan), plan.code) == (actions, code)


def test_created_replica_is_out_of_reach_and_complete():
    create, copy = plan_replica(situation()).actions
    assert (create.new.owner, create.new.visibility, create.new.os_hidden, create.new.protected) == (
        SERVICE, "private", True, False)
    assert (create.new.id, create.new.properties, create.new.tags) == (IMAGE_ID, SOURCE.properties, SOURCE.tags)
    assert (copy.size, copy.digest) == (SOURCE.size, SOURCE.digest)


def test_new_id_of_the_mapping_is_used():
    create, _ = plan_replica(situation(record=replace(RECORD, replica_id=OTHER_ID, origin=Origin.INTENDED,
                                                      id_reason=IdReason.ID_BURNED))).actions
    assert create.new.id == OTHER_ID


def test_members_follow_the_owner_and_protection_comes_last():
    source = replace(SOURCE, visibility="shared", protected=True,
                     members=(Member(member_id="rival", status="accepted"),))
    plan = plan_replica(situation(source=source, replica=FRESH, record=RECORD))
    assert names(plan) == ["UpdateReplica", "SetMember", "UpdateReplica"]
    assert "protected" not in plan.actions[0].changes.fields
    assert plan.actions[2].changes.fields == {"protected": True}


def test_members_leave_before_the_image_stops_being_shared():
    replica = replace(SOURCE, visibility="shared", members=(Member(member_id="rival", status="accepted"),))
    plan = plan_replica(situation(replica=replica, record=RECORD))
    assert names(plan) == ["RemoveMember", "UpdateReplica"]


@pytest.mark.parametrize(("source", "replica", "first"), [
    ({"visibility": "private"}, {"visibility": "public"}, {"visibility": "private"}),
    ({"visibility": "shared"}, {"visibility": "community"}, {"visibility": "shared"}),
    ({"owner": "demo"}, {"owner": "rival"}, {"owner": "demo"}),
    ({"owner": "demo", "visibility": "public"}, {"owner": "rival"}, {"owner": "demo", "visibility": "public"}),
])
def test_what_takes_access_away_does_not_hang_on_anything_else(source, replica, first):
    """A region may refuse the rest for ever: it has a quota on properties and rules for them."""
    source = replace(SOURCE, properties={"os": "linux", "new": "1"}, name="new", **source)
    plan = plan_replica(situation(source=source, replica=replace(SOURCE, **replica), record=RECORD))
    access, rest = plan.actions
    assert (access.changes.fields, access.changes.set_properties) == (first, {})
    assert (rest.changes.fields, rest.changes.set_properties) == ({"name": "new"}, {"new": "1"})


def test_what_gives_access_or_takes_nothing_else_is_one_update():
    wider = replace(SOURCE, visibility="public", name="new")
    assert names(plan_replica(situation(source=wider, replica=SOURCE, record=RECORD))) == ["UpdateReplica"]
    handed_over = replace(SOURCE, protected=True, name="new")
    assert names(plan_replica(situation(source=handed_over, replica=FRESH, record=RECORD))) == ["UpdateReplica"]
    narrower = replace(SOURCE, visibility="public")
    assert names(plan_replica(situation(replica=narrower, record=RECORD))) == ["UpdateReplica"]


def test_nothing_widens_access_before_bytes_are_proved():
    """Whatever state a replica of ours is in, owner, visibility and members come only with matching bytes."""
    for replica in (None, replace(FRESH, status="queued"), replace(FRESH, status="saving"), replace(FRESH, digest=BAD),
                    replace(FRESH, digest=None)):
        plan = plan_replica(situation(replica=replica, record=RECORD))
        for action in plan.actions:
            assert not isinstance(action, act.SetMember | act.Reactivate)
            if isinstance(action, act.UpdateReplica):
                assert action.changes.fields.get("owner") in (None, SERVICE)
                assert action.changes.fields.get("visibility") in (None, "private")


def test_an_abandoned_source_is_looked_at_more_and_more_rarely():
    young = plan_replica(situation(source=replace(SOURCE, status="queued", updated_at=990.0)))
    old = plan_replica(situation(source=replace(SOURCE, status="queued", updated_at=0.0), now=86400.0))
    assert (young.delay_seconds, old.delay_seconds) == (60, 43200)
    assert young.state is ReplicaState.WAITING
