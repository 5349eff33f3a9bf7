# SPDX-License-Identifier: Apache-2.0
"""The order of ways, and why one is not taken."""
from __future__ import annotations

from dataclasses import replace

import pytest

from glancesync.model.facts import GlanceFacts, StoreFact
from glancesync.model.image import Digest, Image
from glancesync.model.store import GlanceStores, HttpScheme
from glancesync.stores.driver import Capabilities, Carrier
from glancesync.stores.select import Holder, Site, next_way, select_ways
from tests.unit.stores.fakes import FakeDriver, stores

IMAGE = Image(id="i", status="active", size=5, digest=Digest(algorithm="sha512", value="0"))
ONE, TWO = Site(region="One", stores=stores("One")), Site(region="Two", stores=stores("Two"))
WEB = GlanceStores(name="Two", region="Two", service_ip=None, schemes=(HttpScheme(netloc="h", path="/"),))


def held(site=ONE, **fields):
    return Holder(site=site, image_id="i", **fields)


def ways(image=IMAGE, source=ONE, target=TWO):
    return select_ways(image, [held(source)], target, {"filesystem": FakeDriver()})


def test_the_driver_comes_first_and_the_stream_always_follows():
    first, second = ways()
    assert (first.driver, first.refusal, first.source, first.target) == (
        "filesystem", None, ONE.stores.schemes[0], TWO.stores.schemes[0])
    assert (second.driver, second.source_region, second.refusal) == ("stream", "One", None)


@pytest.mark.parametrize(("changes", "why"), [
    ({"image": replace(IMAGE, size=None)}, "the image has no bytes to move"),
    ({"image": replace(IMAGE, size=0)}, "the image has no bytes to move"),
    ({"image": replace(IMAGE, digest=None)}, "Glance computed no hash of the image"),
    ({"image": replace(IMAGE, hash_is_claim=True)}, "Glance computed no hash of the image"),
    ({"image": replace(IMAGE, digest=Digest(algorithm="sha3_512", value="0"))}, "the driver cannot verify sha3_512"),
    ({"source": replace(ONE, stores=None)}, "glance_store.yaml names no store of One"),
    ({"target": replace(TWO, stores=None)}, "glance_store.yaml names no store of Two"),
    ({"target": replace(TWO, set_aside={"filesystem": "it refused"})}, "Two is set aside: it refused"),
    ({"target": replace(TWO, order=("stream",))}, "it is none of the drivers that may fill Two"),
    ({"target": replace(TWO, stores=WEB)}, "Two has no store of kind filesystem"),
    ({"source": replace(ONE, stores=replace(WEB, schemes=()))}, "One has no store of kind filesystem"),
    ({"target": replace(TWO, stores=ONE.stores)}, "the same folder"),
])
def test_why_the_driver_is_not_taken(changes, why):
    first, second = ways(**changes)
    assert (first.driver, first.refusal) == ("stream", None)
    assert second.driver == "filesystem"
    assert second.refusal.startswith(why)


def test_the_order_of_drivers_is_the_targets():
    one, two = FakeDriver(), FakeDriver()
    drivers = {"a": one, "b": two, "c": FakeDriver()}
    target = replace(TWO, order=("stream", "b", "a"))
    assert [(way.driver, way.refusal is None) for way in select_ways(IMAGE, [held()], target, drivers)] == [
        ("b", True), ("a", True), ("stream", True), ("c", False)]


def test_without_the_stream_nothing_goes_through_this_server():
    target = replace(TWO, order=("filesystem",))
    way, refused = select_ways(IMAGE, [held()], target, {"filesystem": FakeDriver()})
    assert (way.driver, refused.driver, refused.refusal) == (
        "filesystem", "stream", "it is none of the drivers that may fill Two")


class Fetcher(FakeDriver):
    """The target's Glance fetches by itself."""

    capabilities = Capabilities(import_methods=frozenset({"glance-download"}), carrier=Carrier.TARGET)

    def find_obstacle(self, source, target):
        return None


@pytest.mark.parametrize(("changes", "why"), [
    ({}, None), ({"digest": Digest(algorithm="sha3_512", value="0")}, None), ({"digest": None}, "computed no hash"),
    ({"status": "deactivated"}, "imports from active ones only")])
def test_what_needs_no_store_and_no_hash_of_its_own(changes, why):
    target = Site(region="Two", order=("fetcher", "stream"))
    ways = {way.driver: way for way in select_ways(replace(IMAGE, **changes), [held(Site(region="One"))], target,
                                                   {"fetcher": Fetcher()})}
    assert (ways["fetcher"].carrier, ways["stream"].carrier) == (Carrier.TARGET, Carrier.SERVER)
    assert ways["fetcher"].refusal is None if why is None else why in ways["fetcher"].refusal


@pytest.mark.parametrize(("plugins", "container", "taken"), [
    ((), "bare", True), (("no_op", "inject_image_metadata"), "bare", True), (("image_conversion",), "bare", False),
    (("image_decompression",), "bare", False), (("image_decompression",), "compressed", True),
    (("of_somebody",), "bare", False)])
