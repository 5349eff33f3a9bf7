# SPDX-License-Identifier: Apache-2.0
"""Images that go from store to store: a lab whose cascaded Glances have the store filter, with real sshd processes."""
from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from glancesync.lab.cloud import Lab
from glancesync.lab.images import Images
from glancesync.lab.service import base_environment
from glancesync.lab.state import LabOptions
from glancesync.stores.agent.files import stamp_of
from tests.benchmark.store_files import link
from tests.fixtures.cloud import SERVER_OPTIONS
from tests.fixtures.keystone_admin import KeystoneAdmin
from tests.fixtures.polling import eventually
from tests.fixtures.small_disk import mounted
from tests.fixtures.sshd import Sshd, running

pytestmark = [pytest.mark.lab, pytest.mark.full]
ONE, TWO, THREE = "RegionOne", "RegionTwo", "RegionThree"
DATA = secrets.token_bytes(5_000_000)
NOT_IN_ORDER = "it is none of the drivers that may fill"
KEYS = ("name", "size", "checksum", "os_hash_algo", "os_hash_value", "virtual_size", "owner", "visibility",
        "disk_format", "status", "colour")


class Cloud:
    """RegionOne and RegionTwo have stores that the file names, RegionThree has none."""

    def __init__(self, lab: Lab, hosts: dict[str, Sshd], config: Path) -> None:
        self.lab = lab
        self.hosts = hosts
        self.config = config
        self.images = Images(lab.session("demo"), lab.endpoint(ONE))

    def write_config(self, **of_one: Any) -> None:
        """`of_one`: more parameters of RegionOne's store."""
        one = self.hosts[ONE]
        entries = [{"name": region, "region": region, "schemes": [{"name": "filesystem", "parameters": {
            "host": "127.0.0.1", "port": host.port, "datadir": str(self.lab.glances[region].store_path),
            "login_user": "root", "key_file": str(host.client_key), "known_hosts_file": str(host.known_hosts),
            "peer_key_file": str(one.client_key), "peer_known_hosts_file": str(one.known_hosts),
            **(of_one if region == ONE else {})}}]} for region, host in self.hosts.items()]
        self.config.write_text(yaml.safe_dump({"glances": entries}))
        self.config.chmod(0o600)

    def replica(self, image_id: str, region: str) -> dict[str, Any]:
        def in_sync() -> dict[str, Any]:
            answer = self.lab.session("admin").get(f"{self.lab.server.url}/v1/images/{image_id}", raise_exc=False)
            assert answer.status_code == 200
            found = {each["region"]: each for each in answer.json()["image"]["regions"]}
            assert found[region]["state"] == "in_sync", found[region]
            return Images(self.lab.session("demo"), self.lab.endpoint(region)).get(image_id)

        return eventually(in_sync, 60, what=f"{image_id} in {region}")

    def log_of(self, image_id: str, region: str) -> list[str]:
        lines = self.lab.server.log_path.read_text("utf-8", "replace").splitlines()
        return [line for line in lines if image_id in line and region in line]

    def ways(self, image_id: str, region: str) -> list[dict[str, Any]]:
        url = f"{self.lab.server.url}/v1/images/{image_id}/ways/{region}"
        return list(self.lab.session("admin").get(url).json()["ways"])

    def task(self, image_id: str, region: str) -> dict[str, Any]:
        """Once what was uploaded a moment ago was reported."""
        url = f"{self.lab.server.url}/v1/tasks?image_id={image_id}"
        return dict(eventually(lambda: [each for each in self.lab.session("admin").get(url).json()["tasks"]
                                        if each["region"] == region], 10, what="it is queued")[0])

    def files(self, image_id: str, region: str) -> list[str]:
        return sorted(path.name for path in self.lab.glances[region].store_path.glob(f"{image_id}*"))

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "glancesync.cmd.manage", "--config-file",
                               str(self.lab.server.conf_path), *arguments], env=base_environment(), text=True,
                              capture_output=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("stores")
    kept = request.config.getoption("--lab-dir")
    lab = Lab(Path(kept) if kept else folder / "cloud")
    with running(folder / "one") as one, running(folder / "two") as two:
        try:
            lab.up(None if lab.exists else LabOptions(store_filter=True), with_server=False)
            cloud = Cloud(lab, {ONE: one, TWO: two}, folder / "glance_store.yaml")
            cloud.write_config()
            lab.server.overrides = {**SERVER_OPTIONS, "stores": {"config_file": cloud.config, "num_shell_tries": 1}}
            lab.server.bring_up()
            yield cloud
        finally:
            lab.server.stop()
            if not kept:
                lab.down(keep=request.session.testsfailed > 0)


