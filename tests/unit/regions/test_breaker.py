# SPDX-License-Identifier: Apache-2.0
"""The breaker as a table of what happens to it, and the health of regions that keeps one for each."""
from __future__ import annotations

import logging
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glancesync import exceptions as exc
from glancesync.clock import ManualClock
from glancesync.conf.breaker import BreakerSettings
from glancesync.regions.breaker import (
    LONGEST_RETRY_AFTER_SECONDS,
    Breaker,
    BreakerState,
    Verdict,
    after_failure,
    after_success,
    is_probe_due,
    judge,
    room,
)
from glancesync.regions.breakers import Change, Changed, Kept, OwnBreakers
from glancesync.regions.health import RegionHealth

SETTINGS = BreakerSettings(failures=3, pause_seconds=10, pause_max_seconds=35, probe_successes=2)
DOWN = exc.RegionUnavailableError("no answer", region="Two")


def failed(breaker: Breaker, now: float, *, probe: bool = False, retry_after: float | None = None) -> Breaker:
    return after_failure(breaker, SETTINGS, now, reason="no answer", probe=probe, retry_after_seconds=retry_after)


def opened() -> Breaker:
    breaker = Breaker()
    for moment in (1, 2, 3):
        breaker = failed(breaker, moment)
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = failed(failed(Breaker(), 1), 2)
    assert (breaker.state, breaker.failures, room(breaker)) == (BreakerState.CLOSED, 2, None)
    assert failed(after_success(breaker, SETTINGS, 3), 4).failures == 1
    breaker = failed(breaker, 3)
    assert (breaker.state, breaker.since, breaker.next_probe_at, room(breaker)) == (BreakerState.OPEN, 3, 13, 0)
    assert breaker.reason == "no answer"


def test_each_failed_probe_doubles_the_pause_up_to_its_bound() -> None:
    breaker, pauses = opened(), []
    for _ in range(4):
        now = breaker.next_probe_at or 0
        breaker = failed(breaker, now, probe=True)
        pauses.append((breaker.next_probe_at or 0) - now)
    assert pauses == [20, 35, 35, 35]
    assert breaker.since == 3


def test_it_is_half_open_after_a_probe_and_closed_after_as_many_successes() -> None:
    half = after_success(opened(), SETTINGS, 13, probe=True)
    assert (half.state, half.since, room(half), half.next_probe_at) == (BreakerState.HALF_OPEN, 13, 1, 23)
    closed = after_success(half, SETTINGS, 14)
    assert closed == Breaker(since=14)
    again = failed(half, 15)
    assert (again.state, again.since, again.next_probe_at) == (BreakerState.OPEN, 15, 35)


def test_what_began_before_it_opened_changes_nothing() -> None:
    breaker = opened()
    assert after_success(breaker, SETTINGS, 5) == breaker
    late = failed(breaker, 5)
    assert (late.state, late.next_probe_at, late.pauses) == (BreakerState.OPEN, 13, 1)


@pytest.mark.parametrize(("asked", "pause"), [(2, 2), (100, 100), (10 ** 9, LONGEST_RETRY_AFTER_SECONDS)])
def test_retry_after_opens_it_at_once_for_as_long(asked: float, pause: float) -> None:
    breaker = failed(Breaker(), 1, retry_after=asked)
    assert (breaker.state, breaker.next_probe_at) == (BreakerState.OPEN, 1 + pause)
    longer = failed(breaker, 1.5, retry_after=asked)
    assert longer.next_probe_at == 1.5 + pause
    probed = failed(breaker, 1 + pause, probe=True, retry_after=asked)
    assert probed.next_probe_at == 1 + pause + max(20, pause)


def test_never_opens_where_it_is_off() -> None:
    off = BreakerSettings(failures=0)
    breaker = Breaker()
    for moment in range(100):
        breaker = after_failure(breaker, off, moment, reason="no", retry_after_seconds=9)
    assert breaker.state is BreakerState.CLOSED


def test_one_that_was_open_when_it_was_switched_off_closes() -> None:
    off = BreakerSettings(failures=0)
    breaker = Breaker(state=BreakerState.OPEN, since=1, failures=9, pauses=3, next_probe_at=5, reason="no")
    assert after_failure(breaker, off, 6, reason="no", probe=True).state is BreakerState.CLOSED


