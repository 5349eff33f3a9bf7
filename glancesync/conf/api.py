# SPDX-License-Identifier: Apache-2.0
"""[api]: limits of what a caller may send."""
from __future__ import annotations

from dataclasses import dataclass

from oslo_config import cfg

OPTS = [
    cfg.IntOpt("max_body_bytes", default=1024 * 1024, min=1024,
               help="A larger request body is refused with 413 before it is read."),
    cfg.IntOpt("max_page_size", default=1000, min=1, help="The most rows that one page of a listing holds."),
    cfg.IntOpt("client_timeout_seconds", default=60, min=1,
               help="How long the headers of a request may take to arrive, its body, and each MiB of an answer to be "
                    "taken; and how long a connection may be idle. Then the client is disconnected."),
    cfg.IntOpt("max_connections", default=1000, min=1, help="Connections that are served at once."),
    cfg.URIOpt("public_endpoint", schemes=("http", "https"),
               help="URL under which callers reach this API, for the links of version discovery. Unset: whatever "
                    "Host each caller names."),
]


@dataclass(frozen=True, kw_only=True)
class ApiSettings:
    max_body_bytes: int = 1024 * 1024
    max_page_size: int = 1000
    client_timeout_seconds: int = 60
    max_connections: int = 1000
    public_endpoint: str | None = None


def register_opts(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS, group="api")


def read(conf: cfg.ConfigOpts) -> ApiSettings:
    return ApiSettings(**{opt.dest: conf.api[opt.dest] for opt in OPTS})
