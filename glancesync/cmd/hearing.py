# SPDX-License-Identifier: Apache-2.0
"""Starts what speaks with the message broker, each a process of its own: the notification listener (cmd.hear) and the
doorbell (cmd.ring). Called by build."""
from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

from oslo_config import cfg

from glancesync.clock import Clock
from glancesync.conf.doorbell import DoorbellSettings
from glancesync.conf.notifications import NotificationSettings
from glancesync.exceptions import ConfigurationError
from glancesync.service.bell import SharedBell
from glancesync.service.feed import Hears, Listener, NotificationFeed
from glancesync.service.timers import Guard


def new_feed(conf: cfg.ConfigOpts, settings: NotificationSettings, *, service: Hears, clock: Clock,
             guard: Guard) -> NotificationFeed | None:
    """None where it is not enabled; raises ConfigurationError for what would never hear anything."""
    if not settings.enabled:
        return None
    if not settings.transport_url:
        raise ConfigurationError("[notifications] enabled needs transport_url: rabbit://USER:PASSWORD@HOST:5672/")
    _check_url("[notifications] transport_url", settings.transport_url)
    _need_messaging("[notifications] enabled")
    return NotificationFeed(service=service, start=_starter(conf, "glancesync.cmd.hear"), clock=clock, guard=guard)


def new_bell(conf: cfg.ConfigOpts, settings: DoorbellSettings, *, heard: Callable[[], object], clock: Clock,
             guard: Guard) -> SharedBell | None:
    """None where no broker is named; raises ConfigurationError for what would never ring."""
    if not settings.transport_url:
        return None
    _check_url("[doorbell] transport_url", settings.transport_url)
    _need_messaging("[doorbell] transport_url")
    return SharedBell(start=_starter(conf, "glancesync.cmd.ring"), heard=heard, clock=clock, guard=guard)


def _check_url(option: str, url: str) -> None:
    """Raises ConfigurationError, without the URL in its words, for one that a password tears apart."""
    try:
        parts = urlsplit(url)
        if "://" not in url or "@" in f"{parts.path}{parts.query}{parts.fragment}":
            raise ValueError
        for host in parts.netloc.split(","):
            urlsplit(f"//{host}").port  # noqa: B018 - raises ValueError
    except ValueError:
        raise ConfigurationError(f"{option} is no URL: rabbit://USER:PASSWORD@HOST:5672/VHOST; in user and password "
                                 "write / ? @ : # % as %2F %3F %40 %3A %23 %25") from None


def _need_messaging(option: str) -> None:
    if importlib.util.find_spec("oslo_messaging") is None:
        raise ConfigurationError(f"{option} needs oslo.messaging: pip install 'glancesync[notifications]'")


def _starter(conf: cfg.ConfigOpts, module: str) -> Callable[[socket.socket], Listener]:
    # The password stands in the files that it reads, not in its arguments.
    files = [f"--config-file={name}" for name in conf.config_file or ()]
    folders = [f"--config-dir={name}" for name in conf.config_dir or ()]

    def start(connection: socket.socket) -> Listener:
        # A group of its own: a terminal's Ctrl-C is the server's, which ends it.
        return subprocess.Popen([sys.executable, "-m", module, *files, *folders], stdin=connection.fileno(),
                                process_group=0)

    return start
