# SPDX-License-Identifier: Apache-2.0
"""The lab's SQLite plugin, with transactions opened as oslo.db opens them."""
from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from glancesync.lab.sqlite import PLUGIN


@pytest.fixture
def engine(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path}/db?timeout=0.2&plugin={PLUGIN}")
    event.listen(engine, "connect", lambda connection, _record: setattr(connection, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.execute(sa.text("BEGIN")))
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE t (n INTEGER)"))
    yield engine
    engine.dispose()


def in_a_thread(function):
    errors = []

    def run():
        try:
            function()
        except sa.exc.OperationalError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return errors


def read(engine):
    with engine.begin() as connection:
        return connection.execute(sa.text("SELECT count(*) FROM t")).scalar()


def test_two_threads_take_turns_from_their_begin_on(engine):
    with engine.begin():
        assert "locked" in str(in_a_thread(lambda: read(engine))[0])
    assert not in_a_thread(lambda: read(engine))


def test_a_transaction_within_another_of_its_thread_reads(engine):
    with engine.begin() as outer:
        outer.execute(sa.text("INSERT INTO t VALUES (1)"))
        assert read(engine) == 0
    assert read(engine) == 1


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_after_the_end_of_the_outer_one_the_next_is_immediate_again(engine, end):
    connection = engine.connect()
    getattr(connection.begin(), end)()
    with engine.begin():
        assert in_a_thread(lambda: read(engine))
    connection.close()
