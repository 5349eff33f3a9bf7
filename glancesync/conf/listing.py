# SPDX-License-Identifier: Apache-2.0
"""Feeds oslo-config-generator (entry point `glancesync`)."""
from __future__ import annotations

from keystoneauth1 import loading
from oslo_config import cfg

from glancesync.conf import api, deletion, keystone, reconcile, server, sync, transfer, worker


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    auth = loading.get_auth_common_conf_options() + loading.get_auth_plugin_conf_options("password")
    return [
        ("DEFAULT", server.OPTS + sync.OPTS + [worker.RETRY_OPT] + reconcile.OPTS),
        ("database", server.DATABASE_OPTS),
        (keystone.GROUP, keystone.OPTS + auth + loading.get_session_conf_options()),
        ("worker", worker.OPTS),
        ("transfer", transfer.OPTS),
        ("deletion", deletion.OPTS),
        ("api", api.OPTS),
    ]
