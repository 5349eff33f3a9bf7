# SPDX-License-Identifier: Apache-2.0
"""The strategy USER: which regions the owner of an image may use (pure). Called by `choice`.

    public, community      public_image_regions
    private, shared        regions of the image endpoints in the catalog of the owner's project
                           and, where role_regions is set, regions that a role reaches which is assigned in the project
                           and, where project_regions or else domain_regions has a rule for it, regions of that rule

Members of a shared image do not widen it: they use it where its owner has it. An image that no project owns has no
regions, unless it is public or community.
"""
from __future__ import annotations

from glancesync.conf.region_rules import RegionRules, names_region
from glancesync.conf.strategy import StrategySettings
from glancesync.model.owner import Owner

FOR_EVERYBODY = frozenset({"public", "community"})


def why_not_everybody(region: str, settings: StrategySettings) -> str | None:
    """Why a public or community image does not belong in the region, None where it does."""
    if names_region(settings.public_image_regions, region):
        return None
    return "public_image_regions does not name this region"


def why_not(region: str, owner: Owner, settings: StrategySettings) -> str | None:
    """Why the project may not use the region, None where it may: a sentence without its end, for a person."""
    if not owner.exists:
        return f"Keystone has no project {owner.project_id}"
    return (_why_not_by_endpoints(region, owner, settings) or _why_not_by_roles(region, owner, settings.role_regions)
            or _why_not_by_rule(region, owner, settings))


def _why_not_by_endpoints(region: str, owner: Owner, settings: StrategySettings) -> str | None:
    if owner.endpoint_regions is None:
        return None if settings.unassociated_projects_see_all else (
            f"no endpoint is associated with the owner, project {owner.project_id}")
    if region in owner.endpoint_regions:
        return None
    return f"the catalog of the owner, project {owner.project_id}, has no image endpoint of this region"


def _why_not_by_roles(region: str, owner: Owner, rules: RegionRules | None) -> str | None:
    if rules is None or any(names_region(rules.find(role) or (), region) for role in owner.roles):
        return None
    return f"no role that is assigned in the owner, project {owner.project_id}, reaches this region by role_regions"


def _why_not_by_rule(region: str, owner: Owner, settings: StrategySettings) -> str | None:
    option = "project_regions"
    rule = settings.project_regions.find(owner.project_id) if settings.project_regions else None
    if rule is None and settings.domain_regions is not None:
        option, rule = "domain_regions", settings.domain_regions.find(owner.domain_id)
    if rule is None or names_region(rule, region):
        return None
    return f"{option} limits the owner, project {owner.project_id}, to {', '.join(rule) or 'no region'}"
