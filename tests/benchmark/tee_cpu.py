# SPDX-License-Identifier: Apache-2.0
"""What moving bytes costs the server itself: its tee against curl, tee(1) and two curls between the same ends.

    python -m tests.benchmark.tee_cpu [--quick] [--rounds 5] [--mebibytes 512]

No cloud: the source and two targets are processes of this benchmark (`tee_ends`) that do with the bytes what a Glance
does at least, so CPU time is that of the tee alone, by its process. It computes the sha512 of the stream besides, which
the curls do not: how much of its time that is stands in a row of its own.
"""
from __future__ import annotations

from glancesync import concurrency

concurrency.monkey_patch()

import hashlib  # noqa: E402
import os  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import uuid  # noqa: E402
from collections.abc import Iterator, Sequence  # noqa: E402
from contextlib import ExitStack, contextmanager  # noqa: E402
from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402

from keystoneauth1.session import Session  # noqa: E402
from keystoneauth1.token_endpoint import Token  # noqa: E402

from glancesync.concurrency import Gathering, Place  # noqa: E402
from glancesync.conf.transfer import TransferSettings  # noqa: E402
from glancesync.model.image import Image  # noqa: E402
from glancesync.model.task import Task, TaskState, Trigger  # noqa: E402
from glancesync.regions.glance import GlanceRegion  # noqa: E402
from glancesync.sync.tee import Tee  # noqa: E402
from glancesync.tasks.handle import TaskHandle  # noqa: E402
from tests.benchmark.rounds import Sample, interleave, new_parser, parse, print_table  # noqa: E402

TEE, CURLS, HASH = "glancesync's tee", "curl, tee, two curls", "sha512 alone"
CURL = ["curl", "--silent", "--show-error", "--fail"]
HEADER = ("who", "CPU s per GiB: median (spread)", "ratio to the curls (spread)", "seconds (spread)")


class HeldLease(TaskHandle):
    """A run whose lease nobody asks for: the database is no part of this."""

    def __init__(self, image: Image, place: Place) -> None:
        task = Task(id="t", image_id=image.id, region="end", state=TaskState.RUNNING, trigger=Trigger.EVENT, wanted=1,
                    seen=1, priority=0, run_at=0.0, attempts=0, cancel=False, fence=1, created_at=0.0, updated_at=0.0)
        super().__init__(task, place, None, 0.0)  # type: ignore[arg-type]

    def ensure_lease(self) -> None:
        self.check()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = new_parser(__doc__, rounds=5, quick_rounds=2)
    parser.add_argument("--mebibytes", type=int)
    parser.add_argument("--chunk-bytes", type=int, default=TransferSettings().chunk_bytes)
    options = parse(parser, arguments)
    mebibytes = options.mebibytes or (8 if options.quick else 512)
    with ExitStack() as stack:
        source, *targets = (stack.enter_context(end(mebibytes)) for _ in range(3))
        settings = TransferSettings(chunk_bytes=options.chunk_bytes)
        results = interleave({TEE: lambda: teed(source, targets, mebibytes, settings),
                              CURLS: lambda: piped(source, targets),
                              HASH: lambda: hashed(mebibytes)}, options.rounds)
    rows = [(name, results.values(name, "cpu").text(), results.ratio(name, CURLS, "cpu").text(),
             results.values(name, "seconds").text()) for name in (TEE, CURLS, HASH)]
    print_table(f"{mebibytes} MiB to two targets, {options.rounds} rounds", HEADER,
                [(name, _per_gib(results.values(name, "cpu"), mebibytes), *rest) for name, _cpu, *rest in rows])


def _per_gib(cpu: object, mebibytes: int) -> str:
    median, low, high = (f"{getattr(cpu, name) * 1024 / mebibytes:.2f}" for name in ("median", "low", "high"))
    return f"{median} ({low} to {high})"


@contextmanager
def end(mebibytes: int) -> Iterator[str]:
    """The URL of one end."""
    program = [sys.executable, str(Path(__file__).with_name("tee_ends.py")), str(mebibytes)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def teed(source: str, targets: Sequence[str], mebibytes: int, settings: TransferSettings) -> Sample:
    tee, gathering = Tee(settings), Gathering(len(targets))
    image = Image(id=str(uuid.uuid4()), status="active", size=mebibytes << 20)
    cpu, seconds = time.process_time(), time.perf_counter()
    threads = [concurrency.spawn(partial(
        tee.copy, image, client(source), client(target), replica_id=image.id, algorithm="sha512",
        handle=HeldLease(image, Place(gathering)))) for target in targets]
    for thread in threads:
        result = thread.wait()
        assert result.size == mebibytes << 20
    return {"cpu": time.process_time() - cpu, "seconds": time.perf_counter() - seconds}


def client(url: str) -> GlanceRegion:
    session = Session(auth=Token(url, "token"))
    return GlanceRegion(region_name="end", endpoint=url, session=session, connect_timeout_seconds=10,
                        read_timeout_seconds=60, idle_timeout_seconds=60)


def piped(source: str, targets: Sequence[str]) -> Sample:
    before, seconds = os.times(), time.perf_counter()
    put = [*CURL, "--request", "PUT", "--header", "Expect:", "--upload-file", "-"]
    with pipe() as read, pipe() as one, pipe() as two:
        programs = [subprocess.Popen([*CURL, source], stdout=read[1]),
                    subprocess.Popen([*put, targets[0]], stdin=one[0]),
                    subprocess.Popen([*put, targets[1]], stdin=two[0]),
                    subprocess.Popen(["tee", f"/dev/fd/{one[1]}"], stdin=read[0], stdout=two[1], pass_fds=(one[1],))]
    for program in programs:
        if program.wait():
            raise RuntimeError(f"{program.args!r} ended with status {program.returncode}")
    after = os.times()
    return {"cpu": sum(after[2:4]) - sum(before[2:4]), "seconds": time.perf_counter() - seconds}


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """Its two ends, for programs that are started meanwhile. (subprocess's own would not block in a green process.)"""
    ends = os.pipe()
    try:
        yield ends
    finally:
        for each in ends:
            os.close(each)


def hashed(mebibytes: int) -> Sample:
    block, found = b"\xa5" * (1 << 20), hashlib.sha512()
    cpu, seconds = time.process_time(), time.perf_counter()
    for _ in range(mebibytes):
        found.update(block)
    return {"cpu": time.process_time() - cpu, "seconds": time.perf_counter() - seconds}


if __name__ == "__main__":
    main()
