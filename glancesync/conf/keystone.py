# SPDX-License-Identifier: Apache-2.0
"""[keystone]: the service user that does the work, by keystoneauth1's own options."""
from __future__ import annotations

from keystoneauth1 import loading
from keystoneauth1.session import Session, TCPKeepAliveAdapter
from oslo_config import cfg

GROUP = "keystone"
OPTS = [
    cfg.StrOpt("interface", default="public", choices=("public", "internal", "admin"),
               help="Which endpoint of each Glance this server talks to."),
    cfg.FloatOpt("connect_timeout_seconds", default=10, min=0.1,
                 help="How long a connection to Keystone or a Glance may take to be made."),
    cfg.FloatOpt("read_timeout_seconds", default=60, min=0.1,
                 help="How long an answer to a request without image bytes, or its next part, may take."),
    cfg.FloatOpt("call_timeout_seconds", default=300, min=0.1,
                 help="How long a request without image bytes may take as a whole, however steadily its answer drips."),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    loading.register_auth_conf_options(conf, GROUP)
    loading.register_session_conf_options(conf, GROUP)
    conf.register_opts(OPTS, group=GROUP)


def load_session(conf: cfg.ConfigOpts, *, connections: int) -> tuple[object, Session]:
    """(keystoneauth1 auth plugin, session) of the service user; it keeps so many connections to each host open, and
    follows no redirect: it would send the password, or a token, wherever an answer points."""
    auth = loading.load_auth_from_conf_options(conf, GROUP)
    session = loading.load_session_from_conf_options(conf, GROUP, auth=auth, redirect=False)
    keep_connections(session, connections)
    return auth, session


def keep_connections(session: Session, connections: int) -> None:
    """Keep so many connections to each host open from now on; requests on their way are not disturbed."""
    for scheme in ("http://", "https://"):
        session.session.mount(scheme, TCPKeepAliveAdapter(pool_maxsize=connections))
