# SPDX-License-Identifier: Apache-2.0
"""One read, many targets, and nothing finished that is not right."""
from __future__ import annotations

import hashlib
import time
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest

from glancesync import concurrency
from glancesync.conf.transfer import TransferSettings
from glancesync.exceptions import (
    LeaseLostError,
    NotReadyError,
    RegionUnavailableError,
    SourceCorruptError,
    SourceReadError,
    SourcesBusyError,
    TaskCancelledError,
    TransferStalledError,
)
from glancesync.model.image import Digest, Image
from glancesync.regions.client import ImageData
from glancesync.sync.readers import OwnReaders
from glancesync.sync.tee import Tee

CHUNK = 10
SETTINGS = TransferSettings(chunk_bytes=CHUNK, buffer_bytes=3 * CHUNK, tee_gather_seconds=0.2, tee_stall_seconds=0.1)
DATA = bytes(range(256)) * 2


def sha512(data):
    return Digest(algorithm="sha512", value=hashlib.sha512(data).hexdigest())


def image_of(data):
    return Image(id="image", status="active", size=len(data), digest=sha512(data))


class Source:
    region_name = "RegionOne"

    def __init__(self, data, *, fail_after=None):
        self.data = data
        self.fail_after = fail_after
        self.reads = 0

    @contextmanager
    def open_data(self, image_id, *, chunk_bytes):
        self.reads += 1
        yield ImageData(size=len(self.data), chunks=self._chunks(chunk_bytes))

    def _chunks(self, size):
        for start in range(0, len(self.data), size):
            if self.fail_after is not None and start >= self.fail_after:
                raise SourceReadError("the connection broke")
            concurrency.sleep(0)
            yield self.data[start:start + size]


class Target:
    """`received` is what arrived, `complete` whether the request came to its end."""

    def __init__(self, *, delay=0.0, die_after=None):
        self.received = b""
        self.complete = False
        self.delay = delay
        self.die_after = die_after

    def upload_data(self, image_id, chunks, *, size):
        for chunk in chunks:
            if self.die_after is not None and len(self.received) >= self.die_after:
                raise RegionUnavailableError("the target died")
            concurrency.sleep(self.delay)
            self.received += chunk
        self.complete = True


class Handle:
    task = SimpleNamespace(image_id="image")

    def __init__(self, gathering, *, lease=None, cancel_at=None):
        self.gathering = gathering
        self.lease = lease
        self.cancel_at = cancel_at
        self.done = 0

    def check(self):
        if self.cancel_at is not None and self.done >= self.cancel_at:
            raise TaskCancelledError("cancelled")

    def ensure_lease(self):
        if self.lease:
            raise self.lease

    def report(self, step=None, bytes_done=None, bytes_total=None):
        self.done = bytes_done if bytes_done is not None else self.done


def run(source, targets, *, image=None, handles=None, tee=None):
    """Copy to all targets at once; the results or errors in their order."""
    gathering = concurrency.Gathering(len(targets))
    handles = handles or [Handle(gathering) for _ in targets]
    for handle in handles:
        handle.gathering = gathering
    tee = tee or Tee(SETTINGS)
    threads = [concurrency.spawn(_copy, tee, image or image_of(source.data), source, target, handle)
               for target, handle in zip(targets, handles, strict=True)]
    return [thread.wait() for thread in threads]


def _copy(tee, image, source, target, handle):
    try:
        return tee.copy(image, source, target, replica_id="image", algorithm="sha512", handle=handle)
    except Exception as error:  # noqa: BLE001 - what a run ends in is what these tests look at
        return error


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK, 512])
def test_one_read_serves_all(size):
    source, targets = Source(DATA[:size]), [Target(), Target(), Target(delay=0.001)]
    results = run(source, targets)
    assert source.reads == 1
    assert [(target.received, target.complete) for target in targets] == [(DATA[:size], True)] * 3
    assert {(result.size, result.digests["sha512"]) for result in results} == {(size, sha512(DATA[:size]).value)}


@pytest.mark.parametrize("size", [0, 1, CHUNK, 512])
def test_wrong_bytes_never_become_complete(size):
    source, targets = Source(DATA[:size]), [Target(), Target()]
    wrong = replace(image_of(DATA[:size]), digest=sha512(b"other"))
    results = run(source, targets, image=wrong)
    assert [type(result) for result in results] == [SourceCorruptError] * 2
    for target in targets:
        assert not target.complete
        assert len(target.received) <= max(0, size - 1)


def test_a_checksum_stands_in_where_there_is_no_hash():
    old = replace(image_of(DATA), digest=None, checksum=hashlib.md5(b"other").hexdigest())  # noqa: S324
    assert isinstance(run(Source(DATA), [Target()], image=old)[0], SourceCorruptError)
    old = replace(old, checksum=hashlib.md5(DATA).hexdigest())  # noqa: S324
    assert run(Source(DATA), [Target()], image=old)[0].digests["sha512"] == sha512(DATA).value


def test_a_short_source_fails_before_the_last_chunk():
    target = Target()
    longer = replace(image_of(DATA), size=len(DATA) + 1)
    assert isinstance(run(Source(DATA), [target], image=longer)[0], SourceReadError)
    assert not target.complete


def test_a_broken_source_aborts_every_target():
    targets = [Target(), Target()]
    results = run(Source(DATA, fail_after=300), targets)
    assert [type(result) for result in results] == [SourceReadError] * 2
    assert not any(target.complete for target in targets)


