# SPDX-License-Identifier: Apache-2.0
"""What changed a moment ago, how work went over time, and how much there is."""
from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
import sqlalchemy as sa

from glancesync.db.schema import images, replicas, runs, tasks
from tests.fixtures.memory_cloud import MemoryCloud

IMAGE = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"


@pytest.fixture
def cloud(tmp_path: Any) -> MemoryCloud:
    return MemoryCloud(tmp_path)


@pytest.fixture
def now() -> float:
    return time.time()


def _insert(cloud: MemoryCloud, table: sa.Table, **values: Any) -> None:
    cloud.database.run(lambda connection: connection.execute(sa.insert(table).values(**values)))


def _replica(cloud: MemoryCloud, image_id: str, **values: Any) -> None:
    _insert(cloud, images, image_id=image_id, name="n", owner="demo")
    _insert(cloud, replicas, **{"image_id": image_id, "region": "Two", "state": "in_sync", "updated_at": 1, **values})


def _run(cloud: MemoryCloud, image_id: str, at: float, **values: Any) -> None:
    _insert(cloud, runs, **{"id": uuid.uuid4().hex, "task_id": "t", "image_id": image_id, "region": "Two",
                            "trigger": "event", "attempt": 1, "started_at": at - 1, "finished_at": at,
                            "outcome": "done", "bytes_moved": 10, **values})


def _task(cloud: MemoryCloud, image_id: str, now: float, **values: Any) -> None:
    _insert(cloud, tasks, **{"id": uuid.uuid4().hex, "image_id": image_id, "region": "Two", "state": "running",
                             "trigger": "event", "wanted": 1, "seen": 1, "priority": 0, "run_at": now, "attempts": 0,
                             "cancel": False, "fence": 1, "created_at": now, "updated_at": now, **values})


def test_what_runs_or_just_ended_is_told_as_the_api_tells_it(cloud: MemoryCloud, now: float) -> None:
    for image_id in (IMAGE, OTHER):
        _replica(cloud, image_id)
    _run(cloud, OTHER, now - 100)
    assert cloud.service.list_changed_images(since=None, limit=9)[0] == []
    _task(cloud, IMAGE, now, bytes_done=3, bytes_total=7)
    _run(cloud, OTHER, now)
    found, since = cloud.service.list_changed_images(since=None, limit=9)
    assert [image["id"] for image in found] == [OTHER, IMAGE]
    assert found == [cloud.service.get_image(image_id) for image_id in (OTHER, IMAGE)]
    assert now - 5 < since <= time.time()


def test_more_than_fits_comes_at_the_next_look(cloud: MemoryCloud, now: float) -> None:
    ids = [str(uuid.UUID(int=number)) for number in range(1, 6)]
    for number, image_id in enumerate(ids):
        _replica(cloud, image_id)
        _run(cloud, image_id, now - 1 + number / 10)
    seen: list[str] = []
    since: float | None = None
    for _ in range(3):
        found, since = cloud.service.list_changed_images(since=since, limit=2)
        seen += [image["id"] for image in found]
    assert sorted(set(seen)) == ids


def test_what_ended_is_not_lost_beside_what_runs(cloud: MemoryCloud, now: float) -> None:
    ids = [str(uuid.UUID(int=number)) for number in range(1, 6)]
    running, ended = ids[:2], ids[2:]
    for image_id in ids:
        _replica(cloud, image_id)
    for image_id in running:
        _task(cloud, image_id, now)
    for number, image_id in enumerate(ended):
        _run(cloud, image_id, now - 1 + number / 10)
    seen: set[str] = set()
    since: float | None = None
    for _ in range(3):
        found, since = cloud.service.list_changed_images(since=since, limit=2)
        seen.update(image["id"] for image in found)
    assert seen >= set(ended)


def test_history_by_step_and_region(cloud: MemoryCloud, now: float) -> None:
    _replica(cloud, IMAGE, synced_at=now - 30, lag_seconds=4.5)
    _run(cloud, IMAGE, now - 30)
    _run(cloud, IMAGE, now - 31, outcome="retry", bytes_moved=5)
    _run(cloud, IMAGE, now - 3000, outcome="failed")
    _run(cloud, IMAGE, now - 9999)
    found = cloud.service.history(seconds=3600, points=1, region=None)
    assert sum(point["bytes"] for point in found["points"]) in (15, 25)  # the older one may lie in the step before
    found = cloud.service.history(seconds=7200, points=2, region="Two")
    assert found["step_seconds"] == 3600
    assert sum(point["failed"] for point in found["points"]) == 2
    assert max(point["lag_seconds"] or 0 for point in found["points"]) == 4.5
    assert cloud.service.history(seconds=7200, points=2, region="Three")["points"] == []


def test_steps_stand_still(cloud: MemoryCloud) -> None:
    """Two pictures that are drawn a moment apart begin at the same time, or a whole step apart."""
    begins = {cloud.service.history(seconds=86400, points=1, region=None)["begins_at"] for _ in range(3)}
    assert begins <= {next(iter(begins))} or len(begins) == 2


def test_statistics_count_what_there_is(cloud: MemoryCloud, now: float) -> None:
    _replica(cloud, IMAGE)
    _task(cloud, IMAGE, now, state="waiting", run_at=now - 50)
    _task(cloud, OTHER, now, state="waiting", run_at=now + 50)
    _task(cloud, OTHER, now, state="done", region="Three", trigger="api")
    found = cloud.service.statistics()
    assert found.tasks == {("waiting", "event", "Two"): 2, ("done", "api", "Three"): 1}
    assert found.due["Two"].count == 1
    assert 49 < found.due["Two"].oldest_seconds < 80
    assert (found.replicas, found.deletions_held) == ({"Two": {"in_sync": 1}}, False)
