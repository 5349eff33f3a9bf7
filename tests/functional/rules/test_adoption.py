# SPDX-License-Identifier: Apache-2.0
"""Images that were in a cascaded region before: which are taken over, what becomes of the others, and who decides."""
from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from keystoneauth1 import exceptions

from glancesync.lab.cloud import Lab
from glancesync.lab.images import Record
from glancesync.lab.server import SyncServer
from tests.fixtures.images import ImagesOf
from tests.fixtures.trusting import Trusting, change_row, manage, options

pytestmark = pytest.mark.lab
TWO = "RegionTwo"
DATA, OTHER = b"the image's own bytes" * 100, b"the bytes of another!" * 100


def put_before(images: ImagesOf, data: bytes = DATA, *, user: str = "demo", name: str = "image",
               image_id: str | None = None) -> Record:
    """An image in the cascaded region that this server never made."""
    return images(user, TWO).create(name, data, id=image_id or str(uuid.uuid4()), was="here before")


def put_source(images: ImagesOf, image_id: str, name: str = "image") -> str:
    return str(images("demo").create(name, DATA, id=image_id)["id"])


def claim_hash(lab: Lab, images: ImagesOf, image_id: str) -> None:
    """The record says of its bytes what a client claimed when it registered a location: Glance computed no md5."""
    value = images("demo").create("only for its hash", DATA)["os_hash_value"]
    change_row(lab.glances[TWO], image_id, f"checksum = NULL, os_hash_value = '{value}'")


def test_only_the_same_id_owner_and_bytes_are_adopted(trusting: Trusting, images: ImagesOf, lab: Lab) -> None:
    same, rivals, others = put_before(images), put_before(images, user="rival"), put_before(images, OTHER)
    true, false = put_before(images), put_before(images, OTHER)
    for claimed in (true, false):
        claim_hash(lab, images, claimed["id"])
    before = {record["id"]: images("admin", TWO).get(record["id"]) for record in (rivals, others, false)}
    for record in (same, rivals, others, true, false):
        put_source(images, record["id"])
    for record in (same, true):
        view = trusting.wait_for(record["id"])[TWO]
        assert (view["origin"], view["replica_id"], view["id_reason"]) == ("adopted", record["id"], None)
        assert "was" not in images("demo", TWO).get(record["id"]), "it is kept in sync from now on"
    for record, field in ((rivals, "owner"), (others, "os_hash"), (false, "bytes")):
        trusting.wait_for(record["id"], "conflict", code="conflict", regions=[TWO])
        trusting.wait_for(record["id"], regions=["RegionThree"])
        [row] = trusting.call("GET", f"/v1/conflicts?image_id={record['id']}")["conflicts"]
        assert field in {each["field"] for each in row["differences"]}
        assert row["choices"] == ["skip", "replace", "new_id"]
    trusting.compare(2)
    assert {each: images("admin", TWO).get(each) for each in before} == before, "nothing of them is touched unasked"

    for image_id in (same["id"], others["id"]):
        images("demo").delete(image_id)
    kept = {same["id"]: "adopted_kept", others["id"]: "not_ours"}
    for image_id, code in kept.items():
        trusting.wait_for(image_id, "source_missing", code=code, regions=[TWO])
        trusting.wait_for(image_id, "deleted", regions=["RegionThree"])
    trusting.compare(2)
    assert all(images("admin", TWO).find(each) for each in kept)


def test_by_hash_and_deleted_where_the_operator_opted_in(trusting: Trusting, images: ImagesOf, lab: Lab,
                                                         start_server: Callable[..., SyncServer]) -> None:
    """Off it is a conflict; on, an image of the same owner, name and bytes is the replica, under its own id."""
    there = put_before(images, name="twin")
    unlike = put_before(images, OTHER, name="namesake")
    twin, namesake = (put_source(images, str(uuid.uuid4()), name) for name in ("twin", "namesake"))
    for image_id in (twin, namesake):
        trusting.wait_for(image_id, "conflict", code="conflict", regions=[TWO])
    start_server(options(DEFAULT={"adopt_by_hash": True}, deletion={"delete_adopted": True}))
    trusting.compare()
    view = trusting.wait_for(twin)[TWO]
    assert (view["replica_id"], view["origin"], view["id_reason"]) == (there["id"], "adopted", "adopted")
    assert trusting.call("GET", f"/v1/images/{there['id']}")["image"]["id"] == twin
    assert f"{TWO}: in_sync as {there['id']} (adopted)" in manage(lab, "image", "show", there["id"])[1]
    trusting.wait_for(namesake, "conflict", regions=[TWO])
    assert images("demo", TWO).get(unlike["id"]) == unlike
    images("demo").delete(twin)
    trusting.wait_for(twin, "deleted")
    assert images("admin", TWO).find(there["id"]) is None


def by_api(trusting: Trusting, image_id: str, choice: str) -> None:
    trusting.call("POST", f"/v1/images/{image_id}/conflicts/{TWO}", json={"choice": choice, "replica_id": image_id})


def by_command(trusting: Trusting, image_id: str, choice: str) -> None:
    status, output = manage(trusting.lab, "conflict", "choose", image_id, TWO, choice)
    assert (status, choice in output) == (0, True), output


@pytest.mark.parametrize("choose", [by_api, by_command])
def test_what_an_operator_chooses(trusting: Trusting, images: ImagesOf, lab: Lab,
                                  choose: Callable[[Trusting, str, str], None]) -> None:
    """The other stays as it is (skip), goes when the replica is verified (replace), or stays beside it (new_id)."""
    chosen = {choice: put_before(images, OTHER)["id"] for choice in ("skip", "replace", "new_id")}
    before = {image_id: images("demo", TWO).get(image_id) for image_id in chosen.values()}
    for image_id in chosen.values():
        put_source(images, image_id)
        trusting.wait_for(image_id, "conflict", regions=[TWO])
    listed = manage(lab, "conflict", "list")[1]
    assert all(f"{image_id}  {TWO}" in listed for image_id in chosen.values()), listed
    for choice, image_id in chosen.items():
        choose(trusting, image_id, choice)

    trusting.wait_for(chosen["skip"], "conflict", code="conflict_skipped", regions=[TWO])
    assert images("demo", TWO).get(chosen["skip"]) == before[chosen["skip"]]
    for choice in ("replace", "new_id"):
        view = trusting.wait_for(chosen[choice])[TWO]
        assert (view["id_reason"], view["replica_id"] == chosen[choice]) == ("conflict", False)
        assert images("demo", TWO).read(view["replica_id"]) == DATA
    assert images("demo", TWO).find(chosen["replace"]) is None
    assert images("demo", TWO).get(chosen["new_id"]) == before[chosen["new_id"]]
    assert {(row["replica_id"], row["cause"]) for row in trusting.deletions()} == {
        (chosen["replace"], "conflict_replaced")}


def test_a_choice_about_another_image_than_the_one_looked_at(trusting: Trusting, images: ImagesOf, lab: Lab) -> None:
    image_id = put_source(images, put_before(images, OTHER)["id"])
    trusting.wait_for(image_id, "conflict", regions=[TWO])
    looked_at = str(uuid.uuid4())
    with pytest.raises(exceptions.Conflict):
        trusting.call("POST", f"/v1/images/{image_id}/conflicts/{TWO}",
                      json={"choice": "replace", "replica_id": looked_at})
    status, output = manage(lab, "conflict", "choose", image_id, TWO, "replace", "--replica-id", looked_at)
    assert (status, "look again" in output) == (1, True), output
    trusting.compare()
    assert images("demo", TWO).read(image_id) == OTHER
