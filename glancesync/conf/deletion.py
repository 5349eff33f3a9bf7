# SPDX-License-Identifier: Apache-2.0
"""[deletion]: what has to be true before a replica is deleted."""
from __future__ import annotations

from dataclasses import dataclass

from oslo_config import cfg

OPTS = [
    cfg.FloatOpt("delete_confirm_seconds", mutable=True, default=3600, min=0,
                 help="An image that vanished without a report of its removal must be missing in two comparisons at "
                      "least this many seconds apart before its replicas are deleted."),
    cfg.IntOpt("max_deletes", mutable=True, default=100, min=0,
               help="Replicas that may be deleted within max_deletes_window_seconds, whatever the trigger. When it is "
                    "reached deletions stop until an operator runs `glance-sync-manage deletion release`. 0: nothing "
                    "is ever deleted."),
    cfg.FloatOpt("max_deletes_window_seconds", mutable=True, default=3600, min=1,
                 help="The window that max_deletes counts over."),
    cfg.IntOpt("max_deletes_percent", mutable=True, default=20, min=0, max=100,
               help="When the cascading region shows fewer images than at the last comparison, by more than this many "
                    "percent (and more than ten), it is not believed: nothing is deleted until an operator accepts "
                    "it with `glance-sync-manage source accept`. 100: any fall is believed."),
    cfg.BoolOpt("delete_adopted", mutable=True, default=False,
                help="Whether replicas that were in their region before this server adopted them are deleted with "
                     "their image. False: they are kept."),
]


@dataclass(frozen=True, kw_only=True)
class DeletionSettings:
    delete_confirm_seconds: float = 3600
    max_deletes: int = 100
    max_deletes_window_seconds: float = 3600
    max_deletes_percent: int = 20
    delete_adopted: bool = False


def register_opts(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS, group="deletion")


def read(conf: cfg.ConfigOpts) -> DeletionSettings:
    return DeletionSettings(**{opt.dest: conf.deletion[opt.dest] for opt in OPTS})
