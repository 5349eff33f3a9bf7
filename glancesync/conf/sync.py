# SPDX-License-Identifier: Apache-2.0
"""[DEFAULT]: which regions, which images."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oslo_config import cfg

from glancesync.conf.image_rules import ALLOWED, ImageRules, ImageRulesType

STRATEGIES = (("None", "no image is copied; the server only answers"),
              ("ALL", "every image goes to every cascaded region"),
              ("USER", "every image goes to the cascaded regions that its owner may use; [strategy] narrows them"))

OPTS = [
    cfg.StrOpt("sync_strategy", mutable=True, default="ALL", choices=STRATEGIES, ignore_case=True,
               help="Which cascaded regions an image belongs in."),
    cfg.StrOpt("cascading_region",
               help="Keystone region whose Glance users write to. Wins over cascading_endpoint_url; one of the two is "
                    "needed."),
    cfg.StrOpt("cascading_endpoint_url",
               help="Image endpoint of the cascading region, looked up among all interfaces of the catalog (trailing "
                    "slashes, default ports and letter case do not matter). The start is refused when no region has "
                    "it."),
    cfg.StrOpt("transient_property", mutable=True,
               help="Images that carry a custom property of this name are left alone, whatever its value. Unset: no "
                    "image is."),
    cfg.Opt("leave_alone", type=ImageRulesType(), mutable=True,
            help=f"Images that are not copied: {ALLOWED}. An image that meets all the conditions of one rule gets no "
                 "replica. A replica that is there already goes on following it, so that nobody keeps an access that "
                 "its owner took away. Example: visibility=private size>50GiB; name=\"tmp *\"; property:scratch. "
                 "Unset: no rules."),
    cfg.IntOpt("catalog_refresh_seconds", mutable=True, default=60, min=1,
               help="How long the list of regions from Keystone is used before it is read again."),
    cfg.FloatOpt("replica_saving_timeout_seconds", mutable=True, default=120, min=0,
                 help="How long a replica may stay in `saving` without an upload of ours before it is given up and "
                      "replaced under a new id."),
    cfg.IntOpt("max_restores", mutable=True, default=5, min=0,
               help="How often a replica that somebody deletes in its region is made again. After that it is contested "
                    "and left alone until its task is retried by an operator."),
    cfg.IntOpt("max_new_ids", mutable=True, default=100, min=0,
               help="How many replicas of one region may be made again under a new id within "
                    "max_new_ids_window_seconds, because somebody deleted them there. When it is reached no more are "
                    "made under a new id in that region until an operator runs `glance-sync-manage region release "
                    "NAME`. 0: none ever is."),
    cfg.FloatOpt("max_new_ids_window_seconds", mutable=True, default=3600, min=1,
                 help="The window that max_new_ids counts over."),
    cfg.BoolOpt("adopt_by_hash", mutable=True, default=False,
                help="Whether an image that is in a cascaded region already, under another id, is taken over as the "
                     "replica when owner, name and os_hash are the same. False: it is a conflict, listed for the "
                     "operator to decide. One under the same id is taken over in any case."),
    cfg.FloatOpt("snapshot_timeout_seconds", deprecated_name="snapshot_timeout", mutable=True, default=300, min=1,
                 help="How long an image that was made in a cascaded region is waited for to become active there. "
                      "After that its task fails; retrying it begins the wait anew."),
    cfg.FloatOpt("snapshot_sleep_interval_seconds", deprecated_name="snapshot_sleep_interval", mutable=True, default=10,
                 min=0.1, help="How often such an image is looked at meanwhile."),
    cfg.ListOpt("snapshot_region_names", mutable=True, default=[],
                help="Cascaded regions that images made in another cascaded region are copied to. Empty: all that "
                     "sync_strategy gives them. The region that one was made in keeps its own in any case; a name that "
                     "is none of the catalog's gets nothing."),
    cfg.FloatOpt("source_poll_seconds", mutable=True, default=60, min=0.1,
                 help="How often an image that is still queued, saving or importing is looked at when no event says "
                      "that it went on."),
]


@dataclass(frozen=True, kw_only=True)
class SyncSettings:
    sync_strategy: str
    cascading_region: str | None
    cascading_endpoint_url: str | None
    transient_property: str | None
    catalog_refresh_seconds: int
    replica_saving_timeout_seconds: float
    source_poll_seconds: float
    max_restores: int
    max_new_ids: int = 100
    max_new_ids_window_seconds: float = 3600
    adopt_by_hash: bool = False
    snapshot_timeout_seconds: float = 300
    snapshot_sleep_interval_seconds: float = 10
    snapshot_region_names: Sequence[str] = ()
    leave_alone: ImageRules | None = None


def register_opts(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS)


def read(conf: cfg.ConfigOpts) -> SyncSettings:
    return SyncSettings(**{opt.dest: conf[opt.dest] for opt in OPTS})
