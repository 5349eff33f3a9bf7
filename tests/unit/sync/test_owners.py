# SPDX-License-Identifier: Apache-2.0
"""How long Keystone's answers about a project are used, and what a failure of it is taken for: nothing."""
from __future__ import annotations

import pytest

from glancesync.conf.region_rules import parse_rules
from glancesync.conf.strategy import StrategySettings
from glancesync.exceptions import (
    OwnerRegionsUnknownError,
    RegionAnswerError,
    RegionForbiddenError,
    RegionUnavailableError,
)
from glancesync.model.owner import Owner
from glancesync.sync.owners import Owners
from tests.fixtures.clocks import MovingClock
from tests.fixtures.memory_cloud import MemoryProjects


class Bench:
    def __init__(self, **options: object) -> None:
        self.clock, self.projects = MovingClock(), MemoryProjects()
        self.owners = Owners(projects=self.projects, clock=self.clock,
                             settings=StrategySettings(**{"owner_cache_seconds": 100, **options}))  # type: ignore[arg-type]
        for name in "abc":
            self.projects.give(name, "Two")

    def asked(self, *names: str, fresh: bool = False) -> list[str]:
        """Which of these Keystone is asked for."""
        self.projects.asked = []
        for name in names:
            assert self.owners.get(name, fresh=fresh) == self.projects.owners[name]
        return self.projects.asked


def test_an_answer_is_used_for_a_bounded_time() -> None:
    bench = Bench()
    assert bench.asked("a", "a", "b") == ["a", "b"]
    bench.clock.advance(99)
    assert bench.asked("a", "b") == []
    bench.clock.advance(2)
    assert bench.asked("a", "b") == ["a", "b"]


def test_who_begins_a_comparison_or_deletes_asks_anew() -> None:
    bench = Bench()
    assert bench.asked("a", "b") == ["a", "b"]
    assert bench.asked("a", fresh=True) == ["a"]
    assert bench.asked("a", "b") == []
    bench.clock.advance(1)
    bench.owners.renew()
    assert bench.asked("a", "a", "b") == ["a", "b"]


def test_what_was_used_longest_ago_goes_first() -> None:
    bench = Bench(owner_cache_projects=2)
    assert bench.asked("a", "b", "a", "c") == ["a", "b", "c"]
    assert bench.asked("c", "a") == []
    assert bench.asked("b") == ["b"]


def test_an_answer_to_other_questions_is_none() -> None:
    bench = Bench()
    assert bench.asked("a") == ["a"]
    bench.owners._settings = StrategySettings(role_regions=parse_rules("member=*"))
    assert bench.asked("a") == ["a"]


def test_a_project_that_does_not_exist_is_remembered_too() -> None:
    bench = Bench()
    assert bench.owners.get("none") == bench.owners.get("none") == Owner(project_id="none", exists=False)
    assert bench.projects.asked == ["none"]


@pytest.mark.parametrize("failure", [RegionForbiddenError("no"), RegionAnswerError("no"), RegionUnavailableError("no")])
def test_a_failure_is_no_answer(failure: Exception) -> None:
    bench = Bench()
    bench.projects.down = failure  # type: ignore[assignment]
    with pytest.raises(OwnerRegionsUnknownError, match="no"):
        bench.owners.get("a")
    bench.projects.down = None
    with pytest.raises(OwnerRegionsUnknownError, match="no"):
        bench.owners.get("a")
    bench.clock.advance(6)
    assert bench.asked("a") == ["a"]


def test_an_old_answer_is_not_used_in_the_place_of_a_failure() -> None:
    bench = Bench()
    assert bench.asked("a") == ["a"]
    bench.projects.down = RegionAnswerError("no")
    bench.clock.advance(101)
    with pytest.raises(OwnerRegionsUnknownError):
        bench.owners.get("a")
    assert bench.projects.asked == ["a", "a"]


def test_a_keystone_that_is_away_is_not_asked_for_each_project() -> None:
    bench = Bench()
    bench.projects.down = RegionUnavailableError("it timed out")
    for name in "abc":
        with pytest.raises(OwnerRegionsUnknownError, match="it timed out"):
            bench.owners.get(name)
    assert bench.projects.asked == ["a"]


def test_it_is_said_once_and_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.projects.down = RegionAnswerError("no")
    for name in "abc":
        with pytest.raises(OwnerRegionsUnknownError):
            bench.owners.get(name)
    bench.projects.down = None
    bench.clock.advance(6)
    assert bench.asked("a", "b") == ["a", "b"]
    assert [record.getMessage().partition(" a project")[0] for record in caplog.records] == [
        "ALARM: Keystone does not tell which regions", "Keystone tells again which regions projects may use"]


def test_an_answer_about_one_project_that_is_none_leaves_the_others() -> None:
    bench = Bench()
    bench.projects.down = RegionAnswerError("no")
    with pytest.raises(OwnerRegionsUnknownError):
        bench.owners.get("a")
    bench.projects.down = None
    assert bench.asked("b") == ["b"]
