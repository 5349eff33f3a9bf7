# SPDX-License-Identifier: Apache-2.0
"""A cloud of their own for tests that empty and restore Glance's databases and change Keystone's catalog: what they
leave in the stores would make the judge of other tests speak."""
from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from keystoneauth1.session import Session

from glancesync.lab.cloud import Lab
from glancesync.lab.oracle import Oracle
from glancesync.lab.state import LabOptions
from tests.fixtures.keystone_admin import KeystoneAdmin


@pytest.fixture(scope="package")
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three regions without the sync server. Logs stay when a test failed; with --lab-dir DIR the lab DIR-rules is
    used, or made, and left standing."""
    kept = request.config.getoption("--lab-dir")
    cloud = Lab(Path(f"{kept}-rules") if kept else tmp_path_factory.mktemp("rules") / "cloud")
    failed_before = request.session.testsfailed
    try:
        cloud.up(None if cloud.exists else LabOptions(), with_server=False)
        yield cloud
    finally:
        if not kept:
            cloud.down(keep=request.session.testsfailed > failed_before)


@pytest.fixture(scope="package")
def session_of(lab: Lab) -> Callable[[str], Session]:
    """session_of(user): one session for each user of this lab."""
    return functools.cache(lab.session)


@pytest.fixture(scope="package")
def oracle(lab: Lab) -> Oracle:
    return Oracle(lab.state)


@pytest.fixture
def keystone(lab: Lab) -> KeystoneAdmin:
    return KeystoneAdmin(lab)
