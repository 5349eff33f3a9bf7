# SPDX-License-Identifier: Apache-2.0
"""Programs of this version on the tables of the next one, and what keeps every migration such that they can."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from glancesync.db import compat, migrate
from glancesync.db.compat import Step, find_contracting, oldest_program, why_unfit
from glancesync.db.engine import Database
from glancesync.db.schema import facts
from glancesync.exceptions import NotReadyError
from tests.fixtures.next_version import REVISION, bring_to_next

PLAIN = [Step(revision="1", contracts=None), Step(revision="2", contracts="1"), Step(revision="3", contracts=None),
         Step(revision="4", contracts="3")]


@pytest.mark.parametrize(("steps", "oldest"), [(PLAIN[:1], "1"), (PLAIN[:3], "1"), (PLAIN, "3")])
def test_the_oldest_program(steps: list[Step], oldest: str) -> None:
    assert oldest_program(steps) == oldest


@pytest.mark.parametrize(("found", "revision"), [("2", "4"), ("3", None), ("4", None), (None, "2")])
def test_the_step_that_a_running_server_would_not_survive(found: str | None, revision: str | None) -> None:
    step = find_contracting(PLAIN, found)
    assert (step and step.revision) == revision


@pytest.mark.parametrize(("found", "serves_from", "words"), [
    ("2", None, None), ("3", "1", None), ("3", "2", None),
    (None, None, "at version none, this program needs 2: run glance-sync-manage db sync"),
    ("1", "1", "at version 1, this program needs 2: run glance-sync-manage db sync"),
    ("3", None, "does not say that it serves this one"),
    ("3", "3", "serves programs from version 3 on, this one is at 2; install a newer one")])
def test_which_tables_fit(found: str | None, serves_from: str | None, words: str | None) -> None:
    said = why_unfit(found, serves_from, {"1", "2"}, "2")
    assert said is None if words is None else words in str(said)


@pytest.fixture
def url(tmp_path: Path) -> str:
    found = f"sqlite:///{tmp_path}/state.db"
    database = Database(found)
    database.sync()
    database.close()
    return found


def test_tables_of_the_next_version_are_accepted_and_left_alone(url: str, tmp_path: Path) -> None:
    bring_to_next(url, tmp_path)
    database = Database(url)
    database.open()
    database.sync()
    assert database.version() == REVISION
    database.close()


def test_tables_that_serve_newer_programs_only_are_refused(url: str, tmp_path: Path) -> None:
    bring_to_next(url, tmp_path, contracts=True)
    for refused in (Database(url).open, Database(url).sync):
        with pytest.raises(NotReadyError, match=f"serves programs from version {REVISION} on"):
            refused()


def test_newer_tables_that_say_nothing_are_refused(url: str, tmp_path: Path) -> None:
    bring_to_next(url, tmp_path)
    database = Database(url)
    database.run(lambda connection: connection.execute(sa.delete(facts)))
    with pytest.raises(NotReadyError, match="does not say that it serves this one"):
        database.open()
    database.close()


def _tables(connection: sa.Connection) -> dict[str, dict[str, Any]]:
    inspector = sa.inspect(connection)
    return {name: {
        "columns": {each["name"]: each for each in inspector.get_columns(name)},
        "unique": {tuple(each["column_names"]) for each in inspector.get_indexes(name) if each["unique"]}
        | {tuple(each["column_names"]) for each in inspector.get_unique_constraints(name)},
    } for name in inspector.get_table_names() if name != "alembic_version"}


def _holds(old: sa.types.TypeEngine[Any], new: sa.types.TypeEngine[Any]) -> bool:
    """Whether whatever fitted still fits: the same type, or a longer text."""
    if isinstance(old, sa.String) and isinstance(new, sa.String) and old.length and new.length:
        return new.length >= old.length
    return str(old) == str(new)


@pytest.mark.parametrize(("old", "new", "holds"), [
    (sa.String(16), sa.String(16), True), (sa.String(16), sa.String(32), True), (sa.String(16), sa.String(8), False),
    (sa.Double(), sa.Double(), True), (sa.Integer(), sa.String(16), False), (sa.Text(), sa.String(16), False)])
def test_a_longer_text_contracts_nothing(old: sa.types.TypeEngine[Any], new: sa.types.TypeEngine[Any],
                                         holds: bool) -> None:
    assert _holds(old, new) is holds


def _what_contracts(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> list[str]:
    """What a program that knows the tables `before` would not get along with."""
    found = [f"table {name} is gone" for name in before.keys() - after.keys()]
    for name in before.keys() & after.keys():
        old, new = before[name]["columns"], after[name]["columns"]
        found += [f"{name}.{column} is gone" for column in old.keys() - new.keys()]
        found += [f"{name}.{column} changed" for column in old.keys() & new.keys()
                  if not _holds(old[column]["type"], new[column]["type"])
                  or old[column]["nullable"] != new[column]["nullable"]]
        found += [f"{name}.{column} has to be written" for column in new.keys() - old.keys()
                  if not new[column]["nullable"] and new[column]["default"] is None]
        found += [f"{name}: {columns} have to be unique" for columns in after[name]["unique"] - before[name]["unique"]]
    return found


@pytest.mark.parametrize("number", range(1, len(migrate.steps())))
def test_every_migration_expands_or_says_that_it_contracts(number: int, tmp_path: Path) -> None:
    steps, database = migrate.steps(), Database(f"sqlite:///{tmp_path}/state.db")
    settings = migrate.config()

    def bring_to(connection: sa.Connection, revision: str) -> None:
        settings.attributes["connection"] = connection
        command.upgrade(settings, revision)

    database.run(bring_to, steps[number - 1].revision)
    before = database.read(_tables)
    database.run(bring_to, steps[number].revision)
    found = _what_contracts(before, database.read(_tables))
    database.close()
    assert bool(found) is (steps[number].contracts is not None), f"{steps[number]}: {found}"
    order = [step.revision for step in steps]
    assert steps[number].contracts in (None, *order[:number + 1])


def test_what_the_judge_of_migrations_finds(url: str) -> None:
    """It is not blind: each way to break an older program is found."""
    database = Database(url)
    before = database.read(_tables)
    for statement in ("DROP INDEX ix_tasks_claim", "ALTER TABLE tasks DROP COLUMN step",
                      "ALTER TABLE runs RENAME COLUMN server TO host", "DROP TABLE located",
                      "CREATE UNIQUE INDEX only ON regions (endpoint)"):
        database.run(lambda connection, said=statement: connection.exec_driver_sql(said))
    after = database.read(_tables)
    after["births"]["columns"]["asked_at"]["type"] = sa.String(3)
    after["facts"]["columns"]["must"] = {"nullable": False, "default": None}
    database.close()
    assert sorted(_what_contracts(before, after)) == [
        "births.asked_at changed", "facts.must has to be written", "regions: ('endpoint',) have to be unique",
        "runs.server is gone", "table located is gone", "tasks.step is gone"]


def test_sync_says_which_programs_are_served(url: str) -> None:
    assert Database(url).read(compat.read_declared) == oldest_program(migrate.steps())