@pytest.mark.parametrize("size", [0, 1, CHUNK, 512])
def test_the_last_chunk_needs_the_lease(size):
    source, targets = Source(DATA[:size]), [Target(), Target()]
    handles = [Handle(None, lease=LeaseLostError("somebody else's now")), Handle(None)]
    results = run(source, targets, handles=handles)
    assert isinstance(results[0], LeaseLostError)
    assert not targets[0].complete
    assert len(targets[0].received) <= max(0, size - 1)
    assert targets[1].complete


def test_a_dead_target_does_not_hurt_the_others():
    targets = [Target(die_after=100), Target()]
    results = run(Source(DATA), targets)
    assert isinstance(results[0], RegionUnavailableError)
    assert targets[1].complete


def test_a_stalling_target_drops_out():
    targets = [Target(delay=0.5), Target()]
    results = run(Source(DATA), targets)
    assert isinstance(results[0], TransferStalledError)
    assert targets[1].complete
    assert not targets[0].complete


def test_a_hanging_target_holds_up_the_others_once_only():
    """Its PUT goes on hanging after it was dropped."""
    settings = replace(SETTINGS, tee_stall_seconds=0.2)
    targets = [Target(delay=3), Target()]
    started = time.monotonic()
    thread = concurrency.spawn(lambda: run(Source(DATA), targets, tee=Tee(settings)))
    while not targets[1].complete:
        concurrency.sleep(0.01)
    assert time.monotonic() - started < 0.6
    thread.kill()


def test_a_lone_slow_target_is_given_its_time():
    target = Target(delay=0.15)
    assert run(Source(DATA[:5 * CHUNK]), [target])[0].size == 5 * CHUNK
    assert target.complete


def test_a_cancelled_run_ends_alone():
    targets = [Target(), Target()]
    results = run(Source(DATA), targets, handles=[Handle(None, cancel_at=100), Handle(None)])
    assert isinstance(results[0], TaskCancelledError)
    assert not targets[0].complete
    assert targets[1].complete


def test_who_comes_late_reads_alone():
    source, tee = Source(DATA), Tee(SETTINGS)
    first, second = Target(delay=0.01), Target()
    early = concurrency.spawn(run, source, [first])
    concurrency.sleep(0.05)
    run(source, [second], tee=tee)
    early.wait()
    assert (first.complete, second.complete, source.reads) == (True, True, 2)


def test_a_run_that_never_arrives_is_not_waited_for():
    source, target = Source(DATA), Target()
    gathering = concurrency.Gathering(2)
    handle = Handle(gathering)
    result = _copy(Tee(SETTINGS), image_of(DATA), source, target, handle)
    assert result.size == len(DATA)
    assert target.complete


class SlowReaders(OwnReaders):
    """Answers after a while, as a database does."""

    def __init__(self, *, seconds=0.05, error=None):
        super().__init__()
        self.seconds = seconds
        self.error = error
        self.asked = 0

    def begin(self, image_id, region, most):
        self.asked += 1
        concurrency.sleep(self.seconds)
        if self.error:
            raise self.error
        return super().begin(image_id, region, most)


def test_who_joins_while_it_is_asked_whether_to_read_misses_nothing():
    source, targets, readers = Source(DATA), [Target(), Target(), Target()], SlowReaders()
    assert {result.size for result in run(source, targets, tee=Tee(replace(SETTINGS, tee_gather_seconds=0), readers))
            } == {len(DATA)}
    assert [target.received for target in targets] == [DATA] * 3
    assert (source.reads, readers.asked, readers.counts("image")) == (1, 1, {})


def test_no_more_reads_than_may_be():
    """Runs that share one count once; who is put off has done nothing."""
    readers = SlowReaders(seconds=0.001)
    tee, source = Tee(replace(SETTINGS, max_reads_per_source=1), readers), Source(DATA)
    early = concurrency.spawn(lambda: run(source, [Target(delay=0.02), Target()], tee=tee))
    concurrency.sleep(0.3)
    assert readers.counts("image") == {"RegionOne": 1}
    late = [Target(), Target()]
    assert [type(result) for result in run(source, late, tee=tee)] == [SourcesBusyError] * 2
    assert [target.received for target in late] == [b"", b""]
    assert {result.size for result in early.wait()} == {len(DATA)}
    assert run(source, [Target()], tee=tee)[0].size == len(DATA)


def test_readers_that_do_not_answer_end_the_runs_that_would_share():
    readers = SlowReaders(error=NotReadyError("the database does not answer"))
    tee, source = Tee(SETTINGS, readers), Source(DATA)
    assert [type(result) for result in run(source, [Target(), Target()], tee=tee)] == [NotReadyError] * 2
    assert not tee.gathers("RegionOne", "image")
    readers.error = None
    assert run(source, [Target()], tee=tee)[0].size == len(DATA)


def test_a_run_that_is_killed_while_it_asks_holds_up_nobody():
    tee, source = Tee(SETTINGS, SlowReaders()), Source(DATA)
    gathering = concurrency.Gathering(2)
    killed = concurrency.spawn(_copy, tee, image_of(DATA), source, Target(), Handle(gathering))
    other = concurrency.spawn(_copy, tee, image_of(DATA), source, Target(), Handle(gathering))
    concurrency.sleep(0.01)
    killed.kill()
    assert isinstance(other.wait(), SourcesBusyError)
    assert not tee.gathers("RegionOne", "image")