@pytest.mark.parametrize(("error", "verdict"), [
    (None, Verdict.WELL),
    (exc.RegionUnavailableError("x"), Verdict.FAILED), (exc.RegionBusyError("x"), Verdict.FAILED),
    (exc.RegionUnauthorizedError("x"), Verdict.FAILED), (exc.RegionAnswerError("x"), Verdict.FAILED),
    (exc.TransferError("x"), Verdict.FAILED), (exc.TransferStalledError("x"), Verdict.FAILED),
    (exc.SourceReadError("x"), Verdict.FAILED),
    (exc.RegionForbiddenError("x"), Verdict.WELL), (exc.RegionQuotaError("x"), Verdict.WELL),
    (exc.RegionConflictError("x"), Verdict.WELL), (exc.IdBurnedError("x"), Verdict.WELL),
    (exc.RegionRejectedError("x"), Verdict.WELL), (exc.ImageNotFoundError("x"), Verdict.WELL),
    (exc.KeystoneUnavailableError("x"), Verdict.NOTHING), (exc.KeystoneRefusedError("x"), Verdict.NOTHING),
    (exc.SourceCorruptError("x"), Verdict.NOTHING), (exc.VerificationError("x"), Verdict.NOTHING),
    (exc.NotReadyError("x"), Verdict.NOTHING), (exc.LeaseLostError("x"), Verdict.NOTHING),
    (exc.SourceNotReadyError("x"), Verdict.NOTHING), (ValueError("x"), Verdict.NOTHING),
])
def test_whose_fault_it_is(error: Exception | None, verdict: Verdict) -> None:
    assert judge(error) is verdict


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0, 50), st.none() | st.floats(0, 5000)), max_size=60))
def test_whatever_happens(steps: list[tuple[bool, bool, float, float | None]]) -> None:
    """Open always has a next probe, not further away than the bounds; closed has none and nothing to count down."""
    breaker, now = Breaker(), 0.0
    for well, probe, seconds, asked in steps:
        now += seconds
        breaker = (after_success(breaker, SETTINGS, now, probe=probe) if well
                   else failed(breaker, now, probe=probe, retry_after=asked))
        if breaker.state is BreakerState.CLOSED:
            assert breaker.next_probe_at is None
            assert breaker.failures < SETTINGS.failures
        else:
            assert breaker.next_probe_at is not None
            assert breaker.next_probe_at <= now + LONGEST_RETRY_AFTER_SECONDS
            assert is_probe_due(breaker, breaker.next_probe_at)


