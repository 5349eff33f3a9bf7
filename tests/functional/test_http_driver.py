# SPDX-License-Identifier: Apache-2.0
"""Images that are usable at once from the source's web server, brought home and verified afterwards: real Glances, a
real web server over the source's files."""
from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from glancesync.lab.cloud import Lab
from glancesync.lab.server import SyncServer
from tests.fixtures.images import ImagesOf
from tests.fixtures.polling import eventually
from tests.functional.test_glance_download import KEYS, ask, in_sync, restarted

__all__ = ["ask"]
pytestmark = [pytest.mark.lab, pytest.mark.full]
DATA = bytes(range(256)) * 40_000


class Files(SimpleHTTPRequestHandler):
    """Gives out a folder. While `gate` is closed, only as far as Glance looks before it lists an image as active."""

    gate: threading.Event
    other: bytes | None = None

    def do_GET(self) -> None:
        self.gate.wait(60)
        if self.other is None:
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.other)))
        self.end_headers()
        self.wfile.write(self.other)

    def log_message(self, *_given: Any) -> None:
        """Nobody reads it."""


@contextlib.contextmanager
def closed(web: tuple[type[Files], int]) -> Iterator[None]:
    """Nobody gets a byte of any image."""
    web[0].gate.clear()
    try:
        yield
    finally:
        web[0].gate.set()


@pytest.fixture
def web(lab: Lab) -> Iterator[tuple[type[Files], int]]:
    handler = type("Gated", (Files,), {"gate": threading.Event()})
    handler.gate.set()
    folder = str(lab.glances[lab.cascading_region].store_path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=folder))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield handler, int(server.server_address[1])
    handler.gate.set()
    server.shutdown()
    thread.join()


@pytest.fixture
def region(lab: Lab) -> Iterator[str]:
    """A region whose Glance takes http locations beside its own store."""
    name = lab.cascaded_regions[0]

    def changed(text: str) -> str:
        assert "enabled_backends = local:file" in text
        return text.replace("enabled_backends = local:file", "enabled_backends = local:file,web:http") + (
            "\n[web]\nstore_description = the source's files\n")

    with restarted(lab, name, "glance-api.conf", changed):
        yield name


@pytest.fixture
def server(lab: Lab, web: tuple[type[Files], int], region: str, start_server: Callable[..., SyncServer],
           tmp_path: Path) -> SyncServer:
    config = tmp_path / "glance_store.yaml"
    config.write_text(yaml.safe_dump({"glances": [
        {"name": "source", "region": lab.cascading_region, "schemes": [
            {"name": "http", "parameters": {"netloc": f"127.0.0.1:{web[1]}", "path": "/"}}]},
        {"name": "target", "region": region, "drivers": ["http", "stream"], "schemes": []}]}))
    config.chmod(0o600)
    lab.server.stop()
    return start_server({"stores": {"config_file": config}})


def test_it_is_usable_at_once_and_said_to_be_unverified_until_it_is_home(
        lab: Lab, server: SyncServer, web: tuple[type[Files], int], region: str, images: ImagesOf,
        ask: Callable[[str], Any]) -> None:
    image = dict(name="at once", visibility="private", colour="red", hw_disk_bus="scsi", min_ram=7)
    with closed(web):  # nobody can have verified it
        made = images().create(**image, data=DATA)

        def usable() -> dict[str, Any]:
            found = {each["region"]: each for each in ask(f"/v1/images/{made['id']}")["image"]["regions"]}[region]
            assert found["state"] == "usable_unverified", found
            return dict(found)

        shown = eventually(usable, 30, what="it is usable")
        replica = images("demo", region).get(made["id"])
        assert (replica["status"], replica["stores"], replica["os_hidden"]) == ("active", "web", False)
        assert (shown["verified_at"], shown["digest"]) == (None, None)
        listed = ask("/v1/images?state=usable_unverified")["images"]
        assert made["id"] in {each["id"] for each in listed}
        metrics = requests.get(f"{server.url}/metrics", timeout=10).text
        assert f'glance_sync_replicas{{region="{region}",state="usable_unverified"}} 1.0' in metrics
        assert not (lab.glances[region].store_path / made["id"]).exists()
    record = in_sync(ask, made["id"], region)
    replica, source = images("demo", region).get(made["id"]), images().get(made["id"])
    assert {key: replica.get(key) for key in KEYS} == {key: source.get(key) for key in KEYS}
    assert (replica["stores"], record["verified_at"] is not None) == ("local", True)
    assert images("demo", region).read(made["id"]) == DATA
    assert (lab.glances[region].store_path / made["id"]).read_bytes() == DATA
    attempts = ask(f"/v1/tasks/{record['task_id']}")["attempts"]
    assert [(each["driver"], each["code"]) for each in attempts] == [("http", "ok")]


def test_other_bytes_never_come_home(server: SyncServer, web: tuple[type[Files], int], region: str, images: ImagesOf,
                                     ask: Callable[[str], Any]) -> None:
    web[0].other = DATA[:-1] + b"!"
    image = images().create("not the same", data=DATA, visibility="private")
    record = in_sync(ask, image["id"], region)
    assert record["id_reason"] == "bytes_differ"
    assert images("demo", region).read(record["replica_id"]) == DATA
    assert images("demo", region).find(image["id"]) is None
    attempts = ask(f"/v1/tasks/{record['task_id']}")["attempts"]
    assert [each["driver"] for each in reversed(attempts)] == ["http", "stream"]


def test_an_image_can_be_deleted_before_it_is_home(server: SyncServer, web: tuple[type[Files], int], region: str,
                                                   images: ImagesOf, ask: Callable[[str], Any]) -> None:
    with closed(web):
        image = images().create("short life", data=DATA, visibility="private")
        eventually(lambda: (images("demo", region).find(image["id"]) or {}).get("stores") == "web", 30, what="usable")
        images().ensure_deleted(image["id"])
    eventually(lambda: images("glance-sync", region).find(image["id"]) is None, 60, what="its replica is gone")
