# SPDX-License-Identifier: Apache-2.0
"""[celery]: the broker between servers and workers where [worker] engine = celery."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from oslo_config import cfg

GROUP = "celery"
OPTS = [
    cfg.StrOpt("broker_url", secret=True,
               help="The message broker of servers and workers: amqp://USER:PASSWORD@HOST:5672/VHOST, amqps:// for "
                    "TLS. It carries ids of tasks and nothing else; what it loses is sent again. Needs the extra "
                    "`celery` of this package."),
    cfg.StrOpt("queue_prefix", default="glance-sync", regex=r"[A-Za-z0-9_-]{1,60}",
               help="How the names of the queues begin, one for each region. Installations that share a broker and its "
                    "vhost need different ones."),
    cfg.FloatOpt("republish_seconds", default=10, min=1, max=3600,
                 help="After so long without a worker that claimed it a task is sent again: its message was lost, or "
                      "waits with a worker that is gone. Messages live in the broker for as long."),
    cfg.FloatOpt("broker_timeout_seconds", default=5, min=0.5, max=60,
                 help="How long connecting to the broker, and handing it some messages, may take."),
    cfg.DictOpt("settings", default={},
                help="More of Celery's own settings, name:value,... (broker_connection_timeout:10). Those that would "
                     "lose or repeat work, or slow it down to nothing, are refused with the reason."),
    cfg.StrOpt("ssl_ca_file", help="For amqps://: whom to believe who the broker is; the system's list by default."),
    cfg.StrOpt("ssl_cert_file", help="For a broker that asks for one: this host's certificate."),
    cfg.StrOpt("ssl_key_file", help="The key of ssl_cert_file."),
    cfg.HostAddressOpt("metrics_host", default="127.0.0.1",
                       help="Where a worker answers GET /metrics, for the addresses of [metrics] allowed_addresses."),
    cfg.PortOpt("metrics_port", default=0,
                help="The TCP port of that; 0: workers answer nobody. Several workers on a host need one each: give "
                     "them a further --config-file."),
]


@dataclass(frozen=True, kw_only=True)
class CelerySettings:
    broker_url: str | None = None
    queue_prefix: str = "glance-sync"
    republish_seconds: float = 10
    broker_timeout_seconds: float = 5
    settings: Mapping[str, str] = field(default_factory=dict)
    ssl_ca_file: str | None = None
    ssl_cert_file: str | None = None
    ssl_key_file: str | None = None
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0


def register_opts(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS, group=GROUP)


def read(conf: cfg.ConfigOpts) -> CelerySettings:
    return CelerySettings(**{opt.dest: conf[GROUP][opt.dest] for opt in OPTS})
