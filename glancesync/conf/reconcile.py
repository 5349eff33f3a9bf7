# SPDX-License-Identifier: Apache-2.0
"""[DEFAULT]: how often everything is compared."""
from __future__ import annotations

from dataclasses import dataclass

from oslo_config import cfg

OPTS = [
    cfg.IntOpt("reconcile_interval_seconds", default=1200, min=0,
               help="Seconds between two comparisons of all images of all regions. 0: only at start and by hand."),
    cfg.BoolOpt("reconcile_at_start", default=True, help="Compare everything once when the server starts."),
    cfg.IntOpt("list_page_size", default=200, min=1, max=1000, help="Images asked for in one page of a listing."),
]


@dataclass(frozen=True, kw_only=True)
class ReconcileSettings:
    reconcile_interval_seconds: int = 1200
    reconcile_at_start: bool = True
    list_page_size: int = 200


def register_opts(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS)


def read(conf: cfg.ConfigOpts) -> ReconcileSettings:
    return ReconcileSettings(**{opt.dest: conf[opt.dest] for opt in OPTS})
