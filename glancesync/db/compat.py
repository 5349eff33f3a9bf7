# SPDX-License-Identifier: Apache-2.0
"""Which programs may work with which tables. Used by the engine, `db sync` and `upgrade check`.

Migrations expand: they add tables, indices and columns that an older program neither reads nor has to write, so servers
of the version before go on beside it. One that takes something away contracts; it names the version from which on
programs do without (`contracts` in its module). `db sync` writes into the database which programs its tables serve, for
those that do not know them.
"""
from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from alembic.script import ScriptDirectory

from glancesync.db.clock import now
from glancesync.db.schema import facts

_FACT = "schema_serves_from"


@dataclass(frozen=True, kw_only=True)
class Step:
    """A migration. `contracts`: the version that a program has to have at least, from this step on."""

    revision: str
    contracts: str | None


def steps_of(scripts: ScriptDirectory) -> list[Step]:
    """All migrations, the first one first."""
    found = [Step(revision=each.revision, contracts=getattr(each.module, "contracts", None))
             for each in scripts.walk_revisions()]
    return found[::-1]


def oldest_program(steps: Sequence[Step]) -> str:
    """The version of the oldest program that works with the tables after all of these steps (pure)."""
    order = [step.revision for step in steps]
    return max((step.contracts for step in steps if step.contracts is not None), key=order.index, default=order[0])


def find_contracting(steps: Sequence[Step], found: str | None) -> Step | None:
    """The first step after the version `found` that programs of that version do not survive (pure)."""
    order = [step.revision for step in steps]
    at = order.index(found) if found in order else -1
    return next((step for step in steps[at + 1:]
                 if step.contracts is not None and order.index(step.contracts) > at), None)


def why_unfit(found: str | None, serves_from: str | None, known: Collection[str], wanted: str) -> str | None:
    """Why a program that has the versions `known` up to `wanted` cannot work with tables at version `found`, and the
    next step; None where it can (pure). `serves_from` is what the tables say of themselves."""
    if found == wanted:
        return None
    if found is None or found in known:
        return f"is at version {found or 'none'}, this program needs {wanted}: run glance-sync-manage db sync"
    if serves_from is None:
        return (f"is at version {found}, which this program does not know: it is a newer program's, and does not say "
                f"that it serves this one ({wanted}); install the newer program, or restore a backup")
    if serves_from not in known:
        return (f"is at version {found}, a newer program's: it serves programs from version {serves_from} on, this one "
                f"is at {wanted}; install a newer one")
    return None


def declare(connection: sa.Connection, steps: Sequence[Step]) -> None:
    """Write down which programs the tables serve."""
    columns = {"value": json.dumps(oldest_program(steps)), "updated_at": now(connection)}
    if not connection.execute(sa.update(facts).where(facts.c.name == _FACT).values(**columns)).rowcount:
        connection.execute(sa.insert(facts).values(name=_FACT, **columns))


def read_declared(connection: sa.Connection) -> str | None:
    """What `declare` wrote; None where nobody did."""
    if not sa.inspect(connection).has_table(facts.name):
        return None
    value = connection.scalar(sa.select(facts.c.value).where(facts.c.name == _FACT))
    return None if value is None else str(json.loads(value))


def why_refuses_names(connection: sa.Connection) -> str | None:
    """Why tables that are made in the database now could not hold every image's name, and the next step."""
    match connection.dialect.name:
        case "postgresql":
            question, right, step = "SHOW server_encoding", "UTF8", "make one with ENCODING 'UTF8'"
        case "mysql" | "mariadb":
            question = ("SELECT DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA "
                        "WHERE SCHEMA_NAME = DATABASE()")
            right, step = "utf8mb4", "run ALTER DATABASE ... CHARACTER SET utf8mb4 first"
        case _:
            return None
    found = connection.scalar(sa.text(question))
    return None if found == right else f"keeps text as {found}, which cannot hold every image's name: {step}"
