# SPDX-License-Identifier: Apache-2.0
"""What the filter says in Glance's log: at most one warning a minute, whatever goes wrong; and the one broad except.

Used by every other module of the filter. oslo.log's handlers sit on the root logger, so the standard library's
loggers reach them.
"""
from __future__ import annotations

import logging
import mmap
import struct
from collections.abc import Callable

from glancesync.clock import Clock

LOG = logging.getLogger("glancesync.filter")
INTERVAL_SECONDS = 60.0
_TIME = struct.Struct("d")
SENDER_THREAD = "glancesync-sender"
#: Loggers of keystoneauth1 that warn at each attempt while Keystone is away.
_CHATTERING = ("keystoneauth.identity.base", "keystoneauth.identity.generic.base", "keystoneauth.discover")


class Complaints:
    """One per process; processes that were forked from the one that made it take turns.

    Warnings in between are counted and told with this process's next.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._silent = 0
        # Shared with forked children. Two that warn in the same microsecond may both be heard.
        self._next_at = mmap.mmap(-1, _TIME.size)
        _TIME.pack_into(self._next_at, 0, float("-inf"))

    def warn(self, message: str, *values: object, error: BaseException | None = None) -> None:
        """Log a warning unless there was one less than a minute ago; `error` adds its traceback."""
        now = self._clock.monotonic()
        if now < _TIME.unpack_from(self._next_at)[0]:
            self._silent += 1
            return
        _TIME.pack_into(self._next_at, 0, now + INTERVAL_SECONDS)
        silent, self._silent = self._silent, 0
        LOG.warning("%s (%d more since the last warning)", message % values, silent, exc_info=error)


def quiet_keystoneauth() -> None:
    """Keep from the log what keystoneauth1 says in the sender's thread: the sender tells it, once a minute.

    Every other thread of Glance may speak as before.
    """
    for name in _CHATTERING:
        logging.getLogger(name).addFilter(_is_not_the_sender)


def _is_not_the_sender(record: logging.LogRecord) -> bool:
    return record.threadName != SENDER_THREAD


class Guard:
    """Runs what must not hurt Glance: a request that Glance has answered, a thread in its process."""

    def __init__(self, complaints: Complaints) -> None:
        self._complaints = complaints
        self.failures = 0

    def run(self, function: Callable[[], None]) -> bool:
        """Call it; False when it raised, which is then counted and logged."""
        try:
            function()
        except Exception as error:  # noqa: BLE001  an error in here must not become a 500 of Glance's
            self.failures += 1
            self._complaints.warn("Image synchronisation failed inside Glance (%s); Glance itself is unharmed.",
                                  type(error).__name__, error=error)
            return False
        return True
