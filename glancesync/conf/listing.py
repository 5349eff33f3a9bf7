# SPDX-License-Identifier: Apache-2.0
"""Feeds oslo-config-generator (entry point `glancesync`)."""
from __future__ import annotations

from keystoneauth1 import loading
from oslo_config import cfg

from glancesync.conf import (
    api,
    breaker,
    celery,
    deletion,
    doorbell,
    keystone,
    metrics,
    notifications,
    reconcile,
    server,
    stores,
    strategy,
    sync,
    transfer,
    web,
    worker,
)

#: Of keystoneauth1's many options, those that a service user needs; the others work as its documentation says.
SHOWN = frozenset({"auth_type", "auth_url", "username", "password", "project_name", "user_domain_name",
                   "project_domain_name", "cafile"})


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    known = [*loading.get_auth_common_conf_options(), *loading.get_auth_plugin_conf_options("password"),
             *loading.get_session_conf_options()]
    auth = [opt for opt in known if opt.dest in SHOWN]
    return [
        ("DEFAULT", server.OPTS + sync.OPTS + [worker.RETRY_OPT] + reconcile.OPTS),
        (strategy.GROUP, strategy.OPTS),
        ("database", server.DATABASE_OPTS),
        (keystone.GROUP, keystone.OPTS + auth),
        ("worker", worker.OPTS),
        (celery.GROUP, celery.OPTS),
        ("transfer", transfer.OPTS),
        ("stores", stores.OPTS),
        (breaker.GROUP, breaker.OPTS),
        ("deletion", deletion.OPTS),
        ("api", api.OPTS),
        ("web", web.OPTS),
        ("metrics", metrics.OPTS),
        (notifications.GROUP, notifications.OPTS),
        (doorbell.GROUP, doorbell.OPTS),
    ]
