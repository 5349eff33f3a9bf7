# SPDX-License-Identifier: Apache-2.0
"""Differences, and that removing them leaves none."""
from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from glancesync.model.image import Digest, Image, Member
from glancesync.model.replica import ReplicaRecord
from glancesync.sync.diff import Bytes, diff_bytes, diff_images, patch_for

names = st.text(min_size=1, max_size=4)
statuses = st.sampled_from(["pending", "accepted", "rejected"])
members = st.dictionaries(st.sampled_from("abc"), statuses).map(
    lambda found: tuple(Member(member_id=key, status=value) for key, value in sorted(found.items())))
images = st.builds(
    Image, id=st.just("i"), status=st.sampled_from(["active", "deactivated"]), name=st.none() | names,
    owner=st.none() | st.sampled_from(["demo", "rival"]), protected=st.booleans(), os_hidden=st.booleans(),
    visibility=st.sampled_from(["private", "shared", "community", "public"]), min_disk=st.integers(0, 2),
    min_ram=st.integers(0, 2), tags=st.frozensets(names, max_size=2), disk_format=st.just("raw"),
    properties=st.dictionaries(names, st.none() | names, max_size=3), members=members)


def seen(image):
    """Members are there only for shared images, as a region's client reads them."""
    return image if image.visibility == "shared" else replace(image, members=None)


def apply(difference, replica):
    """What a Glance makes of the changes: the model that the differences are judged by."""
    changes = patch_for(difference)
    found = {member.member_id: member.status for member in replica.members or ()}
    for member_id in difference.members.remove:
        del found[member_id]
    properties = {key: value for key, value in {**replica.properties, **changes.set_properties}.items()
                  if key not in changes.remove_properties}
    replica = replace(replica, **changes.fields, properties=properties)
    if replica.visibility == "shared":
        found.update({member.member_id: member.status for member in difference.members.add})
        found.update({member.member_id: member.status for member in difference.members.change})
    status = {(True, False): "deactivated", (False, True): "active"}.get(
        (difference.deactivate, difference.reactivate), replica.status)
    return seen(replace(replica, status=status, members=tuple(
        Member(member_id=key, status=value) for key, value in sorted(found.items()))))


@given(images.map(seen), images.map(seen))
def test_applying_the_difference_leaves_none(source, replica):
    assert not diff_images(source, apply(diff_images(source, replica), replica))


@given(images.map(seen))
def test_an_image_does_not_differ_from_itself(image):
    assert not diff_images(image, image)


@given(images.map(seen), images.map(seen))
def test_every_difference_has_a_name(source, replica):
    difference = diff_images(source, replica)
    assert bool(difference) == bool(difference.names())


def test_members_are_taken_from_an_image_that_is_not_shared_any_more():
    replica = Image(id="i", status="active", visibility="shared", members=(Member(member_id="a", status="accepted"),))
    assert diff_images(replace(replica, visibility="private", members=None), replica).members.remove == ("a",)


def test_members_that_were_not_read_are_no_difference():
    source = Image(id="i", status="active", visibility="shared", members=None)
    replica = replace(source, members=(Member(member_id="a", status="accepted"),))
    assert not diff_images(source, replica)


SHA = Digest(algorithm="sha512", value="aa")
MD5 = Digest(algorithm="md5", value="bb")
ACTIVE = Image(id="i", status="active", size=3, digest=SHA)
RECORD = ReplicaRecord(image_id="i", region="r", replica_id="i", size=3, digest=MD5)


def test_bytes():
    other = Digest(algorithm="sha512", value="cc")
    cases = [
        (ACTIVE, replace(ACTIVE, status="queued"), None, Bytes.ABSENT),
        (ACTIVE, ACTIVE, None, Bytes.MATCH),
        (ACTIVE, replace(ACTIVE, digest=other), None, Bytes.DIFFER),
        (ACTIVE, replace(ACTIVE, size=4), None, Bytes.DIFFER),
        (ACTIVE, replace(ACTIVE, digest=MD5), None, Bytes.UNPROVED),
        (ACTIVE, replace(ACTIVE, digest=MD5), RECORD, Bytes.MATCH),
        (replace(ACTIVE, digest=None), replace(ACTIVE, digest=MD5), RECORD, Bytes.MATCH),
        (ACTIVE, replace(ACTIVE, digest=MD5), replace(RECORD, digest=replace(MD5, value="x")), Bytes.DIFFER),
        (ACTIVE, replace(ACTIVE, digest=MD5), replace(RECORD, replica_id="other"), Bytes.UNPROVED),
        (ACTIVE, replace(ACTIVE, digest=None), RECORD, Bytes.MATCH),
        (ACTIVE, replace(ACTIVE, digest=None), None, Bytes.UNPROVED),
        # The source's own hash counts more than what was once written down.
        (ACTIVE, replace(ACTIVE, digest=other), replace(RECORD, digest=other), Bytes.DIFFER),
    ]
    for source, replica, record, expected in cases:
        assert diff_bytes(source, replica, record) is expected
