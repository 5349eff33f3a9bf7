# SPDX-License-Identifier: Apache-2.0
"""One server for one SQLite file. Called by the daemon at its start, or by the process that starts several."""
from __future__ import annotations

import fcntl
import os

import sqlalchemy as sa

from glancesync.exceptions import NotReadyError


class SoleUse:
    """Held until `release`, or until the process ends in whatever way: the kernel gives the lock back. A process that
    was started with `descriptor` holds it too.

    Other databases are shared by several servers; nothing is locked there.
    """

    def __init__(self, url: str) -> None:
        parsed = sa.make_url(url)
        is_file = parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:")
        self._path = f"{parsed.database}.lock" if is_file else None
        self._descriptor: int | None = None

    def take(self) -> None:
        """Raises NotReadyError naming the file when another server works with it, or it cannot be opened."""
        if self._path is None:
            return
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise NotReadyError(f"{self._path} cannot be opened: {error.strerror}; it lies beside the database and has "
                                "to be this user's, like its folder") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise NotReadyError(f"another glance-sync works with the database that {self._path} belongs to; SQLite "
                                "serves one server: stop the other, or use PostgreSQL or MariaDB") from None
        self._descriptor = descriptor

    @property
    def descriptor(self) -> int | None:
        """To be handed to processes that work with the database as well; None where nothing is locked."""
        return self._descriptor

    def release(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
