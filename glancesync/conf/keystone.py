# SPDX-License-Identifier: Apache-2.0
"""[keystone]: the service user that does the work, by keystoneauth1's own options."""
from __future__ import annotations

from keystoneauth1 import loading
from oslo_config import cfg

GROUP = "keystone"
OPTS = [
    cfg.StrOpt("interface", default="public", choices=("public", "internal", "admin"),
               help="Which endpoint of each Glance this server talks to."),
    cfg.StrOpt("region_name", help="Region of the identity endpoint, where Keystone has several."),
    cfg.FloatOpt("connect_timeout_seconds", default=10, min=0.1,
                 help="How long a connection to Keystone or a Glance may take to be made."),
    cfg.FloatOpt("read_timeout_seconds", default=60, min=0.1,
                 help="How long an answer to a request without image bytes may take."),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    loading.register_auth_conf_options(conf, GROUP)
    loading.register_session_conf_options(conf, GROUP)
    conf.register_opts(OPTS, group=GROUP)


def load_session(conf: cfg.ConfigOpts) -> tuple[object, object]:
    """(keystoneauth1 auth plugin, session) of the service user."""
    auth = loading.load_auth_from_conf_options(conf, GROUP)
    return auth, loading.load_session_from_conf_options(conf, GROUP, auth=auth)
