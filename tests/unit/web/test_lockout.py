# SPDX-License-Identifier: Apache-2.0
"""Waits grow with each failure, per account and per address, in bounded memory."""
from __future__ import annotations

import pytest

from glancesync.clock import ManualClock
from glancesync.web import lockout
from glancesync.web.lockout import Failures, Lockout, after_failure


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def guard(clock: ManualClock) -> Lockout:
    return Lockout(clock=clock, free=3)


def _fail(guard: Lockout, clock: ManualClock, times: int) -> list[float]:
    """The waits that each failure costs; each is waited for."""
    waits = []
    for _ in range(times):
        wait = guard.begin("a", "192.0.2.1")
        waits.append(wait)
        if wait:
            clock.advance(wait)
            assert guard.begin("a", "192.0.2.1") == 0
    return waits


def test_the_waits_double(guard: Lockout, clock: ManualClock) -> None:
    assert _fail(guard, clock, 7) == [0, 0, 0, 1, 2, 4, 8]


def test_a_wait_has_an_end() -> None:
    found = Failures()
    for _ in range(40):
        found = after_failure(found, 5.0, free=1)
    assert found.until == 5.0 + lockout.LONGEST_SECONDS


def test_failures_are_forgotten(guard: Lockout, clock: ManualClock) -> None:
    _fail(guard, clock, 5)
    clock.advance(lockout.FORGET_SECONDS + 1)
    assert _fail(guard, clock, 3) == [0, 0, 0]


def test_another_account_of_the_same_address_may_log_in(guard: Lockout, clock: ManualClock) -> None:
    for _ in range(3):
        guard.begin("a", "192.0.2.1")
    assert guard.begin("a", "192.0.2.2") > 0
    assert guard.begin("b", "192.0.2.1") == 0


def test_an_address_that_tries_many_accounts_waits(guard: Lockout) -> None:
    waits = [guard.begin(f"account {number}", "192.0.2.1") for number in range(13)]
    assert waits[:12] == [0] * 12
    assert waits[12] > 0
    assert guard.begin("account 99", "192.0.2.2") == 0


def test_the_right_password_clears_the_account_and_not_the_address(guard: Lockout) -> None:
    for number in range(11):
        assert guard.begin(f"account {number}", "192.0.2.1") == 0
    assert guard.begin("mine", "192.0.2.1") == 0
    guard.succeeded("mine", "192.0.2.1")
    assert guard.begin("mine", "192.0.2.1") == 0
    assert guard.begin("other", "192.0.2.1") > 0


def test_attempts_at_once_are_all_counted(guard: Lockout) -> None:
    """None has been answered yet."""
    assert [guard.begin("a", f"192.0.2.{number}") > 0 for number in range(5)] == [False, False, False, True, True]


def test_what_keystone_could_not_decide_costs_nothing(guard: Lockout) -> None:
    for _ in range(10):
        assert guard.begin("a", "192.0.2.1") == 0
        guard.undecided("a", "192.0.2.1")


def test_memory_is_bounded(guard: Lockout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lockout, "MOST_REMEMBERED", 10)
    for number in range(100):
        guard.begin(f"account {number}", f"192.0.2.{number}")
    assert len(guard._accounts) == len(guard._addresses) == 10
