# SPDX-License-Identifier: Apache-2.0
"""The lab is a real cloud, and its judge sees every way in which two regions can differ."""
from __future__ import annotations

import os
import secrets
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.credentials import clouds_path, openrc_path
from glancesync.lab.oracle import Oracle
from glancesync.lab.state import state_path
from tests.fixtures.cloud import TRANSIENT_PROPERTY, OpenStack
from tests.fixtures.images import Images, ImagesOf, Record

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True)
def _no_server(lab: Lab) -> None:
    """These tests make the replicas themselves."""
    lab.server.kill()


def test_all_of_it_stands(lab: Lab) -> None:
    ready = {service.name for service in lab.status() if service.ready}
    assert ready == {"keystone", *lab.regions}


def test_second_up_reuses_what_stands(lab: Lab) -> None:
    before = {service.name: service.pid for service in lab.status()}
    Lab(lab.directory).up(with_server=False)
    assert {service.name: service.pid for service in lab.status()} == before


def test_region_that_died_comes_back_with_its_images(lab: Lab, images: ImagesOf) -> None:
    there = images("demo", "RegionTwo")
    image = there.create("survivor", b"bytes")
    before = lab.glances["RegionTwo"].pid
    lab.glances["RegionTwo"].kill(signal.SIGKILL)
    assert not lab.glances["RegionTwo"].is_ready()
    Lab(lab.directory).up(with_server=False)
    assert lab.glances["RegionTwo"].pid not in (None, before)
    assert there.read(image["id"]) == b"bytes"


def test_ordinary_user_works_with_the_real_client(openstack: OpenStack, images: ImagesOf, tmp_path: Path) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(secrets.token_bytes(1000))
    made = openstack.json("image", "create", "--file", str(path), "--property", "a b=ü", "Grüße")
    image = images("demo").get(made["id"])
    assert (image["name"], image["a b"], image["status"]) == ("Grüße", "ü", "active")
    assert images("rival").find(made["id"]) is None
    assert openstack.json("image", "list", region="RegionTwo") == []
    openstack("image", "delete", made["id"])


@pytest.mark.parametrize("method", ["glance-direct", "web-download", "glance-download"])
def test_imports_work_on_loopback(lab: Lab, images: ImagesOf, web_files: tuple[Path, str], method: str) -> None:
    folder, url = web_files
    (folder / "bytes").write_bytes(b"imported")
    ours = images("demo")
    image_id = ours.create("imported")["id"]
    parameters: dict[str, Any] = {}
    if method == "glance-direct":
        ours.stage(image_id, b"imported")
    elif method == "web-download":
        parameters["uri"] = f"{url}/bytes"
    else:
        other = images("demo", "RegionTwo").create("origin", b"imported")
        parameters = {"glance_image_id": other["id"], "glance_region": "RegionTwo"}
    ours.start_import(image_id, method, **parameters)
    ours.wait_status(image_id)
    assert ours.read(image_id) == b"imported"


def test_member_accepts_a_shared_image(images: ImagesOf, project_ids: dict[str, str]) -> None:
    ours = images("demo")
    image = ours.create("shared", b"bytes", visibility="shared")
    ours.add_member(image["id"], project_ids["rival"])
    images("rival").set_member_status(image["id"], project_ids["rival"], "accepted")
    assert ours.members(image["id"]) == {project_ids["rival"]: "accepted"}


def test_many_writers_at_once_are_all_served(images: ImagesOf) -> None:
    from concurrent.futures import ThreadPoolExecutor

    ours = images("demo")

    def work(number: int) -> str:
        image = ours.create(f"image {number}", b"bytes", colour="blue")
        return str(ours.set(image["id"], colour=f"{number}")["colour"])

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(work, range(12)), key=int) == [str(number) for number in range(12)]


