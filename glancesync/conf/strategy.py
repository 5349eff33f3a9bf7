# SPDX-License-Identifier: Apache-2.0
"""[strategy]: which regions an image's owner may use, where sync_strategy is USER."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oslo_config import cfg

from glancesync.conf.region_rules import ALLOWED, EVERY, RegionRules, RegionRulesType

GROUP = "strategy"
KEPT, HIDDEN, REMOVED = "kept", "hidden", "removed"
_TREATMENTS = (
    (KEPT, "it gets no new bytes, and goes on following its image: metadata, members that lose their access, deletion"),
    (HIDDEN, "as kept, and listings of the region leave it out (os_hidden) until its image may be there again"),
    (REMOVED, "it is deleted, after two comparisons delete_confirm_seconds apart found it so; max_deletes counts it"))

OPTS = [
    cfg.Opt("role_regions", type=RegionRulesType(), mutable=True,
            help="Which roles reach which regions, by a role's name or id. A project reaches what any of the roles "
                 "reaches that are assigned in it (inherited ones too); a role without a rule reaches none: "
                 f"{ALLOWED}. "
                 "Example: member=RegionTwo,RegionThree; auditor=RegionTwo; admin=*. Unset: roles narrow nothing."),
    cfg.Opt("project_regions", type=RegionRulesType(), mutable=True,
            help=f"Regions that a project is limited to, by its id: {ALLOWED}. Unset, or no rule for a project: the "
                 "rule of its domain holds."),
    cfg.Opt("domain_regions", type=RegionRulesType(), mutable=True,
            help="Regions that the projects of a domain without a rule of their own are limited to, by the domain's "
                 f"id: {ALLOWED}. Unset, or no rule for a domain: its projects are not limited."),
    cfg.ListOpt("public_image_regions", mutable=True, default=[EVERY],
                help="Regions that public and community images go to, whoever owns them; * for all, nothing for none."),
    cfg.BoolOpt("unassociated_projects_see_all", mutable=True, default=False,
                help="Whether a project that no endpoint and no endpoint group is associated with sees all endpoints. "
                     "Set it as Keystone's [endpoint_filter] return_all_endpoints_if_no_filter is (true where nobody "
                     "set it), which Keystone's API does not tell. False: it sees none."),
    cfg.StrOpt("disallowed_replicas", mutable=True, default=KEPT, choices=_TREATMENTS,
               help="What becomes of a replica in a region that its image's owner may not use any more. Replicas that "
                    "were adopted are kept in any case, unless delete_adopted is on; what an image was made from in "
                    "its region is never touched."),
    cfg.FloatOpt("owner_cache_seconds", mutable=True, default=300, min=0,
                 help="How long at most Keystone's answers about a project are used. Each comparison asks anew, and so "
                      "does who is about to delete."),
    cfg.IntOpt("owner_cache_projects", mutable=True, default=10000, min=1,
               help="For how many projects such answers are kept at most; those that were used longest ago go first."),
]


@dataclass(frozen=True, kw_only=True)
class StrategySettings:
    role_regions: RegionRules | None = None
    project_regions: RegionRules | None = None
    domain_regions: RegionRules | None = None
    public_image_regions: Sequence[str] = (EVERY,)
    unassociated_projects_see_all: bool = False
    disallowed_replicas: str = KEPT
    owner_cache_seconds: float = 300
    owner_cache_projects: int = 10000


def register_opts(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS, group=GROUP)


def read(conf: cfg.ConfigOpts) -> StrategySettings:
    return StrategySettings(**{opt.dest: conf[GROUP][opt.dest] for opt in OPTS})
