# SPDX-License-Identifier: Apache-2.0
"""A cloud with two servers that share a PostgreSQL or MariaDB, and a proxy before one of its Glances that can hold each
request for as long as a test likes."""
from __future__ import annotations

import functools
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from keystoneauth1.session import Session

from glancesync.cmd.lab import DATABASE_VARIABLE
from glancesync.db.engine import Database
from glancesync.lab.cloud import Lab
from glancesync.lab.oracle import Oracle
from glancesync.lab.server import SyncServer
from glancesync.lab.service import base_environment, program
from tests.fixtures.cloud import SERVER_OPTIONS
from tests.fixtures.databases import BACKENDS
from tests.fixtures.faulty_proxy import serving
from tests.fixtures.images import ImagesOf
from tests.fixtures.keystone_admin import KeystoneAdmin
from tests.fixtures.main_job import MainJob, assert_no_secrets
from tests.fixtures.takeover import OPTIONS, HeldRegion, HoldingProxy


@pytest.fixture(scope="package", params=BACKENDS)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory,
        new_database: Callable[[str], str]) -> Iterator[Lab]:
    """Brought up by its command, as an operator does. With --lab-dir DIR the lab DIR-shared is used, or made, and left
    standing without its servers, whose database ends with the tests."""
    kept = request.config.getoption("--lab-dir")
    folder = Path(f"{kept}-shared") if kept else tmp_path_factory.mktemp("shared") / "cloud"
    cloud, failed_before = Lab(folder), request.session.testsfailed
    try:
        subprocess.run([program("glance-sync-lab"), "up", "--dir", str(folder), "--servers", "2"], check=True,
                       timeout=300, env=base_environment() | {DATABASE_VARIABLE: new_database(request.param)})
        cloud = Lab(folder)
        assert [server.is_ready() for server in cloud.servers] == [True, True]
        yield cloud
    finally:
        for server in cloud.servers if kept and cloud.exists else ():
            server.stop()
        if not kept:
            cloud.down(keep=request.session.testsfailed > failed_before)


@pytest.fixture(scope="package")
def session_of(lab: Lab) -> Callable[[str], Session]:
    """session_of(user): one session for each user of this lab."""
    return functools.cache(lab.session)


@pytest.fixture(scope="package")
def oracle(lab: Lab) -> Oracle:
    return Oracle(lab.state)


@pytest.fixture(scope="package")
def proxy(lab: Lab) -> Iterator[HoldingProxy]:
    """RegionTwo's Glance in Keystone's catalog is this proxy."""
    with serving(HoldingProxy(lab.endpoint("RegionTwo"))) as proxy, \
            KeystoneAdmin(lab).endpoints_at("RegionTwo", proxy.url):
        yield proxy


@pytest.fixture
def servers(lab: Lab, proxy: HoldingProxy) -> Iterator[list[SyncServer]]:
    """The first one alone, through the proxy, and the second one to be brought up. All is well again afterwards."""
    first, second = lab.servers
    for server in lab.servers:
        server.overrides = {section: {**SERVER_OPTIONS.get(section, {}), **OPTIONS.get(section, {})}
                            for section in SERVER_OPTIONS.keys() | OPTIONS.keys()}
    second.stop()
    first.bring_up()
    yield [first, second]
    proxy.clear()
    proxy.bytes_per_second = None
    for server in lab.servers:
        server.kill(signal.SIGCONT)


@pytest.fixture
def job(lab: Lab, servers: list[SyncServer], images: ImagesOf, oracle: Oracle,
        session_of: Callable[[str], Session]) -> Iterator[MainJob]:
    yield MainJob(lab, session_of("admin"), oracle)
    for server in servers:
        lab.server = server
        assert_no_secrets(lab)
    lab.server = servers[0]


@pytest.fixture
def held(lab: Lab, job: MainJob, proxy: HoldingProxy, images: ImagesOf,
         session_of: Callable[[str], Session]) -> Iterator[HeldRegion]:
    """RegionTwo as the first server reaches it, and the database that both share."""
    database = Database(lab.state.options.sync_database or "")
    job.sync()  # a comparison makes the region's canary, so that the first create is the image's
    yield HeldRegion(job=job, proxy=proxy, database=database, ours=images("demo"),
                     rival_id=str(session_of("rival").get_project_id()))
    database.close()
