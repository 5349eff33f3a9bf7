# SPDX-License-Identifier: Apache-2.0
"""A lab's life by its own command: it comes up, grows, moves away from a taken port and leaves nothing behind."""
from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.images import Images
from glancesync.lab.oracle import Oracle
from glancesync.lab.service import base_environment, program
from glancesync.lab.state import LabOptions
from tests.fixtures.main_job import MainJob, assert_no_secrets
from tests.fixtures.short_job import run_short_job

pytestmark = [pytest.mark.lab, pytest.mark.full]


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "lab"
    yield path
    Lab(path).down()


def _command(*arguments: str | Path, check: bool = True) -> str:
    answer = subprocess.run([program("glance-sync-lab"), *map(str, arguments)], env=base_environment(), text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=300)
    assert not check or answer.returncode == 0, answer.stdout
    return answer.stdout


def test_up_grow_move_down(directory: Path) -> None:
    assert "no lab in" in _command("status", "--dir", directory, check=False)
    shown = _command("up", "--dir", directory, "--regions", "2", "--no-server")
    assert shown.count(" ready ") == 3
    lab = Lab(directory)
    pids = [service.pid for service in lab.services if service.pid]
    _command("up", "--dir", directory, "--regions", "3", "--no-server")
    assert Lab(directory).regions == ("RegionOne", "RegionTwo", "RegionThree")
    assert [service.pid for service in lab.services if service.pid] == pids
    assert "has 3 regions" in _command("up", "--dir", directory, "--regions", "2", "--no-server", check=False)

    lab.glances["RegionTwo"].kill()
    with socket.create_server(("127.0.0.1", lab.state.ports["RegionTwo"])):
        _command("up", "--dir", directory, "--no-server")
        moved = Lab(directory)
        assert moved.state.ports["RegionTwo"] != lab.state.ports["RegionTwo"]
        endpoint = moved.session("demo").get_endpoint(service_type="image", region_name="RegionTwo")
        assert endpoint == moved.endpoint("RegionTwo")

    _command("down", "--dir", directory)
    assert not directory.exists()
    assert not any(Path(f"/proc/{pid}/cwd").exists() for pid in pids)


def test_lab_on_mariadb(directory: Path) -> None:
    """The lab ends the MariaDB that it started, and no other."""
    _command("up", "--dir", directory, "--regions", "2", "--database", "mariadb", "--no-server")
    lab = Lab(directory)
    session = lab.session("demo")
    body = {"name": "x", "disk_format": "raw", "container_format": "bare"}
    made = session.post(f"{lab.endpoint('RegionTwo')}/v2/images", json=body).json()
    assert made["status"] == "queued"
    assert "mysql+pymysql" in (directory / "RegionTwo" / "glance-api.conf").read_text()
    assert lab.mariadb is not None
    pid = lab.mariadb.pid
    _command("down", "--dir", directory)
    assert pid is not None
    assert not Path(f"/proc/{pid}/cwd").exists()


@pytest.mark.parametrize(("backend", "of_the_glances"), [("postgresql", "sqlite"), ("mariadb", "mariadb")])
def test_the_main_job_on_another_database(directory: Path, new_database: Callable[[str], str], backend: str,
                                          of_the_glances: str) -> None:
    url = new_database(backend)
    lab = Lab(directory)
    lab.up(LabOptions(regions=2, database=of_the_glances), with_server=False)
    lab.server.overrides = {"database": {"connection": url}, "DEFAULT": {"debug": True}}
    lab.server.bring_up()
    job = MainJob(lab, lab.session("admin"), Oracle(lab.state))
    demo = Images(lab.session("demo"), lab.endpoint(lab.cascading_region))
    run_short_job(job, demo, str(lab.session("rival").get_project_id()))
    # What was promised outlives the server.
    made = str(demo.create("late", b"bytes")["id"])
    lab.server.kill()
    demo.set(made, name="later")
    lab.server.bring_up()
    job.converge()
    job.wait_for(made)
    assert not lab.server.database_path.exists()
    assert_no_secrets(lab)
