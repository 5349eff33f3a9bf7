# SPDX-License-Identifier: Apache-2.0
"""What drivers say, in words that tell a person what to do."""
from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

from glancesync.db import errors

URL = sa.make_url("mysql+pymysql://user:secret@db.example/sync")


def said(words: str) -> sa_exc.OperationalError:
    return sa_exc.OperationalError("INSERT INTO tasks", {}, Exception(words))


@pytest.mark.parametrize("words", [
    "database or disk is full",
    "(1114, \"The table 'tasks' is full\")",
    "(1021, \"Disk full (/tmp/#sql); waiting for someone (errno: 28 'No space left on device')\")",
    "(3, \"Error writing file './sync/tasks.MAI' (Errcode: 28 'No space left on device')\")",
    'could not extend file "base/16385/16391": No space left on device',
])
def test_a_full_disk_is_told_whatever_the_database_calls_it(words: str) -> None:
    told = errors.translate(said(words), URL)
    assert str(told) == ("the mysql database sync on db.example cannot be used: its disk is full: free some space, "
                         "the work goes on by itself")


def test_what_is_not_known_names_no_secret() -> None:
    assert "secret" not in str(errors.translate(said("(1030, 'Got error 122')"), URL))
