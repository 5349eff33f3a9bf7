# SPDX-License-Identifier: Apache-2.0
"""The memory of a real server that works on many pairs. Used by the scale benchmark."""
from __future__ import annotations

import tempfile
import time
from pathlib import Path

from glancesync.db.engine import Database
from glancesync.model.task import TaskState
from glancesync.tasks.listing import counts
from tests.benchmark.scale_load import Load
from tests.fixtures.fake_cloud import FakeCloud
from tests.fixtures.several import Several


def server_memory(folder: Path, regions: int, images: int, *, seconds: float) -> tuple[object, ...]:
    """A row: pairs, tasks done in the time, tasks that still wait, RSS at the start, peak RSS."""
    own = Path(tempfile.mkdtemp(dir=folder))
    cloud = FakeCloud(own, regions=regions, images=images, size=100)
    server = Several(own, cloud, workers=1, options={"DEFAULT": {"reconcile_at_start": False}})
    try:
        database = Database(server.url)
        Load(database, cloud.names).bring_to(images)
        before = database.read(counts)[TaskState.WAITING]
        daemon = server.start()
        pid = daemon.process.pid
        at_start = _memory(pid, "VmRSS")
        time.sleep(seconds)
        peak, left = _memory(pid, "VmHWM"), database.read(counts)[TaskState.WAITING]
        database.close()
        daemon.stop()
    finally:
        server.end()
        cloud.stop()
    return f"{regions * images:,}", before - left, left, f"{at_start:.0f}", f"{peak:.0f}"


def _memory(pid: int, name: str) -> float:
    """MiB."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024
