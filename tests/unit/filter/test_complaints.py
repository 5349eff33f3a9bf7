# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
import os
import threading

import pytest

from glancesync.clock import ManualClock
from glancesync.filter.complaints import SENDER_THREAD, Complaints, Guard, quiet_keystoneauth


def test_one_warning_a_minute_with_the_number_of_those_between(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    complaints = Complaints(clock)
    for _ in range(121):
        complaints.warn("%s is 100%% broken", "it")
        clock.advance(0.5)
    assert [record.getMessage() for record in caplog.records] == [
        "it is 100% broken (0 more since the last warning)", "it is 100% broken (119 more since the last warning)"]


def test_the_guard_counts_logs_with_a_traceback_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard(Complaints(ManualClock()))

    def fails() -> None:
        raise ValueError("a secret")

    assert not guard.run(fails)
    assert guard.run(lambda: None)
    assert guard.failures == 1
    assert caplog.records[0].levelno == logging.WARNING
    assert caplog.records[0].exc_info is not None
    assert "ValueError" in caplog.records[0].getMessage()


def test_what_ends_a_process_is_not_caught() -> None:
    def ends() -> None:
        raise SystemExit(1)

    with pytest.raises(SystemExit):
        Guard(Complaints(ManualClock())).run(ends)


def test_keystoneauth_is_silent_in_the_senders_thread_only(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("keystoneauth.identity.generic.base")
    before = list(logger.filters)
    try:
        quiet_keystoneauth()
        for name in (SENDER_THREAD, "a request's"):
            thread = threading.Thread(target=logger.warning, args=(name,), name=name)
            thread.start()
            thread.join()
    finally:
        logger.filters[:] = before
    assert [record.getMessage() for record in caplog.records] == ["a request's"]


def test_forked_processes_share_the_minute(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(ManualClock())
    child = os.fork()
    if child == 0:
        complaints.warn("the child's")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    complaints.warn("the parent's")
    assert caplog.records == []
