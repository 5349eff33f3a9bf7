# SPDX-License-Identifier: Apache-2.0
"""Files of its own store as an image's bytes: what a cascaded Glance with the store filter takes and refuses."""
from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.glance import Glance
from glancesync.lab.images import Images
from glancesync.lab.state import LabOptions
from glancesync.model.filed import Filed
from tests.fixtures.keystone_admin import KeystoneAdmin
from tests.fixtures.polling import eventually

pytestmark = [pytest.mark.lab, pytest.mark.full]
ONE, TWO = "RegionOne", "RegionTwo"
UNVERIFIED = "/v2/glance-sync/images"
DATA = secrets.token_bytes(300_000)
#: A qcow2 with a backing file.
BACKED = b"".join((b"QFI\xfb", (3).to_bytes(4, "big"), (4096).to_bytes(8, "big"), (9).to_bytes(4, "big"), (20).to_bytes(
    4, "big"), (1 << 20).to_bytes(8, "big"))).ljust(4096, b"\0") + b"/etc/hosts".ljust(65536)


class Store:
    """RegionTwo's, and the service user's way to it. Images it made are removed at the end."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.made: list[str] = []
        self.images = self.of("glance-sync")
        self.folder: Path = lab.glances[TWO].store_path

    def of(self, user: str) -> Images:
        return Images(self.lab.session(user), self.lab.endpoint(TWO), self.made.append)

    def queued(self, **fields: Any) -> str:
        return str(self.images.create("by file", **fields)["id"])

    def put(self, image_id: str, data: bytes = DATA, mode: int = 0o640) -> str:
        (self.folder / image_id).write_bytes(data)
        (self.folder / image_id).chmod(mode)
        return f"file://{self.folder}/{image_id}"

    def post(self, image_id: str, url: str, data: bytes = DATA, user: str = "glance-sync", *,
             endpoint: str = "", path: str = "/v2/images", filed: Filed | None = None) -> int:
        answer = self.lab.session(user).post(
            f"{endpoint or self.lab.endpoint(TWO)}{path}/{image_id}/locations", raise_exc=False,
            headers=filed.headers if filed else {}, json={
                "url": url, "validation_data": {"os_hash_algo": "sha512",
                                                "os_hash_value": hashlib.sha512(data).hexdigest()}})
        return int(answer.status_code)

    def ends(self, image_id: str) -> dict[str, Any]:
        """The image once Glance's task is done with it."""
        def unlocked() -> dict[str, Any]:
            found = self.images.get(image_id)
            assert "os_glance_import_task" not in found, found
            assert found["status"] in ("queued", "active")
            return found

        return eventually(unlocked, 30, what="the location task ended")

    def assert_refused(self, image_id: str, url: str, **options: Any) -> None:
        status = self.post(image_id, url, **options)
        assert status == 202 or 400 <= status < 500
        found = self.ends(image_id)
        assert (found["status"], found["size"]) == ("queued", None), url


@pytest.fixture(scope="module")
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    kept = request.config.getoption("--lab-dir")
    lab = Lab(Path(kept) if kept else tmp_path_factory.mktemp("store-filter") / "cloud")
    try:
        lab.up(None if lab.exists else LabOptions(regions=2, with_filter=False, store_filter=True), with_server=False)
        store = Store(lab)
        yield store
        for image_id in store.made:
            store.of("admin").ensure_deleted(image_id)
            (store.folder / image_id).unlink(missing_ok=True)
    finally:
        if not kept:
            lab.down(keep=request.session.testsfailed > 0)


def test_the_images_own_file_becomes_its_bytes(store: Store) -> None:
    image_id = store.queued()
    assert store.post(image_id, store.put(image_id)) == 202
    found = store.ends(image_id)
    uploaded = store.images.create("by upload", DATA)
    for key in ("status", "size", "checksum", "os_hash_algo", "os_hash_value", "virtual_size"):
        assert found[key] == uploaded[key], key
    assert store.images.read(image_id) == DATA
    store.images.delete(image_id)
    assert not (store.folder / image_id).exists()


def test_other_bytes_than_said_are_not_taken_and_the_id_stays_good(store: Store) -> None:
    image_id = store.queued()
    store.assert_refused(image_id, store.put(image_id, b"y" + DATA[1:]))
    assert not (store.folder / image_id).exists()
    assert store.post(image_id, store.put(image_id)) == 202
    assert store.ends(image_id)["status"] == "active"


@pytest.mark.parametrize("text", [
    "file:///etc/passwd", "file://{folder}/{other}", "file://{folder}/../images/{id}", "file://{folder}//{id}",
    "file://{folder}/./{id}", "file://{folder}/{id}/", "file://{folder}/%2e%2e/images/{id}", "file://localhost{folder}/{id}",
    "filesystem://{folder}/{id}", "FILE://{folder}/{id}", "file://{folder}/../staging/{id}", "{folder}/{id}",
    "file://{folder}/{id}?x=1", "file://{folder}/{id}#x",
])
def test_other_paths_and_schemes_are_refused(store: Store, text: str) -> None:
    image_id, other = store.queued(), store.queued()
    store.put(image_id)
    store.put(other)
    store.assert_refused(image_id, text.format(folder=store.folder, id=image_id, other=other))


