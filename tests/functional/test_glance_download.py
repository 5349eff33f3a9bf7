# SPDX-License-Identifier: Apache-2.0
"""Regions whose Glances fetch images themselves, with a sync server that carries no byte."""
from __future__ import annotations

import contextlib
import gzip
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from keystoneauth1.session import Session

from glancesync.lab.cloud import Lab
from glancesync.lab.glance import Glance
from glancesync.lab.server import SyncServer
from tests.fixtures.images import ImagesOf
from tests.fixtures.polling import eventually

pytestmark = pytest.mark.lab
KEYS = ("name", "size", "checksum", "os_hash_algo", "os_hash_value", "virtual_size", "owner", "visibility",
        "disk_format", "container_format", "status", "colour", "hw_disk_bus", "min_ram", "tags", "os_hidden")


@pytest.fixture
def ask(lab: Lab, session_of: Callable[[str], Session]) -> Callable[[str], Any]:
    def get(path: str) -> Any:
        answer = session_of("admin").get(f"{lab.server.url}{path}", raise_exc=False)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return get


def in_sync(ask: Callable[[str], Any], image_id: str, region: str, seconds: float = 60) -> dict[str, Any]:
    def found() -> dict[str, Any]:
        regions = {each["region"]: each for each in ask(f"/v1/images/{image_id}")["image"]["regions"]}
        assert regions[region]["state"] == "in_sync", regions[region]
        return dict(regions[region])

    return eventually(found, seconds, what=f"{image_id} in {region}")


def test_no_byte_passes_through_the_server(lab: Lab, start_server: Callable[..., SyncServer], images: ImagesOf,
                                           ask: Callable[[str], Any]) -> None:
    start_server({"stores": {"drivers": "glance-download"}})
    demo, data = images(), secrets.token_bytes(3_000_000)
    image = demo.create("travels by itself", data=data, visibility="private", colour="red", hw_disk_bus="scsi",
                        min_ram=7, tags=["a"])
    for region in lab.cascaded_regions:
        record = in_sync(ask, image["id"], region)
        replica = images("demo", region).get(image["id"])
        assert {key: replica.get(key) for key in KEYS} == {key: demo.get(image["id"]).get(key) for key in KEYS}
        assert images("demo", region).read(image["id"]) == data
        attempts = ask(f"/v1/tasks/{record['task_id']}")["attempts"]
        assert [(each["driver"], each["source_region"], each["code"], each["bytes_moved"]) for each in attempts] == [
            ("glance-download", lab.cascading_region, "ok", len(data))]
        assert list(lab.glances[region].staging_path.iterdir()) == []
    ways = ask(f"/v1/images/{image['id']}/ways/{lab.cascaded_regions[0]}")["ways"]
    assert (ways[0]["driver"], ways[0]["carrier"]) == ("glance-download", "target")
    assert {way["driver"] for way in ways if way["refusal"] is None} == {"glance-download"}


@contextlib.contextmanager
def restarted(lab: Lab, region: str, name: str, change: Callable[[str], str]) -> Iterator[None]:
    """The region's Glance with another file of its configuration, for a while."""
    glance = lab.glances[region]
    path = glance.directory / name
    before = path.read_text() if path.exists() else None
    try:
        path.write_text(change(before or ""))
        _restart(glance)
        yield
    finally:
        path.unlink() if before is None else path.write_text(before)
        _restart(glance)


def _restart(glance: Glance) -> None:
    glance.stop()
    glance.start()
    glance.wait_ready()


@pytest.fixture
def decompressing(lab: Lab) -> Iterator[str]:
    """A region whose Glance decompresses what it imports."""
    region = lab.cascaded_regions[0]
    with restarted(lab, region, "glance-image-import.conf",
                   lambda _before: "[image_import_opts]\nimage_import_plugins = ['image_decompression']\n"):
        yield region


@pytest.mark.full
def test_bytes_that_a_plugin_changed_are_replaced_by_the_next_way(
        lab: Lab, start_server: Callable[..., SyncServer], images: ImagesOf, ask: Callable[[str], Any],
        decompressing: str) -> None:
    start_server({"stores": {"drivers": "glance-download,stream"}})
    data = gzip.compress(secrets.token_bytes(400_000))
    image = images().create("a gzip file", data=data, visibility="private")
    record = in_sync(ask, image["id"], decompressing)
    assert record["id_reason"] == "bytes_differ"
    replica = images("demo", decompressing).get(record["replica_id"])
    assert (replica["os_hash_value"], replica["size"]) == (images().get(image["id"])["os_hash_value"], len(data))
    assert images("demo", decompressing).read(record["replica_id"]) == data
    attempts = ask(f"/v1/tasks/{record['task_id']}")["attempts"]
    assert [(each["driver"], each["code"]) for each in reversed(attempts)] == [
        ("glance-download", "verification_failed"), ("stream", "ok")]
    second = images().create("another", data=data, visibility="private")
    assert in_sync(ask, second["id"], decompressing)["id_reason"] is None
    ways = {way["driver"]: way["refusal"] for way in ask(f"/v1/images/{second['id']}/ways/{decompressing}")["ways"]}
    assert "is set aside" in ways["glance-download"]


@contextlib.contextmanager
def with_glance(lab: Lab, region: str, start_server: Callable[..., SyncServer], before: str,
                after: str) -> Iterator[None]:
    """The region's Glance with another configuration, and a server that knows nothing of it yet."""
    def changed(text: str) -> str:
        assert before in text
        return text.replace(before, after)

    start_server({"stores": {"drivers": "glance-download,stream"}}).stop()
    with restarted(lab, region, "glance-api.conf", changed):
        start_server({"stores": {"drivers": "glance-download,stream"}})
        yield


@pytest.mark.full
def test_an_import_that_fails_takes_the_next_way_in_the_same_run(
        lab: Lab, start_server: Callable[..., SyncServer], images: ImagesOf, ask: Callable[[str], Any]) -> None:
    region = lab.cascaded_regions[0]
    with with_glance(lab, region, start_server, "allowed_hosts = [127.0.0.1]", "allowed_hosts = [192.0.2.1]"):
        image = images().create("goes round", data=secrets.token_bytes(300_000), visibility="private")
        record = in_sync(ask, image["id"], region)
        *failed, last = reversed(ask(f"/v1/tasks/{record['task_id']}")["attempts"])
        assert {(each["driver"], each["code"]) for each in failed} == {("glance-download", "store_import_failed")}
        assert (last["driver"], last["code"], record["id_reason"]) == ("stream", "ok", None)


@pytest.mark.full
def test_an_import_method_that_is_not_enabled_is_not_tried(
        lab: Lab, start_server: Callable[..., SyncServer], images: ImagesOf, ask: Callable[[str], Any]) -> None:
    region = lab.cascaded_regions[0]
    with with_glance(lab, region, start_server, "glance-download,", ""):
        image = images().create("goes round", data=secrets.token_bytes(300_000), visibility="private")
        record = in_sync(ask, image["id"], region)
        assert [(each["driver"], each["code"]) for each in ask(f"/v1/tasks/{record['task_id']}")["attempts"]] == [
            ("stream", "ok")]
        ways = {way["driver"]: way["refusal"] for way in ask(f"/v1/images/{image['id']}/ways/{region}")["ways"]}
        assert ways["glance-download"] == f"the Glance of {region} has not enabled glance-download"
