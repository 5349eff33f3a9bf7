# SPDX-License-Identifier: Apache-2.0
"""The writing side of the outbox: events go to the kernel in microseconds, within a bound, and never raise.

Used by `reporter` (append, in Glance's request threads) and `sender` (mend). Each process writes segments of its own,
so no writer ever waits for another process. What could not be written is counted in `lost`; the next line that can
be written is then an event that says "look at everything".
"""
from __future__ import annotations

import errno
import os
import threading
import uuid
from pathlib import Path

from glancesync.clock import Clock
from glancesync.filter.complaints import Complaints
from glancesync.filter.files import ensure_directory, is_at, list_segments, part_path, segment_name, try_lock
from glancesync.filter.records import encode
from glancesync.model.event import Event, Operation, new_event_id

# The bound holds for up to 16 writing processes: each may fill one segment after the limit was seen from afar.
_SEGMENTS = 64
_ROOM = 0.75
_LOOK_SECONDS = 1.0


class OutboxFullError(OSError):
    """The bound is reached. An event that says "look at everything" stands in the outbox instead."""

    def __init__(self) -> None:
        super().__init__(errno.ENOSPC, "outbox_max_bytes is reached")


class Outbox:
    """One per process; safe for threads. The constructor touches no disk.

    :param max_bytes: bound of all segments together
    :param host: this node's name, for events that the outbox makes itself
    """

    def __init__(self, *, directory: Path, max_bytes: int, host: str, clock: Clock, complaints: Complaints) -> None:
        self.directory = directory
        self.lost = 0           # since the last "look at everything" that was written
        self.recorded_total = 0
        self.lost_total = 0
        self._max_bytes = max_bytes
        self._segment_bytes = max_bytes // _SEGMENTS
        self._host = host
        self._clock = clock
        self._complaints = complaints
        self.forget()

    def forget(self) -> None:
        """Start anew in a forked child: the parent's file is closed here, its lock stays the parent's."""
        inherited = getattr(self, "_descriptor", None)
        if inherited is not None:
            os.close(inherited)
        self._lock = threading.RLock()
        self._descriptor: int | None = None
        self._path = self.directory
        self._owner = ""
        self._number = 0
        self._size = 0
        self._torn = False
        self._full = False
        self._look_at = float("-inf")
        self.lost = 0

    @property
    def is_full(self) -> bool:
        return self._full

    def append(self, event: Event) -> bool:
        """Hand an event to the kernel; False when it could not be, which is then counted as lost."""
        failed: OSError
        with self._lock:
            try:
                self._make_ready()
                self._write(encode(event))
            except OSError as error:
                failed = error      # told below: oslo.log adds the exception to what is logged in an except clause
                self.note_loss()
            else:
                self.recorded_total += 1
                return True
        self._tell(failed)
        return False

    def note_loss(self, count: int = 1) -> None:
        """Something was lost elsewhere (a damaged line, an event that could not be built): look at everything."""
        with self._lock:
            self.lost += count
            self.lost_total += count

    def forgive(self, count: int) -> None:
        """The server was told of `count` losses by another way than through this file."""
        with self._lock:
            self.lost -= min(count, self.lost)

    def mend(self) -> None:
        """Notice a deleted outbox, and write the pending "look at everything" if that is possible now."""
        failed: OSError
        with self._lock:
            try:
                self._notice_removal()
                if self.lost:
                    self._make_ready()
                    self._write(b"")
                return
            except OSError as error:
                failed = error
        self._tell(failed)

    def everything(self) -> Event:
        """An event that says: events were lost, look at everything."""
        return Event(id=new_event_id(), operation=Operation.ALL, image_id=None, at=self._clock.now(),
                     host=self._host)

    def _tell(self, error: OSError) -> None:
        self._complaints.warn("The outbox %s takes no events (%s); everything will be looked at once it does.",
                              self.directory, error)

    def _write(self, line: bytes) -> None:
        """One write(2): with O_APPEND all of it lands behind what is there. What is owed goes first."""
        owed = self.lost
        data = (b"\n" if self._torn else b"") + (encode(self.everything()) if owed else b"") + line
        written = os.write(self._descriptor_or_fail(), data)
        self._size += written
        self._torn = written < len(data)
        if self._torn:
            raise OSError(errno.ENOSPC, "the disk took a part of a line only")
        self.lost -= owed

    def _descriptor_or_fail(self) -> int:
        if self._descriptor is None:
            raise OSError(errno.EBADF, "no segment is open")
        return self._descriptor

    def _make_ready(self) -> None:
        self._notice_removal()
        is_new = self._descriptor is None
        if is_new:
            self._open_segment()
        if is_new or self._full or self._size >= self._segment_bytes:
            self._make_room()

    def _notice_removal(self) -> None:
        if self._descriptor is not None and not is_at(self._descriptor, self._path):
            self._close()
            self.note_loss()

    def _make_room(self) -> None:
        """Go on in a new segment, or turn into "look at everything" when the bound is near. Raises OutboxFullError."""
        now = self._clock.monotonic()
        if self._full and now < self._look_at:
            raise OutboxFullError
        self._look_at = now + _LOOK_SECONDS
        if self._used() + self._segment_bytes <= self._max_bytes * _ROOM:
            self._full = False
            if self._size >= self._segment_bytes:
                self._close()
                self._open_segment()
            return
        if not self._full:
            self._full = True
            self.note_loss()
            self._write(b"")
        raise OutboxFullError

    def _open_segment(self) -> None:
        """Create a segment that is locked before its name can be seen, so that no reader takes its owner for dead."""
        ensure_directory(self.directory)
        if self._used() >= self._max_bytes:
            raise OutboxFullError
        if not self._owner:
            self._owner = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._number += 1
        path = self.directory / segment_name(self._owner, self._number)
        part = part_path(path)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            try_lock(descriptor)
            part.rename(path)
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor, self._path, self._size, self._torn = descriptor, path, 0, False

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _used(self) -> int:
        return sum(segment.size for segment in list_segments(self.directory))