@pytest.fixture
def image_id(cloud: Cloud) -> Iterator[str]:
    """A queued image of demo."""
    made = str(cloud.images.create("travels", colour="red")["id"])
    yield made
    cloud.images.ensure_deleted(made)
    eventually(lambda: not any((glance.store_path / made).exists() for glance in cloud.lab.glances.values()), 30,
               what="the files are gone")


def assert_same(cloud: Cloud, image_id: str, region: str) -> None:
    replica, image = cloud.replica(image_id, region), cloud.images.get(image_id)
    assert {key: replica[key] for key in KEYS} == {key: image[key] for key in KEYS}
    assert Images(cloud.lab.session("demo"), cloud.lab.endpoint(region)).read(image_id) == DATA
    store = cloud.lab.glances[region].store_path
    assert [path.name for path in store.glob(f"{image_id}*")] == [image_id]


def test_a_replica_is_as_an_uploaded_one_and_no_glance_gave_its_bytes(cloud: Cloud, image_id: str) -> None:
    cloud.images.upload(image_id, DATA)
    for region in (TWO, THREE):
        assert_same(cloud, image_id, region)
    assert any(f"went to {TWO} by filesystem from {ONE}: {len(DATA)} bytes" in line
               for line in cloud.log_of(image_id, TWO))
    assert not any("by filesystem" in line for line in cloud.log_of(image_id, THREE))
    explained = cloud.manage("store", "explain", image_id, TWO)
    assert [line for line in explained.stdout.splitlines() if f"from {ONE}" in line] == [
        f"filesystem from {ONE}: ok, host to host", f"stream from {ONE}: ok",
        f"glance-download from {ONE}: {NOT_IN_ORDER} {TWO}", f"http from {ONE}: {NOT_IN_ORDER} {TWO}"]
    explained = cloud.manage("store", "explain", image_id, THREE)
    assert [line for line in explained.stdout.splitlines() if f"from {ONE}" in line] == [
        f"stream from {ONE}: ok", f"filesystem from {ONE}: glance_store.yaml names no store of {THREE}",
        f"glance-download from {ONE}: {NOT_IN_ORDER} {THREE}", f"http from {ONE}: {NOT_IN_ORDER} {THREE}"]


@pytest.mark.parametrize("fault", ["host", "key", "bytes", "missing"])
def test_when_the_driver_fails_the_same_run_goes_through_the_glances(cloud: Cloud, image_id: str, fault: str) -> None:
    """`bytes`: what the source's host gives is not what its Glance gives."""
    host = cloud.hosts[TWO if fault in ("host", "key") else ONE]
    expected = {"host": "store_unreachable", "key": "store_host_key", "bytes": "store_corrupt_copy",
                "missing": "store_source_missing"}[fault]
    other = host.folder / "other"
    other.mkdir(exist_ok=True)
    host.stop()
    if fault == "key":
        host.change_host_key()
    if fault != "host":
        host.start()
    try:
        if fault in ("bytes", "missing"):
            store = str(cloud.lab.glances[ONE].store_path)
            cloud.config.write_text(cloud.config.read_text().replace(store, str(other)))
            if fault == "bytes":
                (other / image_id).write_bytes(DATA[:-1] + bytes([DATA[-1] ^ 1]))
            reload(cloud)
        cloud.images.upload(image_id, DATA)
        assert_same(cloud, image_id, TWO)
        assert any(f"does not come to {TWO} by filesystem" in line and f": {expected}: " in line
                   for line in cloud.log_of(image_id, TWO))
    finally:
        host.stop()
        host.trust()
        host.start()
        cloud.write_config()
        reload(cloud)


