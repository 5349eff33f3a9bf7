# SPDX-License-Identifier: Apache-2.0
"""A Glance or a Keystone that points elsewhere: neither token nor password nor bytes ever follow."""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import webob
from keystoneauth1 import token_endpoint
from keystoneauth1.exceptions import ClientException
from keystoneauth1.session import Session
from oslo_config import cfg

from glancesync import conf as options
from glancesync.api.middleware.authtoken import AuthToken
from glancesync.client import SyncClient
from glancesync.conf.keystone import load_session
from glancesync.exceptions import GlanceSyncError
from glancesync.filter.options import read_settings
from glancesync.model.event import Event, Operation
from glancesync.model.image import ImageChanges, NewImage
from glancesync.regions.glance import GlanceRegion

IMAGE = "11111111-1111-4111-8111-111111111111"
STATUSES = (301, 302, 303, 307, 308)


class Site:
    """Answers everything with `status`, pointing to `location`; remembers what was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.location: str | None = None
        self.requests: list[str] = []

    def handler(site: Any) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_arguments: object) -> None:
                """Nothing."""

            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                site.requests.append(f"{self.command} {self.path} {dict(self.headers)}")
                self.send_response(site.status)
                if site.location:
                    self.send_header("Location", site.location + self.path)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET: Any = _answer
            do_POST: Any = _answer
            do_PUT: Any = _answer
            do_PATCH: Any = _answer
            do_DELETE: Any = _answer

        return Handler


@contextmanager
def _served(site: Site) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), site.handler())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def elsewhere() -> Iterator[tuple[Site, str]]:
    site = Site()
    with _served(site) as url:
        yield site, url
    assert site.requests == []


@pytest.fixture(params=STATUSES)
def pointing(request: pytest.FixtureRequest, elsewhere: tuple[Site, str]) -> Iterator[tuple[Site, str]]:
    """A site that points elsewhere; the test fails if anybody goes there."""
    site = Site()
    site.status, site.location = request.param, elsewhere[1]
    with _served(site) as url:
        yield site, url
    assert site.requests


def _download(region: GlanceRegion) -> None:
    with region.open_data(IMAGE, chunk_bytes=1024) as data:
        list(data.chunks)


_NEW = NewImage(id=IMAGE, name="x", owner=None, visibility="private", protected=False, os_hidden=True,
                disk_format="raw", container_format="bare", min_disk=0, min_ram=0, tags=frozenset(), properties={})
CALLS: dict[str, Callable[[GlanceRegion], Any]] = {
    "get": lambda region: region.get_image(IMAGE),
    "list": lambda region: list(region.list_images(hidden=False)),
    "create": lambda region: region.create_image(_NEW),
    "update": lambda region: region.update_image(IMAGE, ImageChanges(fields={"name": "y"})),
    "delete": lambda region: region.delete_image(IMAGE),
    "deactivate": lambda region: region.deactivate_image(IMAGE),
    "download": _download,
    "upload": lambda region: region.upload_data(IMAGE, iter([b"x" * 1000]), size=1000),
    "members": lambda region: region.list_members(IMAGE),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_glance_that_points_elsewhere(pointing: tuple[Site, str], call: str) -> None:
    session = Session(auth=token_endpoint.Token(pointing[1], "the-token"))
    region = GlanceRegion(region_name="RegionTwo", endpoint=pointing[1], session=session, connect_timeout_seconds=5,
                          read_timeout_seconds=5, idle_timeout_seconds=5)
    with pytest.raises(GlanceSyncError):
        CALLS[call](region)


def _account(url: str) -> dict[str, str]:
    return {"auth_type": "v3password", "auth_url": f"{url}/v3", "username": "glance-sync", "password": "the-password",
            "project_name": "service", "user_domain_name": "Default", "project_domain_name": "Default"}


def _conf(folder: Path, section: str, values: dict[str, str]) -> str:
    path = folder / "file.conf"
    path.write_text(f"[{section}]\n" + "".join(f"{name} = {value}\n" for name, value in values.items()), "utf-8")
    return str(path)


def test_a_keystone_that_points_elsewhere_gets_no_password_there(pointing: tuple[Site, str], tmp_path: Path) -> None:
    path = _conf(tmp_path, "keystone", _account(pointing[1]))
    _auth, session = load_session(options.parse([f"--config-file={path}"], prog="glance-sync"), connections=1)
    with pytest.raises(ClientException):
        session.get_token()


def test_nor_from_the_filter(pointing: tuple[Site, str], tmp_path: Path) -> None:
    path = _conf(tmp_path, "glance_sync", _account(pointing[1]) | {"sync_enabled": "true", "sync_server_host": "sync",
                                                                   "outbox_path": str(tmp_path)})
    conf = cfg.ConfigOpts()
    conf([], project="glance", default_config_files=[path])
    with pytest.raises(ClientException):
        read_settings(conf, {}, None).new_session().get_token()


def test_nor_from_the_check_of_tokens(pointing: tuple[Site, str], tmp_path: Path) -> None:
    path = _conf(tmp_path, "keystone_authtoken", _account(pointing[1]) | {"http_request_max_retries": "0"})
    conf = cfg.ConfigOpts()
    conf([], project="glance-sync", default_config_files=[path])
    app = AuthToken(lambda _environ, _start: [], {"oslo_config_config": conf})
    answer = webob.Request.blank("/v1/images", headers={"X-Auth-Token": "some"}).get_response(app)
    assert answer.status_int in (401, 503)


def test_a_sync_server_that_points_elsewhere_gets_no_events_there(pointing: tuple[Site, str]) -> None:
    session = Session(auth=token_endpoint.Token(pointing[1], "the-token"))
    client = SyncClient(session=session, base_url=pointing[1], timeout_seconds=5)
    with pytest.raises(GlanceSyncError):
        client.submit_events([Event(id="e", operation=Operation.SAVE, image_id=IMAGE, at=1.0)])
