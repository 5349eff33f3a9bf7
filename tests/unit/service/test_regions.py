# SPDX-License-Identifier: Apache-2.0
"""Regions that come, go, move, are renamed and come back empty or older: nothing is ever deleted because of that."""
from __future__ import annotations

import copy
from pathlib import Path

import pytest
import sqlalchemy as sa

from glancesync.db.schema import regions
from glancesync.model.image import ImageChanges
from glancesync.model.region import Region
from glancesync.model.replica import IdReason, Origin, ReplicaState
from glancesync.model.task import TaskFilter, Trigger
from glancesync.regions.memory import MemoryRegion
from glancesync.service.regions import KnownRegion, RegionChanges, compare_regions
from tests.fixtures.memory_cloud import SERVICE, MemoryCloud

ONE = Region(name="One", endpoint="http://one", cascading=True)
TWO = Region(name="Two", endpoint="http://two")
KNOWN_ONE = KnownRegion(endpoint="http://one", cascading=True, gone=False)


def seen(endpoint="http://two", *, gone=False):
    return KnownRegion(endpoint=endpoint, cascading=False, gone=gone)


CASES = [
    ("the first look", {}, [ONE, TWO], {"new": ("One", "Two")}),
    ("nothing changed", {"One": KNOWN_ONE, "Two": seen()}, [ONE, TWO], {}),
    ("a new one", {"One": KNOWN_ONE}, [ONE, TWO], {"new": ("Two",)}),
    ("left", {"One": KNOWN_ONE, "Two": seen()}, [ONE], {"gone": ("Two",)}),
    ("is still away", {"One": KNOWN_ONE, "Two": seen(gone=True)}, [ONE], {}),
    ("came back", {"One": KNOWN_ONE, "Two": seen(gone=True)}, [ONE, TWO], {"back": ("Two",)}),
    ("came back elsewhere", {"One": KNOWN_ONE, "Two": seen("http://old", gone=True)}, [ONE, TWO], {"back": ("Two",)}),
    ("moved", {"One": KNOWN_ONE, "Two": seen("http://old")}, [ONE, TWO], {"moved": ("Two",)}),
    ("only records told of it", {"One": KNOWN_ONE, "Two": seen(None)}, [ONE, TWO], {}),
    ("only records told of it, and it is away", {"One": KNOWN_ONE, "Two": seen(None)}, [ONE], {"gone": ("Two",)}),
    ("renamed", {"One": KNOWN_ONE, "Old": seen()}, [ONE, TWO], {"renamed": {"Old": "Two"}}),
    ("renamed after it had left", {"One": KNOWN_ONE, "Old": seen(gone=True)}, [ONE, TWO],
     {"renamed": {"Old": "Two"}}),
    ("one left, another came", {"One": KNOWN_ONE, "Old": seen("http://old")}, [ONE, TWO],
     {"new": ("Two",), "gone": ("Old",)}),
    ("a second name beside the first", {"One": KNOWN_ONE, "Old": seen()},
     [ONE, TWO, Region(name="Old", endpoint="http://two")], {"new": ("Two",)}),
    ("two that left were there", {"One": KNOWN_ONE, "Old": seen(), "Older": seen(gone=True)}, [ONE, TWO],
     {"new": ("Two",), "gone": ("Old",)}),
    ("the cascading one was renamed", {"Old": KnownRegion(endpoint="http://one", cascading=True, gone=False)}, [ONE],
     {"new": ("One",), "gone": ("Old",)}),
]


@pytest.mark.parametrize(("known", "catalog", "expected"), [case[1:] for case in CASES],
                         ids=[case[0] for case in CASES])
def test_what_changed(known, catalog, expected):
    assert compare_regions(known, catalog) == RegionChanges(**{"renamed": {}, **expected})


@pytest.fixture
def cloud(tmp_path: Path) -> MemoryCloud:
    cloud = MemoryCloud(tmp_path)
    cloud.watch.run_once()
    return cloud


def filled(cloud, count=3):
    images = [cloud.upload(f"bytes {number}".encode()) for number in range(count)]
    cloud.compare()
    assert {cloud.record(image.id).state for image in images} == {ReplicaState.IN_SYNC}
    return images


def states(cloud, image, region="Two"):
    return {each["region"]: each["state"] for each in cloud.service.get_image(image.id)["regions"]}[region]


