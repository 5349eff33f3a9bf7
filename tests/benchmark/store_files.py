# SPDX-License-Identifier: Apache-2.0
"""Files from host to host: the filesystem driver against cp, scp and rsync.

    python -m tests.benchmark.store_files [--quick] [--rounds 5] [--mebibytes 256 1024] [--link-mebibytes 110]

Two sshd processes of this machine are the hosts. What is timed is one copy of one file until it lies there under its
name, flushed; `hashed`: its hash was compared on the target's host meanwhile, else that is left to its Glance. A sparse
file is one of 1 GiB (quick: 64 MiB) with 4 MiB in it. A delta is a file of which 1 % differs from one that lies there,
in ten places; its link passes --link-mebibytes a second each way (a Gbit), as scp's does beside it. Needs root.
"""
from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from glancesync.clock import SystemClock
from glancesync.model.image import Digest
from glancesync.model.store import FilesystemScheme, PeerAccess
from glancesync.stores.driver import CopyDriver, StoreCopy
from glancesync.stores.loading import DriverOptions, load_drivers
from glancesync.stores.ssh_words import CIPHERS
from tests.benchmark.rounds import Sample, clocked, interleave, new_parser, parse, print_table
from tests.fixtures.sshd import Sshd, running

MIB = 1024 * 1024
CP, SCP, RSYNC = "cp", "scp", "rsync"


class Unwatched:
    """Nobody wants to know how far it is."""

    def check(self) -> None:
        """Never ends it."""

    def report(self, step: str | None = None, bytes_done: int | None = None, bytes_total: int | None = None) -> None:
        """Into the void."""


@dataclass(frozen=True)
class File:
    """One in the source's folder."""

    id: str
    size: int
    digest: Digest


def main(arguments: Sequence[str] | None = None) -> None:
    parser = new_parser(__doc__, rounds=5, quick_rounds=1)
    parser.add_argument("--mebibytes", type=int, nargs="+")
    parser.add_argument("--link-mebibytes", type=float, default=110, help="a second, for the delta (110)")
    options = parse(parser, arguments)
    sizes = options.mebibytes or ([8] if options.quick else [256, 1024])
    with ExitStack() as stack:
        top = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="glancesync-benchmark-")))
        top.chmod(0o711)
        one, two = (stack.enter_context(running(top / name)) for name in ("one", "two"))
        driver = load_drivers(DriverOptions(clock=SystemClock(), copy_timeout_seconds=lambda: 3600.0,
                                            shell_tries=lambda: 1))["filesystem"]
        stack.callback(driver.close)
        bench = Bench(one, two, driver)
        for size in sizes:
            bench.whole(size, options.rounds)
        bench.sparse(64 if options.quick else 1024, options.rounds)
        with link(one.port, options.link_mebibytes * MIB) as port:
            bench.delta(sizes[0], options.rounds, port, options.link_mebibytes)