def reload(cloud: Cloud) -> None:
    before = cloud.lab.server.log_path.read_text("utf-8", "replace").count("the configuration was")
    os.kill(cloud.lab.server.pid, signal.SIGHUP)
    eventually(lambda: cloud.lab.server.log_path.read_text("utf-8", "replace").count("the configuration was") > before,
               10, what="reloaded")


def test_a_region_that_does_not_register_is_set_aside(cloud: Cloud, image_id: str) -> None:
    with KeystoneAdmin(cloud.lab).without_role("glance-sync", "glance_sync_store"):
        cloud.lab.server.stop()
        cloud.lab.server.bring_up()
        cloud.images.upload(image_id, DATA)
        assert_same(cloud, image_id, TWO)
        assert any(f"does not come to {TWO} by filesystem" in line and ": store_not_registered: " in line
                   for line in cloud.log_of(image_id, TWO))
        stream, refused, *others = (way for way in cloud.ways(image_id, TWO) if way["source"] == ONE)
        assert [other["driver"] for other in others] == ["glance-download", "http"]
        assert stream == {"source": ONE, "driver": "stream", "carrier": "server", "refusal": None, "route": None,
                          "doubt": None}
        assert refused["driver"] == "filesystem"
        assert f"{TWO} is set aside: its Glance " in refused["refusal"]
    cloud.lab.server.stop()
    cloud.lab.server.bring_up()


def test_stores_are_tried(cloud: Cloud) -> None:
    found = cloud.manage("store", "check")
    assert found.returncode == 0, found.stdout + found.stderr
    lines = found.stdout.splitlines()
    assert len(lines) == 5
    assert f"{ONE} to {TWO}: filesystem, host to host" in lines
    assert any(line.startswith(f"{TWO} to {ONE}: filesystem, through the server: ") for line in lines)
    assert "ok; log in: " in lines[0]
    assert "MiB/s" in lines[0]
    assert lines[1] == f"{THREE}: the file names no store; its bytes go through its Glance"
    cloud.hosts[TWO].stop()
    try:
        found = cloud.manage("store", "check")
        assert found.returncode == 1
        assert "store_unreachable" in found.stdout
    finally:
        cloud.hosts[TWO].start()


def waits_with(cloud: Cloud, image_id: str, region: str, code: str) -> dict[str, Any]:
    """The pair once it waits for this reason; nothing of the image is in the region."""
    def waiting() -> dict[str, Any]:
        answer = cloud.lab.session("admin").get(f"{cloud.lab.server.url}/v1/images/{image_id}", raise_exc=False)
        assert answer.status_code == 200
        found = {each["region"]: each for each in answer.json()["image"]["regions"]}
        assert (found[region]["state"], found[region]["reason_code"]) == ("waiting", code), found[region]
        return dict(found[region])

    shown = eventually(waiting, 60, what=f"{image_id} waits in {region}")
    assert Images(cloud.lab.session("glance-sync"), cloud.lab.endpoint(region)).find(image_id) is None
    return shown


def restart(cloud: Cloud) -> None:
    """A server that knows nothing of its regions yet."""
    cloud.lab.server.stop()
    cloud.lab.server.bring_up()


