# SPDX-License-Identifier: Apache-2.0
"""[DEFAULT]: where the server listens, and [database]: where its state lives."""
from __future__ import annotations

from dataclasses import dataclass

from oslo_config import cfg

OPTS = [
    cfg.HostAddressOpt("bind_host", default="127.0.0.1",
                       help="Address the API listens on. The default serves this host only; when you open it to "
                            "others put TLS before it."),
    cfg.PortOpt("bind_port", default=9595, min=1, help="TCP port the API listens on."),
    cfg.IntOpt("backlog", default=4096, min=1, help="Connections the kernel may hold before they are accepted."),
    cfg.IntOpt("workers", default=1, min=1, max=256,
               help="Server processes on this host, which share the port, the queue and the work: set it to the number "
                    "of cores when one process keeps a core busy. Each has limits of its own: max_tasks and "
                    "max_connections count per process. 1: no further process is started."),
    cfg.StrOpt("api_paste_config", default="glance-sync-paste.ini",
               help="Paste file with the API's pipeline; a relative name is looked up beside the configuration file, "
                    "then in the package."),
    cfg.IntOpt("graceful_shutdown_seconds", mutable=True, default=30, min=0,
               help="After SIGTERM nothing new is started; what still runs after this many seconds is handed back to "
                    "the queue. A second SIGTERM hands back at once."),
]
DATABASE_OPTS = [
    cfg.StrOpt("connection", default="sqlite:////var/lib/glance-sync/glance-sync.db", secret=True,
               help="SQLAlchemy URL of the database that holds tasks and replica records. SQLite (an absolute path, "
                    "four slashes) serves the processes of one server."),
]


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    bind_host: str
    bind_port: int
    backlog: int
    workers: int = 1
    api_paste_config: str
    graceful_shutdown_seconds: int
    connection: str


def register_opts(conf: cfg.ConfigOpts) -> None:
    conf.register_opts(OPTS)
    conf.register_opts(DATABASE_OPTS, group="database")


def read(conf: cfg.ConfigOpts) -> ServerSettings:
    return ServerSettings(connection=conf.database.connection, **{opt.dest: conf[opt.dest] for opt in OPTS})
