# SPDX-License-Identifier: Apache-2.0
"""What the agent does with images' files. Called by main.

A stream of a file is frames: offset and length, 8 bytes each, and the bytes. Holes are left out; a frame of length 0
tells the size.
"""
from __future__ import annotations

import contextlib
import fcntl
import os
import struct

from glancesync.stores.agent.delta import NoDelta, fetch_delta
from glancesync.stores.agent.files import Part, list_extents, open_source
from glancesync.stores.agent.hop import Hop
from glancesync.stores.agent.taker import CHUNK, Taker
from glancesync.stores.agent.words import Failure, Request, path_of, say

_FRAME = struct.Struct(">QQ")
_SET_PIPE_SIZE = 1031
_FICLONE = 0x40049409
_SEND_BYTES = 64 * CHUNK
_CLONE_BYTES = 16 * CHUNK


def send(request: Request) -> None:
    """The image's file as a stream to the output."""
    file, size = open_source(path_of(request))
    for offset, length in list_extents(file, size):
        _write(_FRAME.pack(offset, length))
        _send_range(file, offset, offset + length)
    _write(_FRAME.pack(size, 0))


def _send_range(file: int, offset: int, end: int) -> None:
    while offset < end:
        sent = os.sendfile(1, file, offset, min(end - offset, _SEND_BYTES))
        if not sent:
            raise Failure("source", "the file became shorter while it was read")
        offset += sent


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data):]


def receive(request: Request, part: Part) -> None:
    """The stream of the input becomes the image's file."""
    _widen(0)
    part.make()
    _take_frames(Taker(part, request), 0)


def pull(request: Request, part: Part) -> None:
    """The stream that another host sends to this one becomes the image's file; where the request names a base that lies
    here, only what differs is sent."""
    if request.get("base") and _pull_delta(request, part):
        return
    hop = Hop(request["hop"], "send")
    try:
        part.make()
        source = hop.output.fileno()
        _widen(source)
        _take_frames(Taker(part, request), source)
    except Failure as error:
        hop.end(error)
    except BaseException:
        hop.kill()
        raise
    hop.end()


def _pull_delta(request: Request, part: Part) -> bool:
    """Whether it is done; what was in the way is told."""
    part.make()

    def copy(base: int, size: int) -> None:
        if not _reflink(part.file, base):
            taker = Taker(part, {"size": size}, quiet=True)
            for offset, length in list_extents(base, size):
                taker.expect(offset, length)
                _copy_range(taker, base, offset, length)
            os.ftruncate(part.file, size)

    try:
        fetch_delta(request, part, copy)
    except NoDelta as why:
        say(whole=str(why))
        return False
    size = os.fstat(part.file).st_size
    taker = Taker(part, request, quiet=True)
    if request.get("digest"):
        for offset, length in list_extents(part.file, min(size, taker.size)):
            taker.expect(offset, length)
            _read_range(taker, part.file, length, offset, write=False)
    taker.finish(size)
    return True


def clone(request: Request, part: Part) -> None:
    """A file of this host becomes the image's file: shared blocks where the file system can, never a link."""
    file, size = open_source(path_of({**request, "folder": request["source"]}, "source_name"))
    part.make()
    taker = Taker(part, request)
    if size != taker.size:
        raise Failure("short", f"the source's file has {size} bytes, the image has {taker.size}")
    cloned = _reflink(part.file, file)
    for offset, length in list_extents(file, size):
        taker.expect(offset, length)
        if request.get("digest"):
            _read_range(taker, file, length, offset, write=not cloned)
        elif not cloned:
            _copy_range(taker, file, offset, length)
    taker.finish(size)


def compare_hash(request: Request) -> None:
    """Of a file that lies here. Raises Failure."""
    file, size = open_source(path_of(request))
    taker = Taker(Part(path_of(request)), {"size": size, "digest": request["digest"]}, quiet=True)
    for offset, length in list_extents(file, size):
        taker.expect(offset, length)
        _read_range(taker, file, length, offset, write=False)
    taker.expect(size, 0)
    taker.hash.compare()


def _reflink(target: int, source: int) -> bool:
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def _read_range(taker: Taker, file: int, length: int, offset: int, *, write: bool) -> None:
    while length:
        buffer = taker.hash.borrow()
        count = os.preadv(file, [memoryview(buffer)[:min(length, CHUNK)]], offset)
        if not count:
            raise Failure("source", "the file became shorter while it was read")
        if write:
            taker.take(buffer, count)
        else:
            taker.hash.feed(buffer, count)
            taker.advance(count)
        offset, length = offset + count, length - count


def _copy_range(taker: Taker, file: int, offset: int, length: int) -> None:
    """By the kernel alone; between file systems that cannot, by hand."""
    while length:
        try:
            count = os.copy_file_range(file, taker.part.file, min(length, _CLONE_BYTES), offset, offset)
        except OSError:
            return _read_range(taker, file, length, offset, write=True)
        if not count:
            raise Failure("source", "the file became shorter while it was read")
        taker.advance(count)
        offset, length = offset + count, length - count
    return None


def _take_frames(taker: Taker, source: int) -> None:
    head = bytearray(_FRAME.size)
    while True:
        _fill(source, memoryview(head))
        offset, length = _FRAME.unpack(head)
        if not length:
            return taker.finish(offset)
        taker.expect(offset, length)
        while length:
            buffer = taker.hash.borrow()
            count = min(length, CHUNK)
            _fill(source, memoryview(buffer)[:count])
            taker.take(buffer, count)
            length -= count


def _fill(source: int, view: memoryview) -> None:
    while view:
        count = os.readv(source, [view])
        if not count:
            raise Failure("cut", "the bytes of the source ended in the middle")
        view = view[count:]


def _widen(pipe: int) -> None:
    """Two ends of a larger pipe wake one another less often; a socket has no such size."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(pipe, _SET_PIPE_SIZE, CHUNK)
