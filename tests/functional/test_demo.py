# SPDX-License-Identifier: Apache-2.0
"""The demo's story on the real cloud, with a smaller large image."""
from __future__ import annotations

import io

import pytest
from rich.console import Console

from glancesync.lab.cloud import Lab
from glancesync.lab.demo import Demo
from glancesync.lab.demo_images import MARK, demo_images
from glancesync.lab.server import SyncServer
from tests.fixtures.images import ImagesOf

pytestmark = pytest.mark.lab


def test_story_ends_with_all_regions_the_same(lab: Lab, images: ImagesOf, sync_server: SyncServer) -> None:
    output = io.StringIO()
    try:
        converged = Demo(lab, Console(file=output, width=140)).run(demo_images(large_mib=24))
    finally:
        ours = images("admin")
        for hidden in ("false", "true"):
            for record in ours.list(visibility="all", os_hidden=hidden, **{MARK: "yes"}):
                ours.ensure_deleted(record["id"])
    assert converged, output.getvalue()
    assert "never" not in output.getvalue()
    assert "a 1 MiB image at rest" in output.getvalue()
    assert sync_server.is_alive