def test_a_full_disk_is_found_before_a_byte_moves(cloud: Cloud, image_id: str) -> None:
    store = cloud.lab.glances[TWO].store_path
    with mounted(store, 2048):
        restart(cloud)
        cloud.images.upload(image_id, DATA)
        shown = waits_with(cloud, image_id, TWO, "store_space_short")
        assert "bytes are free where RegionTwo keeps its images, the image has 5000000" in shown["reason"]
        assert list(store.iterdir()) == []
        assert shown["next_try_at"]
        assert {way["refusal"] for way in cloud.ways(image_id, TWO)
                if way["driver"] in ("filesystem", "stream") and way["source"] == ONE} == {shown["reason"]}
        explained = cloud.manage("store", "explain", image_id, TWO).stdout
        assert f"stream from {ONE}: {shown['reason']}" in explained
        assert_same(cloud, image_id, THREE)
    restart(cloud)
    cloud.lab.session("admin").post(f"{cloud.lab.server.url}/v1/tasks/{shown['task_id']}/retry", json={})
    assert_same(cloud, image_id, TWO)


def test_a_format_that_is_not_enabled_is_found_before_a_byte_moves(cloud: Cloud) -> None:
    glance = cloud.lab.glances[TWO]
    path = glance.directory / "glance-api.conf"
    before = path.read_text()
    made = str(cloud.images.create("odd", data=b"x" * 1000, disk_format="ploop")["id"])
    try:
        path.write_text(before + "\n[image_format]\ndisk_formats = raw,qcow2\n")
        glance.stop()
        glance.start()
        glance.wait_ready()
        restart(cloud)
        later = str(cloud.images.create("odd", data=b"x" * 1000, disk_format="ploop")["id"])
        shown = waits_with(cloud, later, TWO, "format_not_enabled")
        assert shown["reason"] == "RegionTwo takes no disk format ploop, but qcow2, raw"
        plan = cloud.lab.session("admin").post(f"{cloud.lab.server.url}/v1/sync", json={
            "image_ids": [later], "regions": [TWO], "dry_run": True}).json()["plan"]
        assert [(each["reason_code"], each["actions"]) for each in plan] == [("format_not_enabled", [])]
        cloud.images.ensure_deleted(later)
    finally:
        path.write_text(before)
        glance.stop()
        glance.start()
        glance.wait_ready()
        cloud.images.ensure_deleted(made)
        restart(cloud)


@pytest.fixture
def slowly(cloud: Cloud) -> Iterator[None]:
    """What RegionTwo's host fetches from RegionOne's comes at 5 MiB/s."""
    one = cloud.hosts[ONE]
    known = one.known_hosts.read_text()
    with link(one.port, 5 * 2 ** 20) as port:
        one.known_hosts.write_text(known + known.replace(str(one.port), str(port)))
        cloud.write_config(peer_port=port)
        reload(cloud)
        yield
        one.known_hosts.write_text(known)
        cloud.write_config()
        reload(cloud)


def test_progress_is_true_and_who_cancels_leaves_nothing(cloud: Cloud, image_id: str, slowly: None) -> None:
    cloud.images.upload(image_id, DATA * 20)
    part, seen = cloud.lab.glances[TWO].store_path / f"{image_id}.part", set()

    def half_way() -> bool:
        done = cloud.task(image_id, TWO)["bytes_done"] or 0
        assert done <= (part.stat().st_size if part.exists() else 0)
        seen.add(done)
        return len(seen) > 3

    eventually(half_way, 30, what="it is seen how far it is")
    task = cloud.task(image_id, TWO)
    assert (task["step"], task["bytes_total"]) == ("copying", len(DATA) * 20)
    url = f"{cloud.lab.server.url}/v1/tasks/{task['id']}"
    assert cloud.lab.session("admin").post(f"{url}/cancel").status_code == 202
    eventually(lambda: cloud.task(image_id, TWO)["state"] == "cancelled", 10, what="it is cancelled")
    eventually(lambda: cloud.files(image_id, TWO) == [], 5, what="nothing is left")
    assert not any("does not come" in line for line in cloud.log_of(image_id, TWO))
    assert cloud.lab.session("admin").post(f"{url}/retry").status_code == 202
    assert cloud.replica(image_id, TWO)["status"] == "active"


