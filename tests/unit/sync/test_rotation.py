# SPDX-License-Identifier: Apache-2.0
"""Whose members a periodic comparison asks for."""
from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glancesync.model.image import Image
from glancesync.model.replica import ReplicaRecord, ReplicaState
from glancesync.sync.rotation import Turns, is_asked

HOURS = 3600.0
IMAGE = Image(id="00000000-0000-4000-8000-000000000001", status="active", visibility="shared", updated_at=7.0)
#: Its moment lies 0.30 of the interval after the interval's beginning.
MOMENT = 0.3004
RECORD = ReplicaRecord(image_id=IMAGE.id, region="Two", state=ReplicaState.IN_SYNC, source_updated_at=7.0)


def turns(before, now, interval=6 * HOURS):
    return Turns(now=now, interval_seconds=interval, before={} if before is None else {"Two": before})


@pytest.mark.parametrize(("before", "now", "interval", "expected"), [
    (None, 1.0, 6 * HOURS, True),
    ((MOMENT - 0.1) * 6 * HOURS, (MOMENT - 0.01) * 6 * HOURS, 6 * HOURS, False),
    ((MOMENT - 0.01) * 6 * HOURS, (MOMENT + 0.01) * 6 * HOURS, 6 * HOURS, True),
    ((MOMENT + 0.01) * 6 * HOURS, (MOMENT + 0.1) * 6 * HOURS, 6 * HOURS, False),
    ((MOMENT + 99.01) * 6 * HOURS, (MOMENT + 99.1) * 6 * HOURS, 6 * HOURS, False),
    ((MOMENT + 98.99) * 6 * HOURS, (MOMENT + 99.01) * 6 * HOURS, 6 * HOURS, True),
    (100 * HOURS, 106 * HOURS, 6 * HOURS, True),
    (100.0, 100.1, 0, True),
], ids=["nothing seen yet", "not yet", "now", "was asked", "was asked, much later", "once more, much later",
        "a whole interval apart", "switched off"])
def test_the_turn_of_one_image(before, now, interval, expected):
    assert turns(before, now, interval).is_turn_of(IMAGE.id, "Two") is expected


def test_regions_have_turns_of_their_own():
    """One was not seen in the comparison before."""
    both = Turns(now=7 * HOURS, interval_seconds=6 * HOURS, before={"Two": 6.9 * HOURS})
    assert (both.is_turn_of(IMAGE.id, "Two"), both.is_turn_of(IMAGE.id, "Three")) == (False, True)


@given(st.lists(st.floats(1, 10 * HOURS), min_size=1, max_size=60), st.uuids(), st.floats(1, 12 * HOURS))
def test_everyone_has_a_turn_in_each_interval(gaps, image_id, interval):
    """However irregularly comparisons begin: no interval without a turn, but for the comparison that ends it."""
    now = asked_at = 5.0
    for gap in gaps:
        before, now = now, now + gap
        if Turns(now=now, interval_seconds=interval, before={"Two": before}).is_turn_of(str(image_id), "Two"):
            asked_at = now
        assert now - asked_at <= interval * (1 + 1e-9)


def test_turns_are_spread_evenly():
    ids = [str(uuid.UUID(int=number)) for number in range(3600)]
    asked = [sum(turns(n * 1200.0, (n + 1) * 1200.0).is_turn_of(each, "Two") for each in ids) for n in range(18)]
    assert sum(asked) == len(ids), "each once"
    assert max(asked) < 2 * min(asked), asked


@pytest.mark.parametrize(("record", "image", "asked"), [
    (RECORD, IMAGE, False),
    (None, IMAGE, True),
    (replace(RECORD, state=ReplicaState.FAILED), IMAGE, True),
    (RECORD, replace(IMAGE, updated_at=8.0), True),
], ids=["in sync", "not known", "not in sync", "changed since"])
def test_whom_it_is_not_the_turn_of(record, image, asked):
    some = turns((MOMENT + 0.01) * 6 * HOURS, (MOMENT + 0.1) * 6 * HOURS)
    assert is_asked(some, image, record, "Two") is asked
    assert is_asked(None, image, record, "Two")
