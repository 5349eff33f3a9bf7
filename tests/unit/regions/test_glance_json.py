# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glancesync.model.image import Digest, ImageChanges, Member, NewImage
from glancesync.regions import glance_json

ID = "b1e4bd3c-4c1e-4a6e-9f0a-0d7f3f9b6d11"
SHOWN: dict[str, Any] = {
    "id": ID, "name": "n", "status": "active", "visibility": "shared", "protected": True, "os_hidden": True,
    "owner": "o", "size": 5, "virtual_size": 6, "min_disk": 7, "min_ram": 8, "tags": ["b", "a", "b"],
    "checksum": "c", "os_hash_algo": "SHA512", "os_hash_value": "ABC", "disk_format": "raw",
    "container_format": "bare", "created_at": "2026-01-31T12:00:00Z", "updated_at": "2026-01-31T12:00:01Z",
    "self": "s", "file": "f", "schema": "x", "locations": [{"url": "u"}], "direct_url": "d", "stores": "a,b",
    "os_glance_failed_import": "", "os_hash_mine": "m", "kernel_id": None, "a/b~c": "v", "next": "x",
}


def test_an_image_in_full() -> None:
    image = glance_json.parse_image(SHOWN)
    assert image.properties == {"os_hash_mine": "m", "kernel_id": None, "a/b~c": "v", "next": "x"}
    assert (image.name, image.owner, image.size, image.virtual_size, image.min_disk, image.min_ram) == (
        "n", "o", 5, 6, 7, 8)
    assert (image.protected, image.os_hidden, image.visibility, image.tags) == (True, True, "shared", {"a", "b"})
    assert image.digest == Digest(algorithm="sha512", value="abc")
    assert image.updated_at == (image.created_at or 0) + 1
    assert (image.members, image.importing, image.checksum) == (None, False, "c")


def test_an_old_glance_shows_less() -> None:
    image = glance_json.parse_image({"id": ID, "status": "queued", "visibility": "private", "tags": []})
    assert (image.os_hidden, image.protected, image.min_disk, image.size, image.digest) == (False, False, 0, None, None)


@pytest.mark.parametrize(("stores", "importing"), [("ceph,local", True), ("", False), (None, False)])
def test_importing_while_stores_are_left_to_fill(stores: str | None, importing: bool) -> None:
    assert glance_json.parse_image(SHOWN | {"os_glance_importing_to_stores": stores}).importing is importing


def test_the_lock_of_an_import_that_died_does_not_hold_a_complete_image() -> None:
    left = {"os_glance_import_task": "a task", "os_glance_importing_to_stores": "", "os_glance_failed_import": ""}
    assert not glance_json.parse_image(SHOWN | left).importing


@pytest.mark.parametrize("name", sorted(set(SHOWN) - {"self", "file", "schema", "locations", "direct_url", "stores",
                                                      "os_glance_failed_import"}))
@pytest.mark.parametrize("wrong", [[1], {}, 1.5, -1, object()])
def test_a_field_of_a_wrong_type(name: str, wrong: object) -> None:
    with pytest.raises(glance_json.MalformedError):
        glance_json.parse_image(SHOWN | {name: wrong})


@pytest.mark.parametrize("wrong", [
    {"size": True}, {"min_disk": "1"}, {"protected": 1}, {"protected": "true"}, {"status": "new"},
    {"visibility": "all"}, {"id": "x"}, {"id": ID + "\n"}, {"created_at": "yesterday"}, {"tags": [1]}, {"tags": None}])
def test_a_value_out_of_bounds(wrong: dict[str, object]) -> None:
    with pytest.raises(glance_json.MalformedError):
        glance_json.parse_image(SHOWN | wrong)


json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                           lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner,
                                                                                       max_size=3), max_leaves=8)


@given(st.dictionaries(st.sampled_from(sorted(SHOWN)), json_values, max_size=4), json_values)
def test_nothing_but_a_value_or_malformed(changed: dict[str, Any], anything: Any) -> None:
    for parse, data in ((glance_json.parse_image, SHOWN | changed), (glance_json.parse_image, anything),
                        (glance_json.parse_page, anything), (glance_json.parse_members, anything),
                        (glance_json.parse_page, {"images": anything, "next": anything}),
                        (glance_json.parse_members, {"members": anything})):
        try:
            parse(data)
        except glance_json.MalformedError:
            continue


def test_members_are_sorted() -> None:
    data = {"members": [{"member_id": name, "status": "pending"} for name in "cab"]}
    assert [member.member_id for member in glance_json.parse_members(data)] == ["a", "b", "c"]
    assert glance_json.parse_members({"members": []}) == ()
    assert glance_json.parse_members({"members": [{"member_id": "a", "status": "accepted"}]}) == (
        Member(member_id="a", status="accepted"),)


@pytest.mark.parametrize(("name", "pointer"), [("a", "/a"), ("a/b", "/a~1b"), ("a~b", "/a~0b"), ("~1", "/~01"),
                                               ("/~/", "/~1~0~1"), ("ü b", "/ü b")])
def test_pointers(name: str, pointer: str) -> None:
    assert glance_json.pointer(name) == pointer


@given(st.text(min_size=1))
def test_a_pointer_leads_back_to_its_name(name: str) -> None:
    assert glance_json.pointer(name)[1:].replace("~1", "/").replace("~0", "~") == name


def test_a_patch() -> None:
    changes = ImageChanges(fields={"name": None, "tags": frozenset(("b", "a"))}, set_properties={"x/y": "1"},
                           remove_properties=("~",))
    assert glance_json.patch_body(changes) == [
        {"op": "replace", "path": "/name", "value": None}, {"op": "replace", "path": "/tags", "value": ["a", "b"]},
        {"op": "add", "path": "/x~1y", "value": "1"}, {"op": "remove", "path": "/~0"}]


@pytest.mark.parametrize("name", [" a", "a ", "image_id", "delete", "status", "os_glance_x", "__class__", "locations"])
def test_a_patch_never_reaches_beyond_custom_properties(name: str) -> None:
    for changes in (ImageChanges(set_properties={name: "x"}), ImageChanges(remove_properties=(name,))):
        with pytest.raises(ValueError, match="property"):
            glance_json.patch_body(changes)


def test_a_create_request_reads_back() -> None:
    new = NewImage(id=ID, name=None, owner="o", visibility="private", protected=True, os_hidden=True,
                   disk_format=None, container_format="bare", min_disk=1, min_ram=2, tags=frozenset("ab"),
                   properties={"a/b": "c", "name2": "x"})
    body = glance_json.create_body(new)
    image = glance_json.parse_image(body | {"status": "queued"})
    assert {name: getattr(image, name) for name in vars(new)} == vars(new)


def test_no_property_hides_a_field() -> None:
    new = NewImage(id=ID, name="n", owner=None, visibility="private", protected=False, os_hidden=False,
                   disk_format=None, container_format=None, min_disk=0, min_ram=0, tags=frozenset(),
                   properties={"visibility": "public"})
    assert glance_json.create_body(new)["visibility"] == "private"
    assert "owner" not in glance_json.create_body(new)


@pytest.mark.parametrize(("link", "goes_on"), [
    (f"/v2/images?limit=1&marker={ID}", True), (f"/prefix/v2/images?marker={ID}", True),
    (f"http://h/v2/images?marker={ID}", False), (f"//h/v2/images?marker={ID}", False), ("/v2/images", False),
    (f"/v2/imagesx?marker={ID}", False), ("http://[", False), ("", False)])
def test_a_link_to_the_next_page(link: str, goes_on: bool) -> None:
    assert glance_json.continues_after(link, ID) is goes_on
