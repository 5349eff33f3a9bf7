# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from glancesync.conf.worker import WorkerSettings
from glancesync.exceptions import Verdict
from glancesync.tasks.retry import LONGEST_RETRY_AFTER_SECONDS, plan_retry

SETTINGS = WorkerSettings(backoff_initial_seconds=1, backoff_max_seconds=300, wait_seconds=5)


@pytest.mark.parametrize(("attempts", "longest"), [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (10_000, 300)])
def test_doubles_up_to_the_longest_delay(attempts: int, longest: float) -> None:
    assert plan_retry(Verdict.RETRY, attempts, SETTINGS, 1.0) == longest
    assert plan_retry(Verdict.RETRY, attempts, SETTINGS, 0.0) == longest / 2


def test_waiting_neither_grows_nor_counts() -> None:
    assert plan_retry(Verdict.WAIT, 0, SETTINGS, 0.3) == plan_retry(Verdict.WAIT, 50, SETTINGS, 0.9) == 5


@pytest.mark.parametrize("verdict", [Verdict.STOP, Verdict.DROP])
def test_never(verdict: Verdict) -> None:
    assert plan_retry(verdict, 1, SETTINGS, 0.5, retry_after=3) is None


@pytest.mark.parametrize(("verdict", "asked", "delay"), [
    (Verdict.RETRY, 20, 20), (Verdict.RETRY, 0.1, 1), (Verdict.RETRY, -5, 1), (Verdict.WAIT, 20, 20),
    (Verdict.WAIT, 1, 5), (Verdict.RETRY, 1e9, LONGEST_RETRY_AFTER_SECONDS)])
def test_the_other_side_may_ask_for_more_within_reason(verdict: Verdict, asked: float, delay: float) -> None:
    assert plan_retry(verdict, 1, SETTINGS, 1.0, retry_after=asked) == delay
