# SPDX-License-Identifier: Apache-2.0
"""How the filter is loaded, and servers that fork after they have loaded it."""
from __future__ import annotations

import configparser
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from keystoneauth1.session import Session

from glancesync.lab.glance import FILTER_NAME, Glance
from glancesync.lab.ports import find_free_port
from glancesync.lab.service import base_environment
from tests.fixtures.polling import eventually
from tests.fixtures.twin import DELIVERED_SECONDS, Twin

pytest_plugins = ["tests.fixtures.twin"]
pytestmark = pytest.mark.lab


@pytest.fixture
def conf_copy(glance: Glance, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """conf_copy(option=value, ...): environment of a Glance whose paste section also holds these options."""
    def copy(**options: str) -> dict[str, str]:
        conf = (glance.directory / "glance-api.conf").read_text("utf-8")
        (tmp_path / "glance-api.conf").write_text(conf.replace(str(glance.directory / "glance-api-paste.ini"),
                                                               str(tmp_path / "glance-api-paste.ini")), "utf-8")
        paste = configparser.RawConfigParser()
        paste.read(glance.directory / "glance-api-paste.ini", "utf-8")
        paste[f"filter:{FILTER_NAME}"].update(options)
        with (tmp_path / "glance-api-paste.ini").open("w", encoding="utf-8") as stream:
            paste.write(stream)
        return base_environment() | {"OS_GLANCE_CONFIG_DIR": str(tmp_path)}

    return copy


LOAD = """
from glance.common.wsgi_app import init_app
init_app()
from glance.gateway import Gateway
print(type(Gateway().get_repo(None)).__module__, type(Gateway().get_member_repo(None, None)).__module__)
"""


def load_glance(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", LOAD], env=environment, capture_output=True, text=True, timeout=120,
                          check=False)


def test_switched_off_it_leaves_glance_as_it_is(conf_copy: Callable[..., dict[str, str]]) -> None:
    def layers(**options: str) -> list[str]:
        return load_glance(conf_copy(**options)).stdout.splitlines()[-1].split()

    assert layers() == ["glancesync.filter.proxies"] * 2
    assert layers(sync_enabled="False") == ["glance.notifier"] * 2


def test_an_unknown_option_stops_the_start(conf_copy: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    answer = load_glance(conf_copy(sync_server_hots="x"))
    assert answer.returncode != 0
    told = answer.stdout + answer.stderr
    assert f"[filter:{FILTER_NAME}] of {tmp_path}/glance-api-paste.ini" in told
    assert "'sync_server_hots'" in told
    assert "sync_server_host," in told


class Workers:
    """A second front of the cascading Glance: gunicorn that loads once and forks, with an outbox of its own."""

    def __init__(self, environment: dict[str, str], directory: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.log_path = directory / "workers.log"
        (directory / "gunicorn.conf.py").write_text(
            f'wsgi_app = "glance.wsgi.api:application"\nbind = "127.0.0.1:{port}"\nworkers = 3\n'
            'worker_class = "gthread"\nthreads = 4\npreload_app = True\ntimeout = 0\ncontrol_socket_disable = True\n')
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen([sys.executable, "-m", "gunicorn"], cwd=directory, env=environment,
                                             stdout=log, stderr=log)

    @property
    def pids(self) -> set[int]:
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return {int(pid) for pid in children.split()}


    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthcheck", timeout=2).ok
        except requests.RequestException:
            return False

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)


@pytest.fixture
def workers(conf_copy: Callable[..., dict[str, str]], tmp_path: Path, twin: Twin) -> Iterator[Workers]:
    made = Workers(conf_copy(outbox_path=str(tmp_path / "outbox")), tmp_path, find_free_port(()))
    try:
        eventually(made.is_ready, 60)
        yield made
    finally:
        made.stop()


def test_workers_forked_after_loading_and_killed_one_by_one(twin: Twin, workers: Workers, tmp_path: Path,
                                                            session_of: Callable[[str], Session]) -> None:
    demo = session_of("demo")

    def create() -> str:
        wanted = {"id": str(uuid.uuid4()), "disk_format": "raw", "container_format": "bare"}
        return str(demo.request(f"{workers.url}/v2/images", "POST", json=wanted, headers={"Connection": "close"},
                                connect_retries=3).json()["id"])

    made = [create() for _ in range(30)]
    eventually(lambda: all(twin.of(one) for one in made), DELIVERED_SECONDS)
    owners = {path.name.split("-")[0] for path in (tmp_path / "outbox").glob("*.log")}
    assert owners <= {str(pid) for pid in workers.pids}
    assert len(owners) > 1
    twin.down()
    made = [create() for _ in range(10)]
    for pid in workers.pids:
        os.kill(pid, 9)
    eventually(workers.is_ready, 60)
    twin.up()
    made += [create() for _ in range(10)]
    eventually(lambda: all(twin.of(one) for one in made), DELIVERED_SECONDS)
    for one in made:
        demo.request(f"{workers.url}/v2/images/{one}", "DELETE")
    eventually(lambda: all(twin.of(one)[-1] == "remove" for one in made), DELIVERED_SECONDS)
    assert "Traceback" not in workers.log_path.read_text("utf-8")
