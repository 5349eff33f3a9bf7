# SPDX-License-Identifier: Apache-2.0
"""How many requests a run costs each Glance. The table stands in docs/performance.md too; whoever changes it, there."""
from __future__ import annotations

from collections import Counter

import pytest

from glancesync import concurrency
from glancesync.concurrency import Gathering, Place
from glancesync.model.image import ImageChanges
from glancesync.model.replica import ReplicaState
from glancesync.model.task import Trigger
from tests.fixtures.memory_cloud import Handle, MemoryCloud

NAMES = {"get_image": "GET image", "list_members": "GET members", "list_namesakes": "list by name",
         "create_image": "POST", "upload_data": "PUT", "open_data": "GET bytes", "update_image": "PATCH",
         "delete_image": "DELETE", "add_member": "POST member", "set_member_status": "PUT member"}
REGIONS = ("Two", "Three")


@pytest.fixture
def cloud(tmp_path):
    made = MemoryCloud(tmp_path)
    made.compare()
    for region in (made.one, made.two, made.three):
        _count_members(region)
    return made


def _count_members(region):
    """Reading an image with its members is a request more."""
    get_image = region.get_image

    def counted(image_id, *, with_members=True):
        image = get_image(image_id, with_members=with_members)
        if image.members is not None:
            region.faults.calls.append("list_members")
        return image

    region.get_image = counted


def run_together(cloud, *image_ids):
    """The runs of these images in both regions, claimed together."""
    begun_at = cloud.clock.monotonic()
    threads = []
    for image_id in image_ids:
        gathering = Gathering(len(REGIONS))
        for region in REGIONS:
            handle = Handle(image_id, region, Trigger.EVENT, None, begun_at=begun_at)
            handle.gathering = Place(gathering)
            threads.append(concurrency.spawn(cloud.converger.converge, image_id, region, handle))
    return [thread.wait() for thread in threads]


def requests(cloud, work):
    """By region, what `work` asked for."""
    regions = {"One": cloud.one, "Two": cloud.two, "Three": cloud.three}
    for region in regions.values():
        region.faults.calls.clear()
    work()
    return {name: Counter(NAMES[call] for call in region.faults.calls) for name, region in regions.items()}


def add_member(cloud, image_id):
    cloud.one.add_member(image_id, "friend")
    cloud.one.set_member_status(image_id, "friend", "accepted")


def rename(cloud, image_id):
    cloud.clock.advance(5)
    cloud.one.update_image(image_id, ImageChanges(fields={"name": "new"}, set_properties={"a": "b"}))


def remove(cloud, image_id):
    cloud.one.delete_image(image_id)
    cloud.report_removal(image_id)


LOOK, MEMBERS = {"GET image": 1}, {"GET members": 1}
#: The image and the canary.
SOURCE = {"GET image": 2}
#: Is it there, is the region seen whole, is there another of its name, the two that make it, what was received, reveal.
MADE = {"GET image": 3, "list by name": 1, "POST": 1, "PUT": 1, "PATCH": 1}
#: What happened to an image that is in sync (None: it is new), its visibility, and the requests: to the cascading
#: region for both regions together, and to each cascaded one.
TABLE = {
    "new, private": (None, "private", {**SOURCE, "GET bytes": 1}, MADE),
    "new, shared": (None, "shared", {**SOURCE, **MEMBERS, "GET bytes": 1}, MADE),
    "new, with a member": (add_member, "new", {**SOURCE, **MEMBERS, "GET bytes": 1},
                           {**MADE, "GET image": 4, **MEMBERS, "POST member": 1, "PUT member": 1}),
    "renamed, private": (rename, "private", SOURCE, {**LOOK, "PATCH": 1}),
    "renamed, shared": (rename, "shared", {**SOURCE, **MEMBERS}, {**LOOK, **MEMBERS, "PATCH": 1}),
    "member added": (add_member, "shared", {**SOURCE, **MEMBERS},
                     {"GET image": 2, "GET members": 2, "POST member": 1, "PUT member": 1}),
    "nothing changed, shared": (lambda *_: None, "shared", {**LOOK, **MEMBERS}, {**LOOK, **MEMBERS}),
    # One look at the image is shared. Then each region's run looks for itself: is the Glance believed, is the image
    # gone and the Glance still believed, and once more afterwards.
    "deleted": (remove, "private", {"GET image": 1 + 2 * 4}, {"GET image": 3, "DELETE": 1}),
}


@pytest.mark.parametrize("case", TABLE)
def test_requests_of_one_image_in_two_regions(cloud, case):
    change, visibility, source, each = TABLE[case]
    image = cloud.upload(visibility=visibility if visibility != "new" else "shared")
    if change is not None:
        if visibility != "new":
            run_together(cloud, image.id)
        change(cloud, image.id)
        cloud.clock.advance(5)  # nothing of before is shared
    ended = []
    asked = requests(cloud, lambda: ended.extend(run_together(cloud, image.id)))
    state = ReplicaState.DELETED if case == "deleted" else ReplicaState.IN_SYNC
    assert [run.plan.state for run in ended] == [state, state]
    assert asked == {"One": source, "Two": each, "Three": each}


def test_looks_for_canaries_are_shared_by_images_that_are_copied_together(cloud):
    images = [cloud.upload(visibility="shared") for _ in range(4)]
    asked = requests(cloud, lambda: run_together(cloud, *(image.id for image in images)))
    assert asked["One"]["GET bytes"] == asked["One"]["GET members"] == 4
    assert asked["One"]["GET image"] <= 4 + 4, "each is believed on a look at the canary after the look at the image"
    for region in REGIONS:
        assert asked[region] == {"GET image": 4 + 1 + 4, "list by name": 4, "POST": 4, "PUT": 4, "PATCH": 4}
