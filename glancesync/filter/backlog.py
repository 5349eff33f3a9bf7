# SPDX-License-Identifier: Apache-2.0
"""The reading side of the outbox: what was not acknowledged yet, in order, and the end of segments that were.

Used by `sender`, in the one process that holds the sender's lock. Events of one process come in the order in which it
wrote them; those of several processes are merged by their time.
"""
from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from glancesync.filter.files import (
    CHECKPOINT,
    SegmentFile,
    is_at,
    list_segments,
    read_json,
    remove_leftovers,
    replace_json,
    try_lock,
)
from glancesync.filter.records import Record, read_records
from glancesync.model.event import Event

_COUNTED_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What is to be delivered next. `damaged` counts lines that nobody can read any more; `ends` is what a
    checkpoint holds once all of it is acknowledged."""

    events: list[Event] = field(default_factory=list)
    damaged: int = 0
    ends: dict[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.ends or self.damaged)


@dataclass(frozen=True, kw_only=True)
class Depth:
    """What waits: events, bytes, and the time of the oldest event (None when nothing waits)."""

    events: int
    bytes: int
    oldest_at: float | None


class Backlog:
    """One per process; `load` it when the process becomes the one that delivers."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._acknowledged: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        self._vanished = 0

    def load(self) -> None:
        """Take over where the last sender's checkpoint stands. Without one all is delivered again, which is harmless:
        the server knows events by their id.

        What this process saw before stays known: it loses its turn only when the outbox is deleted under it."""
        remove_leftovers(self._directory)
        found = read_json(self._directory / CHECKPOINT)
        found = found if isinstance(found, dict) else {}
        self._acknowledged |= {name: end for name, end in found.items() if type(end) is int and end >= 0}

    def read(self, limit: int) -> Batch:
        """At most `limit` lines that are not acknowledged. Raises OSError."""
        segments = self._scan()
        damaged, self._vanished = self._vanished, 0
        events: list[Event] = []
        ends: dict[str, int] = {}
        if any(segment.size != self._start(segment) for segment in segments):
            for record in self._merged(segments):
                ends[record.segment] = record.end
                if record.event is None:
                    damaged += 1
                else:
                    events.append(record.event)
                if len(events) + damaged >= limit:
                    break
        return Batch(events=events, damaged=damaged, ends=ends)

    def acknowledge(self, batch: Batch) -> None:
        """The server has committed the batch (or its damage is reported). Raises OSError when the checkpoint cannot be
        written; this process goes on from there all the same."""
        self._acknowledged.update(batch.ends)
        self._save()

    def retire(self) -> None:
        """Delete the segments that are delivered to their end and will not grow any more. Raises OSError."""
        for segment in list_segments(self._directory):
            if segment.size == self._start(segment) and self._has_ended(segment.name, remove_at=segment.size):
                self._acknowledged.pop(segment.name, None)
                self._seen.pop(segment.name, None)

    def measure(self) -> Depth:
        """How much waits. Beyond the first MiB events are not counted but estimated by their length. Raises OSError."""
        segments = self._scan()
        pending = sum(max(0, segment.size - self._start(segment)) for segment in segments)
        first = next(self._merged(segments), None)
        counted = counted_bytes = 0
        for segment in segments:
            if counted_bytes < _COUNTED_BYTES:
                chunk = self._peek(segment, _COUNTED_BYTES - counted_bytes)
                counted += chunk.count(b"\n")
                counted_bytes += len(chunk)
        return Depth(events=round(counted * pending / counted_bytes) if counted_bytes else 0, bytes=pending,
                     oldest_at=first.event.at if first and first.event else None)

    def _peek(self, segment: SegmentFile, limit: int) -> bytes:
        with suppress(FileNotFoundError), (self._directory / segment.name).open("rb") as stream:
            stream.seek(self._start(segment))
            return stream.read(limit)
        return b""

    def _start(self, segment: SegmentFile) -> int:
        return self._acknowledged.get(segment.name, 0)

    def _scan(self) -> list[SegmentFile]:
        """The segments there are. One that went with events in it, by another hand than ours, is a loss."""
        segments = list_segments(self._directory)
        sizes = {segment.name: segment.size for segment in segments}
        self._vanished += sum(1 for name, size in self._seen.items()
                              if name not in sizes and size > self._acknowledged.get(name, 0))
        self._seen = sizes
        self._acknowledged = {name: end for name, end in self._acknowledged.items() if name in sizes}
        return segments

    def _merged(self, segments: list[SegmentFile]) -> Iterator[Record]:
        owners = [self._records(list(group)) for _, group in groupby(segments, key=lambda segment: segment.owner)]
        return heapq.merge(*owners, key=lambda record: record.event.at if record.event else 0.0)

    def _records(self, segments: list[SegmentFile]) -> Iterator[Record]:
        """What one process wrote. All of its segments but the last are ended."""
        for segment in segments:
            start = self._start(segment)
            if segment.size == start:
                continue
            ended = segment is not segments[-1] or self._has_ended(segment.name)
            with suppress(FileNotFoundError):
                yield from read_records(self._directory / segment.name, start, ended=ended)

    def _has_ended(self, name: str, remove_at: int | None = None) -> bool:
        """Whether no process holds the segment any more; then it is deleted if its size still is `remove_at`."""
        path = self._directory / name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            if not try_lock(descriptor) or not is_at(descriptor, path):
                return False
            if remove_at is not None and os.fstat(descriptor).st_size == remove_at:
                path.unlink()
            return True
        finally:
            os.close(descriptor)

    def _save(self) -> None:
        replace_json(self._directory / CHECKPOINT, self._acknowledged)
