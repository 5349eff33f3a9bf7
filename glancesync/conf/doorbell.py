# SPDX-License-Identifier: Apache-2.0
"""[doorbell]: how servers that share a database tell one another that there is something to do."""
from __future__ import annotations

from dataclasses import dataclass

from oslo_config import cfg

GROUP = "doorbell"
OPTS = [
    cfg.StrOpt("transport_url", secret=True,
               help="The message broker, as OpenStack's services have it: rabbit://USER:PASSWORD@HOST:5672/VHOST. What "
                    "follows a `?` are options of oslo.messaging's RabbitMQ driver (ssl=1, ssl_ca_file=...). Unset: "
                    "a server sees what another one queued within [worker] poll_seconds. Needs the extra "
                    "`notifications` of this package."),
    cfg.StrOpt("exchange", default="glance-sync", help="The exchange; the same for all servers of one database."),
    cfg.StrOpt("topic", default="doorbell", help="The topic; the same for all servers of one database."),
]


@dataclass(frozen=True, kw_only=True)
class DoorbellSettings:
    transport_url: str | None = None
    exchange: str = "glance-sync"
    topic: str = "doorbell"


def register_opts(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS, group=GROUP)


def read(conf: cfg.ConfigOpts) -> DoorbellSettings:
    return DoorbellSettings(**{opt.dest: conf[GROUP][opt.dest] for opt in OPTS})
