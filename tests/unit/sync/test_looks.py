# SPDX-License-Identifier: Apache-2.0
"""When a run may use what another saw."""
from __future__ import annotations

from dataclasses import replace

import pytest

from glancesync import concurrency
from glancesync.exceptions import RegionConflictError, RegionUnavailableError
from glancesync.sync.looks import MAX_AGE_SECONDS, SharedLooks
from tests.fixtures.clocks import MovingClock
from tests.fixtures.memory_cloud import MemoryCloud


class Bench:
    def __init__(self):
        self.clock = MovingClock()
        self.looks = SharedLooks(self.clock)
        self.asked = 0

    def look(self, *, since, key="image", hold=None, error=None):
        """Which look it was; the first is 1."""
        def ask():
            self.asked += 1
            number = self.asked
            if hold is not None:
                hold.wait()
            if error is not None:
                raise error
            return number

        return self.looks.get(key, ask, since=since)[0]


@pytest.mark.parametrize(("asked_before", "age", "key", "shared"), [
    (False, 0, "image", True),
    (False, MAX_AGE_SECONDS - 0.1, "image", True),
    (False, MAX_AGE_SECONDS + 0.1, "image", False),
    (True, 0, "image", False),
    (False, 0, "another", False),
], ids=["at once", "young", "old", "begun before what this run was asked for", "of something else"])
def test_what_is_shared(asked_before, age, key, shared):
    bench = Bench()
    before = bench.clock.monotonic()
    bench.look(since=before)
    bench.clock.advance(age)
    since = bench.clock.monotonic() if asked_before else before
    assert bench.look(since=since, key=key) == (1 if shared else 2)


def test_two_at_once_are_one_look():
    bench, hold = Bench(), concurrency.Event()
    since = bench.clock.monotonic()
    first, second = (concurrency.spawn(lambda: bench.look(since=since, hold=hold)) for _ in range(2))
    concurrency.sleep(0)
    hold.send()
    assert (first.wait(), second.wait(), bench.asked) == (1, 1, 1)


def test_an_error_and_an_end_from_outside_are_nobody_elses():
    bench, hold = Bench(), concurrency.Event()
    since = bench.clock.monotonic()
    with pytest.raises(RegionUnavailableError):
        bench.look(since=since, error=RegionUnavailableError("down"))
    assert bench.look(since=since) == 2
    since = bench.clock.monotonic()
    killed = concurrency.spawn(lambda: bench.look(since=since, hold=hold))
    concurrency.sleep(0)
    waiting = concurrency.spawn(lambda: bench.look(since=since))
    concurrency.sleep(0)
    concurrency.kill(killed)
    assert waiting.wait() == 4


def test_what_is_old_is_forgotten():
    bench = Bench()
    for number in range(100):
        bench.look(since=0, key=number)
        bench.clock.advance(MAX_AGE_SECONDS / 2)
    assert len(bench.looks._looks) <= 4


def test_a_region_that_keeps_other_values_than_it_answers_is_found_by_the_next_comparison(tmp_path):
    """What a new replica's region answered is believed; that it differs again, though its image did not change, is
    not."""
    cloud = MemoryCloud(tmp_path)
    cloud.compare()
    image = cloud.upload(visibility="private")
    update = cloud.two.update_image

    def forgetful(image_id, changes):
        shown = update(image_id, changes)
        cloud.two.put_image(replace(shown, name="forgotten"))
        return shown

    cloud.two.update_image = forgetful
    assert cloud.run(image.id).plan.code == "in_sync"
    cloud.clock.advance(5)
    with pytest.raises(RegionConflictError, match="did not settle"):
        cloud.run(image.id)
