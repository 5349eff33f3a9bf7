# SPDX-License-Identifier: Apache-2.0
"""The store filter around Glance's own checks: what its location task may register, and nothing else."""
from __future__ import annotations

import hashlib
from types import SimpleNamespace

import glance.location
import pytest
from glance.common import exception, store_utils

from glancesync.exceptions import ConfigurationError
from glancesync.filter import store_locations
from glancesync.filter.store_demands import Demand

ID = "11111111-2222-4333-8444-555555555555"
QCOW2 = (b"QFI\xfb" + (3).to_bytes(4, "big") + bytes(16) + (7 * 2 ** 20).to_bytes(8, "big") + bytes(68)
         + (104).to_bytes(4, "big")).ljust(65536, b"\0")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A store's folder; the seams are as unmodified Glance has them, and get back afterwards what they had."""
    monkeypatch.setattr(store_utils, "validate_external_location", lambda uri: False)
    monkeypatch.setattr(glance.location.StoreLocations, "insert", insert)
    monkeypatch.setattr(store_locations, "list_folders", lambda conf: [str(tmp_path)])
    monkeypatch.setattr(store_locations.cfg, "CONF", SimpleNamespace(do_secure_hash=False))
    monkeypatch.setattr(store_locations, "_SEAMS", ())
    store_locations.install("role")
    return tmp_path


def insert(self, i, location):
    if not store_utils.validate_external_location(location["url"]):
        raise exception.BadStoreUri(message="Invalid location")
    self.value.insert(i, location)


def image(**fields):
    fields = {"image_id": ID, "status": "queued", "disk_format": "raw", "container_format": "bare",
              "virtual_size": None, "checksum": None, "extra_properties": {"os_glance_import_task": "t"},
              "context": SimpleNamespace(roles=["service", "role"])} | fields
    return SimpleNamespace(**fields)


def told(**demand):
    return SimpleNamespace(roles=["role"], glancesync_demand=Demand(**demand))


def register(image, url):
    locations = glance.location.StoreLocations(image, [])
    locations.append({"url": url, "metadata": {}})
    return locations.value


def test_the_images_own_file_is_taken_and_completed(folder):
    (folder / ID).write_bytes(QCOW2)
    found = image(disk_format="qcow2")
    assert [each["url"] for each in register(found, f"file://{folder}/{ID}")] == [f"file://{folder}/{ID}"]
    assert (found.virtual_size, found.checksum) == (7 * 2 ** 20, hashlib.md5(QCOW2, usedforsecurity=False).hexdigest())
    assert not store_utils.validate_external_location(f"file://{folder}/{ID}")  # not a moment longer


@pytest.mark.parametrize("fields", [
    {"context": SimpleNamespace(roles=["admin", "service"])}, {"context": SimpleNamespace(roles=None)},
    {"status": "active"}, {"extra_properties": {}}, {"image_id": ID.replace("1", "2")},
])
def test_refused_for_another_token_state_or_image(folder, fields):
    (folder / ID).write_bytes(b"x" * 1024)
    with pytest.raises(exception.BadStoreUri):
        register(image(**fields), f"file://{folder}/{ID}")


@pytest.mark.parametrize(("digest", "taken"), [
    (hashlib.sha256(b"x" * 1024).hexdigest(), True), (hashlib.sha256(b"y").hexdigest(), False)])
def test_what_the_request_wanted_is_compared(folder, digest, taken):
    (folder / ID).write_bytes(b"x" * 1024)
    context = SimpleNamespace(roles=["role"], glancesync_demand=Demand(digest=("sha256", digest)))
    if taken:
        assert register(image(context=context), f"file://{folder}/{ID}")
        return
    with pytest.raises(exception.BadStoreUri):
        register(image(context=context), f"file://{folder}/{ID}")


def test_a_file_that_is_none_is_refused(folder):
    (folder / "other").write_bytes(b"x" * 1024)
    (folder / ID).symlink_to("other")
    with pytest.raises(exception.BadStoreUri):
        register(image(), f"file://{folder}/{ID}")


def test_what_was_done_already_is_not_done_again(folder):
    (folder / ID).write_bytes(b"x" * 1024)
    found = image(context=told(digest=None, checksum="5" * 32))
    assert register(found, f"file://{folder}/{ID}")
    assert (found.virtual_size, found.checksum) == (1024, "5" * 32)
    other = image()
    register(other, f"file://{folder}/{ID}")
    assert other.checksum == hashlib.md5(b"x" * 1024, usedforsecurity=False).hexdigest()


def test_a_checksum_that_is_known_does_not_stand_for_the_hash(folder):
    (folder / ID).write_bytes(b"x" * 1024)
    context = told(digest=("sha512", hashlib.sha512(b"y" * 1024).hexdigest()), checksum="5" * 32)
    with pytest.raises(exception.BadStoreUri):
        register(image(context=context), f"file://{folder}/{ID}")


def test_bytes_compared_before_are_inspected_all_the_same(folder):
    (folder / ID).write_bytes(QCOW2[:8] + (4096).to_bytes(8, "big") + (9).to_bytes(4, "big") + QCOW2[20:])
    context = told(digest=None, checksum="5" * 32)
    with pytest.raises(exception.InvalidImageData):
        register(image(disk_format="qcow2", context=context), f"file://{folder}/{ID}")


def test_what_an_upload_would_refuse_is_refused(folder):
    backing = QCOW2[:8] + (4096).to_bytes(8, "big") + (9).to_bytes(4, "big") + QCOW2[20:]
    (folder / ID).write_bytes(backing)
    with pytest.raises(exception.InvalidImageData):
        register(image(disk_format="qcow2"), f"file://{folder}/{ID}")


@pytest.mark.parametrize("options", [{"roll": "x"}, {"role": " "}])
def test_wrong_options_stop_the_start(options):
    with pytest.raises(ConfigurationError, match="one option is role"):
        store_locations.filter_factory({}, **options)


def test_a_glance_that_is_not_known(monkeypatch):
    monkeypatch.setattr(store_utils, "validate_external_location", lambda uri, extra: False)
    with pytest.raises(ConfigurationError, match="This Glance is not known"):
        store_locations.install("role")
