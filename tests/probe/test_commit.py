# SPDX-License-Identifier: Apache-2.0
"""A server that dies between a commit and the bell, or just before the commit: what was answered is kept, what is kept
is done, and what was not committed was not answered."""
from __future__ import annotations

import http.client
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest

from glancesync.lab.service import base_environment
from tests.fixtures.daemon import ROOT
from tests.fixtures.databases import BACKENDS
from tests.fixtures.dying_server import MOMENTS
from tests.fixtures.fake_cloud import FakeCloud, image_ids
from tests.fixtures.polling import eventually
from tests.fixtures.several import Several

#: Nothing but the request asks for anything.
OPTIONS = {"DEFAULT": {"reconcile_at_start": False, "reconcile_interval_seconds": 0}}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[FakeCloud]:
    cloud = FakeCloud(tmp_path, images=1)
    yield cloud
    cloud.stop()


@pytest.fixture(params=["sqlite", *(pytest.param(backend, marks=pytest.mark.full) for backend in BACKENDS)])
def server(request: pytest.FixtureRequest, tmp_path: Path, cloud: FakeCloud,
           new_database: Callable[[str], str]) -> Iterator[Several]:
    url = None if request.param == "sqlite" else new_database(request.param)
    server = Several(tmp_path, cloud, workers=1, url=url, options=OPTIONS)
    yield server
    server.end()


def start_dying(server: Several, moment: str) -> subprocess.Popen[bytes]:
    path = server.folder / "dying.log"
    with path.open("wb") as log:
        dying = subprocess.Popen(
            [sys.executable, "-m", "tests.fixtures.dying_server", moment, "--config-file", str(server.conf_path)],
            cwd=ROOT, env=base_environment(), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    eventually(lambda: "serves on" in path.read_text(), what="it serves")
    return dying


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_around_the_commit(server: Several, cloud: FakeCloud, moment: str) -> None:
    [image_id] = image_ids(1)
    dying = start_dying(server, moment)
    try:
        with pytest.raises((http.client.HTTPException, OSError)) as failed:
            server.call("POST", "/v1/sync", {"image_ids": [image_id]})
        assert not isinstance(failed.value, HTTPError), f"it answered: {failed.value.read()!r}"
        assert dying.wait(10) == -signal.SIGKILL
    finally:
        if dying.poll() is None:
            dying.kill()
            dying.wait(10)
    assert cloud.uploads("begin") == [], "nobody was woken"
    server.start()
    if moment == "before-commit":
        assert server.call("GET", "/v1/tasks")["tasks"] == []
        assert server.call("POST", "/v1/sync", {"image_ids": [image_id]})
    eventually(lambda: {(each.region, each.image_id) for each in cloud.uploads("end")}
               == {(region, image_id) for region in cloud.names}, what="it is done")
    assert len(cloud.uploads("begin")) == len(cloud.names), "once"
