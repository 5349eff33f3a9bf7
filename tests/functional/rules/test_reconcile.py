# SPDX-License-Identifier: Apache-2.0
"""Comparisons on the real cloud: at start, on the timer, by command and API, of all or a selection; what they cost."""
from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.server import SyncServer
from tests.fixtures.images import ImagesOf
from tests.fixtures.polling import eventually
from tests.fixtures.trusting import Trusting, manage, options

pytestmark = pytest.mark.lab
TWO, THREE = "RegionTwo", "RegionThree"


def scribble(images: ImagesOf, image_id: str, *regions: str) -> None:
    """No event tells of a change behind our back."""
    for region in regions:
        images("admin", region).set(image_id, name="scribbled")


def names(images: ImagesOf, image_id: str) -> dict[str, str]:
    return {region: images("admin", region).get(image_id)["name"] for region in (TWO, THREE)}


def test_at_start_and_on_the_timer(trusting: Trusting, images: ImagesOf,
                                   start_server: Callable[..., SyncServer]) -> None:
    [image_id] = trusting.make(images, "image")
    scribble(images, image_id, TWO)
    start_server(options(DEFAULT={"reconcile_interval_seconds": 2}))
    for region in (THREE, TWO):  # what is scribbled after the first comparison is the timer's to find
        eventually(lambda: set(names(images, image_id).values()) == {"image"}, 60, what="the replica is mended")
        scribble(images, image_id, region)
    eventually(lambda: set(names(images, image_id).values()) == {"image"}, 60, what="the replica is mended again")
    trusting.settle()
    assert {task["trigger"] for task in trusting.tasks(image_id).values()} == {"reconcile"}


def test_all_or_a_selection_by_api_and_command(trusting: Trusting, images: ImagesOf, lab: Lab) -> None:
    """A dry run says what a run would do and does nothing; a selection leaves alone what was not selected."""
    first, second = trusting.make(images, "first", "second")
    for image_id in (first, second):
        scribble(images, image_id, TWO, THREE)
    plan = trusting.call("POST", "/v1/sync", json={"dry_run": True})["plan"]
    assert {(row["image_id"], row["region"], row["actions"][0]["action"]) for row in plan if row["actions"]} == {
        (image_id, region, "UpdateReplica") for image_id in (first, second) for region in (TWO, THREE)}
    status, output = manage(lab, "reconcile", "--dry-run", "--region", TWO)
    assert (status, first in output, second in output, THREE in output) == (1, True, True, False)
    for image_id in (first, second):
        assert set(names(images, image_id).values()) == {"scribbled"}

    trusting.call("POST", "/v1/sync", json={"image_ids": [first], "regions": [TWO]})
    eventually(lambda: names(images, first) == {TWO: "first", THREE: "scribbled"}, 30, what="the pair is mended")
    assert names(images, second) == {TWO: "scribbled", THREE: "scribbled"}
    status, output = manage(lab, "reconcile", "--region", THREE)
    assert (status, f"{THREE}: " in output, f"{TWO}: " in output) == (0, True, False)
    eventually(lambda: names(images, second) == {TWO: "scribbled", THREE: "second"}, 30, what="the region is mended")
    trusting.compare()
    assert names(images, second) == {TWO: "second", THREE: "second"}
    assert manage(lab, "reconcile", "--dry-run")[0] == 0
    trusting.converge()


def test_a_filter_chooses_by_api_and_command(trusting: Trusting, images: ImagesOf, lab: Lab) -> None:
    """What meets the filter is mended, and nothing else; what lacks its image is not spoken of."""
    mine, other = trusting.make(images, "my first", "second")
    for image_id in (mine, other):
        scribble(images, image_id, TWO, THREE)
    plan = trusting.call("POST", "/v1/sync", json={"dry_run": True, "filter": '"name=my *"'})["plan"]
    assert {(row["image_id"], row["region"]) for row in plan} == {(mine, TWO), (mine, THREE)}
    status, output = manage(lab, "reconcile", "--dry-run", "--filter", "name=my *", "--filter", "size<1GiB")
    assert (status, mine in output, other in output) == (1, True, False)

    trusting.call("POST", "/v1/sync", json={"filter": '"name=my *"', "regions": [TWO]})
    eventually(lambda: names(images, mine) == {TWO: "my first", THREE: "scribbled"}, 30, what="the pair is mended")
    status, output = manage(lab, "reconcile", "--filter", "name=my *")
    assert (status, "not ours" in output) == (0, False)
    eventually(lambda: names(images, mine) == {TWO: "my first", THREE: "my first"}, 30, what="the image is mended")
    assert names(images, other) == {TWO: "scribbled", THREE: "scribbled"}
    trusting.compare()
    trusting.converge()


def test_images_that_are_not_ours_are_named_and_left_alone(trusting: Trusting, images: ImagesOf, lab: Lab) -> None:
    """Page by page of two, hidden ones and those of others too. They are nothing to do: the dry run ends with 0."""
    there = images("rival", TWO)
    foreign = [there.create(f"foreign {number}", b"x", os_hidden=number == 2)["id"] for number in range(5)]
    plan = trusting.call("POST", "/v1/sync", json={"dry_run": True})["plan"]
    assert [(row["image_id"], row["region"], row["reason_code"], row["actions"]) for row in plan
            if row["image_id"] in foreign] == [(image_id, TWO, "foreign", []) for image_id in sorted(foreign)]
    status, output = manage(lab, "reconcile", "--dry-run")
    assert (status, [each for each in re.findall(r"^(\S+)  RegionTwo  foreign", output, re.MULTILINE)
                     if each in foreign]) == (0, sorted(foreign))
    status, output = manage(lab, "reconcile")
    assert (status, [each for each in re.findall(r"not ours: (\S+)$", output, re.MULTILINE)
                     if each in foreign]) == (0, sorted(foreign))
    trusting.compare(2)
    assert all(there.find(image_id) for image_id in foreign)
    assert trusting.deletions() == []


def test_a_comparison_that_finds_nothing_costs_pages_only(trusting: Trusting, images: ImagesOf, lab: Lab) -> None:
    """Ten images in pages of two: no image is read one by one, and no run is started."""
    image_ids = trusting.make(images, *(f"image {number}" for number in range(10)), visibility="private")
    trusting.compare()
    before = trusting.log()
    assert trusting.call("POST", "/v1/sync", json={})["tasks"] == []
    asked = [(line.group(1), line.group(2)) for line in re.finditer(
        r"glance_http.*? (GET|PATCH|POST|PUT|DELETE) (\S+) in Region\w+ answered", trusting.log()[len(before):])]
    pages = [path for method, path in asked if method == "GET" and path.startswith("/v2/images?")]
    assert len(pages) >= 3 * 5, "each of the three regions has at least five pages"
    assert not [path for _, path in asked if any(f"/v2/images/{image_id}" in path for image_id in image_ids)]
    assert len(asked) - len(pages) <= 8, "the canaries, and the mark of one"
