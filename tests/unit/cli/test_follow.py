# SPDX-License-Identifier: Apache-2.0
"""Following tasks until they rest, and how that is shown."""
from __future__ import annotations

import io
from typing import Any

import pytest

from glancesync.cli.follow import Follower, RegionCount
from glancesync.cli.progress import Bars, Lines, Rates
from glancesync.clock import ManualClock
from tests.unit.cli.console import task


class Queue:
    """Tasks that go through states, one state a round."""

    def __init__(self, lives: dict[str, list[dict[str, Any]]]) -> None:
        self._lives = lives
        self.asked_one = 0

    def get(self, path: str, _query: object) -> dict[str, Any]:
        if path == "/v1/tasks":
            return {"tasks": [life[0] for life in self._lives.values() if life[0]["state"] == "running"]}
        self.asked_one += 1
        return {"task": self._lives[path.rsplit("/", 1)[1]][0], "runs": [{"bytes_moved": 100}]}

    def update(self, _regions: object) -> None:
        for life in self._lives.values():
            if len(life) > 1:
                life.pop(0)


def follow(lives: dict[str, list[dict[str, Any]]]) -> tuple[list[str], Follower]:
    queue = Queue(lives)
    follower = Follower(queue.get, [{"id": name, "region": life[0]["region"]} for name, life in lives.items()],
                        ManualClock())
    return [each["state"] for each in follower.follow(queue)], follower


def test_all_are_followed_to_their_end() -> None:
    states, follower = follow({
        "a": [task("a", state="waiting", run_again=True), task("a", state="running", bytes_done=5, bytes_total=10),
              task("a")],
        "b": [task("b", state="failed", region="RegionThree")]})
    assert states == ["failed", "done"]
    assert {name: (count.tasks, count.ended, count.done_bytes) for name, count in follower.regions.items()} == {
        "RegionTwo": (1, 1, 100), "RegionThree": (1, 1, 100)}


@pytest.mark.parametrize("resting", [
    task("a", state="waiting", attempts=0), task("a", state="waiting", attempts=3), task("a", state="cancelled")])
def test_what_may_take_for_ever_ends_it(resting: dict[str, Any]) -> None:
    assert follow({"a": [resting]})[0] == [resting["state"]]


def test_few_failures_are_waited_through() -> None:
    assert follow({"a": [task("a", state="waiting", attempts=1), task("a")]})[0] == ["done"]


LEFT_ALONE = task("a", state="waiting", run_again=True, reason_code="region_frozen")


@pytest.mark.parametrize("code", ["region_frozen", "region_paused"])
def test_nobody_waits_for_a_region_that_gets_no_work(code: str) -> None:
    states, follower = follow({"a": [{**LEFT_ALONE, "reason_code": code}]})
    assert (states, follower.ended[0]["reason_code"]) == (["waiting"], code)


def test_why_a_task_waited_before_it_was_asked_for_ends_nothing() -> None:
    waited = task("a", state="waiting", run_again=True, reason_code="region_unavailable")
    assert follow({"a": [LEFT_ALONE] * 4 + [waited] + [LEFT_ALONE] * 4 + [task("a")]})[0] == ["done"]


def test_a_round_asks_for_a_bounded_number() -> None:
    lives = {f"t{number}": [task(f"t{number}", state="waiting", run_again=True), task(f"t{number}")]
             for number in range(120)}
    queue = Queue(lives)
    follower = Follower(queue.get, [{"id": name, "region": "R"} for name in lives], ManualClock())
    follower.regions["RegionTwo"] = follower.regions.pop("R")
    follower.look()
    assert queue.asked_one == 50


def test_lines_for_a_log() -> None:
    stream, clock = io.StringIO(), ManualClock()
    lines = Lines(stream, clock)
    for second in range(12):
        count = RegionCount(tasks=2, ended=second // 11 * 2, ended_bytes=0,
                            running={"a": (second << 20, 20 << 20)} if second < 11 else {})
        lines.update({"RegionTwo": count})
        clock.advance(1)
    assert stream.getvalue().splitlines() == [
        "RegionTwo: 0 of 2", "RegionTwo: 0 of 2, 5.0 MiB, 1.0 MiB/s", "RegionTwo: 0 of 2, 10.0 MiB, 1.0 MiB/s",
        "RegionTwo: 2 of 2"]


def test_bars_for_a_terminal() -> None:
    stream = io.StringIO()
    with Bars(stream) as bars:
        bars.update({"Region\x1bTwo": RegionCount(tasks=2, ended=1, ended_bytes=1 << 20)})
    assert "Region\\x1bTwo" in stream.getvalue()
    assert "1 of 2, 1.0 MiB" in stream.getvalue()


def test_a_rate_needs_a_second() -> None:
    rates = Rates()
    assert [rates.of("A", done, at) for done, at in [(0, 0.0), (50, 0.5), (100, 1.0), (100, 1.5)]] == [0, 0, 100, 100]