def test_imports_that_may_change_bytes_are_not_ordered(plugins, container, taken):
    told = GlanceStores(name="Two", region="Two", service_ip=None, schemes=(), import_plugins=plugins)
    target = Site(region="Two", stores=told, order=("fetcher", "stream"))
    ways = select_ways(replace(IMAGE, container_format=container), [held(Site(region="One"))], target,
                       {"fetcher": Fetcher()})
    way = next(way for way in ways if way.driver == "fetcher")
    assert way.refusal is None if taken else f"the plugin {plugins[-1]}, which may change" in way.refusal


@pytest.mark.parametrize(("facts", "why"), [
    (GlanceFacts(), None), (GlanceFacts(import_methods=frozenset({"glance-download"})), None),
    (GlanceFacts(import_methods=frozenset({"web-download"})), "the Glance of Two has not enabled glance-download")])
def test_what_the_targets_glance_has_not_enabled(facts, why):
    target = Site(region="Two", order=("fetcher", "stream"), facts=facts)
    ways = {way.driver: way.refusal for way in select_ways(IMAGE, [held(Site(region="One"))], target,
                                                           {"fetcher": Fetcher()})}
    assert ways == {"fetcher": why, "stream": None}


class Registering(FakeDriver):
    """Needs a store at the target's Glance."""

    capabilities = replace(FakeDriver.capabilities, target_stores=frozenset({"file"}))


@pytest.mark.parametrize(("kinds", "taken"), [(("file", "rbd"), True), (("rbd",), False), ((None,), True)])
def test_the_targets_glance_needs_a_store_of_that_kind(kinds, taken):
    found = tuple(StoreFact(id=str(number), kind=kind) for number, kind in enumerate(kinds))
    way = next(way for way in select_ways(IMAGE, [held()], replace(TWO, facts=GlanceFacts(stores=found)),
                                          {"filesystem": Registering()}) if way.driver == "filesystem")
    assert way.refusal == (None if taken else "the Glance of Two has no store of kind file")


def test_without_drivers_there_is_the_stream():
    assert [way.driver for way in select_ways(IMAGE, [held()], TWO, {})] == ["stream"]


THREE, FOUR = Site(region="Three", stores=stores("Three")), Site(region="Four", stores=stores("Four"))


def order(*holders, driver="stream", **fields):
    drivers = {} if driver == "stream" else {"filesystem": FakeDriver()}
    return [(way.source_region, way.busy) for way in select_ways(IMAGE, holders, replace(TWO, **fields), drivers)
            if way.driver == driver]


def test_the_fastest_link_comes_first_and_what_was_never_measured_counts_as_the_fastest():
    assert order(held(ONE, speeds={"stream": 9e6}), held(THREE, speeds={"stream": 9e7})) == [
        ("Three", False), ("One", False)]
    assert order(held(ONE, speeds={"stream": 9e6}), held(THREE, speeds={"filesystem": 1e3})) == [
        ("One", False), ("Three", False)]
    assert order(held(ONE, speeds={"stream": 9e6}), held(THREE, speeds={"stream": 9e7}), held(FOUR, readers=1)) == [
        ("Three", False), ("Four", False), ("One", False)]


def test_of_links_that_are_nearly_as_fast_the_least_busy_comes_first():
    assert order(held(ONE, speeds={"stream": 9e6}, readers=1), held(THREE, speeds={"stream": 8.5e6})) == [
        ("Three", False), ("One", False)]


def test_the_same_host_comes_before_a_faster_link():
    near = replace(THREE, stores=replace(THREE.stores, schemes=(replace(TWO.stores.schemes[0], datadir="/three"),)))
    assert order(held(ONE, speeds={"filesystem": 9e9}), held(near, speeds={"filesystem": 1e5}),
                 driver="filesystem") == [("Three", False), ("One", False)]


def test_what_failed_a_moment_ago_comes_last_and_what_may_not_be_read_never():
    assert order(held(ONE, doubt="it broke off"), held(THREE)) == [("Three", False), ("One", False)]
    assert order(held(ONE), held(THREE, refusal="Three is frozen")) == [("One", False), ("Three", False)]
    assert select_ways(IMAGE, [held(THREE, refusal="Three is frozen")], TWO, {})[0].refusal == "Three is frozen"


def test_another_driver_is_no_better_only_because_it_is_free():
    ways = select_ways(IMAGE, [held(ONE, busy="it is read by 2", joins=True)], TWO, {"filesystem": FakeDriver()})
    assert [(way.driver, way.busy) for way in ways] == [("filesystem", True), ("stream", False)]
    first = next_way(ways, ())
    assert (first.driver, first.busy, first.refusal) == ("filesystem", True, "it is read by 2")
    assert next_way(ways, {("filesystem", "One")}).driver == "stream"
    assert next_way(ways, {("filesystem", "One"), ("stream", "One")}) is None


def test_who_is_busy_comes_after_who_has_room():
    assert order(held(ONE, busy="full", readers=2), held(THREE)) == [("Three", False), ("One", True)]
