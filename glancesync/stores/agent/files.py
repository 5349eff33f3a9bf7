# SPDX-License-Identifier: Apache-2.0
"""The files of the agent: the source's, read with its holes; the target's ID.part, until it is ID. Used by moves."""
from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Iterator

from glancesync.stores.agent.words import Failure

#: As Glance's own files are.
_MODE = 0o640


def open_source(path: str) -> tuple[int, int]:
    """A regular file's descriptor and size. Raises Failure."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Failure("source", f"{path}: {error.strerror}") from None
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode):
        os.close(file)
        raise Failure("source", f"{path} is no regular file")
    return file, found.st_size


def list_extents(file: int, size: int) -> Iterator[tuple[int, int]]:
    """(offset, length) of whatever is no hole."""
    offset = 0
    while offset < size:
        try:
            begin = os.lseek(file, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        offset = min(os.lseek(file, begin, os.SEEK_HOLE), size)
        if offset > begin:
            yield begin, offset - begin


def remove(path: str) -> None:
    """Nothing happens when it is gone."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


class Part:
    """ID.part until it is ID. What another copy of the image made meanwhile under these names is left alone."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = path + ".part"
        self.file = -1
        self._mine: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def make(self) -> None:
        """Instead of whatever an earlier copy left."""
        remove(self.name)
        remove(self.path)
        self.file = os.open(self.name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._mine = _identity(os.fstat(self.file))

    def hand_over(self) -> None:
        """Flushed, with the owner and mode that Glance needs; then its name, which is flushed as well."""
        folder = os.open(os.path.dirname(self.path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            owner = os.fstat(folder)
            os.fchown(self.file, owner.st_uid, owner.st_gid)
            os.fchmod(self.file, _MODE)
            os.fsync(self.file)
            with self._lock:
                if not self._is_mine(self.name):
                    raise Failure("cut", "another copy of this image took its place")
                os.rename(self.name, self.path)
                os.fsync(folder)
        finally:
            os.close(folder)

    def abandon(self) -> None:
        """Nothing of it is left."""
        with self._lock:
            for each in (self.name, self.path):
                if self._is_mine(each):
                    remove(each)
            self._mine = None

    def _is_mine(self, path: str) -> bool:
        try:
            return self._mine is not None and _identity(os.lstat(path)) == self._mine
        except FileNotFoundError:
            return False


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
