# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glancesync.exceptions import ConfigurationError, InvalidInputError, RegionUnavailableError
from glancesync.filter.delivery import Delivery, merge_events
from glancesync.model.event import Event, Operation
from tests.unit.filter.fakes import FakeClient, event

ADD, SAVE, REMOVE, MEMBERS, ALL = Operation.ADD, Operation.SAVE, Operation.REMOVE, Operation.MEMBERS, Operation.ALL


def merged(*operations: Operation) -> list[Operation]:
    return [one.operation for one in merge_events(event(1, operation, at=n) for n, operation in enumerate(operations))]


@pytest.mark.parametrize(("given_", "kept"), [
    ([SAVE, SAVE, SAVE], [SAVE]),
    ([ADD, SAVE, SAVE, MEMBERS, SAVE], [ADD, MEMBERS, SAVE]),
    ([SAVE, REMOVE, SAVE], [SAVE, REMOVE, SAVE]),
    ([REMOVE, REMOVE], [REMOVE]),
    ([ADD, REMOVE, ADD, REMOVE], [ADD, REMOVE, ADD, REMOVE]),
    ([SAVE, SAVE, REMOVE, SAVE, SAVE], [SAVE, REMOVE, SAVE]),
    ([ALL, ALL], [ALL]),
    ([], []),
])
def test_merging(given_: list[Operation], kept: list[Operation]) -> None:
    assert merged(*given_) == kept


def test_the_newest_is_kept_and_images_do_not_mix() -> None:
    events = [event(1, at=1), event(2, at=2), event(1, at=3), event(2, REMOVE, at=4), event(1, at=5)]
    assert [(one.operation, one.at) for one in merge_events(events)] == [(SAVE, 2), (REMOVE, 4), (SAVE, 5)]


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from(list(Operation))), max_size=40))
def test_merging_never_moves_a_remove_and_never_drops_the_last_word(steps: list[tuple[int, Operation]]) -> None:
    events = [event(number, operation, at=at) for at, (number, operation) in enumerate(steps)]
    result = merge_events(events)
    assert [one.at for one in result] == sorted(one.at for one in result)
    for image_id in {one.image_id for one in events}:
        before = [one for one in events if one.image_id == image_id]
        after = [one for one in result if one.image_id == image_id]
        assert after[-1] == before[-1]
        assert rounds(after) == rounds(before)


def rounds(events: list[Event]) -> list[set[Operation]]:
    """What happened between removes: the operations of each stretch."""
    stretches: list[set[Operation]] = []
    for one in events:
        if not stretches or (one.operation is REMOVE) != (REMOVE in stretches[-1]):
            stretches.append(set())
        stretches[-1].add(one.operation)
    return stretches


def refuse(*bad: int) -> tuple[FakeClient, Delivery, list[float]]:
    client = FakeClient()
    client.refuses = lambda one: InvalidInputError("wrong") if one.at in bad else None
    refused: list[float] = []
    return client, Delivery(submit=client.submit_events, refused=lambda one, _error: refused.append(one.at)), refused


def test_the_wrong_events_are_found_and_the_others_arrive_in_order() -> None:
    client, delivery, refused = refuse(3, 60, 99)
    delivery.deliver([event(n, at=n) for n in range(100)])
    assert refused == [3, 60, 99]
    assert [one.at for one in client.events] == [n for n in range(100) if n not in refused]
    assert client.calls < 50


def test_an_everything_is_never_given_up() -> None:
    client, delivery, refused = refuse(5)
    with pytest.raises(InvalidInputError):
        delivery.deliver([event(1, at=1), event(operation=ALL, at=5)])
    assert refused == []
    assert [one.at for one in client.events] == [1]


@pytest.mark.parametrize("error", [RegionUnavailableError("down"), ConfigurationError("incomplete")])
def test_what_is_not_the_events_fault_is_for_the_caller(error: Exception) -> None:
    client, delivery, refused = refuse()
    client.errors = [error]  # type: ignore[list-item]
    with pytest.raises(type(error)):
        delivery.deliver([event(1), event(2)])
    assert (client.calls, refused) == (1, [])
