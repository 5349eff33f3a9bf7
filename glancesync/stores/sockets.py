# SPDX-License-Identifier: Apache-2.0
"""The folder that holds the sockets of shared ssh connections. Used by ssh.

A process that is killed cannot remove its own, so whoever makes one removes those of processes that are gone: the lock
of a folder's mark ends with the process that holds it, however that ended.
"""
from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path

_PREFIX = "gsync-"
#: The folder's own file, locked as long as its process lives.
_MARK = "lives"


class SocketFolder:
    """Made when it is first asked for."""

    def __init__(self) -> None:
        self._path: str | None = None
        self._mark = -1

    @property
    def path(self) -> str:
        """Its name is short, its mode 0700. Raises OSError."""
        if self._path is None:
            _remove_dead()
            self._path, self._mark = _make()
        return self._path

    def remove(self) -> None:
        """Nothing happens where none was made."""
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            os.close(self._mark)
            self._path = None


def _make() -> tuple[str, int]:
    """Locked before it has its name: nobody may take it for a dead one's."""
    made = tempfile.mkdtemp(prefix=f".{_PREFIX}")
    mark = os.open(f"{made}/{_MARK}", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    path = str(Path(made).with_name(Path(made).name[1:]))
    os.rename(made, path)
    return path, mark


def _remove_dead() -> None:
    for each in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if _is_dead(each):
                shutil.rmtree(each, ignore_errors=True)


def _is_dead(folder: Path) -> bool:
    """Whether it is certainly one of ours, whose process has ended. Raises OSError."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != 0o700:
        return False
    mark = os.open(folder / _MARK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    finally:
        os.close(mark)
