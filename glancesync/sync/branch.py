# SPDX-License-Identifier: Apache-2.0
"""One target's end of a tee: a bounded queue, and a last chunk that is withheld."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glancesync import concurrency
from glancesync.exceptions import GlanceSyncError, TransferStalledError
from glancesync.sync.run import RunHandle

_END = object()


class Branch:
    """Filled by the tee's reader, drained by the target's PUT.

    `chunks()` always keeps one chunk back. The last one is given out only after the reader judged the whole stream
    right (`finish`) and the database confirmed the lease, so a wrong or orphaned upload can never become complete.
    """

    def __init__(self, handle: RunHandle, *, chunks_held: int) -> None:
        self._handle = handle
        self._queue = concurrency.Queue(maxsize=chunks_held)
        self._error: GlanceSyncError | None = None
        self._ended = False
        self.closed = False
        self.bytes_sent = 0

    @property
    def takes(self) -> bool:
        """Whether it takes part still. One that was failed is not fed again, though its PUT may hang for longer."""
        return not self.closed and self._error is None

    def put(self, chunk: bytes, *, stall_seconds: float | None) -> None:
        """Hand over a chunk; a target that takes none for `stall_seconds` is dropped from the tee (None: never)."""
        if self.takes:
            try:
                self._queue.put(chunk, timeout=stall_seconds)
            except concurrency.QueueFull:
                self.fail(TransferStalledError(
                    f"the target took no byte for {stall_seconds:g} s while others waited; it copies alone next"))

    def finish(self) -> None:
        """All bytes are in and right."""
        self._end()

    def fail(self, error: GlanceSyncError) -> None:
        """The upload is to be aborted, for this reason. The first reason stays."""
        self._error = self._error or error
        self._discard()
        self._end()

    def close(self) -> None:
        """The target's PUT is over, whatever its end; the reader no longer waits for it."""
        self.closed = True
        self._discard()

    def chunks(self) -> Iterator[bytes]:
        """What the PUT sends. Raises what `fail` was given, LeaseLostError or TaskCancelledError."""
        held: bytes | None = None
        while (item := self._next()) is not _END:
            self._check()
            if held is not None:
                yield held
                self._count(held)
            held = item
        self._check()
        self._handle.ensure_lease()
        if held is not None:
            yield held
            self._count(held)

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
        self._handle.check()

    def _count(self, chunk: bytes) -> None:
        self.bytes_sent += len(chunk)
        self._handle.report(bytes_done=self.bytes_sent)

    def _next(self) -> Any:
        return _END if self._ended and self._queue.empty() else self._queue.get()

    def _end(self) -> None:
        """Never waits: a full queue has a reader that will see the mark when it is empty."""
        self._ended = True
        if not self._queue.full():
            self._queue.put_nowait(_END)

    def _discard(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()