def test_links_of_both_kinds_are_refused(store: Store) -> None:
    other = str(store.images.create("of somebody", DATA)["id"])
    for make in (os.symlink, os.link):
        image_id = store.queued()
        make(store.folder / other, store.folder / image_id)
        store.assert_refused(image_id, f"file://{store.folder}/{image_id}")
        (store.folder / image_id).unlink()
    assert store.images.read(other) == DATA


@pytest.mark.parametrize(("data", "mode"), [(b"", 0o640), (DATA, 0o666), (DATA, 0o620)])
def test_files_that_are_empty_or_that_others_may_write_are_refused(store: Store, data: bytes, mode: int) -> None:
    image_id = store.queued()
    store.assert_refused(image_id, store.put(image_id, data, mode), data=data)


def test_a_file_of_another_user_is_refused(store: Store) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    image_id = store.queued()
    url = store.put(image_id)
    os.chown(store.folder / image_id, 65534, 65534)
    store.assert_refused(image_id, url)


def test_who_lacks_the_role_is_refused(store: Store) -> None:
    image_id = store.queued()
    url = store.put(image_id)
    for user in ("admin", "glance", "rival"):
        store.assert_refused(image_id, url, user=user)
    with KeystoneAdmin(store.lab).without_role("glance-sync", "glance_sync_store"):
        store.assert_refused(image_id, url)
    assert store.post(image_id, url) == 202
    assert store.ends(image_id)["status"] == "active"


def test_a_format_that_an_upload_would_refuse_is_refused(store: Store) -> None:
    image_id = store.queued(disk_format="qcow2")
    store.assert_refused(image_id, store.put(image_id, BACKED), data=BACKED)


@pytest.mark.parametrize("secure", [True, False])
def test_what_nobody_verified_is_verified_by_glance_or_else_by_the_filter(store: Store, secure: bool) -> None:
    glance = store.lab.glances[TWO]
    with configured(glance, do_secure_hash=secure):
        image_id = store.queued()
        store.assert_refused(image_id, store.put(image_id, b"y" + DATA[1:]), path=UNVERIFIED)
        store.assert_refused(image_id, store.put(image_id, DATA[:-1]), path=UNVERIFIED)
        for user in ("admin", "glance"):
            store.assert_refused(image_id, store.put(image_id), path=UNVERIFIED, user=user)
        assert store.post(image_id, store.put(image_id), path=UNVERIFIED) == 202
        found = store.ends(image_id)
        uploaded = store.images.create("by upload", DATA)
        for key in ("status", "size", "checksum", "os_hash_algo", "os_hash_value", "virtual_size"):
            assert found[key] == uploaded[key], key


@pytest.mark.parametrize("secure", [True, False])
def test_what_was_done_already_is_done_again_where_glance_does_it_itself_and_the_format_is_always_judged(
        store: Store, secure: bool) -> None:
    checksum = hashlib.md5(DATA, usedforsecurity=False).hexdigest()
    done = Filed(compared=True, checksum=checksum)
    with configured(store.lab.glances[TWO], do_secure_hash=secure):
        image_id = store.queued()
        store.assert_refused(image_id, store.put(image_id, b"y" + DATA[1:]), path=UNVERIFIED,
                             filed=Filed(checksum=checksum))
        for user in ("admin", "glance"):
            store.assert_refused(image_id, store.put(image_id), path=UNVERIFIED, user=user, filed=done)
        if secure:
            store.assert_refused(image_id, store.put(image_id, b"y" + DATA[1:]), path=UNVERIFIED, filed=done)
        other = store.queued(disk_format="qcow2")
        store.assert_refused(other, store.put(other, BACKED), data=BACKED, path=UNVERIFIED, filed=done)
        assert store.post(image_id, store.put(image_id), path=UNVERIFIED, filed=done) == 202
        found = store.ends(image_id)
        uploaded = store.images.create("by upload", DATA)
        for key in ("status", "size", "checksum", "os_hash_algo", "os_hash_value", "virtual_size"):
            assert found[key] == uploaded[key], key


@contextmanager
def configured(glance: Glance, **options: Any) -> Iterator[None]:
    """Options of its [DEFAULT], for as long as this lasts."""
    path = glance.directory / "glance-api.conf"
    before = path.read_text()
    lines = [f"{name} = {value}" for name, value in options.items()]
    path.write_text(before.replace("[DEFAULT]", "\n".join(["[DEFAULT]", *lines]), 1))
    restart(glance)
    try:
        yield
    finally:
        path.write_text(before)
        restart(glance)


def restart(glance: Glance) -> None:
    glance.stop()
    glance.start()
    glance.wait_ready()


def test_a_glance_without_the_filter_refuses_it(store: Store) -> None:
    there = Images(store.lab.session("glance-sync"), store.lab.endpoint(ONE))
    image_id = str(there.create("by file")["id"])
    path = store.lab.glances[ONE].store_path / image_id
    path.write_bytes(DATA)
    assert store.post(image_id, f"file://{path}", endpoint=store.lab.endpoint(ONE)) in (202, 400, 403)
    assert store.post(image_id, f"file://{path}", endpoint=store.lab.endpoint(ONE), path=UNVERIFIED) == 404
    found = eventually(lambda: (record := there.get(image_id)) and "os_glance_import_task" not in record and record, 30,
                       what="the task ended")
    assert found["status"] == "queued"
    there.ensure_deleted(image_id)
    path.unlink(missing_ok=True)
