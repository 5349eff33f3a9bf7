# SPDX-License-Identifier: Apache-2.0
"""The API's listening socket, or words about why there is none. Used by the daemon."""
from __future__ import annotations

import errno
import socket

from glancesync import concurrency
from glancesync.conf.server import ServerSettings
from glancesync.exceptions import ConfigurationError, NotReadyError


def listen(settings: ServerSettings) -> socket.socket:
    """Raises NotReadyError where another process has the port, ConfigurationError where nobody could listen."""
    where = f"bind_host = {settings.bind_host}, bind_port = {settings.bind_port} in [DEFAULT]"
    try:
        return concurrency.listen(settings.bind_host, settings.bind_port, settings.backlog)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise NotReadyError(f"{where}: another process listens there already; stop it (`ss -ltnp` shows it), or "
                                "choose another port") from error
        raise ConfigurationError(f"{where}: this host cannot listen there: {error.strerror or error}") from error
