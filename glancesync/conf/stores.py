# SPDX-License-Identifier: Apache-2.0
"""[stores]: bytes past the Glances, from store to store."""
from __future__ import annotations

from dataclasses import dataclass

from oslo_config import cfg

OPTS = [
    cfg.StrOpt("config_file", mutable=True, sample_default="/etc/glance-sync/glance_store.yaml",
               help="The file (glance_store.yaml) that says where each region's images lie and how their hosts are "
                    "reached; an absolute path. A reload reads it again. Unset: all bytes go through the Glances."),
    cfg.FloatOpt("scp_copy_timeout_seconds", mutable=True, default=3600, min=1,
                 help="How long one copy from store to store may take before it is ended and the bytes go through the "
                      "Glances; hashing what arrived may take as long again."),
    cfg.IntOpt("num_shell_tries", mutable=True, default=3, min=1, max=20,
               help="How often the host of a store is called, a second apart, before it counts as unreachable. A "
                    "refused login or a wrong host key is not tried again."),
]


@dataclass(frozen=True, kw_only=True)
class StoresSettings:
    config_file: str | None = None
    scp_copy_timeout_seconds: float = 3600
    num_shell_tries: int = 3


def register_opts(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS, group="stores")


def read(conf: cfg.ConfigOpts) -> StoresSettings:
    return StoresSettings(**{opt.dest: conf.stores[opt.dest] for opt in OPTS})
