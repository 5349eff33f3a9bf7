# SPDX-License-Identifier: Apache-2.0
"""Probes: one cheap request for a region that is left alone, none for the others, and none twice at a time."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from glancesync.clock import ManualClock
from glancesync.conf.breaker import BreakerSettings
from glancesync.exceptions import NotReadyError, RegionNotFoundError, RegionUnavailableError
from glancesync.model.image import Image
from glancesync.model.region import Region
from glancesync.regions.breaker import BreakerState
from glancesync.regions.health import RegionHealth
from glancesync.regions.prober import RegionProber

DOWN = RegionUnavailableError("no answer", region="Two")


class Directory:
    """Region Two; it is its own client."""

    def __init__(self) -> None:
        self.endpoint = "http://two"
        self.error: Exception | None = None
        self.asked: list[tuple[bool, int]] = []

    def known(self) -> list[Region]:
        return [Region(name="Two", endpoint=self.endpoint)]

    def client(self, _name: str) -> Directory:
        return self

    def list_images(self, *, hidden: bool, page_size: int) -> Iterator[Image]:
        self.asked.append((hidden, page_size))
        if self.error is not None:
            raise self.error
        return iter(())


def guard(_doing: str, function: Callable[..., Any], *args: Any) -> Any:
    try:
        return function(*args)
    except Exception as error:  # noqa: BLE001 - as the worker does
        return error


class Bench:
    def __init__(self) -> None:
        self.clock, self.directory, self.woken = ManualClock(), Directory(), 0
        self.health = RegionHealth(settings=BreakerSettings(failures=1, pause_seconds=10), clock=self.clock,
                                   source=lambda: "One")
        self.prober = RegionProber(directory=self.directory, health=self.health, clock=self.clock,  # type: ignore[arg-type]
                                   woken=self._wake, guard=guard)
        self.health.begun("Two")
        self.health.ended("Two", DOWN)

    def _wake(self) -> None:
        self.woken += 1

    def probe(self) -> None:
        for thread in self.prober.run_once():
            thread.wait()


def test_asks_for_one_image_when_it_is_time() -> None:
    bench = Bench()
    bench.probe()
    assert bench.directory.asked == []
    bench.clock.advance(10)
    bench.directory.error = DOWN
    bench.probe()
    assert bench.directory.asked == [(False, 1)]
    assert (bench.health.breaker("Two").state, bench.woken) == (BreakerState.OPEN, 0)
    bench.probe()
    assert len(bench.directory.asked) == 1, "twice as long a pause"
    bench.clock.advance(20)
    bench.directory.error = None
    bench.probe()
    assert (bench.health.breaker("Two").state, bench.woken) == (BreakerState.HALF_OPEN, 1)


def test_one_probe_at_a_time() -> None:
    bench = Bench()
    bench.clock.advance(10)
    threads = bench.prober.run_once()
    assert len(threads) == 1
    assert bench.prober.run_once() == []
    threads[0].wait()


def test_a_region_that_left_or_moved_is_forgotten() -> None:
    bench = Bench()
    bench.probe()
    bench.directory.endpoint = "http://two.new"
    bench.probe()
    assert (bench.health.room("Two"), bench.woken) == (None, 1)
    bench = Bench()
    bench.clock.advance(10)
    bench.directory.error = RegionNotFoundError("there is no region Two")
    bench.probe()
    assert bench.health.room("Two") is None


def test_an_unforeseen_error_is_a_failed_probe() -> None:
    bench = Bench()
    bench.clock.advance(10)
    bench.directory.error = ValueError("unforeseen")
    bench.probe()
    assert bench.health.breaker("Two").next_probe_at == bench.clock.now() + 20


def test_what_another_server_probes_is_not_probed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.clock.advance(10)
    monkeypatch.setattr(bench.health, "begin_probe", lambda _region: False)
    bench.probe()
    assert bench.directory.asked == []
    monkeypatch.undo()
    bench.probe()
    assert len(bench.directory.asked) == 1


def test_a_probe_that_hangs_is_kept_and_the_breakers_are_read_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, kept, read = Bench(), [], []
    monkeypatch.setattr(bench.health, "keep_probes", lambda regions: kept.append(sorted(regions)))
    monkeypatch.setattr(bench.health, "refresh", lambda: read.append(1) is None)
    bench.clock.advance(10)
    threads = bench.prober.run_once()
    assert (kept, len(read), bench.woken) == ([], 1, 1)
    bench.clock.advance(0.5)
    bench.prober.run_once()
    bench.clock.advance(0.5)
    bench.prober.run_once()
    assert (kept, len(read)) == ([["Two"]], 2)
    threads[0].wait()


def test_a_database_that_is_away_stops_no_loop(monkeypatch: pytest.MonkeyPatch,
                                               caplog: pytest.LogCaptureFixture) -> None:
    def away() -> bool:
        raise NotReadyError("the database does not answer")

    bench = Bench()
    monkeypatch.setattr(bench.health, "refresh", away)
    bench.probe()
    assert "stay as they are known here: the database does not answer" in caplog.text
