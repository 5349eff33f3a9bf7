# SPDX-License-Identifier: Apache-2.0
"""A server that cannot start says why and what to do, and ends with a status that tells whose turn it is.

2: the configuration has to be changed; 1: something else does, and a later start may succeed. No cloud is needed.
"""
from __future__ import annotations

import signal
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from glancesync.db.engine import Database
from glancesync.lab import ports
from tests.fixtures.daemon import Daemon, SystemdSocket
from tests.fixtures.polling import eventually

AUTH = """
auth_type = password
auth_url = http://127.0.0.1:{closed}/v3
username = u
password = S3cret
project_name = p
user_domain_name = Default
project_domain_name = Default
"""


class Host:
    """A folder with a configuration whose Keystone does not answer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.closed = ports.find_free_port(()), ports.find_free_port(())
        self._started: list[Daemon] = []

    def start(self, *, extra: str = "", sync: bool = True, name: str = "a", **variables: str) -> Daemon:
        url = f"sqlite:///{self.folder}/state.db"
        if sync:
            database = Database(url)
            database.sync()
            database.close()
        auth = AUTH.format(closed=self.closed)
        path = self.folder / f"{name}.conf"
        path.write_text(f"[DEFAULT]\nbind_port = {self.port}\ncascading_region = R\n[database]\nconnection = {url}\n"
                        f"[keystone]{auth}[keystone_authtoken]{auth}{extra}")
        self._started.append(Daemon(path, self.folder / f"{name}.log", variables))
        return self._started[-1]

    def end(self) -> None:
        for daemon in self._started:
            daemon.kill()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    host.end()


@pytest.mark.parametrize(("extra", "words"), [
    ("[worker]\nmax_tasks = 0\n", "max_tasks = 0 in [worker] is wrong, allowed is a whole number from 1 to 1000"),
    ("[worker]\nmax_taks = 5\n", "there is no option max_taks in [worker]; did you mean max_tasks?"),
])
def test_a_wrong_configuration_is_named_with_its_file(host: Host, extra: str, words: str) -> None:
    daemon = host.start(extra=extra, sync=False)
    assert daemon.ended() == 2
    assert daemon.log == f"glance-sync: {host.folder}/a.conf: {words}\n"


def test_a_database_without_tables_tells_the_next_step(host: Host) -> None:
    daemon = host.start(sync=False)
    assert daemon.ended() == 1
    assert "run glance-sync-manage db sync" in daemon.log
    assert "Traceback" not in daemon.log


def test_a_port_that_is_taken_is_named(host: Host) -> None:
    with socket.create_server(("127.0.0.1", host.port)):
        daemon = host.start()
        assert daemon.ended() == 1
    [line] = [line for line in daemon.log.splitlines() if line.startswith("glance-sync: ")]
    assert "Traceback" not in daemon.log
    assert f"bind_port = {host.port} in [DEFAULT]: another process listens there already; stop it" in line


def test_one_server_for_one_sqlite_file(host: Host) -> None:
    host.start().wait_for("waits for Keystone")
    host.port = ports.find_free_port({host.port})
    second = host.start(sync=False, name="b")
    assert second.ended() == 1
    assert "another glance-sync works with the database" in second.log
    assert "stop the other, or use PostgreSQL or MariaDB" in second.log


@pytest.mark.parametrize("abstract", [False, True])
def test_a_keystone_that_is_down_delays_the_start(host: Host, abstract: bool) -> None:
    name = f"@glancesync-{uuid.uuid4().hex}" if abstract else str(host.folder / "notify")
    systemd = SystemdSocket(name)
    daemon = host.start(NOTIFY_SOCKET=name)
    line = daemon.wait_for("the start waits for Keystone and asks again every 3 s")
    assert str(host.closed) in line
    systemd.wait_for("STATUS=waits for Keystone")
    systemd.wait_for("EXTEND_TIMEOUT_USEC=")
    answer = requests.get(f"http://127.0.0.1:{host.port}/healthcheck", timeout=5)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
    assert answer.json()["error"]["message"] == "Not ready: the server waits for Keystone"
    assert daemon.stop() == 0
    heard = systemd.heard()
    assert "STOPPING=1" in heard
    assert "READY=1" not in heard
    assert "Traceback" not in daemon.log
    assert "S3cret" not in daemon.log
    assert not list(host.folder.glob("state.db-*")), "the database was not closed"
    systemd.close()


def test_a_reload_while_it_waits_is_no_end(host: Host) -> None:
    daemon = host.start()
    daemon.wait_for("the start waits for Keystone")
    daemon.send(signal.SIGHUP)
    seen = len(daemon.lines("the start waits for Keystone"))
    eventually(lambda: len(daemon.lines("the start waits for Keystone")) > seen, 15)
    assert daemon.stop() == 0


def test_a_wrong_store_file_stops_the_start_and_not_the_server(host: Host, tmp_path: Path) -> None:
    stores = tmp_path / "glance_store.yaml"
    stores.write_text("glances:\n - name: a\n   regoin: R\n   schemes: []\n")
    stores.chmod(0o600)
    extra = f"[stores]\nconfig_file = {stores}\n"
    daemon = host.start(extra=extra)
    assert daemon.ended() == 2
    assert f"{stores}, line 3, glances[0].regoin: is no known key; there are name, region" in daemon.log
    stores.write_text("glances: []\n")
    daemon = host.start(extra=extra, sync=False)
    daemon.wait_for("the start waits for Keystone")
    assert daemon.stop() == 0


def test_a_broken_policy_file_stops_the_start(host: Host, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("images:list: [\n")
    daemon = host.start(extra=f"[oslo_policy]\npolicy_file = {tmp_path}/policy.yaml\n")
    assert daemon.ended() == 2
    assert f"The policy file {tmp_path}/policy.yaml is broken" in daemon.log
