# SPDX-License-Identifier: Apache-2.0
"""What is kept of attempts stays bounded, however often a pair fails."""
from __future__ import annotations

from pathlib import Path

import pytest

from glancesync.db.engine import Database
from glancesync.db.schema import metadata
from glancesync.model.attempt import Attempt
from glancesync.sync import attempts as module
from glancesync.sync.attempts import SHOWN, Attempts


@pytest.fixture
def attempts(tmp_path: Path) -> Attempts:
    database = Database(f"sqlite:///{tmp_path}/core.db")
    database.run(metadata.create_all)
    return Attempts(database)


def add(attempts: Attempts, task_id: str, *times: float) -> None:
    for at in times:
        attempts.add(Attempt(task_id=task_id, image_id="i", region="Two", source_region="One", driver="stream",
                             began_at=at, seconds=1, bytes_moved=0, code="ok", reason=None))


def test_a_task_that_fails_for_ever_keeps_those_that_are_shown(attempts: Attempts,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", 7)
    add(attempts, "often", *range(1000, 1000 + SHOWN + 30))
    add(attempts, "seldom", *range(1000, 1005))
    assert attempts.purge(0) == 30
    assert [each.began_at for each in attempts.list("often", limit=1000)] == [
        *range(1000 + SHOWN + 29, 1029, -1)]
    assert len(attempts.list("seldom")) == 5
    assert attempts.purge(0) == 0


def test_the_old_go_whosever_they_are(attempts: Attempts) -> None:
    add(attempts, "often", *range(200))
    add(attempts, "seldom", 5, 500)
    assert attempts.purge(100) == 101
    assert [each.began_at for each in attempts.list("seldom")] == [500]
    assert len(attempts.list("often", limit=1000)) == 100
