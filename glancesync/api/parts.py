# SPDX-License-Identifier: Apache-2.0
"""What paste's factories need beyond strings, handed to them by `app.load_app` in the global configuration."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from oslo_config import cfg
from oslo_policy import policy

from glancesync.api.ports import SyncService
from glancesync.conf.api import ApiSettings
from glancesync.exceptions import ConfigurationError

KEY = "glancesync.parts"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The objects behind one API. `conf` serves the libraries that read [keystone_authtoken] and [oslo_middleware];
    `stages` are those that others build, by the name that the paste file knows them by."""

    service: SyncService
    settings: ApiSettings
    enforcer: policy.Enforcer
    conf: cfg.ConfigOpts
    stages: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)


def parts_of(global_conf: Mapping[str, Any]) -> Parts:
    """The parts that load_app put there; raises ConfigurationError where paste was called by something else."""
    parts = global_conf.get(KEY)
    if not isinstance(parts, Parts):
        raise ConfigurationError("This pipeline is loaded by glance-sync, not by another paste loader.")
    return parts
