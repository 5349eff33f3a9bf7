# SPDX-License-Identifier: Apache-2.0
"""An image that does not match its own hash is read again when it changed or was asked for, not at every comparison."""
from __future__ import annotations

from pathlib import Path

import pytest

from glancesync.model.image import Image
from glancesync.model.replica import ReplicaRecord, ReplicaState
from glancesync.sync import actions as act
from glancesync.sync.codes import Code
from glancesync.sync.findings import PassReport
from glancesync.sync.reconcile import needs_run
from glancesync.sync.rotation import Turns
from glancesync.sync.situation import Plan
from tests.fixtures.memory_cloud import MemoryCloud

COPY = Plan(state=ReplicaState.COPYING, code=Code.COPYING, reason="",
            actions=(act.CopyBytes(replica_id="i", size=1, digest=None),))


@pytest.mark.parametrize(("code", "updated_at", "again", "expected"), [
    ("source_corrupt", 5.0, False, False), ("source_corrupt", 5.0, True, True), ("source_corrupt", 6.0, False, True),
    ("region_unavailable", 5.0, False, True)])
def test_corrupt_source(code: str, updated_at: float, again: bool, expected: bool) -> None:
    record = ReplicaRecord(image_id="i", region="Two", state=ReplicaState.FAILED, reason_code=code,
                           source_updated_at=5.0)
    assert needs_run(COPY, record, Image(id="i", status="active", updated_at=updated_at),
                     again=again) is expected


@pytest.mark.parametrize(("turns", "expected"), [
    (None, 2),  # somebody asked
    (Turns(now=10.0, interval_seconds=0), 2),  # the first since the start
    (Turns(now=1200.0, interval_seconds=0, before={"Two": 0.0, "Three": 0.0}), 0),
    (Turns(now=6 * 3600.0, interval_seconds=0, before={"Two": 0.0, "Three": 0.0}), 2)])
def test_once_in_six_hours_or_when_asked(tmp_path: Path, turns: Turns | None, expected: int) -> None:
    cloud = MemoryCloud(tmp_path)
    cloud.compare()
    image = cloud.upload(id="0b0a7ad1-0000-4000-8000-000000000001")  # another one may have its turn at 1200 s
    cloud.one.set_data(image.id, b"BYTES")
    cloud.compare()
    cloud.work()
    assert {view["reason_code"] for view in cloud.service.get_image(image.id)["regions"]} == {"source_corrupt"}
    assert len(cloud.service.reconcile(PassReport(), turns=turns)) == expected
    cloud.database.close()
