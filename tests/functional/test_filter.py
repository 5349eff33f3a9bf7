# SPDX-License-Identifier: Apache-2.0
"""What loads inside the cascading Glance, in a real one: users' requests become events at a twin of the sync server."""
from __future__ import annotations

import configparser
import os
import shutil
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from keystoneauth1.session import Session

from glancesync.lab.cloud import Lab
from glancesync.lab.glance import FILTER_NAME, Glance
from glancesync.lab.service import base_environment
from tests.fixtures.images import ImagesOf
from tests.fixtures.polling import eventually
from tests.fixtures.recorder import Recorder

pytestmark = pytest.mark.lab

#: The sender may be in the middle of its longest pause when a test begins.
DELIVERED_SECONDS = 60
CHANGES = 4


class Twin:
    """The twin of the sync server, where the cascading Glance expects the real one; it may be down."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._running: Recorder | None = None
        self._before: list[dict[str, Any]] = []

    def up(self) -> None:
        if self._running is None:
            self._running = Recorder(self._port)
            self._running.start()

    def down(self) -> None:
        if self._running is not None:
            self._before += self._running.events
            self._running.stop()
            self._running = None

    def set_mode(self, mode: str) -> None:
        if mode == "down":
            self.down()
        else:
            self.up()
            assert self._running is not None
            self._running.mode = mode

    @property
    def events(self) -> list[dict[str, Any]]:
        return self._before + (self._running.events if self._running else [])

    @property
    def attempts(self) -> int:
        return len(self._running.requests) if self._running else 0

    def of(self, image_id: str) -> list[str]:
        """Operations reported of an image, in order."""
        return [event["operation"] for event in self.events if event["image_id"] == image_id]

    def wait_for(self, image_id: str, *operations: str, seen: int = 0) -> None:
        """Until exactly these operations, in this order, were reported of the image after the first `seen` ones."""
        def arrived() -> bool:
            found = self.of(image_id)[seen:]
            assert found == list(operations), found
            return True

        eventually(arrived, DELIVERED_SECONDS, what=f"{operations} of {image_id}")


@pytest.fixture
def twin(lab: Lab) -> Iterator[Twin]:
    lab.server.stop()
    made = Twin(lab.state.ports["server"])
    made.up()
    yield made
    made.down()


@pytest.fixture
def glance(lab: Lab) -> Glance:
    return lab.glances[lab.cascading_region]


def test_create_and_upload(twin: Twin, images: ImagesOf) -> None:
    queued = images().create()["id"]
    twin.wait_for(queued, "add")
    images().upload(queued, b"x" * 100_000)
    twin.wait_for(queued, "add", "save")


@pytest.fixture
def image_id(twin: Twin, images: ImagesOf) -> str:
    """An active shared image whose events are all delivered."""
    made = str(images().create(data=b"bytes", visibility="shared", kept="old")["id"])
    eventually(lambda: twin.of(made)[-1:] == ["save"], DELIVERED_SECONDS)
    quiet = twin.attempts
    eventually(lambda: twin.attempts == quiet, every_seconds=0.5)
    return made


SAVES: dict[str, Callable[[Any, str], object]] = {
    "rename": lambda demo, image_id: demo.set(image_id, name="new"),
    "property": lambda demo, image_id: demo.set(image_id, colour="blue"),
    "unset": lambda demo, image_id: demo.unset(image_id, "kept"),
    "no difference": lambda demo, image_id: demo.set(image_id, name="image"),
    "tag": lambda demo, image_id: demo.add_tag(image_id, "a"),
    "protect": lambda demo, image_id: demo.set(image_id, protected=True),
    "hide": lambda demo, image_id: demo.set(image_id, os_hidden=True),
}


@pytest.mark.parametrize("change", SAVES)
def test_each_change_of_metadata(twin: Twin, images: ImagesOf, image_id: str, change: str) -> None:
    seen = len(twin.of(image_id))
    SAVES[change](images(), image_id)
    twin.wait_for(image_id, "save", seen=seen)


def test_members(twin: Twin, images: ImagesOf, image_id: str, project_ids: dict[str, str],
                 session_of: Callable[[str], Session]) -> None:
    rival = project_ids["rival"]
    steps: list[tuple[str, Callable[[], None]]] = [
        ("demo", lambda: images().add_member(image_id, rival)),
        ("rival", lambda: images("rival").set_member_status(image_id, rival, "accepted")),
        ("demo", lambda: images().remove_member(image_id, rival)),
    ]
    for user, step in steps:
        seen = len(twin.events)
        step()
        eventually(lambda seen=seen: len(twin.events) > seen, DELIVERED_SECONDS)
        event = twin.events[-1]
        assert (event["image_id"], event["operation"]) == (image_id, "members")
        assert event["user_id"] == session_of(user).get_user_id()


def test_deactivate_reactivate_and_delete(twin: Twin, images: ImagesOf, image_id: str) -> None:
    for change in (images("admin").deactivate, images("admin").reactivate):
        seen = len(twin.of(image_id))
        change(image_id)
        twin.wait_for(image_id, "save", seen=seen)
    images().delete(image_id)
    eventually(lambda: twin.of(image_id)[-1] == "remove", DELIVERED_SECONDS)
    assert twin.of(image_id).count("remove") == 1


def test_an_event_tells_who_did_what(twin: Twin, image_id: str, lab: Lab, session_of: Callable[[str], Session]) -> None:
    session = session_of("demo")
    start = time.time()
    answer = session.request(f"{lab.endpoint(lab.cascading_region)}/v2/images/{image_id}/tags/t", "PUT")
    eventually(lambda: twin.events[-1]["at"] >= start, DELIVERED_SECONDS)
    event = twin.events[-1]
    assert event["request_id"] == answer.headers["x-openstack-request-id"]
    assert (event["user_id"], event["project_id"]) == (session.get_user_id(), session.get_project_id())
    assert "member" in event["roles"]
    assert "admin" not in event["roles"]
    assert start <= event["at"] <= time.time()
    assert event["host"]


def test_a_request_id_that_a_caller_made_up_does_no_harm(twin: Twin, image_id: str, lab: Lab,
                                                         session_of: Callable[[str], Session]) -> None:
    session_of("demo").request(f"{lab.endpoint(lab.cascading_region)}/v2/images/{image_id}/tags/t", "PUT",
                               headers={"X-Openstack-Request-ID": "a b\t<c>"})
    eventually(lambda: twin.events[-1]["request_id"] == "req-a?b?<c>", DELIVERED_SECONDS)


@pytest.mark.parametrize("method", ["glance-direct", "web-download"])
def test_the_end_of_an_import_is_seen(twin: Twin, images: ImagesOf, web_files: tuple[Path, str], method: str) -> None:
    demo = images()
    made = demo.create()["id"]
    if method == "glance-direct":
        demo.stage(made, b"y" * 300_000)
        demo.start_import(made, method)
    else:
        (web_files[0] / "image").write_bytes(b"z" * 300_000)
        demo.start_import(made, method, uri=f"{web_files[1]}/image")
    not_active_at = time.time()
    while demo.get(made)["status"] != "active":
        assert time.time() - not_active_at < DELIVERED_SECONDS
        not_active_at = time.time()
    eventually(lambda: [event for event in twin.events
                        if event["image_id"] == made and event["at"] >= not_active_at], DELIVERED_SECONDS)


def test_refused_requests_are_not_reported(twin: Twin, images: ImagesOf, image_id: str) -> None:
    seen = len(twin.of(image_id))
    for refused in (lambda: images("rival").set(image_id, name="theirs"), lambda: images("rival").delete(image_id),
                    lambda: images().set(image_id, status="queued"), lambda: images().remove_tag(image_id, "none")):
        with pytest.raises(Exception, match="HTTP 40"):
            refused()
    images().add_tag(image_id, "last")
    twin.wait_for(image_id, "save", seen=seen)


@pytest.mark.parametrize("mode", ["down", "hang", "reset", "401", "403", "500", "garbage", "html", "redirect",
                                  "endless", "other-400"])
def test_users_notice_nothing_of_a_server_in_trouble_and_nothing_is_lost(twin: Twin, images: ImagesOf, image_id: str,
                                                                         mode: str) -> None:
    seen = len(twin.of(image_id))
    twin.set_mode(mode)
    took = []
    for number in range(CHANGES):
        start = time.monotonic()
        images().set(image_id, name=f"{mode} {number}")
        took.append(time.monotonic() - start)
    assert max(took) < 2, "a request waited for the sync server"
    if mode != "down":
        eventually(lambda: twin.attempts, DELIVERED_SECONDS)
    doomed = images().create()["id"]
    images().delete(doomed)
    assert twin.of(doomed) == []
    twin.set_mode("accept")
    twin.wait_for(doomed, "add", "remove")
    assert "save" in twin.of(image_id)[seen:]


def test_events_outlive_the_death_of_glance(twin: Twin, images: ImagesOf, image_id: str, glance: Glance) -> None:
    twin.down()
    images().set(image_id, name="before the crash")
    doomed = images().create()["id"]
    images().delete(doomed)
    glance.kill()
    twin.up()
    seen = len(twin.of(image_id))
    glance.start()
    # Nothing but /healthcheck is asked here, which passes by the filter: the new process begins by itself.
    glance.wait_ready()
    twin.wait_for(doomed, "add", "remove")
    twin.wait_for(image_id, "save", seen=seen)


def test_a_keystone_that_is_away_only_delays(twin: Twin, images: ImagesOf, image_id: str, glance: Glance,
                                             lab: Lab) -> None:
    twin.down()
    images().set(image_id, name="before")
    seen = len(twin.of(image_id))
    glance.kill()
    lab.keystone.kill()
    twin.up()
    log_start = glance.log_path.stat().st_size
    glance.start()
    eventually(lambda: "Keystone" in glance.log_path.read_text("utf-8")[log_start:], DELIVERED_SECONDS)
    assert twin.attempts == 0
    lab.keystone.start()
    lab.keystone.wait_ready()
    twin.wait_for(image_id, "save", seen=seen)
    noise = [line for line in glance.log_path.read_text("utf-8")[log_start:].splitlines() if "WARNING" in line]
    assert len([line for line in noise if "glancesync" in line]) <= 2
    assert not [line for line in noise if "keystoneauth" in line]


def test_an_outbox_deleted_under_it_is_made_again(twin: Twin, images: ImagesOf, image_id: str, glance: Glance) -> None:
    twin.down()
    images().set(image_id, name="lost")
    shutil.rmtree(glance.outbox_path)
    images().set(image_id, name="kept")
    seen = len(twin.events)
    twin.up()
    eventually(lambda: {event["operation"] for event in twin.events[seen:]} >= {"all", "save"}, DELIVERED_SECONDS)


def test_an_outbox_that_cannot_be_used_costs_users_nothing(twin: Twin, images: ImagesOf, image_id: str,
                                                           glance: Glance) -> None:
    aside = glance.outbox_path.with_name("aside")
    glance.outbox_path.rename(aside)
    glance.outbox_path.write_text("a file stands in the way")
    seen = len(twin.events)
    try:
        for number in range(CHANGES):
            images().set(image_id, name=f"unwritable {number}")
        eventually(lambda: "all" in [event["operation"] for event in twin.events[seen:]], DELIVERED_SECONDS)
    finally:
        glance.outbox_path.unlink()
        shutil.rmtree(aside)
    seen = len(twin.of(image_id))
    images().set(image_id, name="written")
    twin.wait_for(image_id, "save", seen=seen)


def test_the_outbox_is_private_and_empties(twin: Twin, image_id: str, glance: Glance) -> None:
    assert stat.S_IMODE(glance.outbox_path.stat().st_mode) == 0o700
    files = list(glance.outbox_path.iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert len([path for path in files if path.suffix == ".log"]) <= 2


def test_no_secret_in_glances_log_or_outbox(twin: Twin, image_id: str, glance: Glance, lab: Lab) -> None:
    secrets = [lab.state.passwords["glance-sync-events"], "gAAAA"]
    for path in [glance.log_path, *glance.outbox_path.iterdir()]:
        text = path.read_text("utf-8", "replace")
        assert not [secret for secret in secrets if secret in text], path


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
    from glancesync.lab.ports import find_free_port

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
