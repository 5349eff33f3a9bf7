# SPDX-License-Identifier: Apache-2.0
"""Sorted pages of images and tasks on a real database, retry of all that failed, and the record of deletions."""
from __future__ import annotations

import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa

from glancesync.db.schema import images, replicas
from glancesync.exceptions import InvalidInputError, RegionQuotaError
from glancesync.model.sort import IMAGE_KEYS, TASK_KEYS, Sort
from glancesync.model.task import Outcome, Pair, TaskFilter, TaskState, Trigger
from glancesync.sync.brake import Deletion
from tests.fixtures.memory_cloud import MemoryCloud

ROWS = [("b", None, 5, None), ("a", "demo", None, 3.0), (None, "demo", 7, 1.0), ("a", "rival", 5, 2.0)]


@pytest.fixture
def cloud(tmp_path: Path) -> MemoryCloud:
    return MemoryCloud(tmp_path)


@pytest.fixture
def known(cloud: MemoryCloud) -> dict[str, tuple]:
    """Image id to name, owner, size, updated_at; each in two regions, one without a row in `images`."""
    rows = {str(uuid.uuid4()): row for row in [*ROWS, None]}

    def work(connection: sa.Connection) -> None:
        for image_id, row in rows.items():
            if row is not None:
                name, owner, size, updated_at = row
                connection.execute(sa.insert(images).values(image_id=image_id, name=name, owner=owner, size=size,
                                                            updated_at=updated_at, status="active"))
            for region in ("Two", "Three"):
                connection.execute(sa.insert(replicas).values(image_id=image_id, region=region, state="in_sync",
                                                              updated_at=1.0))

    cloud.database.run(work)
    return {image_id: row or (None, None, None, None) for image_id, row in rows.items()}


def pages(list_page, limit):
    found, marker = [], None
    while rows := list_page(limit, marker):
        assert len(rows) <= limit
        found += rows
        marker = rows[-1]["id"] if isinstance(rows[-1], dict) else rows[-1].id
    return found


@pytest.mark.parametrize("limit", [1, 2, 100])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("key", IMAGE_KEYS)
def test_images_in_every_order_page_by_page(cloud, known, key, descending, limit):
    sort = Sort(key=key, descending=descending)
    found = pages(lambda size, marker: cloud.service.list_images(limit=size, marker=marker, owner=None, filters={},
                                                                 sort=sort), limit)

    def place(image_id):
        name, owner, size, updated_at = known[image_id]
        status = "active" if known[image_id] != (None,) * 4 else None
        value = {"id": image_id, "name": name, "owner": owner, "size": size, "updated_at": updated_at,
                 "status": status}[key]
        return (value is not None, value or 0 if key in ("size", "updated_at") else value or "", image_id)

    assert [image["id"] for image in found] == sorted(known, key=place, reverse=descending)
    assert all(len(image["regions"]) == 2 for image in found)


def test_filters_and_owner_hold_in_every_order(cloud, known):
    for key in IMAGE_KEYS:
        found = cloud.service.list_images(limit=9, marker=None, owner="demo", filters={"region": "Two"},
                                          sort=Sort(key=key))
        assert {image["id"] for image in found} == {each for each, row in known.items() if row[1] == "demo"}


def test_what_is_deleted_everywhere_is_left_out_when_asked_for(cloud, known):
    everywhere, in_one, *others = known

    def work(connection: sa.Connection) -> None:
        connection.execute(sa.update(replicas).where(replicas.c.image_id == everywhere).values(state="deleted"))
        connection.execute(sa.update(replicas).where(replicas.c.image_id == in_one, replicas.c.region == "Two").values(
            state="deleted"))

    def listed(filters: dict[str, str]) -> set[str]:
        return {image["id"] for key in IMAGE_KEYS for image in cloud.service.list_images(
            limit=9, marker=None, owner=None, filters=filters, sort=Sort(key=key))}

    cloud.database.run(work)
    assert listed({"deleted": "false"}) == {in_one, *others}
    assert listed({"deleted": "false", "region": "Two"}) == set(others)
    assert listed({"deleted": "true"}) == listed({}) == set(known)
    assert listed({"deleted": "false", "state": "deleted"}) == set()
    assert listed({"state": "deleted"}) == {everywhere, in_one}


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("key", TASK_KEYS)
def test_tasks_in_every_order_page_by_page(cloud, key, descending):
    made = cloud.queue.submit([Pair(str(uuid.uuid4()), region) for region in "BABAC"], trigger=Trigger.API)
    sort = Sort(key=key, descending=descending)
    for limit in (1, 2, 100):
        found = pages(lambda size, marker: cloud.service.list_tasks(TaskFilter(), size, marker, sort), limit)
        assert [task.id for task in found] == sorted(
            (task.id for task in made), reverse=descending,
            key=lambda task_id: (getattr(next(task for task in made if task.id == task_id), key), task_id))


def test_retry_of_all_that_failed_by_filter(cloud):
    pairs = [Pair(str(uuid.uuid4()), region) for region in ("Two", "Three") for _ in range(600)]
    cloud.queue.submit(pairs, trigger=Trigger.API)
    for task in cloud.queue.claim(lambda _region: 10 ** 6, 10 ** 6):
        if task.image_id == pairs[0].image_id:
            cloud.queue.finish(task, Outcome(code="in_sync", reason="same"))
        else:
            cloud.queue.fail(task, RegionQuotaError("full"))
    failed = TaskFilter(states=frozenset([TaskState.FAILED]), regions=frozenset(["Two"]), reason_code="region_quota")
    assert cloud.service.retry_tasks(failed, request_id="req-retry") == 599
    assert cloud.queue.counts()[TaskState.WAITING] == 599
    assert cloud.service.retry_tasks(failed, request_id=None) == 0
    task = cloud.service.list_tasks(TaskFilter(states=frozenset([TaskState.WAITING])), 1, None)[0]
    assert (task.trigger, task.request_id, task.attempts, task.region) == (Trigger.RETRY, "req-retry", 0, "Two")


def _deletion(number: int, **fields: str) -> Deletion:
    image_id = str(uuid.UUID(int=number))
    return Deletion(**{"image_id": image_id, "region": "Two", "replica_id": image_id, "cause": "source_removed",
                       "trigger": "event", "request_id": f"req-{number}", **fields})


def test_deletions_newest_first_page_by_page(cloud):
    for number in range(5):
        cloud.trust.brake.reserve(_deletion(number, cause="rotten" if number == 2 else "source_removed"))
        cloud.clock.advance(number % 2)
    cloud.trust.brake.note_done(_deletion(0).region, [_deletion(0).replica_id])
    found = pages(lambda size, marker: cloud.service.list_deletions(limit=size, marker=marker, filters={}), 2)
    assert [row["at"] for row in found] == sorted((row["at"] for row in found), reverse=True)
    assert {row["request_id"]: bool(row["done_at"]) for row in found} == {
        "req-0": True, "req-1": False, "req-2": False, "req-3": False, "req-4": False}
    assert [row["request_id"] for row in cloud.service.list_deletions(limit=9, marker=None,
                                                                      filters={"cause": "rotten"})] == ["req-2"]
    with pytest.raises(InvalidInputError):
        cloud.service.list_deletions(limit=9, marker="unknown", filters={})
