# SPDX-License-Identifier: Apache-2.0
"""The strategies and the rules about regions: what is accepted, what is refused and by which words."""
from __future__ import annotations

from pathlib import Path

import pytest

from glancesync import conf as options
from glancesync.conf.region_rules import RegionRulesType, names_region, parse_rules
from glancesync.exceptions import ConfigurationError


def read(tmp_path: Path, text: str) -> options.Settings:
    path = tmp_path / "glance-sync.conf"
    path.write_text(text)
    return options.read_settings(options.parse([f"--config-file={path}"], prog="glance-sync"))


@pytest.mark.parametrize("value", ["SOME", "", "USERS", "ALL,USER", "N0ne"])
def test_another_strategy_stops_the_start_and_the_three_are_listed(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"sync_strategy .*one of None, ALL, USER"):
        read(tmp_path, f"[DEFAULT]\nsync_strategy = {value}\n")


@pytest.mark.parametrize("value", ["None", "none", "ALL", "all", "All", "USER", "user", "User"])
def test_the_three_in_any_case(tmp_path: Path, value: str) -> None:
    assert read(tmp_path, f"[DEFAULT]\nsync_strategy = {value}\n").sync.sync_strategy.upper() == value.upper()


@pytest.mark.parametrize("text", ["", ";", "member", "member:Two", "=Two", "member=Two,", "member=,Two", "member=*,Two",
                                  "member=Two;;admin=*", "; member=Two", "member=Two; member=Three"])
def test_what_is_no_rule_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="rule"):
        parse_rules(text)
    with pytest.raises(ConfigurationError, match=r"role_regions .*NAME=REGION,REGION"):
        read(tmp_path, f"[strategy]\nrole_regions = {text}\n")


def test_rules_are_shown_as_they_mean() -> None:
    rules = parse_rules(" member = Two , Region Three;nobody=; admin=* ;")
    assert str(rules) == "member=Two,Region Three; nobody=; admin=*"
    assert parse_rules(str(rules)) == rules
    assert RegionRulesType()(rules) is rules
    assert (rules.find("member"), rules.find("nobody"), rules.find("other"), rules.find(None)) == (
        ("Two", "Region Three"), (), None, None)
    assert [names_region(["*"], "x"), names_region(["y", "x"], "x"), names_region([], "x")] == [True, True, False]


def test_the_section(tmp_path: Path) -> None:
    settings = read(tmp_path, "").strategy
    assert (settings.role_regions, settings.public_image_regions, settings.unassociated_projects_see_all,
            settings.disallowed_replicas) == (None, ["*"], False, "kept")
    settings = read(tmp_path, "[strategy]\ndomain_regions = d=Two\npublic_image_regions = Two, Three\n").strategy
    assert settings.domain_regions == parse_rules("d=Two")
    assert settings.public_image_regions == ["Two", "Three"]
    assert read(tmp_path, "[strategy]\npublic_image_regions =\n").strategy.public_image_regions == []
    assert read(tmp_path, "[DEFAULT]\nsnapshot_region_names =\n").sync.snapshot_region_names == []
    with pytest.raises(ConfigurationError, match="kept, hidden, removed"):
        read(tmp_path, "[strategy]\ndisallowed_replicas = deleted\n")
