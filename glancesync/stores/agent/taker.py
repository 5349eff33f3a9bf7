# SPDX-License-Identifier: Apache-2.0
"""Takes the bytes of a copy: writes them where they belong, hashes and flushes beside it, counts. Used by moves."""
from __future__ import annotations

import hashlib
import os
import queue
import threading
import time

from glancesync.stores.agent.files import Part
from glancesync.stores.agent.words import Failure, Request, say

CHUNK = 1 << 20
_LOOK_SECONDS = 0.5
_FLUSH_BYTES = 64 * CHUNK
_BUFFERS = 8
#: A larger write makes the kernel look for larger free blocks of memory, which takes four times the CPU time for the
#: same bytes where the host of a virtual machine has lent them to others.
_WRITE_BYTES = 1 << 16


class Hash(threading.Thread):
    """Hashes what was written while more is: hashlib lets go of the interpreter. Hashes nothing where no digest is
    wanted."""

    def __init__(self, wanted: dict[str, str] | None) -> None:
        super().__init__(daemon=True)
        self._hash = hashlib.new(wanted["algorithm"]) if wanted else None
        self._wanted = wanted["value"] if wanted else ""
        self._full: queue.Queue[tuple[bytearray | None, int]] = queue.Queue()
        self._free: queue.Queue[bytearray] = queue.LifoQueue()  # what was used last lies in the processor's cache
        self._zeros = bytes(CHUNK)
        for _ in range(_BUFFERS):
            self._free.put(bytearray(CHUNK))

    def borrow(self) -> bytearray:
        """A buffer, as soon as there is one."""
        return self._free.get()

    def feed(self, buffer: bytearray, count: int) -> None:
        """The first `count` bytes; the buffer goes back."""
        if self._hash is None:
            self._free.put(buffer)
        else:
            self._full.put((buffer, count))

    def feed_zeros(self, count: int) -> None:
        if self._hash is not None and count:
            self._full.put((None, count))

    def run(self) -> None:
        while True:
            buffer, count = self._full.get()
            if count < 0 or self._hash is None:
                return
            if buffer is None:
                for _ in range(count // CHUNK):
                    self._hash.update(self._zeros)
                self._hash.update(self._zeros[:count % CHUNK])
            else:
                self._hash.update(memoryview(buffer)[:count])
                self._free.put(buffer)

    def compare(self) -> None:
        """Raises Failure when the bytes are others."""
        if self._hash is None:
            return
        self._full.put((None, -1))
        self.join()
        if self._hash.hexdigest() != self._wanted:
            raise Failure("corrupt", f"the file that arrived has another {self._hash.name} than the image")


class _Flush(threading.Thread):
    """Has the kernel write to the disk what came so far, so that little is left for the end."""

    def __init__(self, file: int) -> None:
        super().__init__(daemon=True)
        self._file = file
        self.more = threading.Semaphore(0)

    def run(self) -> None:
        while True:
            self.more.acquire()
            try:
                os.fdatasync(self._file)
            except OSError:  # the fsync at the end tells it again
                return


class Taker:
    """One part and what it is to be: `size` bytes with the digest, where one is given. `quiet`: what is taken was
    reported before, or is not the image's."""

    def __init__(self, part: Part, request: Request, *, quiet: bool = False) -> None:
        self.part = part
        self.size: int = request["size"]
        self.hash = Hash(request.get("digest"))
        self.hash.start()
        self._flush = _Flush(part.file)
        self._flush.start()
        self._offset = self._flushed = 0
        self._next = float("inf") if quiet else 0.0

    def expect(self, offset: int, length: int) -> None:
        """Before each frame: what lies between is a hole. Raises Failure for more than the image has."""
        if offset < self._offset or offset + length > self.size:
            raise Failure("short", f"{offset + length} bytes or more arrive, the image has {self.size}")
        self.hash.feed_zeros(offset - self._offset)
        self._offset = offset

    def take(self, buffer: bytearray, count: int) -> None:
        """Write the first `count` bytes."""
        written = 0
        with memoryview(buffer) as view:
            while written < count:
                piece = view[written:min(written + _WRITE_BYTES, count)]
                written += os.pwrite(self.part.file, piece, self._offset + written)
        self.hash.feed(buffer, count)
        self.advance(count)

    def advance(self, count: int) -> None:
        """So many bytes more lie there."""
        self._offset += count
        if self._offset - self._flushed >= _FLUSH_BYTES:
            self._flushed = self._offset
            self._flush.more.release()
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _LOOK_SECONDS
            say(bytes=self._offset)

    def finish(self, size: int) -> None:
        """All is there: compare, hand over. Raises Failure."""
        if size != self.size:
            raise Failure("short", f"{size} bytes arrived, the image has {self.size}")
        self.expect(size, 0)
        os.ftruncate(self.part.file, size)
        say(bytes=size, step="verifying")
        self.hash.compare()
        self.part.hand_over()
        say(done=True)
