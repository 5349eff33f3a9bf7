# SPDX-License-Identifier: Apache-2.0
"""The choice of ways over any cloud: it ends, gives up nothing that may be taken, and takes nothing that it refuses."""
from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from glancesync.model.image import Digest, Image
from glancesync.stores.driver import STREAM
from glancesync.stores.select import Holder, Site, Way, next_way, select_ways
from tests.unit.stores.fakes import FakeDriver, stores

IMAGE = Image(id="i", status="active", size=5, digest=Digest(algorithm="sha512", value="0"))
NAMES = ("a", "b", "filesystem")
WHY = some.none() | some.just("why")
SPEEDS = some.dictionaries(some.sampled_from([*NAMES, STREAM]), some.floats(0, 1e12), max_size=3)


@some.composite
def clouds(draw: Any) -> tuple[list[Holder], Site, dict[str, FakeDriver]]:
    regions = draw(some.lists(some.sampled_from(["One", "Three", "Four", "Five"]), min_size=1, unique=True))
    holders = [Holder(site=Site(region=name, stores=draw(some.none() | some.just(stores(name)))), image_id="i",
                      refusal=draw(WHY), doubt=draw(WHY), busy=draw(WHY), readers=draw(some.integers(0, 3)),
                      joins=draw(some.booleans()), speeds=draw(SPEEDS)) for name in regions]
    order = draw(some.lists(some.sampled_from([*NAMES, STREAM, "not installed"]), unique=True))
    aside = draw(some.dictionaries(some.sampled_from([*NAMES, STREAM]), some.just("aside"), max_size=2))
    target = Site(region="Two", stores=draw(some.none() | some.just(stores("Two"))), order=tuple(order),
                  set_aside=aside)
    return holders, target, {name: FakeDriver() for name in draw(some.sets(some.sampled_from(NAMES)))}


@settings(max_examples=300, deadline=None)
@given(clouds())
def test_a_run_whose_ways_all_fail_tries_each_once_and_ends(cloud: Any) -> None:
    holders, target, drivers = cloud
    ways = select_ways(IMAGE, holders, target, drivers)
    assert len(ways) == len(holders) * (len(drivers) + 1)
    tried: list[tuple[str, str]] = []
    while (way := next_way(ways, tried)) is not None and not way.busy:
        assert way.refusal is None
        assert way.driver in target.order
        tried.append((way.driver, way.source_region))
        assert len(tried) <= len(ways)
    assert len(set(tried)) == len(tried)
    open_ways = [each for each in ways if each.refusal is None and (each.driver, each.source_region) not in tried]
    assert way is not None or not open_ways
    assert way is None or way.refusal  # it says for what it waits


@settings(max_examples=300, deadline=None)
@given(clouds())
def test_what_is_shown_first_is_what_is_taken(cloud: Any) -> None:
    """`store explain` prints the ways in this order; a run takes the first of them that was not tried."""
    ways = select_ways(IMAGE, *cloud)
    may = [each for each in ways if each.refusal is None or each.busy]
    assert ways[:len(may)] == may
    assert all(each.refusal for each in ways[len(may):])
    place = {name: number for number, name in enumerate(cloud[1].order)}

    def rank(way: Way) -> tuple[bool, int]:
        return way.driver == STREAM, place[way.driver]

    assert [rank(each) for each in may] == sorted(rank(each) for each in may)
    assert next_way(ways, ()) == (may[0] if may else None)
