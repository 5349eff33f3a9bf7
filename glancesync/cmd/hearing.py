# SPDX-License-Identifier: Apache-2.0
"""Starts the notification listener as a process (see cmd.hear). Called by build."""
from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys

from oslo_config import cfg

from glancesync.clock import Clock
from glancesync.conf.notifications import NotificationSettings
from glancesync.exceptions import ConfigurationError
from glancesync.service.feed import Hears, Listener, NotificationFeed
from glancesync.service.timers import Guard


def new_feed(conf: cfg.ConfigOpts, settings: NotificationSettings, *, service: Hears, clock: Clock,
             guard: Guard) -> NotificationFeed | None:
    """None where it is not enabled; raises ConfigurationError for what would never hear anything."""
    if not settings.enabled:
        return None
    if not settings.transport_url:
        raise ConfigurationError("[notifications] enabled needs transport_url: rabbit://USER:PASSWORD@HOST:5672/")
    if importlib.util.find_spec("oslo_messaging") is None:
        raise ConfigurationError("[notifications] enabled needs oslo.messaging: "
                                 "pip install 'glancesync[notifications]'")
    # The password stands in the files that it reads, not in its arguments.
    files = [f"--config-file={name}" for name in conf.config_file or ()]
    folders = [f"--config-dir={name}" for name in conf.config_dir or ()]

    def start(connection: socket.socket) -> Listener:
        return subprocess.Popen([sys.executable, "-m", "glancesync.cmd.hear", *files, *folders],
                                stdin=connection.fileno())

    return NotificationFeed(service=service, start=start, clock=clock, guard=guard)
