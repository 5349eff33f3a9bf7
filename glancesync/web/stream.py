# SPDX-License-Identifier: Apache-2.0
"""Live progress for many browsers by one reader: while anybody listens, the database is asked once a second.

Used by `pages`. A message is what GET /v1/images or /v1/regions says of what changed, so that the page has one form of
each thing. A listener that does not keep up is let go; browsers come back by themselves and read what they missed.
"""
from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from glancesync.clock import Clock
from glancesync.concurrency import Queue, QueueEmpty, QueueFull, spawn
from glancesync.exceptions import NotReadyError

LOG = logging.getLogger(__name__)
LOOK_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
_REGIONS_SECONDS = 2.0
#: Looking at the regions may take at most this part of the time.
_REGIONS_SHARE = 0.05
#: Images of one message; what is left over comes with the next.
MOST_IMAGES = 200
_HELD_MESSAGES = 8
_HEARTBEAT = b": still here\n\n"
#: How soon a browser comes back, in milliseconds.
_BEGIN = b"retry: 2000\n\n"
Json = dict[str, Any]
Guard = Callable[[str, Callable[[], None]], Any]


class LiveSource(Protocol):
    """What the reader asks of the core."""

    def list_changed_images(self, *, since: float | None, limit: int) -> tuple[list[Json], float]:
        """Images that are worked on, or whose work ended after `since` (None: now); and what to ask for next time."""

    def list_regions(self) -> list[Json]:
        """Every region with its health."""


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """What one listener may see: `sees(owner)` of an image."""

    sees: Callable[[str | None], bool]
    sees_regions: bool


@dataclass(eq=False, kw_only=True)
class _Listener:
    viewer: Viewer
    queue: Any = field(default_factory=lambda: Queue(_HELD_MESSAGES))
    lagging: bool = False

    def put(self, message: bytes) -> None:
        try:
            self.queue.put_nowait(message)
        except QueueFull:
            self.lagging = True


class Streams:
    """`most` listeners at once. The reader runs while there is one; `guard` (the worker's) gives what a function
    returns or its error, so that none ends the reader."""

    def __init__(self, *, source: LiveSource, clock: Clock, most: int, guard: Guard) -> None:
        self._source = source
        self._clock = clock
        self._most = most
        self._guard = guard
        self._listeners: set[_Listener] = set()
        self._reads = False
        self._since: float | None = None
        self._regions_at = float("-inf")
        self._regions: bytes = b""
        self._told: dict[str, Json] = {}

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def open(self, viewer: Viewer, *, seconds: float) -> Iterator[bytes]:
        """The stream of one listener, which ends after so long. Raises NotReadyError when as many listen as may."""
        if len(self._listeners) >= self._most:
            raise NotReadyError("As many listen to live progress as may; the page asks from time to time instead.")
        listener = _Listener(viewer=viewer)
        self._listeners.add(listener)
        self._regions_at, self._regions = float("-inf"), b""  # the new one is told of them at once
        if not self._reads:
            self._reads, self._since = True, None
            spawn(self._read_on)
        return _Stream(self._messages(listener, self._clock.monotonic() + seconds),
                       lambda: self._listeners.discard(listener))

    def stop(self) -> None:
        """Let everybody go, because the server stops; the reader ends with its turn."""
        for listener in list(self._listeners):
            listener.lagging = True
        self._listeners.clear()

    def look_once(self) -> None:
        """Tell every listener what changed since the last look."""
        images = self._changed_images()
        regions = self._changed_regions()
        for listener in list(self._listeners):
            shown = [image for image in images if listener.viewer.sees(image["owner"])]
            if shown:
                listener.put(event("images", shown))
            if regions and listener.viewer.sees_regions:
                listener.put(regions)

    def _changed_images(self) -> list[Json]:
        """Those that look otherwise than at the last look."""
        found, self._since = self._source.list_changed_images(since=self._since, limit=MOST_IMAGES)
        before, self._told = self._told, {image["id"]: image for image in found}
        return [image for image in found if before.get(image["id"]) != image]

    def _read_on(self) -> None:
        try:
            while self._listeners:
                failed = self._guard("look at what changed", self.look_once)
                if isinstance(failed, Exception):
                    LOG.warning("live progress pauses: %s", failed)
                self._clock.sleep(LOOK_SECONDS)
        finally:
            self._reads = False

    def _changed_regions(self) -> bytes:
        """Empty when there is nothing new, nobody to tell, or it is too early to look again."""
        now = self._clock.monotonic()
        if now < self._regions_at or not any(each.viewer.sees_regions for each in self._listeners):
            return b""
        found = event("regions", self._source.list_regions())
        took = self._clock.monotonic() - now
        self._regions_at = now + max(_REGIONS_SECONDS, took / _REGIONS_SHARE)
        changed, self._regions = found != self._regions, found
        return found if changed else b""

    def _messages(self, listener: _Listener, end: float) -> Iterator[bytes]:
        yield _BEGIN
        while (left := end - self._clock.monotonic()) > 0 and not listener.lagging:
            try:
                yield listener.queue.get(timeout=min(left, HEARTBEAT_SECONDS))
            except QueueEmpty:
                yield _HEARTBEAT


class _Stream:
    """An iterator whose end is told, also when it was never begun."""

    def __init__(self, messages: Iterator[bytes], closed: Callable[[], None]) -> None:
        self._messages = messages
        self._closed = closed

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._messages)

    def close(self) -> None:
        """For the server, when the connection is over."""
        self._closed()


def event(name: str, rows: Sequence[Json]) -> bytes:
    """One server-sent event; JSON as ASCII has no line break of its own."""
    return f"event: {name}\ndata: {json.dumps(rows, allow_nan=False)}\n\n".encode("ascii")
