# SPDX-License-Identifier: Apache-2.0
"""docs/strategies.md: its rules for projects and domains mean what its tables say, and it names every option."""
from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

import pytest

from glancesync.conf.region_rules import parse_rules
from glancesync.conf.strategy import OPTS, StrategySettings
from glancesync.conf.sync import STRATEGIES
from glancesync.model.owner import Owner
from glancesync.sync.codes import Code
from glancesync.sync.user import why_not

PAGE = (Path(__file__).parents[3] / "docs" / "strategies.md").read_text("utf-8")
RULES = PAGE.partition("## Example: rules for projects and domains")[2].partition("\n## ")[0]
REGIONS = ("RegionTwo", "RegionThree", "RegionFour")
LINES = re.findall(r"^project (\w+) of domain (\w+):(.*)$", RULES, re.MULTILINE)


def test_it_has_lines() -> None:
    assert len(LINES) == 5


@pytest.mark.parametrize(("project", "domain", "regions"), LINES)
def test_the_rules_mean_what_the_lines_say(project: str, domain: str, regions: str) -> None:
    parser = ConfigParser()
    parser.read_string(re.findall(r"```ini\n(.*?)```", RULES, re.DOTALL)[0])
    settings = StrategySettings(**{name: parse_rules(value) for name, value in parser["strategy"].items()})
    owner = Owner(project_id=project, domain_id=domain, endpoint_regions=frozenset(REGIONS))
    assert [region for region in REGIONS if why_not(region, owner, settings) is None] == regions.split()


@pytest.mark.parametrize("name", [*(opt.name for opt in OPTS), *(name for name, _ in STRATEGIES),
                                  Code.NOT_ALLOWED_KEPT, Code.NOT_ALLOWED_HIDDEN, Code.NOT_ALLOWED_REMOVING,
                                  Code.NOT_SELECTED, Code.OWNER_REGIONS_UNKNOWN])
def test_it_names_everything(name: str) -> None:
    assert f"`{name}`" in PAGE or f"\n{name} = " in PAGE