def test_gone_and_back(cloud):
    images = filled(cloud)
    away = cloud.directory.regions.pop("Two")
    cloud.watch.run_once()
    cloud.service.hint(images[0].id, trigger=Trigger.API, request_id=None)
    cloud.compare()

    assert states(cloud, images[0]) == "parked"
    assert cloud.service.list_images(limit=9, marker=None, owner=None, filters={"state": "parked"})
    assert {row["name"]: row["images"] for row in cloud.service.list_regions()}["Two"] == {"parked": 3}
    assert cloud.record(images[0].id).state is ReplicaState.IN_SYNC, "the record is kept as it was"
    assert not [task for task in cloud.queue.list_tasks(TaskFilter(), 100) if task.state in ("waiting", "running")]

    cloud.one.delete_image(images[0].id)
    cloud.report_removal(images[0].id)
    cloud.work()
    cloud.directory.regions["Two"] = away
    assert cloud.watch.run_once().back == ("Two",)
    assert cloud.comparisons_wanted
    cloud.compare()
    assert cloud.ids(cloud.two) == {image.id for image in images[1:]}
    assert states(cloud, images[1]) == "in_sync"


def test_a_task_of_a_region_that_is_gone_ends_and_says_so(cloud):
    image = cloud.upload()
    cloud.service.hint(image.id, trigger=Trigger.API, request_id=None)
    del cloud.directory.regions["Two"]
    cloud.work()
    [task] = [task for task in cloud.queue.list_tasks(TaskFilter(), 100) if task.region == "Two"]
    assert (task.state, task.reason_code) == ("done", "region_gone")


def test_came_back_empty(cloud):
    images = filled(cloud)
    cloud.two = MemoryRegion("Two", project_id=SERVICE, clock=cloud.clock)
    cloud.directory.regions["Two"] = ("http://two", cloud.two)
    cloud.compare()
    assert cloud.ids(cloud.two) == {image.id for image in images}
    assert {cloud.record(image.id).restores for image in images} == {0}


def test_came_back_older(cloud):
    """A replica lacks, one has old metadata, one was deleted since, one had another id by now."""
    first, second, third = filled(cloud)
    backup = copy.deepcopy(cloud.two)
    fourth = cloud.upload(b"new since")
    cloud.two.delete_image(second.id)
    cloud.one.delete_image(third.id)
    cloud.report_removal(third.id)
    cloud.one.update_image(first.id, ImageChanges(fields={"name": "renamed"}))
    cloud.compare()
    assert cloud.record(second.id).id_reason is IdReason.ID_BURNED

    cloud.two = backup
    cloud.directory.regions["Two"] = ("http://two", backup)
    cloud.compare()
    cloud.compare()

    assert cloud.ids(backup) == {first.id, second.id, fourth.id}
    assert backup.get_image(first.id).name == "renamed"
    record = cloud.record(second.id)
    assert (record.replica_id, record.origin, record.id_reason) == (second.id, Origin.ADOPTED, None)
    assert cloud.record(third.id).state is ReplicaState.DELETED


def test_renamed(cloud):
    images = filled(cloud)
    cloud.two.delete_image(images[0].id)
    cloud.compare()  # so that one has another id than its image
    before = cloud.ids(cloud.two)
    cloud.directory.regions["New"] = ("http://two", cloud.two)
    del cloud.directory.regions["Two"]
    cloud.two.region_name = "New"
    early = images[1].id
    cloud.service.hint(early, trigger=Trigger.API, request_id=None)  # an event may come before anybody noticed

    assert cloud.watch.run_once().renamed == {"Two": "New"}
    cloud.work()
    cloud.compare()

    assert cloud.ids(cloud.two) == before
    for image in images:
        record = cloud.record(image.id, "New")
        assert (record.state, record.origin) == (ReplicaState.IN_SYNC, Origin.CREATED)
        assert cloud.records.read(image.id, "Two").replica is None
    assert cloud.service.list_deletions(limit=9, marker=None, filters={}) == []
    cloud.one.delete_image(images[1].id)
    cloud.report_removal(images[1].id)
    cloud.work()
    assert images[1].id not in cloud.ids(cloud.two)


def test_an_endpoint_that_changed_is_followed(cloud):
    images = filled(cloud)
    cloud.directory.regions["Two"] = ("http://elsewhere", cloud.two)
    assert cloud.watch.run_once().moved == ("Two",)
    cloud.compare()
    assert cloud.ids(cloud.two) == {image.id for image in images}
    assert cloud.watch.run_once() == RegionChanges(renamed={})


def test_the_first_look_knows_of_regions_by_their_records(cloud):
    filled(cloud)
    cloud.database.run(lambda connection: connection.execute(sa.delete(regions)))
    del cloud.directory.regions["Two"]
    assert cloud.watch.run_once().gone == ("Two",)


def test_a_new_region_is_filled(cloud):
    images = filled(cloud)
    four = MemoryRegion("Four", project_id=SERVICE, clock=cloud.clock)
    cloud.directory.regions["Four"] = ("http://four", four)
    assert cloud.watch.run_once().new == ("Four",)
    cloud.compare()
    assert cloud.ids(four) == {image.id for image in images}
