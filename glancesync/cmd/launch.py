# SPDX-License-Identifier: Apache-2.0
"""What a process of `glance-sync` becomes: the server, the parent of several, or one of those. Called by its entry."""
from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from oslo_log import log

from glancesync import __version__
from glancesync import conf as options
from glancesync.cmd.logs import arrange_logs
from glancesync.cmd.place import take_place
from glancesync.exceptions import ConfigurationError, GlanceSyncError
from glancesync.model.text import inert

_PROG = "glance-sync"
_DESCRIPTION = ("The sync server: stays in the foreground and keeps the images of all regions in line until SIGTERM. "
                "Its configuration is looked for in ~/.glance-sync, ~, /etc/glance-sync and /etc (glance-sync.conf), "
                "unless --config-file names it; `glance-sync-manage config show` prints what it comes to.")
_EPILOG = "Exit status: 0 stopped by a signal, 1 cannot start or go on, 2 wrong usage or configuration."


def run(arguments: Sequence[str]) -> int:
    """0 after a stop by signal, 2 when the configuration is wrong, 1 when the server cannot start or go on."""
    try:
        return _run(arguments)
    except ConfigurationError as error:
        print(f"glance-sync: {inert(str(error))}", file=sys.stderr)
        return 2
    except GlanceSyncError as error:
        print(f"glance-sync: {inert(str(error))}", file=sys.stderr)
        return 1


def _run(arguments: Sequence[str]) -> int:
    conf = options.parse(arguments, prog=_PROG, description=_DESCRIPTION, epilog=_EPILOG)
    log.setup(conf, _PROG, version=__version__)
    arrange_logs(conf)
    place = take_place(os.environ)
    settings = options.read_settings(conf).server
    if place is None and settings.workers > 1:
        from glancesync.cmd.parent import Parent

        return Parent(settings=settings, arguments=arguments, environment=os.environ).run()
    # Most of the program is behind this import; the parent of several needs none of it.
    from glancesync.cmd import daemon

    return daemon.serve(conf, arguments, prog=_PROG, place=place)
