# SPDX-License-Identifier: Apache-2.0
"""Where several processes of one server keep their numbers. Made by the process that starts them.

The folder is locked while that process lives. A lock that nobody holds tells of one that was killed before it could
remove its folder, and the next start does it.
"""
from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "glance-sync-metrics-"
#: Another one may be between making its folder and locking it.
_NEW_SECONDS = 60


class CountsFolder:
    """A new one, mode 0700, in the system's folder for such things unless `parent` names another; `at` is the time in
    seconds since the epoch. Raises OSError."""

    def __init__(self, at: float, parent: Path | None = None) -> None:
        where = parent or Path(tempfile.gettempdir())
        for left in sorted(where.glob(f"{_PREFIX}*")):
            _remove_left(left, at - _NEW_SECONDS)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=where))
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def remove(self) -> None:
        shutil.rmtree(self.path)
        os.close(self._descriptor)


def _remove_left(path: Path, before: float) -> None:
    """Unless it is another user's, newer, or in use."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return  # a file or link of that name, another user's, or gone by now
    try:
        found = os.fstat(descriptor)
        if found.st_uid == os.geteuid() and found.st_mtime < before:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)  # of a process that still ends, the next start removes the rest
    except BlockingIOError:
        pass  # in use
    finally:
        os.close(descriptor)
