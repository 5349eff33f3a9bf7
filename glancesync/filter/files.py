# SPDX-License-Identifier: Apache-2.0
"""The outbox's folder and files: who may see them, whether they are still there, and locks that die with a process.

Used by `outbox`, `backlog`, `status` and `sender`.

Layout of the folder (0700, its files 0600), which belongs to one Glance node and lies on a local disk:

    PID-RANDOM.00000001.log   segments: each is appended to by the one process that holds its flock
    checkpoint.json           how far each segment was acknowledged by the sync server
    sender.lock               held (flock) by the one process that delivers
    status.json               what metrics may read

What was appended survives the death of the process, not a power failure: the last seconds that the kernel had not
written are lost then, and reconcile finds what they told.
"""
from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUFFIX = ".log"
PART = ".part"
CHECKPOINT = "checkpoint.json"
SENDER_LOCK = "sender.lock"
STATUS = "status.json"
_READ_LIMIT_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True, order=True)
class SegmentFile:
    """A segment's name in its two parts, and its size in bytes."""

    owner: str
    number: int
    size: int

    @property
    def name(self) -> str:
        return segment_name(self.owner, self.number)


def segment_name(owner: str, number: int) -> str:
    return f"{owner}.{number:08d}{SUFFIX}"


def ensure_directory(path: Path) -> None:
    """Create the folder; raises PermissionError when one stands there that others could write to."""
    with suppress(FileExistsError):
        try:
            path.mkdir(mode=0o700)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=0o700)
    found = path.stat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError(f"{path} must belong to the user that runs Glance and be writable by nobody else")


def list_segments(path: Path) -> list[SegmentFile]:
    """Every segment in the folder, by owner and number; empty when there is no folder."""
    found = []
    with suppress(FileNotFoundError), os.scandir(path) as entries:
        for entry in entries:
            owner, _, number = entry.name.removesuffix(SUFFIX).rpartition(".")
            if entry.name.endswith(SUFFIX) and owner and number.isdecimal():
                with suppress(FileNotFoundError):
                    found.append(SegmentFile(owner=owner, number=int(number), size=entry.stat().st_size))
    return sorted(found)


def part_path(path: Path) -> Path:
    """Where this process writes what is to be renamed to `path`."""
    return path.with_name(f"{os.getpid()}.{path.name}{PART}")


def remove_leftovers(path: Path) -> None:
    """Delete what a process was writing when it died. Raises OSError."""
    with suppress(FileNotFoundError), os.scandir(path) as entries:
        for entry in entries:
            pid = entry.name.partition(".")[0]
            if entry.name.endswith(PART) and pid.isdecimal() and not _is_alive(int(pid)):
                os.unlink(entry.path)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one that `path` names."""
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    mine = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)


def try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def replace_json(path: Path, data: Any) -> None:
    """Write a private JSON file in one step; raises OSError."""
    part = part_path(path)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(data, stream)
    part.replace(path)


def read_json(path: Path) -> Any:
    """What a JSON file holds; None when it is missing, unreadable or damaged."""
    try:
        with path.open("rb") as stream:
            return json.loads(stream.read(_READ_LIMIT_BYTES))
    except (OSError, ValueError, RecursionError):
        return None


class ProcessLock:
    """A lock among processes that the kernel frees when its holder dies."""

    def __init__(self, path: Path) -> None:
        self.turns = 0      # how often it was acquired anew
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Whether this process holds it now; never waits. Notices when the file was deleted. Raises OSError."""
        if self._descriptor is not None and not is_at(self._descriptor, self._path):
            self.release()
        if self._descriptor is None:
            descriptor = self._open()
            if not try_lock(descriptor):
                os.close(descriptor)
                return False
            self._descriptor = descriptor
            self.turns += 1
        return True

    def release(self) -> None:
        """Close it. In a forked child this leaves the parent's hold as it is."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _open(self) -> int:
        flags = os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | flags, 0o600)
        except OSError:
            # A folder that became read-only can still be delivered from.
            return os.open(self._path, os.O_RDONLY | flags)