def test_a_server_killed_in_the_middle_leaves_nothing(cloud: Cloud, image_id: str, slowly: None) -> None:
    cloud.images.upload(image_id, DATA * 20)
    eventually(lambda: cloud.files(image_id, TWO) == [f"{image_id}.part"], 30, what="bytes arrive")
    cloud.lab.server.kill()
    eventually(lambda: cloud.files(image_id, TWO) == [], 10, what="its hosts tidy up by themselves")
    cloud.lab.server.bring_up()
    assert cloud.replica(image_id, TWO)["status"] == "active"
    assert cloud.files(image_id, TWO) == [image_id]


@pytest.mark.parametrize("driver", ["filesystem", "stream"])
def test_what_a_killed_server_left_is_no_hindrance(cloud: Cloud, image_id: str, driver: str) -> None:
    """It died between naming the file and having it registered; the next run goes one way or the other."""
    store = cloud.lab.glances[TWO].store_path
    (store / image_id).write_bytes(b"who knows what")
    os.utime(store / image_id, ns=(0, stamp_of(image_id, TWO)))  # the server's, for this region
    (store / f"{image_id}.part").write_bytes(b"half of something")
    if driver == "stream":
        text = yaml.safe_load(cloud.config.read_text())
        next(each for each in text["glances"] if each["region"] == TWO)["drivers"] = ["stream"]
        cloud.config.write_text(yaml.safe_dump(text))
        reload(cloud)
    try:
        cloud.images.upload(image_id, DATA)
        assert_same(cloud, image_id, TWO)
        assert any("by filesystem from" in line for line in cloud.log_of(image_id, TWO)) == (driver == "filesystem")
    finally:
        cloud.write_config()
        reload(cloud)


def test_a_file_that_is_not_ours_is_neither_replaced_nor_removed(cloud: Cloud, image_id: str) -> None:
    """Whosever it is: neither the copy nor the upload that the Glance refuses makes way for itself."""
    path, admin = cloud.lab.glances[TWO].store_path / image_id, cloud.lab.session("admin")
    path.write_bytes(b"another's")

    def tried() -> str:
        url = f"{cloud.lab.server.url}/v1/tasks/{cloud.task(image_id, TWO)['id']}"
        codes = {each["driver"]: each["code"] for each in admin.get(url).json()["attempts"]}
        assert codes.get("filesystem") == "store_occupied"
        assert codes.get("stream", "ok") != "ok"
        return url

    try:
        cloud.images.upload(image_id, DATA)
        task = eventually(tried, 60, what="both ways were tried")
        assert path.read_bytes() == b"another's"
    finally:
        path.unlink()
    assert admin.post(f"{task}/retry", raise_exc=False).status_code in (202, 409)
    assert_same(cloud, image_id, TWO)


def test_a_glance_killed_while_it_takes_the_file_blocks_nothing(cloud: Cloud, image_id: str) -> None:
    """Its task's lock stays for ever; the replica takes a new id, and no file is left of the old one."""
    glance, store = cloud.lab.glances[TWO], Images(cloud.lab.session("admin"), cloud.lab.endpoint(TWO))
    cloud.images.upload(image_id, DATA * 30)

    eventually(lambda: "os_glance_import_task" in (store.find(image_id) or {}), 30, every_seconds=0.05,
               what="its Glance reads the file")
    glance.kill()
    glance.start()
    glance.wait_ready()
    assert "os_glance_import_task" in store.get(image_id)
    record = eventually(lambda: in_sync(cloud, image_id, TWO), 180, what="it has bytes under another id")
    assert record["replica_id"] != image_id
    assert cloud.files(image_id, TWO) == []
    assert cloud.files(record["replica_id"], TWO) == [record["replica_id"]]


def in_sync(cloud: Cloud, image_id: str, region: str) -> dict[str, Any]:
    answer = cloud.lab.session("admin").get(f"{cloud.lab.server.url}/v1/images/{image_id}")
    found = next(dict(each) for each in answer.json()["image"]["regions"] if each["region"] == region)
    assert found["state"] == "in_sync", found
    return found
