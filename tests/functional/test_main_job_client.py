# SPDX-License-Identifier: Apache-2.0
"""What users do with the openstack client in the cascading region is seen with it in the cascaded ones."""
from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from keystoneauth1.exceptions import HttpError

from glancesync.lab.demo_images import empty_qcow2
from tests.fixtures.cloud import OpenStack
from tests.fixtures.images import ImagesOf
from tests.fixtures.main_job import MIB, MainJob, counterparts

pytestmark = pytest.mark.lab


@pytest.fixture
def made(openstack: OpenStack, tmp_path: Path, job: MainJob) -> str:
    """A shared image of an ordinary user, made and uploaded by the client; 1 MiB of `tmp_path/bytes`."""
    path = tmp_path / "bytes"
    path.write_bytes(secrets.token_bytes(MIB))
    image = openstack.json(
        "image", "create", "--file", str(path), "--disk-format", "raw", "--min-disk", "1", "--min-ram", "64",
        "--tag", "golden", "--tag", "old", "--property", "os_distro=debian", "--property", "hw disk/bus=läuft",
        "--shared", "Größe – ✓")
    return str(image["id"])


def test_an_ordinary_user_makes_and_changes_an_image(made: str, openstack: OpenStack, job: MainJob, images: ImagesOf,
                                                     tmp_path: Path) -> None:
    job.converge()
    shown = openstack.json("image", "show", made, region="RegionTwo")
    assert (shown["name"], shown["status"], shown["min_disk"], sorted(shown["tags"])) == (
        "Größe – ✓", "active", 1, ["golden", "old"])
    assert shown["properties"]["hw disk/bus"] == "läuft"
    openstack("image", "save", "--file", str(tmp_path / "saved"), made, region="RegionThree")
    assert (tmp_path / "saved").read_bytes() == (tmp_path / "bytes").read_bytes()

    openstack("image", "set", "--name", "renamed", "--property", "os_distro=arch", "--property", "new=1",
              "--tag", "new", "--min-ram", "128", "--hidden", made)
    openstack("image", "unset", "--tag", "old", "--property", "hw disk/bus", made)
    job.converge()
    shown = openstack.json("image", "show", made, region="RegionThree")
    assert (shown["name"], shown["min_ram"], sorted(shown["tags"])) == ("renamed", 128, ["golden", "new"])
    assert "hw disk/bus" not in shown["properties"]

    openstack("image", "set", "--protected", "--unhidden", made)
    job.converge()
    openstack("image", "delete", made, check=False)
    job.converge()
    assert all(counterparts(job.lab, images, made).values())
    openstack("image", "set", "--unprotected", made)
    openstack("image", "delete", made)
    job.wait_for(made, "deleted")
    for region in job.regions:
        assert made not in openstack("image", "list", region=region)
    job.converge()


def test_a_shared_image_is_usable_by_its_members_everywhere(made: str, openstack: OpenStack, job: MainJob,
                                                            images: ImagesOf, project_ids: dict[str, str]) -> None:
    openstack("image", "add", "project", made, project_ids["rival"])
    job.converge()
    assert made not in openstack("image", "list", "--shared", user="rival", region="RegionTwo")
    openstack("image", "set", "--accept", made, user="rival")
    job.converge()
    assert made in openstack("image", "list", "--shared", user="rival", region="RegionTwo")
    openstack("image", "remove", "project", made, project_ids["rival"])
    job.converge()
    assert images("rival", "RegionTwo").find(made) is None


def test_an_admin_deactivates_publishes_and_gives_away(made: str, openstack: OpenStack, job: MainJob,
                                                       images: ImagesOf, project_ids: dict[str, str]) -> None:
    openstack("image", "set", "--deactivate", made, user="admin")
    job.converge()
    assert "403" in _failed_read(images, made)
    openstack("image", "set", "--activate", "--public", made, user="admin")
    job.converge()
    assert len(images("rival", "RegionThree").read(made)) == MIB
    openstack("image", "set", "--private", "--project", project_ids["rival"], made, user="admin")
    job.converge()
    assert images("demo", "RegionTwo").find(made) is None
    openstack("image", "delete", made, user="admin")
    job.wait_for(made, "deleted")
    assert not any(counterparts(job.lab, images, made).values())


def _failed_read(images: ImagesOf, image_id: str) -> str:
    with pytest.raises(HttpError) as caught:
        images("demo", "RegionTwo").read(image_id)
    return str(caught.value)


@pytest.mark.parametrize("method", ["glance-direct", "web-download"])
def test_an_import_is_copied_when_it_is_complete(method: str, openstack: OpenStack, job: MainJob, images: ImagesOf,
                                                 web_files: tuple[Path, str]) -> None:
    folder, url = web_files
    (folder / "bytes").write_bytes(secrets.token_bytes(3 * MIB))
    if method == "glance-direct":
        made = openstack.json("image", "create", "--import", "--file", str(folder / "bytes"), "imported")["id"]
    else:
        # Without a file the client would upload its standard input.
        made = images("demo").create("imported")["id"]
        job.wait_for(made, "waiting", code="source_not_ready")
        openstack("image", "import", "--method", "web-download", "--uri", f"{url}/bytes", made)
    views = job.wait_for(made)
    job.converge()
    assert {view["bytes_total"] for view in views.values()} == {3 * MIB}


def test_a_snapshot_as_nova_makes_one(job: MainJob, images: ImagesOf, project_ids: dict[str, str]) -> None:
    """Over plain HTTP: a record without formats, later the formats and more properties, then the bytes."""
    ours = images("demo")
    base = ours.create("base", secrets.token_bytes(1000))["id"]
    snapshot = ours.create("snapshot 1", disk_format=None, container_format=None, visibility="private", min_disk=5, **{
        "base_image_ref": base, "image_type": "snapshot", "instance_uuid": "5b6a7d0c-6b5e-4f3b-9d38-3f6b5a3c0001",
        "boot_roles": "member,reader", "owner_project_name": "demo", "user_id": "f" * 32})["id"]
    job.wait_for(snapshot, "waiting", code="source_not_ready")
    ours.set(snapshot, disk_format="qcow2", container_format="bare", image_location="snapshot", image_state="available",
             owner_id=project_ids["demo"], min_ram=256)
    ours.upload(snapshot, iter([empty_qcow2(2 * MIB), secrets.token_bytes(MIB)]))
    job.wait_for(snapshot)
    job.converge()
    replica = images("demo", "RegionTwo").get(snapshot)
    assert (replica["base_image_ref"], replica["image_state"], replica["disk_format"]) == (base, "available", "qcow2")