class TestHealth:
    def health(self) -> tuple[RegionHealth, ManualClock]:
        clock = ManualClock()
        return RegionHealth(settings=SETTINGS, clock=clock, source=lambda: "One"), clock

    def fail(self, health: RegionHealth, region: str, error: Exception, times: int = 3) -> None:
        for _ in range(times):
            health.begun(region)
            health.ended(region, error)

    def test_one_region_is_left_alone_and_comes_back(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        health, clock = self.health()
        self.fail(health, "Two", DOWN)
        assert (health.room("Two"), health.room("Three")) == (0, None)
        with pytest.raises(exc.RegionPausedError, match="Two is left alone after 3 failures") as caught:
            health.check("Two")
        assert caught.value.retry_after_seconds == 10
        assert list(health.pauses()) == ["Two"]
        assert health.due_probes() == []
        clock.advance(10)
        assert health.due_probes() == ["Two"]
        health.probed("Two", None)
        health.check("Two")
        assert (health.room("Two"), health.pauses()) == (1, {})
        health.begun("Two")
        clock.advance(60)
        assert health.due_probes() == [], "its task proves it"
        health.ended("Two", None)
        assert (health.room("Two"), health.breaker("Two").state) == (None, BreakerState.CLOSED)
        lines = [record.getMessage() for record in caplog.records]
        assert len(lines) == 3, lines
        assert [word in line for word, line in zip(("opens", "half open", "closed"), lines, strict=True)] == [True] * 3

    def test_nothing_runs_while_the_source_is_left_alone(self) -> None:
        health, _clock = self.health()
        self.fail(health, "Two", exc.SourceReadError("it broke off", region="One"))
        assert (health.room("Two"), health.room("Three")) == (0, 0)
        assert list(health.pauses()) == [None]
        assert health.breaker("Two").state is BreakerState.CLOSED, "it did nothing wrong"

    def test_a_source_that_fails_does_not_hide_a_region_that_is_well(self) -> None:
        health, _clock = self.health()
        self.fail(health, "Two", DOWN, times=2)
        self.fail(health, "Two", exc.RegionForbiddenError("policy", region="Two"), times=1)
        self.fail(health, "Two", DOWN, times=2)
        assert health.breaker("Two").failures == 2

    def test_who_is_not_named_is_not_blamed(self) -> None:
        health, _clock = self.health()
        self.fail(health, "Two", exc.RegionUnavailableError("Keystone did not answer", region="Keystone"), times=9)
        self.fail(health, "Two", exc.NotReadyError("no database"), times=9)
        assert (health.room("Two"), health.pauses()) == (None, {})

    def test_a_probe_that_reaches_nobody_is_tried_again_later(self) -> None:
        health, clock = self.health()
        self.fail(health, "Two", DOWN)
        clock.advance(10)
        health.probed("Two", exc.KeystoneUnavailableError("no token", region="Two"))
        assert health.due_probes() == []
        assert health.room("Two") == 0

    def test_half_open_without_tasks_is_closed_by_probes(self) -> None:
        health, clock = self.health()
        self.fail(health, "Two", DOWN)
        for _ in range(2):
            clock.advance(10)
            assert health.due_probes() == ["Two"]
            health.probed("Two", None)
        assert health.breaker("Two").state is BreakerState.CLOSED

    def test_a_region_that_moved_is_met_without_prejudice(self) -> None:
        health, _clock = self.health()
        self.fail(health, "Two", DOWN)
        health.forget("Two")
        assert health.room("Two") is None

    def test_what_changes_nothing_is_told_nobody(self) -> None:
        breakers = Scripted()
        health = RegionHealth(settings=SETTINGS, clock=breakers.clock, source=lambda: "One", breakers=breakers)
        self.fail(health, "Two", exc.RegionForbiddenError("policy", region="Two"))
        health.begun("Two")
        health.ended("Two", None)
        assert breakers.changes == 0
        self.fail(health, "Two", DOWN)
        assert breakers.changes == 3

    def test_what_is_known_holds_while_nobody_can_be_told(self, caplog: pytest.LogCaptureFixture) -> None:
        breakers = Scripted()
        health = RegionHealth(settings=SETTINGS, clock=breakers.clock, source=lambda: "One", breakers=breakers)
        self.fail(health, "Two", DOWN)
        breakers.away = True
        breakers.clock.advance(10)
        health.probed("Two", None)
        self.fail(health, "Three", DOWN)
        with pytest.raises(exc.NotReadyError):
            health.refresh()
        assert (health.room("Two"), health.room("Three")) == (0, None)
        assert "is not written down, its breaker stays open" in caplog.text
        breakers.away = False
        health.probed("Two", None)
        assert health.room("Two") == 1

    def test_an_old_look_undoes_nothing(self) -> None:
        breakers = Scripted()
        health = RegionHealth(settings=SETTINGS, clock=breakers.clock, source=lambda: "One", breakers=breakers)
        self.fail(health, "Two", DOWN, times=2)
        breakers.shown = breakers.read()
        self.fail(health, "Two", DOWN, times=1)
        assert not health.refresh()
        assert health.room("Two") == 0

    def test_each_server_tells_once_what_it_learns(self, caplog: pytest.LogCaptureFixture) -> None:
        """Also one that learns it as it writes a failure of its own."""
        breakers = Scripted()
        health, other = (RegionHealth(settings=SETTINGS, clock=breakers.clock, source=lambda: "One", breakers=breakers)
                         for _ in range(2))
        self.fail(health, "Two", DOWN)
        self.fail(other, "Two", DOWN, times=2)
        health.refresh()
        other.refresh()
        assert [record.getMessage()[:30] for record in caplog.records] == ["region Two: its breaker opens "] * 2

    def test_what_another_server_eased_is_noticed(self) -> None:
        breakers = Scripted()
        health, other = (RegionHealth(settings=SETTINGS, clock=breakers.clock, source=lambda: "One", breakers=breakers)
                         for _ in range(2))
        self.fail(health, "Two", DOWN)
        assert not other.refresh()
        assert other.room("Two") == 0
        health.probed("Two", None)
        assert other.refresh()
        assert other.room("Two") == 1
        assert not other.refresh()


class Scripted(OwnBreakers):
    """Counts what it is told; may be away, or show what was."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        super().__init__(self.clock)
        self.changes = 0
        self.away = False
        self.shown: tuple[float, Mapping[str, Kept]] | None = None

    def read(self) -> tuple[float, Mapping[str, Kept]]:
        self._answer()
        return self.shown or super().read()

    def change(self, region: str, change: Change, *, probe: bool = False) -> Changed:
        self._answer()
        self.changes += 1
        return super().change(region, change, probe=probe)

    def _answer(self) -> None:
        if self.away:
            raise exc.NotReadyError("the database does not answer")