class Bench:
    """Copies from the first host to the second; what was copied is removed before the next."""

    def __init__(self, one: Sshd, two: Sshd, driver: CopyDriver) -> None:
        self._one = one
        self._two = two
        self._driver = driver
        self._second = one.folder / "second"
        self._second.mkdir()

    def whole(self, mebibytes: int, rounds: int) -> None:
        file = self._make(mebibytes * MIB, lambda path: fill(path, mebibytes))
        direct, same = self._two.reaching(self._one), replace(self._one.scheme, datadir=str(self._second))
        self._compare(f"{mebibytes} MiB from host to host", rounds, SCP, {
            SCP: lambda: self._scp(file), "scp, same cipher": lambda: self._scp(file, "-c", CIPHERS.split(",")[0]),
            RSYNC: lambda: self._rsync(file),
            "filesystem": lambda: self._drive(file, direct, hashed=False),
            "filesystem, hashed": lambda: self._drive(file, direct),
            "filesystem, through the server, hashed": lambda: self._drive(file, self._two.scheme)})
        self._compare(f"{mebibytes} MiB on one host", rounds, CP, {
            CP: lambda: self._cp(file), "filesystem": lambda: self._drive(file, same, hashed=False),
            "filesystem, hashed": lambda: self._drive(file, same)})
        (self._one.images / file.id).unlink()

    def sparse(self, mebibytes: int, rounds: int) -> None:
        def make(path: Path) -> None:
            fill(path, 4)
            os.truncate(path, mebibytes * MIB)

        file, direct = self._make(mebibytes * MIB, make), self._two.reaching(self._one)
        self._compare(f"a sparse file of {mebibytes} MiB with 4 MiB in it", rounds, SCP, {
            SCP: lambda: self._scp(file), "filesystem": lambda: self._drive(file, direct, hashed=False),
            "filesystem, hashed": lambda: self._drive(file, direct)})
        (self._one.images / file.id).unlink()

    def delta(self, mebibytes: int, rounds: int, port: int, limit: float) -> None:
        base = str(uuid.uuid4())
        fill(self._two.images / base, mebibytes)
        file = self._make(mebibytes * MIB, lambda path: change(self._two.images / base, path))
        known = self._one.folder / "known_link"
        known.write_text(self._one.known_hosts.read_text().replace(str(self._one.port), str(port)))
        target = replace(self._two.scheme, peer=PeerAccess(key_file=str(self._one.client_key),
                                                           known_hosts_file=str(known)))
        source = replace(self._one.scheme, peer=PeerAccess(port=port))
        self._compare(f"{mebibytes} MiB of which 1 % differs, over {limit:g} MiB/s", rounds, SCP, {
            SCP: lambda: self._scp(file, port=port, known=known),
            "filesystem": lambda: self._drive(file, target, source, base=base, hashed=False),
            "filesystem, hashed": lambda: self._drive(file, target, source, base=base)})

    def _compare(self, title: str, rounds: int, against: str, sides: dict[str, Callable[[], None]]) -> None:
        results = interleave({name: self._clean(work) for name, work in sides.items()}, rounds)
        print_table(f"{title}, {rounds} rounds", ("who", "seconds: median (spread)", f"times {against} (spread)"), [
            (name, results.values(name, "seconds").text(), results.ratio(name, against, "seconds").text())
            for name in sides])

    def _clean(self, work: Callable[[], None]) -> Callable[[], Sample]:
        def run() -> Sample:
            for folder in (self._two.images, self._second):
                (folder / "copy").unlink(missing_ok=True)
            os.sync()
            return {"seconds": clocked(work)}

        return run

    def _make(self, size: int, make: Callable[[Path], None]) -> File:
        file_id, found = str(uuid.uuid4()), hashlib.sha512()
        make(self._one.images / file_id)
        with (self._one.images / file_id).open("rb") as stream:
            for block in iter(lambda: stream.read(MIB), b""):
                found.update(block)
        return File(file_id, size, Digest(algorithm="sha512", value=found.hexdigest()))

    def _cp(self, file: File) -> None:
        run("cp", self._one.images / file.id, self._second / "copy")
        run("sync", self._second / "copy")

    def _scp(self, file: File, *more: str, port: int = 0, known: Path | None = None) -> None:
        """What fetches is the target's host; its disk is flushed, as the driver's is."""
        run("scp", "-q", *self._ssh(known), "-P", port or self._one.port, *more,
            f"root@127.0.0.1:{self._one.images / file.id}", self._two.images / "copy")
        run("sync", self._two.images / "copy")

    def _rsync(self, file: File) -> None:
        run("rsync", "--whole-file", "-e", " ".join(["ssh", *self._ssh(), "-p", str(self._one.port)]),
            f"root@127.0.0.1:{self._one.images / file.id}", self._two.images / "copy")
        run("sync", self._two.images / "copy")

    def _ssh(self, known: Path | None = None) -> list[str]:
        return ["-F", "none", "-i", str(self._one.client_key), "-o",
                f"UserKnownHostsFile={known or self._one.known_hosts}"]

    def _drive(self, file: File, target: FilesystemScheme, source: FilesystemScheme | None = None, *,
               hashed: bool = True, base: str | None = None) -> None:
        replica = str(uuid.uuid4())
        self._driver.copy(StoreCopy(image_id=file.id, replica_id=replica, size=file.size, digest=file.digest,
                                    source=source or self._one.scheme, target=target, unhashed=not hashed,
                                    base_id=base), Unwatched())
        Path(target.datadir, replica).rename(Path(target.datadir, "copy"))


def run(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True, stdin=subprocess.DEVNULL)


def fill(path: Path, mebibytes: int) -> None:
    with path.open("wb") as stream:
        for _ in range(mebibytes):
            stream.write(os.urandom(MIB))


def change(base: Path, path: Path) -> None:
    """1 % of the base, in ten places."""
    shutil.copyfile(base, path)
    size, chosen = path.stat().st_size, random.Random(1)  # noqa: S311 - no secret
    with path.open("r+b") as stream:
        for _ in range(10):
            stream.seek(chosen.randrange(size - size // 1000))
            stream.write(os.urandom(size // 1000))


@contextmanager
def link(port: int, bytes_a_second: float) -> Iterator[int]:
    """A port of this machine that leads to the other one, no faster than that each way."""
    words = [sys.executable, "-m", "tests.benchmark.slow_link", str(port), str(bytes_a_second)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


if __name__ == "__main__":
    main()
