# SPDX-License-Identifier: Apache-2.0
"""Which image another one may be copied as a difference to: never one that its owner may not read."""
from __future__ import annotations

from dataclasses import replace

import pytest

from glancesync.model.image import Digest, Image
from glancesync.model.replica import ReplicaRecord
from glancesync.sync.base import is_verified, list_named, may_serve

ID, BASE = "0a1b2c3d-0000-4000-8000-00000000000a", "0a1b2c3d-0000-4000-8000-00000000000b"
DIGEST = Digest(algorithm="sha512", value="1")
IMAGE = Image(id=ID, status="active", size=100, owner="me", visibility="private", properties={"base_image_ref": BASE})
OTHER = Image(id=BASE, status="active", size=100, owner="me", visibility="private", digest=DIGEST)
RECORD = ReplicaRecord(image_id=BASE, region="Two", replica_id="r", verified_at=1.0, digest=DIGEST)


@pytest.mark.parametrize(("value", "named"), [
    (BASE, [BASE]), (ID, []), (None, []), ("", []), ("../etc/passwd", []), (f"{BASE}\n", []), ("-e id", []),
    ("$(id)", []), (BASE + "0", [])])
def test_the_property_is_its_users(value, named):
    image = replace(IMAGE, properties={"base_image_ref": value})
    assert list_named(image, ["parent", "base_image_ref"]) == named
    assert list_named(image, []) == []


@pytest.mark.parametrize(("changes", "may"), [
    ({}, True), ({"owner": "other"}, False), ({"owner": "other", "visibility": "public"}, True),
    ({"owner": "other", "visibility": "shared"}, False), ({"owner": "other", "visibility": "community"}, False),
    ({"owner": None}, False), ({"status": "deactivated"}, False), ({"size": 24}, False), ({"size": 25}, True),
    ({"size": None}, False)])
def test_only_what_the_owner_may_read_and_what_is_worth_it(changes, may):
    assert may_serve(IMAGE, replace(OTHER, **changes)) is may


def test_nobodys_images_are_nobodys():
    assert not may_serve(replace(IMAGE, owner=None), replace(OTHER, owner=None))


@pytest.mark.parametrize(("changes", "verified"), [
    ({}, True), ({"verified_at": None}, False), ({"rotten_at": 1.0}, False), ({"digest": None}, False),
    ({"digest": Digest(algorithm="sha512", value="2")}, False)])
def test_only_a_replica_with_the_bases_bytes(changes, verified):
    assert is_verified(OTHER, replace(RECORD, **changes)) is verified
