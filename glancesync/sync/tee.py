# SPDX-License-Identifier: Apache-2.0
"""The streaming driver: one read of the source feeds every region that waits for the image.

    runs A, B, C of one image arrive -> one GET -> chunk -> queue A -> PUT A
                                                        `-> queue B -> PUT B
    end of stream: size and digest right? -> each branch gives out its last chunk, if its lease is held

A source that does not match its own hash fails every branch before the last chunk, so no target becomes active.
"""
from __future__ import annotations

from dataclasses import dataclass

from glancesync import concurrency
from glancesync.conf.transfer import TransferSettings
from glancesync.exceptions import GlanceSyncError, SourceCorruptError, SourceReadError, SourcesBusyError
from glancesync.model.image import Image
from glancesync.regions.client import RegionClient
from glancesync.sync.branch import Branch
from glancesync.sync.hashing import StreamHasher
from glancesync.sync.readers import OwnReaders, Read, Readers
from glancesync.sync.run import RunHandle

#: The source's region, the image's id there, and its hash.
_Key = tuple[str, str, str | None]


@dataclass(frozen=True, kw_only=True)
class CopyResult:
    """What was read from the source: its size in bytes and its digests by algorithm. `unverified`: nobody compared what
    the target has, which is to be done later."""

    size: int
    digests: dict[str, str]
    unverified: bool = False


class Tee:
    """Joins runs that want the same bytes at the same time. One per process; holds no image in memory. `readers` say
    whether a read may begin: no more of an image go on in a region than `max_reads_per_source`."""

    def __init__(self, settings: TransferSettings, readers: Readers | None = None) -> None:
        self._settings = settings
        self._readers = readers or OwnReaders()
        self._gathering: dict[_Key, _Broadcast] = {}

    def gathers(self, region: str, image_id: str) -> bool:
        """Whether a read of the image in that region is about to begin, which others may share."""
        return any(key[:2] == (region, image_id) for key in self._gathering)

    def copy(self, source: Image, reader: RegionClient, target: RegionClient, *, replica_id: str,
             algorithm: str, handle: RunHandle) -> CopyResult:
        """Fill the queued replica with the source's bytes; `algorithm` is the one that the target hashes with.

        Raises SourceCorruptError, SourceReadError, TransferStalledError, LeaseLostError, TaskCancelledError and what
        the two regions' clients raise. After an error the replica is queued again (or as the target's death left it).
        Before anything was done: SourcesBusyError, and NotReadyError where the readers do not answer.
        """
        key = (reader.region_name, source.id, source.digest.value if source.digest else None)
        broadcast = self._gathering.get(key)
        is_first = broadcast is None
        if broadcast is None:
            broadcast = self._gathering[key] = _Broadcast(source, reader, self._settings)
        branch = broadcast.join(handle, algorithm)  # at once: who joins later would miss the beginning
        try:
            if is_first:
                self._admit(key, broadcast, handle)
            broadcast.wait_admitted()
            handle.report(step="copying", bytes_done=0, bytes_total=source.size)
            handle.gathering.arrive()
            target.upload_data(replica_id, branch.chunks(), size=source.size)
        finally:
            branch.close()
        return broadcast.result()

    def _admit(self, key: _Key, broadcast: _Broadcast, handle: RunHandle) -> None:
        """Whoever joined meanwhile waits for the answer and is told the same."""
        busy = SourcesBusyError(f"{key[0]} gives no further copy of the image now")
        refused: GlanceSyncError | None = busy
        read = None
        try:
            read = self._readers.begin(handle.task.image_id, key[0], self._settings.max_reads_per_source)
            refused = busy if read is None else None
        except GlanceSyncError as error:
            refused = error
        finally:
            if refused is not None:
                del self._gathering[key]
            broadcast.admit(refused)
        if read is not None:
            concurrency.spawn(self._start, key, broadcast, handle, read)

    def _start(self, key: _Key, broadcast: _Broadcast, handle: RunHandle, read: Read) -> None:
        try:
            handle.gathering.wait(self._settings.tee_gather_seconds)
            del self._gathering[key]
            broadcast.pump()
        finally:
            self._readers.end(read)


class _Broadcast:
    """One read of one source."""

    def __init__(self, source: Image, reader: RegionClient, settings: TransferSettings) -> None:
        self._source = source
        self._reader = reader
        self._settings = settings
        self._admitted = concurrency.Event()
        self._branches: list[Branch] = []
        self._algorithms: set[str] = set()
        self._result: CopyResult | None = None

    def admit(self, refused: GlanceSyncError | None) -> None:
        """Whether it may read, and why not."""
        self._admitted.send(refused)

    def wait_admitted(self) -> None:
        """Raises why it may not read."""
        refused = self._admitted.wait()
        if refused is not None:
            raise refused

    def join(self, handle: RunHandle, algorithm: str) -> Branch:
        held = max(2, self._settings.buffer_bytes // self._settings.chunk_bytes)
        branch = Branch(handle, chunks_held=held)
        self._branches.append(branch)
        self._algorithms.add(algorithm)
        return branch

    def result(self) -> CopyResult:
        if self._result is None:
            raise SourceReadError("the upload ended before the source was read to its end")
        return self._result

    def pump(self) -> None:
        """Read, distribute, judge. Every branch is told how it ended, whatever happens here."""
        error: GlanceSyncError = SourceReadError("reading the source broke off unexpectedly")
        try:
            self._result = self._read()
            for branch in self._branches:
                branch.finish()
        except GlanceSyncError as reason:
            error = reason
        finally:
            if self._result is None:
                for branch in self._branches:
                    branch.fail(error)

    def _read(self) -> CopyResult:
        hasher = StreamHasher(self._wanted_algorithms())
        with self._reader.open_data(self._source.id, chunk_bytes=self._settings.chunk_bytes) as data:
            for chunk in data.chunks:
                if not self._distribute(chunk):
                    raise SourceReadError("no target is left that takes the bytes")
                hasher.feed(chunk)
                if self._source.size is not None and hasher.size > self._source.size:
                    raise SourceReadError(f"{self._reader.region_name} gives more than the image's "
                                          f"{self._source.size} bytes", region=self._reader.region_name)
        found = CopyResult(size=hasher.size, digests=hasher.digests())
        self._judge(found)
        return found

    def _distribute(self, chunk: bytes) -> bool:
        """False when nobody is left. A lone target may take its time: its own connection's timeout bounds it."""
        live = [branch for branch in self._branches if branch.takes]
        stall = self._settings.tee_stall_seconds if len(live) > 1 else None
        for branch in live:
            branch.put(chunk, stall_seconds=stall)
        return bool(live)

    def _wanted_algorithms(self) -> set[str]:
        source = self._source
        if source.digest:
            return self._algorithms | {source.digest.algorithm}
        return self._algorithms | ({"md5"} if source.checksum else set())

    def _judge(self, found: CopyResult) -> None:
        source = self._source
        if source.size is not None and source.size != found.size:
            raise SourceReadError(f"{found.size} bytes came from {self._reader.region_name}, "
                                  f"the image has {source.size}", region=self._reader.region_name)
        expected, actual = source.checksum, found.digests.get("md5")
        if source.digest:
            expected, actual = source.digest.value, found.digests[source.digest.algorithm]
        if expected and actual and expected != actual:
            raise SourceCorruptError(f"the bytes that {self._reader.region_name} gives for image {source.id} do not "
                                     "match its own hash", region=self._reader.region_name)
