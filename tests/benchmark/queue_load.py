# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks of the queue submit, and to workers of which size. Used by task_queue and shared_queue."""
from __future__ import annotations

import uuid

from glancesync.conf.worker import WorkerSettings
from glancesync.model.task import Pair

SETTINGS = WorkerSettings(max_tasks=16, max_tasks_per_region=4)
REGIONS = [f"Region{number}" for number in range(10)]
BATCH = 100


def pairs(count: int) -> list[Pair]:
    """Of new images, in all regions."""
    images = [str(uuid.uuid4()) for _ in range(-(-count // len(REGIONS)))]
    return [Pair(image_id, region) for image_id in images for region in REGIONS][:count]
