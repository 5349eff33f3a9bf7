# SPDX-License-Identifier: Apache-2.0
"""Usable at once and unverified, until the bytes are home: only where somebody asked for it, and said all the way."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from glancesync.conf.transfer import TransferSettings
from glancesync.exceptions import (
    GlanceSyncError,
    RegionForbiddenError,
    RegionUnavailableError,
    StoreCopyError,
    StoreImportError,
    StoreImportRefusedError,
    VerificationError,
)
from glancesync.model.facts import StoreFact
from glancesync.model.image import Image
from glancesync.model.replica import ReplicaState
from glancesync.model.store import FilesystemScheme, GlanceStores, HttpScheme, SshAccess
from glancesync.stores.drivers.http import HttpDriver, url_of
from glancesync.sync.preflight import Preflight
from glancesync.sync.shortcut import StoreShortcut
from tests.contract.store_worlds import options
from tests.fixtures.memory_cloud import SERVICE, MemoryCloud

DATA = b"the image's bytes"
WEB = HttpScheme(netloc="web:8800", path="/images/")
STORES = (StoreFact(id="local", kind="file", is_default=True), StoreFact(id="web", kind="http"))


class Cloud(MemoryCloud):
    """Its region Two takes http locations, and `order` says whether it may."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.order: tuple[str, ...] = ("http", "stream")
        self.two.facts = replace(self.two.facts, stores=STORES)
        stores = GlanceStores(name="a", region="One", service_ip=None, schemes=(WEB,))
        self.preflight = Preflight(
            read_facts=lambda name: self.directory.client(name).get_facts(), read_free=lambda _name: None,
            settings=TransferSettings(), clock=self.clock)
        self.shortcut = StoreShortcut(
            drivers={"http": HttpDriver(options())}, clock=self.clock, order=lambda: self.order,
            find_stores=lambda region: stores if region.name == "One" else None, read_facts=self.preflight.facts,
            regions=lambda: [self.directory.cascading(), *self.directory.cascaded()])
        self.restart()
        self.trust.prepare()

    def serve(self, data: bytes = DATA, *, given: bytes | None = None) -> Image:
        image = self.upload(data)
        self.two.web[url_of(WEB, image.id)] = data if given is None else given
        return image


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    return Cloud(tmp_path)


def state(cloud: Cloud, image: Image) -> tuple[str, str | None, bool, bool]:
    record = cloud.record(image.id)
    return (record.state.value, record.reason_code, record.unverified_since is not None,
            record.verified_at is not None)


def test_it_is_usable_before_its_bytes_are_home_and_says_so(cloud: Cloud) -> None:
    image, sleep, seen = cloud.serve(), cloud.clock.sleep, []

    def settle(seconds: float) -> None:
        replica = cloud.two.get_image(image.id)
        [shown] = cloud.service.get_image(image.id)["regions"]
        seen.append((replica.owner, replica.os_hidden, replica.stores, shown["state"], state(cloud, image)))
        cloud.two.settle_imports()
        sleep(seconds)

    cloud.clock.sleep = settle  # type: ignore[method-assign]
    run_slowly(cloud, image)
    assert seen[-1] == ("demo", False, ("web",), "usable_unverified",
                        ("usable_unverified", "usable_unverified", True, False))
    replica = cloud.two.get_image(image.id)
    assert (replica.stores, replica.digest) == (("local",), image.digest)
    assert state(cloud, image) == ("in_sync", "in_sync", False, True)
    assert cloud.two.faults.calls.count("upload_data") == 0
    assert [each.driver for each in cloud.service.list_attempts("t")] == ["http"]


def run_slowly(cloud: Cloud, image: Image) -> None:
    """Its Glance takes a while to copy; the location it takes at once."""
    add = cloud.two.add_location

    def at_once(*given: object, **named: object) -> None:
        add(*given, **named)  # type: ignore[arg-type]
        cloud.two.slow = True

    cloud.two.add_location = at_once  # type: ignore[method-assign]
    cloud.run(image.id)


def test_who_did_not_ask_for_it_does_not_get_it(cloud: Cloud) -> None:
    cloud.order = ("filesystem", "stream")
    image = cloud.serve()
    cloud.run(image.id)
    assert (cloud.two.faults.calls.count("add_location"), cloud.two.faults.calls.count("upload_data")) == (0, 1)
    assert state(cloud, image) == ("in_sync", "in_sync", False, True)


