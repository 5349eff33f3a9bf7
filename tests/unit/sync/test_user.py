# SPDX-License-Identifier: Apache-2.0
"""The strategy USER, case by case: data in, regions out."""
from __future__ import annotations

from typing import Any

import pytest

from glancesync.conf.region_rules import parse_rules
from glancesync.conf.strategy import StrategySettings
from glancesync.model.owner import Owner
from glancesync.sync.user import why_not, why_not_everybody

REGIONS = ("Two", "Three", "Four")
ROLES = {"role_regions": parse_rules("member=Two,Three; auditor=Four; admin=*; nobody=")}
PROJECTS = {"project_regions": parse_rules("p=Two; other=Four"), "domain_regions": parse_rules("d=Three; e=")}


def owner(*endpoints: str, roles: tuple[str, ...] = (), domain: str | None = None, **more: Any) -> Owner:
    return Owner(**{"project_id": "p", "endpoint_regions": frozenset(endpoints), "roles": frozenset(roles),
                    "domain_id": domain, **more})


EVERYWHERE = owner(*REGIONS)
UNASSOCIATED = owner(endpoint_regions=None)
CASES = [
    ("its catalog's endpoints", owner("Two", "Four"), {}, "Two Four"),
    ("an endpoint of a region that is not cascaded", owner("Two", "One"), {}, "Two"),
    ("endpoints of other services only", owner(), {}, ""),
    ("endpoints of other services only are no want of endpoints", owner(), {"unassociated_projects_see_all": True}, ""),
    ("nothing associated, closed by default", UNASSOCIATED, {}, ""),
    ("nothing associated, opened", UNASSOCIATED, {"unassociated_projects_see_all": True}, "Two Three Four"),
    ("nothing associated, opened, narrowed by a role", owner(endpoint_regions=None, roles=("auditor",)),
     {"unassociated_projects_see_all": True, **ROLES}, "Four"),
    ("no such project", owner(exists=False, endpoint_regions=None), {"unassociated_projects_see_all": True}, ""),
    ("a role", owner(*REGIONS, roles=("member",)), ROLES, "Two Three"),
    ("roles add up", owner(*REGIONS, roles=("member", "auditor")), ROLES, "Two Three Four"),
    ("a role for all regions", owner(*REGIONS, roles=("admin",)), ROLES, "Two Three Four"),
    ("a role never widens the catalog", owner("Three", roles=("admin",)), ROLES, "Three"),
    ("a role that reaches nothing", owner(*REGIONS, roles=("nobody",)), ROLES, ""),
    ("a role without a rule", owner(*REGIONS, roles=("reader",)), ROLES, ""),
    ("a role without a rule beside one with", owner(*REGIONS, roles=("reader", "auditor")), ROLES, "Four"),
    ("no role at all", EVERYWHERE, ROLES, ""),
    ("names of roles are exact", owner(*REGIONS, roles=("Member",)), ROLES, ""),
    ("no rules for roles", owner(*REGIONS, roles=("reader",)), {}, "Two Three Four"),
    ("a rule for the project", EVERYWHERE, PROJECTS, "Two"),
    ("the project's rule wins over its domain's", owner(*REGIONS, domain="d"), PROJECTS, "Two"),
    ("a rule never widens the catalog", owner("Three"), PROJECTS, ""),
    ("another project's rule", owner(*REGIONS, project_id="q"), PROJECTS, "Two Three Four"),
    ("its domain's rule", owner(*REGIONS, project_id="q", domain="d"), PROJECTS, "Three"),
    ("its domain's rule: none", owner(*REGIONS, project_id="q", domain="e"), PROJECTS, ""),
    ("another domain's rule", owner(*REGIONS, project_id="q", domain="f"), PROJECTS, "Two Three Four"),
    ("all three", owner("Two", "Three", roles=("member",), domain="d"),
     {**ROLES, "domain_regions": parse_rules("d=Three,Four")}, "Three"),
    ("a rule for all regions", EVERYWHERE, {"project_regions": parse_rules("p=*")}, "Two Three Four"),
]


@pytest.mark.parametrize(("project", "options", "regions"), [case[1:] for case in CASES],
                         ids=[case[0] for case in CASES])
def test_regions_of_a_project(project: Owner, options: dict[str, Any], regions: str) -> None:
    settings = StrategySettings(**options)
    assert [region for region in REGIONS if why_not(region, project, settings) is None] == regions.split()


@pytest.mark.parametrize(("named", "regions"), [
    (["*"], "Two Three Four"), (["Two", "Nine"], "Two"), ([], ""), (["two"], "")])
def test_regions_of_public_images(named: list[str], regions: str) -> None:
    settings = StrategySettings(public_image_regions=named)
    assert [region for region in REGIONS if why_not_everybody(region, settings) is None] == regions.split()


def test_the_reason_names_what_is_to_be_changed() -> None:
    told = [why_not("Four", project, StrategySettings(**options)) or "" for project, options in (
        (owner(exists=False), {}), (UNASSOCIATED, {}), (owner("Two"), {}), (owner("Four", roles=("member",)), ROLES),
        (owner("Four"), PROJECTS), (owner("Four", project_id="q", domain="e"), PROJECTS))]
    for said, word in zip(told, ("no project p", "no endpoint is associated", "no image endpoint of this region",
                                 "role_regions", "project_regions limits the owner, project p, to Two",
                                 "domain_regions limits the owner, project q, to no region"), strict=True):
        assert word in said
