# SPDX-License-Identifier: Apache-2.0
"""Two servers that do at the same moment what only one should: regions are filled and renamed as by one. On SQLite,
with --full on PostgreSQL and MariaDB as well."""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from glancesync.clock import SystemClock
from glancesync.db.engine import Database
from glancesync.db.schema import fills, regions, replicas, tasks
from glancesync.model.region import Region
from glancesync.model.task import Pair, TaskState
from glancesync.service.door import Door
from glancesync.service.filling import Filling
from glancesync.service.regions import RegionWatch
from glancesync.sync import fills as fill_rows
from glancesync.sync.rows import ensure_rows, regions_with_rows
from tests.fixtures.queues import new_pairs, new_queue

pytest_plugins = ["tests.fixtures.queues"]
BATCH, ROUNDS = 5, 12

@pytest.fixture
def second(database: Database) -> Iterator[Database]:
    """Another server's connections to the same database."""
    made = Database(database._url.render_as_string(hide_password=False))
    yield made
    made.close()
    database.run(lambda connection: [connection.execute(sa.delete(each))
                                     for each in (fills, regions, replicas, tasks)] and None)


def at_once(*functions: Callable[[], Any]) -> list[Any]:
    """What they return, begun at the same moment in threads."""
    barrier = threading.Barrier(len(functions))

    def run(function: Callable[[], Any]) -> Any:
        barrier.wait()
        return function()

    with ThreadPoolExecutor(len(functions)) as pool:
        return [each.result() for each in [pool.submit(run, function) for function in functions]]


class _Context:
    clock = SystemClock()


def filling(database: Database, server: str) -> Filling:
    door = Door(database=database, queue=new_queue(database, server), context=_Context(),  # type: ignore[arg-type]
                ring=lambda: None)
    return Filling(database=database, door=door, clock=SystemClock(), here=lambda: ["R1", "R2"],
                   is_frozen=lambda _region: False)


def test_two_that_fill_at_once_let_nothing_in_twice_nor_too_much(database: Database, second: Database) -> None:
    """One stood still for longer than its lease, and both believe that it is their turn."""
    both = filling(database, "one"), filling(second, "two")
    lacking = new_pairs(BATCH * ROUNDS, "R1", "R2")
    database.run(lambda connection: connection.execute(sa.insert(fills), [
        {"image_id": pair.image_id, "region": pair.region, "created_at": float(number), "size": 1, "added_at": 1.0,
         "failed": False} for number, pair in enumerate(lacking)]) and None)
    for number in range(ROUNDS):
        at_once(*[partial(each.run_once, BATCH) for each in both])
        rows = database.read(lambda connection: connection.execute(sa.select(tasks)).all())
        assert {row.wanted for row in rows} == {1}, "submitted twice"
        assert len(rows) == 2 * BATCH * (number + 1)
        assert [database.read(fill_rows.outstanding, region) for region in ("R1", "R2")] == [BATCH, BATCH]
        database.run(lambda connection: connection.execute(sa.update(tasks).values(
            state=TaskState.DONE.value, seen=tasks.c.wanted)) and None)
    at_once(*[partial(each.run_once, BATCH) for each in both])
    assert database.read(lambda connection: connection.execute(sa.select(fills)).all()) == []


class _Directory:
    """`read` is Keystone's catalog, `known` what this server read of it before."""

    def __init__(self, *names: str) -> None:
        self.known = self.read = names

    def load(self) -> None:
        self.known = self.read

    def cascading(self) -> Region:
        return catalog()[0]

    def cascaded(self) -> list[Region]:
        return catalog(*self.known)[1:]


def catalog(*names: str) -> list[Region]:
    return [Region(name="One", endpoint="http://one", cascading=True),
            *(Region(name=name, endpoint="http://two") for name in names)]


def watch(database: Database, directory: _Directory) -> RegionWatch:
    return RegionWatch(database=database, directory=directory, clock=SystemClock(),  # type: ignore[arg-type]
                       request_reconcile=lambda: None)


def test_servers_that_see_a_region_renamed_at_once_rename_it_once(database: Database, second: Database) -> None:
    """Records of the new name are those of the old one for the second server, not a stranger's to be removed."""
    both = watch(database, _Directory()), watch(second, _Directory())
    both[0].write_down(catalog("Two-0"))
    for number in range(ROUNDS):
        image_id, old, new = new_pairs(1, "x")[0].image_id, f"Two-{number}", f"Two-{number + 1}"
        database.run(ensure_rows, [Pair(image_id, old)], wanted_at=1.0)
        changes = at_once(*[partial(each.write_down, catalog(new)) for each in both])
        assert sorted(len(each.renamed or {}) for each in changes) == [0, 1]
        assert set(database.read(regions_with_rows, [image_id])[image_id]) == {new}


def test_a_server_whose_catalog_is_old_takes_nothing_back(database: Database, second: Database) -> None:
    """It reads the catalog before it tells of it: one of a minute ago would be a region's second renaming."""
    directories = _Directory("Two"), _Directory("Two")
    one, two = watch(database, directories[0]), watch(second, directories[1])
    one.run_once()
    two.run_once()
    directories[0].read = directories[1].read = directories[0].known = ("Three",)
    assert one.run_once().renamed == {"Two": "Three"}
    changes = two.run_once()
    assert (changes.renamed, changes.new, changes.gone) == ({}, (), ())
