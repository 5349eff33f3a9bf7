# SPDX-License-Identifier: Apache-2.0
"""A dry run of everything, page by page: each finding once, whatever the size of pages and windows."""
from __future__ import annotations

import uuid
from types import GeneratorType

import pytest

from glancesync.exceptions import InvalidInputError, RegionNotFoundError, RegionUnavailableError
from glancesync.model.image import ImageChanges
from glancesync.sync.findings import PassReport
from tests.fixtures.memory_cloud import MemoryCloud


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    """Windows hold three images. Missing ones, different ones, surplus, strangers, and replicas under other ids."""
    made = MemoryCloud(tmp_path_factory.mktemp("plans"))
    images = [made.upload(bytes([number])) for number in range(11)]
    made.compare()
    for image in images[:3]:
        made.two.update_image(image.id, ImageChanges(fields={"name": "other"}))
    for image in images[3:6]:
        made.one.delete_image(image.id)
    made.two.delete_image(images[7].id)
    for number in range(5):
        made.upload(bytes([number]), region=made.three)
        made.upload(bytes([100 + number]))
    made.three.put_image(made.three.get_image(images[8].id).__class__(
        id=str(uuid.UUID(int=2 ** 128 - 1)), status="active", name="last"), b"x")
    return made


def key(plan):
    return plan["image_id"], plan["region"], plan["reason_code"]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7, 1000])
def test_pages_are_the_whole(cloud, limit):
    whole = [key(plan) for plan in cloud.service.plan_all(regions=None)]
    assert len(whole) > 20
    paged, marker, sizes = [], None, []
    while True:
        page = cloud.service.plan_page(regions=None, limit=limit, marker=marker)
        marker = page.marker
        paged += [key(plan) for plan in page.rows]
        sizes.append(len(page.rows))
        assert page.left_out == {}
        if marker is None:
            break
    assert paged == whole
    assert set(sizes[:-1]) <= {limit}
    assert sizes[-1] <= limit


def test_a_later_page_compares_nothing_that_lies_before_it(cloud):
    marker = cloud.service.plan_page(regions=["Two"], limit=6, marker=None).marker
    while marker is not None:
        page = cloud.service.plan_page(regions=["Two"], limit=6, marker=marker)
        rows, following = page.rows, page.marker
        assert all(row["region"] == "Two" for row in rows)
        assert marker.partition(":")[0] <= min(
            (row["image_id"] for row in rows if row["reason_code"] != "source_missing"), default="g")
        marker = following


def test_the_whole_is_read_as_it_goes(cloud):
    found = cloud.service.plan_all(regions=None)
    assert isinstance(found, GeneratorType)
    before = len(cloud.one.faults.calls)
    next(found)
    pages = cloud.one.faults.calls[before:].count("list_images")
    assert pages <= 3


SOME_ID = "91889a9d-0984-4ffd-ab60-99935bb77ea8"


@pytest.mark.parametrize("marker", ["nonsense", "x:1", ":", ":-1", SOME_ID, f"{SOME_ID}:1234567890"])
def test_another_marker_is_refused(cloud, marker):
    with pytest.raises(InvalidInputError, match="marker"):
        cloud.service.plan_page(regions=None, limit=1, marker=marker)


def test_an_unknown_region_is_refused_at_once(cloud):
    for ask in (lambda: cloud.service.plan_all(regions=["Nine"]),
                lambda: cloud.service.plan_page(regions=["Nine"], limit=1, marker=None)):
        with pytest.raises(RegionNotFoundError):
            ask()


def test_a_region_that_does_not_answer_is_named(tmp_path):
    cloud = MemoryCloud(tmp_path)
    cloud.upload(b"x")
    cloud.two.fail_next("list_images", RegionUnavailableError("Two gave no answer", region="Two"), times=100)
    page = cloud.service.plan_page(regions=None, limit=1000, marker=None)
    assert page.left_out == {"Two": "Two gave no answer"}
    assert {row["region"] for row in page.rows} == {"Three"}
    report = PassReport()
    assert [key(plan) for plan in cloud.service.plan_all(regions=None, report=report)] == [
        key(plan) for plan in page.rows]
    assert report.regions["Two"].error == "Two gave no answer"


def test_of_chosen_images_a_region_that_does_not_answer_is_named_and_asked_once(tmp_path):
    cloud = MemoryCloud(tmp_path)
    images = [cloud.upload(b"x").id for _ in range(2)]
    cloud.two.fail_next("get_image", RegionUnavailableError("Two gave no answer", region="Two"))
    page = cloud.service.plan(image_ids=images, regions=None)
    assert page.left_out == {"Two": "Two gave no answer"}
    assert [(row["image_id"], row["region"]) for row in page.rows] == [(each, "Three") for each in images]


def test_of_chosen_images_nothing_is_known_while_the_cascading_region_does_not_answer(tmp_path):
    cloud = MemoryCloud(tmp_path)
    image = cloud.upload(b"x")
    cloud.one.fail_next("get_image", RegionUnavailableError("One gave no answer", region="One"))
    with pytest.raises(RegionUnavailableError):
        cloud.service.plan(image_ids=[image.id], regions=None)
