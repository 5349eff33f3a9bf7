# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading

import pytest

from glancesync import concurrency


def test_a_gathering_is_complete_when_all_came_or_left() -> None:
    gathering = concurrency.Gathering(3)
    gathering.arrive()
    gathering.leave()
    assert not gathering.wait(0.001)
    concurrency.spawn(gathering.arrive)
    assert gathering.wait(5)
    assert gathering.wait(0)


def test_a_gathering_of_nobody_waits_for_nobody() -> None:
    assert concurrency.Gathering(0).wait(0)


def test_a_place_counts_once() -> None:
    gathering = concurrency.Gathering(2)
    first, second = concurrency.Place(gathering), concurrency.Place(gathering)
    first.arrive()
    first.leave()
    first.leave()
    assert not second.wait(0.001)
    second.leave()
    assert first.wait(0)


def test_a_doorbell_remembers_one_ring() -> None:
    bell = concurrency.Doorbell()
    assert not bell.wait(0.001)
    bell.ring()
    bell.ring()
    assert bell.wait(0)
    assert not bell.wait(0.001)
    concurrency.spawn(bell.ring)
    assert bell.wait(5)


def test_native_calls_leave_the_thread_and_bring_back_errors() -> None:
    assert concurrency.run_native(threading.get_ident) != threading.get_ident()
    with pytest.raises(ValueError, match="no"):
        concurrency.run_native(_raise, ValueError("no"))


def test_blocking_calls_bring_back_results_and_errors() -> None:
    calls = concurrency.BlockingCalls()
    assert calls.call(max, 1, 2) == 2
    with pytest.raises(ValueError, match="no"):
        calls.call(_raise, ValueError("no"))
    assert calls.call(max, 1, 2) == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_listens_on_names_and_both_kinds_of_addresses(host: str) -> None:
    listener = concurrency.listen(host, 0)
    try:
        assert listener.getsockname()[1] > 0
    finally:
        listener.close()


def test_a_port_is_not_shared_by_mistake() -> None:
    listener = concurrency.listen("127.0.0.1", 0)
    try:
        with pytest.raises(OSError, match="in use"):
            concurrency.listen("127.0.0.1", listener.getsockname()[1])
    finally:
        listener.close()


def _raise(error: Exception) -> None:
    raise error


def test_a_ticker_that_was_stopped_has_ended() -> None:
    called, slow = threading.Event(), threading.Event()

    def call() -> None:
        called.set()
        slow.wait(0.05)
        ended.append(True)

    ended: list[bool] = []
    ticker = concurrency.NativeTicker(call, 0.001)
    ticker.start()
    assert called.wait(10)
    ticker.stop()
    assert ended, "the call that ran was waited for"
    assert not [thread for thread in threading.enumerate() if thread is ticker._thread]


def test_a_ticker_that_never_began_is_stopped_at_once() -> None:
    concurrency.NativeTicker(lambda: None, 1).stop()
