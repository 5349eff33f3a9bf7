# SPDX-License-Identifier: Apache-2.0
"""[DEFAULT]: how often everything is compared, and stored bytes are read again."""
from __future__ import annotations

from dataclasses import dataclass

from oslo_config import cfg

OPTS = [
    cfg.IntOpt("reconcile_interval_seconds", mutable=True, default=1200, min=0,
               help="Seconds between two comparisons of all images of all regions. 0: only at start and by hand."),
    cfg.IntOpt("members_interval_seconds", mutable=True, default=21600, min=0,
               help="How long at most the timer's comparisons may take to find members of a shared image that changed "
                    "though the filter did not report it. No listing shows members, so each of these comparisons asks "
                    "for those of a part of the images, a request for each and each region. The first comparison after "
                    "a start, and each that is asked for, asks for all. 0: all of them do."),
    cfg.BoolOpt("reconcile_at_start", default=True, help="Compare everything once when the server starts."),
    cfg.IntOpt("initial_sync_batch", mutable=True, default=100, min=1,
               help="How many of the images that a region lacks are in the queue at a time: all of them at the first "
                    "start, and when a region is new. The others wait for their turn, newest first; what users do "
                    "meanwhile comes before them."),
    cfg.IntOpt("scrub_interval_seconds", mutable=True, default=0, min=0,
               help="How often a sample of the verified replicas is downloaded and hashed again. One whose stored "
                    "bytes are wrong is deactivated and replaced. 0: never."),
    cfg.FloatOpt("scrub_fraction", mutable=True, default=0.01, min=0, max=1,
                 help="How large a part of the verified replicas each such sample is, at least one replica; those that "
                      "were read longest ago come first. All of it is read from the cascaded regions each time."),
    cfg.IntOpt("list_page_size", default=200, min=1, max=1000, help="Images asked for in one page of a listing."),
]


@dataclass(frozen=True, kw_only=True)
class ReconcileSettings:
    reconcile_interval_seconds: int = 1200
    members_interval_seconds: int = 21600
    reconcile_at_start: bool = True
    list_page_size: int = 200
    initial_sync_batch: int = 100
    scrub_interval_seconds: int = 0
    scrub_fraction: float = 0.01


def register_opts(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS)


def read(conf: cfg.ConfigOpts) -> ReconcileSettings:
    return ReconcileSettings(**{opt.dest: conf[opt.dest] for opt in OPTS})
