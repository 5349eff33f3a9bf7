# SPDX-License-Identifier: Apache-2.0
"""[web]: the page that the server serves to browsers."""
from __future__ import annotations

from dataclasses import dataclass

from oslo_config import cfg

AUTO = "auto"
ON = "on"
OFF = "off"
OPTS = [
    cfg.StrOpt("enabled", default=AUTO, choices=(AUTO, ON, OFF),
               help="Whether the page /web/ is served. auto: only while bind_host is an address of this host alone "
                    "(a TLS proxy may stand before it), for people log in there with their passwords."),
    cfg.StrOpt("key_file",
               help="File with the key that seals the page's session cookies, mode 0600; made at the first login where "
                    "there is none. Servers that share it take each other's sessions. Unset: web-session.key beside "
                    "the SQLite database, else in /var/lib/glance-sync."),
    cfg.IntOpt("session_seconds", default=8 * 3600, min=60,
               help="A session ends after this, or with its Keystone token where that ends earlier."),
    cfg.IntOpt("login_failures", default=5, min=1,
               help="After so many failed logins of one account in a row it has to wait, twice as long each time, up "
                    "to 15 minutes. An address may fail four times as often."),
    cfg.IntOpt("max_streams", default=100, min=1,
               help="Browsers that are sent live progress at once; others ask from time to time instead."),
]


@dataclass(frozen=True, kw_only=True)
class WebSettings:
    enabled: str = AUTO
    key_file: str | None = None
    session_seconds: int = 8 * 3600
    login_failures: int = 5
    max_streams: int = 100


def register_opts(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS, group="web")


def read(conf: cfg.ConfigOpts) -> WebSettings:
    return WebSettings(**{opt.dest: conf.web[opt.dest] for opt in OPTS})
