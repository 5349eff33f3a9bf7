# SPDX-License-Identifier: Apache-2.0
"""The embedded mode on the real cloud: the server is killed with its runs in every step, and started again on its
SQLite file. With several servers: tests/probe/shared."""
from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from keystoneauth1.session import Session

from glancesync.db.engine import Database
from glancesync.lab.cloud import Lab
from glancesync.lab.server import SyncServer
from tests.fixtures.every_step import kill_in_every_step
from tests.fixtures.faulty_lab import wait_endpoint
from tests.fixtures.faulty_proxy import serving
from tests.fixtures.images import ImagesOf
from tests.fixtures.keystone_admin import KeystoneAdmin
from tests.fixtures.main_job import MainJob
from tests.fixtures.takeover import OPTIONS, REGION, HeldRegion, HoldingProxy

pytestmark = pytest.mark.lab


@pytest.fixture
def held(lab: Lab, job: MainJob, images: ImagesOf, start_server: Callable[..., SyncServer],
         session_of: Callable[[str], Session]) -> Iterator[HeldRegion]:
    """RegionTwo as the server reaches it, and the server's database."""
    with serving(HoldingProxy(lab.endpoint(REGION))) as proxy, KeystoneAdmin(lab).endpoints_at(REGION, proxy.url):
        server = start_server(OPTIONS)
        wait_endpoint(job, REGION, proxy.url)
        job.sync()  # a comparison makes the region's canary, so that the first create is the image's
        database = Database(f"sqlite:///{server.database_path}")
        yield HeldRegion(job=job, proxy=proxy, database=database, ours=images("demo"),
                         rival_id=str(session_of("rival").get_project_id()))
        proxy.clear()
        proxy.bytes_per_second = None
        database.close()


def test_a_killed_server_in_every_step(held: HeldRegion, job: MainJob, tell: Callable[[str], None]) -> None:
    server = job.lab.server
    kill_in_every_step(held, server, after=server.bring_up, tell=tell)
