# SPDX-License-Identifier: Apache-2.0
"""The files of the agent: the source's, read with its holes; the target's ID.part, until it is ID. Used by moves."""
from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import threading
import time
from collections.abc import Iterator

from glancesync.stores.agent.words import Failure

#: As Glance's own files are.
_MODE = 0o640
#: A file's time is marked in units of so many nanoseconds, as coarse as file systems keep them.
_UNIT = 100
#: File systems that know no second name for a file.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})


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


def stamp_of(path: str, mark: str) -> int:
    """The fraction of a second, in nanoseconds, that the time of a file has which was put there for `mark`. So a file
    says whose it is wherever it lies: two regions may have one folder under two names and not know it."""
    word = hashlib.sha256(f"{mark}/{os.path.basename(path)}".encode()).digest()
    return int.from_bytes(word[:8], "big") % (10 ** 9 // _UNIT) * _UNIT


def ensure_free(path: str, mark: str) -> None:
    """Raises Failure where a file has the name that nobody put there for `mark`: a Glance's own, another region's."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode) or found.st_mtime_ns % 10 ** 9 != stamp_of(path, mark):
        raise Failure("occupied", f"{path} is there, and nobody put it there for this region")


def discard(path: str, mark: str) -> None:
    """What a copy for `mark` left, finished or not. Raises Failure as `ensure_free` does."""
    remove(path + ".part")
    ensure_free(path, mark)
    remove(path)


class Part:
    """ID.part until it is ID. What another copy of the image made meanwhile under these names is left alone, and so is
    what was not made for `mark`."""

    def __init__(self, path: str, mark: str = "") -> None:
        self.path = path
        self.name = path + ".part"
        self.file = -1
        self._mark = mark
        self._mine: tuple[int, int] | None = None
        self._lock = threading.RLock()  # a signal may come while it is held

    def make(self) -> None:
        """Instead of what an earlier copy did not end; what one ended stays until this one takes its name."""
        ensure_free(self.path, self._mark)
        remove(self.name)
        self.file = os.open(self.name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._mine = _identity(os.fstat(self.file))

    def hand_over(self) -> None:
        """Flushed, with the owner and mode that Glance needs; then its name, which is flushed as well."""
        folder = os.open(os.path.dirname(self.path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            owner = os.fstat(folder)
            os.fchown(self.file, owner.st_uid, owner.st_gid)
            os.fchmod(self.file, _MODE)
            now = time.time_ns()
            os.utime(self.file, ns=(now, now - now % 10 ** 9 + stamp_of(self.path, self._mark)))
            os.fsync(self.file)
            with self._lock:
                if not self._is_mine(self.name):
                    raise Failure("cut", "another copy of this image took its place")
                self._take_name()
                os.fsync(folder)
        finally:
            os.close(folder)

    def _take_name(self) -> None:
        """Never instead of another's file, though it came this moment: a link replaces nothing."""
        if os.path.lexists(self.path):
            ensure_free(self.path, self._mark)
            os.rename(self.name, self.path)
            return
        try:
            os.link(self.name, self.path, follow_symlinks=False)
        except FileExistsError:
            raise Failure("occupied", f"{self.path} came while this copy was made") from None
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            os.rename(self.name, self.path)
        else:
            os.unlink(self.name)

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
