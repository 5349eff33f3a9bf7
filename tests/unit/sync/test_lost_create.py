# SPDX-License-Identifier: Apache-2.0
"""A create request whose answer was lost made the replica all the same: it is ours, and stays it for good."""
from __future__ import annotations

from pathlib import Path

import pytest

from glancesync.exceptions import ImageNotFoundError, RegionUnavailableError
from glancesync.model.replica import Origin, ReplicaState
from tests.fixtures.memory_cloud import MemoryCloud


@pytest.fixture
def cloud(tmp_path: Path) -> MemoryCloud:
    return MemoryCloud(tmp_path)


def test_it_is_ours_after_it_was_revealed(cloud):
    cloud.compare()
    image = cloud.upload(b"data")
    cloud.two.fail_next("create_image", RegionUnavailableError("killed"), after_effect=True)
    with pytest.raises(RegionUnavailableError):
        cloud.run(image.id)
    assert cloud.record(image.id).origin is Origin.INTENDED
    cloud.run(image.id)
    record = cloud.record(image.id)
    assert (record.state, record.origin, record.replica_id) == (ReplicaState.IN_SYNC, Origin.CREATED, image.id)
    cloud.one.delete_image(image.id)
    cloud.report_removal(image.id)
    cloud.run(image.id)
    with pytest.raises(ImageNotFoundError):
        cloud.two.get_image(image.id)
