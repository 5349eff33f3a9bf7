# SPDX-License-Identifier: Apache-2.0
"""Events as lines of a file: `crc32 json`, so that torn, overwritten and zero-filled ones are told from good ones.

Used by `outbox` (writes) and `backlog` (reads).
"""
from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from glancesync.exceptions import InvalidInputError
from glancesync.model.event import Event, event_from_json

CHUNK_BYTES = 128 * 1024


@dataclass(frozen=True, kw_only=True)
class Record:
    """One line. `end` is the offset after it in its file, in bytes; `event` is None where the line was damaged."""

    segment: str
    end: int
    event: Event | None


def encode(event: Event) -> bytes:
    body = json.dumps(event.to_json(), separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def decode(line: bytes) -> Event | None:
    """The event of a line without its line feed; None when it is damaged."""
    checksum, _, body = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(body):
        return None
    try:
        return event_from_json(json.loads(body))
    except (ValueError, InvalidInputError):
        return None


def read_records(path: Path, offset: int, *, ended: bool) -> Iterator[Record]:
    """The records of a file from `offset` on, in order.

    A last line without its line feed is still being written, unless the file has `ended`: then it is damaged. A file
    that was cut shorter than `offset` gives one damaged record. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        size = os.fstat(descriptor).st_size
        if size < offset:
            yield Record(segment=path.name, end=size, event=None)
            return
        yield from _records(descriptor, path.name, offset, ended)
    finally:
        os.close(descriptor)


def _records(descriptor: int, segment: str, offset: int, ended: bool) -> Iterator[Record]:
    while chunk := os.pread(descriptor, CHUNK_BYTES, offset):
        whole = chunk.rfind(b"\n") + 1
        if not whole and (ended or len(chunk) == CHUNK_BYTES):
            # No line is that long: rubbish, to be skipped piece by piece.
            offset += len(chunk)
            yield Record(segment=segment, end=offset, event=None)
            continue
        if not whole:
            return
        for line in chunk[:whole].split(b"\n")[:-1]:
            offset += len(line) + 1
            yield Record(segment=segment, end=offset, event=decode(line))
