# SPDX-License-Identifier: Apache-2.0
"""[stores]: bytes past the Glances, from store to store."""
from __future__ import annotations

from dataclasses import dataclass

from oslo_config import cfg

OPTS = [
    cfg.StrOpt("config_file", mutable=True, sample_default="/etc/glance-sync/glance_store.yaml",
               help="The file (glance_store.yaml) that says where each region's images lie and how their hosts are "
                    "reached; an absolute path. A reload reads it again. Unset: all bytes go through the Glances."),
]


@dataclass(frozen=True, kw_only=True)
class StoresSettings:
    config_file: str | None = None


def register_opts(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS, group="stores")


def read(conf: cfg.ConfigOpts) -> StoresSettings:
    return StoresSettings(**{opt.dest: conf.stores[opt.dest] for opt in OPTS})
