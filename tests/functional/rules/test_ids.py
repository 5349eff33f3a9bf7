# SPDX-License-Identifier: Apache-2.0
"""Each reason for which a replica has another id than its image; the mapping, both ways; and when the fight ends."""
from __future__ import annotations

from collections.abc import Callable

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.glance import Glance
from tests.fixtures.images import ImagesOf
from tests.fixtures.polling import eventually
from tests.fixtures.trusting import Trusting, change_row, manage, take_bytes

pytestmark = pytest.mark.lab
TWO = "RegionTwo"


def delete(images: ImagesOf, _glance: Glance, image_id: str) -> None:
    images("demo", TWO).delete(image_id)


def fill_with_others(images: ImagesOf, glance: Glance, image_id: str) -> None:
    """Somebody was faster than our upload."""
    take_bytes(glance, image_id, "queued")
    images("admin", TWO).upload(image_id, b"others")


def die_in_saving(_images: ImagesOf, glance: Glance, image_id: str) -> None:
    take_bytes(glance, image_id, "saving")


def change_format(_images: ImagesOf, glance: Glance, image_id: str) -> None:
    change_row(glance, image_id, "disk_format = 'iso'")


def assert_resolved(trusting: Trusting, image_id: str, replica_id: str, reason: str, name: str) -> None:
    """By API and command, from the image's id and from the replica's."""
    for asked in (image_id, replica_id):
        answer = trusting.call("GET", f"/v1/images/{asked}")["image"]
        view = next(each for each in answer["regions"] if each["region"] == TWO)
        assert (answer["id"], answer["name"], view["replica_id"], view["id_reason"]) == (
            image_id, name, replica_id, reason)
        status, output = manage(trusting.lab, "image", "show", asked)
        assert (status, output.splitlines()[0].split()[:2]) == (0, [image_id, name.split()[0]])
        assert f"{TWO}: in_sync as {replica_id} ({reason})" in output


@pytest.mark.parametrize(("meddle", "reason"), [
    (delete, "id_burned"), (fill_with_others, "bytes_differ"), (die_in_saving, "stuck_saving"),
    (change_format, "format_differs")])
def test_a_new_id(trusting: Trusting, images: ImagesOf, lab: Lab, meddle: Callable[[ImagesOf, Glance, str], None],
                  reason: str) -> None:
    [image_id] = trusting.make(images, "image")
    meddle(images, lab.glances[TWO], image_id)
    trusting.compare()
    views = trusting.wait_for(image_id)
    replica_id = views[TWO]["replica_id"]
    assert (views["RegionThree"]["replica_id"], views["RegionThree"]["id_reason"]) == (image_id, None)
    assert images("demo", TWO).read(replica_id) == images("demo").read(image_id)
    assert images("admin", TWO).find(image_id) is None

    images("demo").set(image_id, name="renamed")
    eventually(lambda: images("demo", TWO).get(replica_id)["name"] == "renamed", 60, what="a change follows it")
    trusting.settle()
    assert_resolved(trusting, image_id, replica_id, reason, "renamed")
    images("demo").delete(image_id)
    trusting.wait_for(image_id, "deleted")
    assert images("admin", TWO).find(replica_id) is None


def test_restored_again_and_again_until_it_is_contested(trusting: Trusting, images: ImagesOf) -> None:
    """The mapping follows each restore; after max_restores nobody fights any more until the operator's release."""
    [image_id] = trusting.make(images, "fought over")
    there, ids = images("demo", TWO), [image_id]
    for _ in range(2):
        there.delete(ids[-1])
        trusting.compare()
        ids.append(trusting.wait_for(image_id)[TWO]["replica_id"])
    assert len(set(ids)) == 3
    assert_resolved(trusting, image_id, ids[-1], "id_burned", "fought over")

    there.delete(ids[-1])
    trusting.compare()
    view = trusting.wait_for(image_id, "contested", code="contested", regions=[TWO])[TWO]
    images("demo").set(image_id, name="changed")
    trusting.wait_for(image_id, regions=["RegionThree"])
    trusting.compare(2)
    trusting.wait_for(image_id, "contested", regions=[TWO])
    assert not any(there.find(each) for each in [*ids, view["replica_id"]])

    trusting.call("POST", f"/v1/tasks/{view['task_id']}/retry")
    released = trusting.wait_for(image_id)[TWO]
    assert released["replica_id"] not in ids
    assert there.get(released["replica_id"])["name"] == "changed"
    assert_resolved(trusting, image_id, released["replica_id"], "id_burned", "changed")
