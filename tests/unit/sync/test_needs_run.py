# SPDX-License-Identifier: Apache-2.0
"""An image that does not match its own hash is read again when it changed, not at every comparison."""
from __future__ import annotations

import pytest

from glancesync.model.image import Image
from glancesync.model.replica import ReplicaRecord, ReplicaState
from glancesync.sync import actions as act
from glancesync.sync.codes import Code
from glancesync.sync.reconcile import needs_run
from glancesync.sync.situation import Plan

COPY = Plan(state=ReplicaState.COPYING, code=Code.COPYING, reason="",
            actions=(act.CopyBytes(replica_id="i", size=1, digest=None),))


@pytest.mark.parametrize(("code", "updated_at", "expected"), [
    ("source_corrupt", 5.0, False), ("source_corrupt", 6.0, True), ("region_unavailable", 5.0, True)])
def test_corrupt_source(code: str, updated_at: float, expected: bool) -> None:
    record = ReplicaRecord(image_id="i", region="Two", state=ReplicaState.FAILED, reason_code=code,
                           source_updated_at=5.0)
    assert needs_run(COPY, record, Image(id="i", status="active", updated_at=updated_at)) is expected