def test_other_bytes_are_replaced_and_the_driver_is_set_aside(cloud: Cloud) -> None:
    image = cloud.serve(given=b"somebody else's by")
    with pytest.raises(VerificationError):
        cloud.run(image.id)
    wrong = cloud.two.get_image(image.id)
    assert (wrong.owner, wrong.visibility, wrong.os_hidden) == (SERVICE, "private", True)
    cloud.run(image.id)
    record = cloud.record(image.id)
    assert (record.state, record.id_reason, record.unverified_since) == (ReplicaState.IN_SYNC, "bytes_differ", None)
    assert cloud.two.data(str(record.replica_id)) == DATA
    ways = {way["driver"]: way["refusal"] for way in cloud.service.list_ways(image.id, "Two")}
    assert "is set aside" in str(ways["http"])


def test_bytes_that_change_on_the_web_server_are_not_brought_home(cloud: Cloud) -> None:
    """They were right when its Glance hashed them."""
    image = cloud.serve()
    cloud.two.fail_next("copy_to_store", RegionUnavailableError("away"))
    with pytest.raises(RegionUnavailableError):
        cloud.run(image.id)
    cloud.two.web[url_of(WEB, image.id)] = b"changed since then"
    with pytest.raises(StoreImportError):
        cloud.run(image.id)
    assert state(cloud, image) == ("usable_unverified", "store_import_failed", True, False)
    cloud.two.web[url_of(WEB, image.id)] = DATA
    cloud.run(image.id)
    assert state(cloud, image) == ("in_sync", "in_sync", False, True)


@pytest.mark.parametrize(("method", "error", "kind", "code"), [
    ("copy_to_store", RegionForbiddenError("policy"), StoreImportRefusedError, "store_import_refused"),
    ("copy_to_store", RegionUnavailableError("killed"), RegionUnavailableError, "region_unavailable"),
    ("remove_from_store", RegionForbiddenError("policy"), RegionForbiddenError, "region_forbidden")])
def test_what_stops_on_the_way_home_is_still_said_to_be_unverified(
        cloud: Cloud, method: str, error: GlanceSyncError, kind: type[GlanceSyncError], code: str) -> None:
    image = cloud.serve()
    cloud.two.fail_next(method, error)
    with pytest.raises(kind):
        cloud.run(image.id)
    assert state(cloud, image) == ("usable_unverified", code, True, False)
    cloud.restart()
    cloud.run(image.id)
    assert state(cloud, image) == ("in_sync", "in_sync", False, True)
    assert cloud.two.get_image(image.id).stores == ("local",)


def test_changes_of_the_image_reach_one_that_is_not_home_yet(cloud: Cloud) -> None:
    image = cloud.serve()
    cloud.two.fail_next("copy_to_store", RegionUnavailableError("away"), times=2)
    for changes in ({}, {"name": "another"}):
        cloud.one.put_image(replace(cloud.one.get_image(image.id), **changes))
        with pytest.raises(RegionUnavailableError):
            cloud.run(image.id)
        assert cloud.two.get_image(image.id).name == changes.get("name", image.name)
    cloud.one.delete_image(image.id)
    cloud.report_removal(image.id)
    cloud.run(image.id)
    assert cloud.two.find_image(image.id) is None
    assert cloud.record(image.id).state is ReplicaState.DELETED


@pytest.mark.parametrize(("stores", "methods", "why"), [
    (STORES[:1], {"copy-image"}, "has no store of kind http"),
    (STORES, {"web-download"}, "has not enabled copy-image")])
def test_a_glance_that_cannot_bring_bytes_home_is_not_told_of_them(
        cloud: Cloud, stores: tuple[StoreFact, ...], methods: set[str], why: str) -> None:
    cloud.two.facts = replace(cloud.two.facts, stores=stores)
    cloud.two.import_methods = frozenset(methods)
    image = cloud.serve()
    ways = {way["driver"]: way["refusal"] for way in cloud.service.list_ways(image.id, "Two")}
    assert why in str(ways["http"])
    cloud.run(image.id)
    assert cloud.record(image.id).state is ReplicaState.IN_SYNC


def test_where_files_are_given_out() -> None:
    driver, image_id = HttpDriver(options()), "0a1b2c3d-0000-4000-8000-00000000000a"
    assert url_of(WEB, image_id) == f"http://web:8800/images/{image_id}"
    odd = replace(WEB, path="/a b", image_name="{id}.img")
    assert url_of(odd, image_id) == f"http://web:8800/a%20b/{image_id}.img"
    assert driver.find_obstacle(WEB, None) is None
    assert "one file for all" in str(driver.find_obstacle(replace(WEB, image_name="test.img"), None))
    assert driver.find_obstacle(None, None) is not None
    with pytest.raises(StoreCopyError):
        driver.check(FilesystemScheme(datadir="/", ssh=SshAccess(host="h", user="u")))
