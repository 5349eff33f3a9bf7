# SPDX-License-Identifier: Apache-2.0
"""Where others were before us, or change replicas behind our back; and what a comparison alone has to find."""
from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable

import pytest
from keystoneauth1.session import Session

from glancesync.lab.cloud import Lab
from glancesync.lab.server import SyncServer
from tests.fixtures.images import ImagesOf
from tests.fixtures.main_job import MainJob, counterparts, lose_outbox

pytestmark = pytest.mark.lab


def test_what_was_there_before_is_adopted_or_left_alone(job: MainJob, images: ImagesOf,
                                                        project_ids: dict[str, str]) -> None:
    """In RegionTwo somebody else's image has the id, in RegionThree the same owner's same bytes."""
    image_id, data = str(uuid.uuid4()), secrets.token_bytes(70000)
    stranger = images("rival", "RegionTwo").create("mine", secrets.token_bytes(70000), id=image_id, os_distro="own")
    images("demo", "RegionThree").create("older name", data, id=image_id, protected=True, old="property")
    ours = images("demo")
    ours.create("the image", data, id=image_id, os_distro="debian")
    conflict = job.wait_for(image_id, "conflict", code="conflict", regions=["RegionTwo"])["RegionTwo"]
    assert "owner" in conflict["reason"]
    adopted = job.wait_for(image_id, regions=["RegionThree"])["RegionThree"]
    assert (adopted["origin"], adopted["replica_id"]) == ("adopted", image_id)
    assert adopted["digest"]["value"] == ours.get(image_id)["os_hash_value"]
    job.converge(expected=[f"{image_id} (the image) in RegionTwo"])

    ours.set(image_id, name="renamed")
    job.converge(expected=[f"{image_id} (renamed) in RegionTwo"])
    ours.delete(image_id)
    kept = job.wait_for(image_id, "source_missing")
    assert {region: view["reason_code"] for region, view in kept.items()} == {
        "RegionTwo": "not_ours", "RegionThree": "adopted_kept"}
    assert images("admin", "RegionTwo").get(image_id) == stranger
    assert images("demo", "RegionThree").get(image_id)["name"] == "renamed"


def test_a_conflict_that_was_cleared_away_ends(job: MainJob, images: ImagesOf) -> None:
    """The same owner's image with other bytes is no replica either. Its id is burned when it is deleted."""
    image_id = str(uuid.uuid4())
    images("demo", "RegionTwo").create("the image", secrets.token_bytes(1000), id=image_id)
    images("demo").create("the image", secrets.token_bytes(1000), id=image_id)
    job.wait_for(image_id, "conflict", regions=["RegionTwo"])
    job.wait_for(image_id, regions=["RegionThree"])
    images("demo", "RegionTwo").delete(image_id)
    job.sync(image_id)
    views = job.wait_for(image_id)
    assert views["RegionTwo"]["id_reason"] == "id_burned"
    assert views["RegionTwo"]["replica_id"] != image_id == views["RegionThree"]["replica_id"]
    job.converge()


def test_a_replica_that_somebody_deleted_comes_back_under_a_new_id(job: MainJob, images: ImagesOf,
                                                                   session_of: Callable[[str], Session]) -> None:
    ours = images("demo")
    image_id = ours.create("restored", secrets.token_bytes(70000))["id"]
    job.wait_for(image_id)
    job.converge()
    images("demo", "RegionTwo").delete(image_id)
    images("demo", "RegionThree").set(image_id, name="scribbled", surprise="x")
    planned = job.call("POST", "/v1/sync", json={"image_ids": [image_id], "dry_run": True})["plan"]
    assert {plan["region"]: plan["actions"][0]["action"] for plan in planned} == {
        "RegionTwo": "CreateReplica", "RegionThree": "UpdateReplica"}
    assert images("demo", "RegionThree").get(image_id)["name"] == "scribbled"
    job.sync()
    job.converge()
    view = job.wait_for(image_id)["RegionTwo"]
    assert view["id_reason"] == "id_burned"
    assert view["replica_id"] != image_id
    for asked in (image_id, view["replica_id"]):
        answer = job.call("GET", f"/v1/images/{asked}", session=session_of("demo"))["image"]
        assert (answer["id"], answer["name"]) == (image_id, "restored")
    ours.set(image_id, name="restored and renamed")
    job.converge()
    assert images("demo", "RegionTwo").get(view["replica_id"])["name"] == "restored and renamed"
    ours.delete(image_id)
    job.wait_for(image_id, "deleted")
    assert not any(counterparts(job.lab, images, image_id, {(image_id, "RegionTwo"): view["replica_id"]}).values())
    job.converge()


def test_a_comparison_finds_what_happened_while_the_server_was_down(job: MainJob, lab: Lab, sync_server: SyncServer,
                                                                    images: ImagesOf,
                                                                    project_ids: dict[str, str]) -> None:
    """With the outbox lost, so that nothing else can know of it. What is surplus is reported and stays."""
    ours = images("demo")
    renamed, shared, switched, removed = (
        ours.create(name, secrets.token_bytes(1000), visibility="shared")["id"] for name in "abcd")
    for image_id in (renamed, shared, switched, removed):
        job.wait_for(image_id)
    sync_server.stop()
    ours.set(renamed, name="renamed", tags=["new"])
    ours.add_member(shared, project_ids["rival"])
    images("admin").deactivate(switched)
    ours.delete(removed)
    images("admin", "RegionThree").set(renamed, os_hidden=True)
    new = ours.create("new", secrets.token_bytes(1000), os_hidden=True)["id"]
    lose_outbox(lab)
    sync_server.bring_up()

    job.converge(expected=[f"{removed} (d)"])
    for image_id in (renamed, shared, switched, new):
        job.wait_for(image_id)
        assert {task["trigger"] for task in job.tasks(image_id).values()} == {"reconcile"}
    job.wait_for(removed, "source_missing", code="source_missing")
    job.sync()
    job.wait_for(removed, "source_missing", code="source_missing")
    assert all(counterparts(lab, images, removed).values())