def test_no_secret_on_a_command_line_and_files_are_private(lab: Lab) -> None:
    commands = b"".join(_read_bytes(path) for path in Path("/proc").glob("[0-9]*/cmdline"))
    for password in lab.state.passwords.values():
        assert password.encode() not in commands
    for path in (state_path(lab.directory), openrc_path(lab.directory), clouds_path(lab.directory),
                 *lab.directory.glob("*/*.conf")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_the_events_account_may_not_touch_images(images: ImagesOf) -> None:
    image = images("demo").create("private", b"bytes", visibility="private")
    assert images("glance-sync-events").find(image["id"]) is None
    assert images("glance-sync").find(image["id"]) is not None


# The judge.

@pytest.fixture
def replicated(lab: Lab, images: ImagesOf, project_ids: dict[str, str]) -> Record:
    """A shared image with a member, the same in all regions by the admin's hand."""
    data = secrets.token_bytes(4096)
    fields = {"owner": project_ids["demo"], "visibility": "shared", "tags": ["a"], "hw_disk_bus": "scsi"}
    image = images("admin").create("judged", data, **fields)
    for region in lab.cascaded_regions:
        images("admin", region).create("judged", data, id=image["id"], **fields)
    for region in lab.regions:
        images("admin", region).add_member(image["id"], project_ids["rival"])
    return image


def test_nothing_to_say_of_equal_regions(oracle: Oracle, replicated: Record) -> None:
    assert oracle.judge() == []


def _hide(there: Images, image_id: str) -> None:
    there.set(image_id, os_hidden=True)


BREAKS: dict[str, Callable[[Images, str], object]] = {
    "name": lambda there, image_id: there.set(image_id, name="other"),
    "os_hidden": _hide,
    "visibility": lambda there, image_id: there.set(image_id, visibility="community"),
    "protected": lambda there, image_id: there.set(image_id, protected=True),
    "owner": lambda there, image_id: there.set(image_id, owner="somebody"),
    "hw_disk_bus": lambda there, image_id: there.unset(image_id, "hw_disk_bus"),
    "surprise": lambda there, image_id: there.set(image_id, surprise="x"),
    "tags": lambda there, image_id: there.add_tag(image_id, "b"),
    "deactivated": lambda there, image_id: there.deactivate(image_id),
    "missing": lambda there, image_id: there.delete(image_id),
}


@pytest.mark.parametrize("word", BREAKS)
def test_each_difference_of_a_record_is_seen(oracle: Oracle, images: ImagesOf, replicated: Record, word: str) -> None:
    BREAKS[word](images("admin", "RegionThree"), replicated["id"])
    found = oracle.judge()
    assert found
    assert word in "\n".join(found)
    assert all("RegionThree" in sentence for sentence in found)


def test_member_status_is_seen(oracle: Oracle, images: ImagesOf, replicated: Record,
                               project_ids: dict[str, str]) -> None:
    images("rival", "RegionTwo").set_member_status(replicated["id"], project_ids["rival"], "accepted")
    assert [sentence for sentence in oracle.judge() if "members" in sentence and "RegionTwo" in sentence]


@pytest.mark.parametrize("region", ["RegionOne", "RegionTwo"])
def test_other_bytes_in_a_store_are_seen(lab: Lab, oracle: Oracle, replicated: Record, region: str) -> None:
    path = lab.glances[region].store_path / replicated["id"]
    before = path.stat()
    path.write_bytes(b"x" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    found = oracle.judge()
    assert len(found) == 1
    assert "do not match its os_hash_value" in found[0]
    assert region in found[0]
    assert oracle.judge(files=False) == []
    path.write_bytes(b"short")
    assert "5 bytes in the store" in oracle.judge()[0]
    path.unlink()
    assert "no file in the store" in oracle.judge()[0]


def test_surplus_and_leftovers_are_seen(lab: Lab, oracle: Oracle, images: ImagesOf) -> None:
    surplus = images("admin", "RegionTwo").create("surplus", b"bytes", os_hidden=True)
    leftover = lab.glances["RegionThree"].store_path / "0000"
    leftover.write_bytes(b"x")
    try:
        found = oracle.judge()
    finally:
        leftover.unlink()
    assert len(found) == 2
    assert surplus["id"] in found[0]
    assert "no counterpart" in found[0]
    assert str(leftover) in found[1]


def test_images_in_the_making_and_transient_ones_are_expected_nowhere(oracle: Oracle, images: ImagesOf) -> None:
    images("demo").create("queued")
    images("demo").create("transient", b"bytes", **{TRANSIENT_PROPERTY: "yes"})
    assert oracle.judge() == []


def test_replica_under_a_new_id(oracle: Oracle, images: ImagesOf, project_ids: dict[str, str]) -> None:
    image = images("demo").create("moved", b"bytes")
    fields = {"owner": project_ids["demo"], "visibility": image["visibility"]}
    replica = images("admin", "RegionTwo").create("moved", b"bytes", **fields)
    assert oracle.judge(regions=["RegionTwo"])
    assert oracle.judge({(image["id"], "RegionTwo"): replica["id"]}, regions=["RegionTwo"]) == []
