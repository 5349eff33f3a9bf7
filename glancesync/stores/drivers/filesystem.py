# SPDX-License-Identifier: Apache-2.0
"""From folder to folder over ssh. An entry point of `glancesync.stores`.

    source's host: cat FILE ──► this server's two ssh processes ──► target's host: dd ... ID.part, flushed
    target's host: size? hash? owner and mode, then ID.part becomes ID
                   (a sparse file by tar -S on both, which sends no holes)
    one host:      cp (a reflink where the file system can) instead of the first line; never a hard link

What is written has the name ID.part until it was hashed where it lies. The bytes pass through this server's memory, in
the kernel's pipes; no Glance touches them.
"""
from __future__ import annotations

import contextlib
import logging
import re
import uuid

from glancesync.exceptions import (
    GlanceSyncError,
    StoreCopyError,
    StoreCorruptCopyError,
    StoreCutError,
    StoreShortCopyError,
    StoreSourceMissingError,
)
from glancesync.model.store import FilesystemScheme, Scheme
from glancesync.stores.driver import Capabilities, CopyDriver, Progress, StoreCopy
from glancesync.stores.loading import DriverOptions
from glancesync.stores.ssh import SshConnections
from glancesync.stores.ssh_words import classify

LOG = logging.getLogger(__name__)
_ID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")
_HASHES = {"sha512": "sha512sum", "sha384": "sha384sum", "sha256": "sha256sum", "sha1": "sha1sum", "md5": "md5sum"}
#: As Glance's own files are.
_MODE = "0640"
_LOOK_SECONDS = 1.0
#: A file with less than this part of its size on the disk is packed.
_SPARSE = 0.75
_TRIAL_BYTES = 8 * 1024 * 1024


class FilesystemDriver(CopyDriver):
    """Needs sh, cat, dd, tar, cp, mv, rm, stat, chmod, chown, sync and sha512sum (coreutils) on the hosts."""

    name = "filesystem"
    capabilities = Capabilities(source_scheme="filesystem", target_scheme="filesystem", registers="file",
                                target_stores=frozenset({"file"}), role="glance_sync_store",
                                algorithms=frozenset(_HASHES))

    def __init__(self, options: DriverOptions) -> None:
        self._clock = options.clock
        self._timeout = options.copy_timeout_seconds
        self._ssh = SshConnections(options.clock, tries=options.shell_tries)

    def find_obstacle(self, source: Scheme | None, target: Scheme | None) -> str | None:
        if not isinstance(source, FilesystemScheme) or not isinstance(target, FilesystemScheme):
            return "one of the two is no folder"
        if (source.ssh.host, source.datadir) == (target.ssh.host, target.datadir):
            return "both regions keep their images in the same folder; a file would belong to two Glances"
        return None

    def copy(self, copy: StoreCopy, progress: Progress) -> str:
        source, target = _folders(copy)
        path, part = _path(target, copy.replica_id), _path(target, copy.replica_id) + ".part"
        try:
            self._remove(target, part, path)
            progress.report(step="copying", bytes_done=0, bytes_total=copy.size)
            self._move(copy, part, progress)
            self._verify(copy, part, progress)
            self._hand_over(target, part, path)
        except BaseException:
            self._clean_up(target, part, path)
            raise
        return f"file://{path}"

    def discard(self, copy: StoreCopy) -> None:
        target = _folders(copy)[1]
        path = _path(target, copy.replica_id)
        self._remove(target, path, path + ".part")

    def check(self, scheme: Scheme) -> list[str]:
        if not isinstance(scheme, FilesystemScheme):
            raise StoreCopyError(f"a store of kind {scheme.name} cannot be tried")
        run, trial = self._ssh.run, _path(scheme, f"glance-sync-check-{uuid.uuid4()}")
        started = self._clock.monotonic()
        run(scheme.ssh, ["true"])
        lines = [f"log in: {self._clock.monotonic() - started:.2f} s"]
        free = run(scheme.ssh, ["stat", "-f", "-c", "%a %S", "--", scheme.datadir]).split()
        lines.append(f"free: {int(free[0]) * int(free[1]) // 2 ** 20} MiB")
        for tool in ("cat", "dd", "tar", "cp", "mv", "rm", "chmod", "chown", "sync", "sha512sum"):
            run(scheme.ssh, [tool, "--version"])
        started = self._clock.monotonic()
        try:
            run(scheme.ssh, ["dd", "if=/dev/zero", f"of={trial}", f"bs={_TRIAL_BYTES}", "count=1", "conv=fsync,excl",
                             "status=none"])
            self._hand_over(scheme, trial, trial + ".moved")
            run(scheme.ssh, ["sha512sum", "--", trial + ".moved"])
            seconds = max(self._clock.monotonic() - started, 1e-6)
        finally:
            self._clean_up(scheme, trial, trial + ".moved")
        lines.append(f"write, flush and hash: {_TRIAL_BYTES / 2 ** 20 / seconds:.0f} MiB/s")
        return lines

    def close(self) -> None:
        self._ssh.close()

    def _move(self, copy: StoreCopy, part: str, progress: Progress) -> None:
        source, target = _folders(copy)
        file = _path(source, copy.image_id)
        look = _Look(self, copy, part, progress)
        if source.ssh == target.ssh:
            self._ssh.run(source.ssh, ["test", "-r", file], reads=True)
            self._ssh.run(target.ssh, ["cp", "--reflink=auto", "--sparse=always", "--", file, part],
                          timeout_seconds=self._timeout(), watch=look)
            self._ssh.run(target.ssh, ["sync", "--", part], timeout_seconds=self._timeout(), watch=progress.check)
            return
        if self._is_sparse(source, file):
            name = f"{copy.replica_id}.part"
            self._pipe(copy, _packed(source, copy.image_id, name),
                       ["tar", "-C", target.datadir, "--no-same-owner", "-xf", "-", "--", name], look)
            self._ssh.run(target.ssh, ["sync", "--", part], timeout_seconds=self._timeout(), watch=progress.check)
            return
        self._pipe(copy, ["cat", "--", file],
                   ["dd", f"of={part}", "bs=1M", "iflag=fullblock", "conv=fsync", "status=none"], look)

    def _pipe(self, copy: StoreCopy, send: list[str], receive: list[str], look: _Look) -> None:
        source, target = _folders(copy)
        sent, received = self._ssh.pipe([(source.ssh, send), (target.ssh, receive)], timeout_seconds=self._timeout(),
                                        watch=look)
        # The receiver's end breaks the pipe that the sender writes to: what the receiver says comes first.
        if received.status and not (sent.status and "Unexpected EOF" in received.errors):
            raise classify(received.status, received.errors, what=f"writing on {target.ssh.host}")
        if sent.status:
            raise classify(sent.status, sent.errors, what=f"reading on {source.ssh.host}", reads=True)

    def _is_sparse(self, source: FilesystemScheme, file: str) -> bool:
        """Whether so much of the file is holes that packing them pays."""
        answer = self._ssh.run(source.ssh, ["stat", "-L", "-c", "%s %b %B", "--", file], reads=True).split()
        if len(answer) != 3 or not all(each.isdigit() for each in answer):
            raise StoreCopyError(f"stat on {source.ssh.host} answers with no size")
        size, blocks, block_bytes = map(int, answer)
        return blocks * block_bytes < _SPARSE * size

    def _verify(self, copy: StoreCopy, part: str, progress: Progress) -> None:
        target = _folders(copy)[1]
        size = self.size_of(target, part)
        if size != copy.size:
            raise StoreShortCopyError(f"{size} bytes arrived on {target.ssh.host}, the image has {copy.size}")
        progress.report(step="verifying", bytes_done=size)
        answer = self._ssh.run(target.ssh, [_HASHES[copy.digest.algorithm], "--", part],
                               timeout_seconds=self._timeout(), watch=progress.check)
        if answer.lstrip("\\").split(" ", 1)[0] != copy.digest.value:
            raise StoreCorruptCopyError(f"the file that arrived on {target.ssh.host} has another "
                                        f"{copy.digest.algorithm} than the image")

    def _hand_over(self, target: FilesystemScheme, part: str, path: str) -> None:
        """Owner and mode as Glance needs them, then the name; the folder is flushed with it."""
        run = self._ssh.run
        run(target.ssh, ["chown", f"--reference={target.datadir}", "--", part])
        run(target.ssh, ["chmod", _MODE, "--", part])
        run(target.ssh, ["mv", "-fT", "--", part, path])
        run(target.ssh, ["sync", "--", target.datadir])

    def size_of(self, target: FilesystemScheme, path: str) -> int:
        """In bytes. Raises StoreCopyErrors."""
        answer = self._ssh.run(target.ssh, ["stat", "-c", "%s", "--", path]).strip()
        if not answer.isdigit():
            raise StoreCopyError(f"stat on {target.ssh.host} answers with no size")
        return int(answer)

    def _remove(self, target: FilesystemScheme, *paths: str) -> None:
        self._ssh.run(target.ssh, ["rm", "-f", "--", *paths])

    def _clean_up(self, target: FilesystemScheme, *paths: str) -> None:
        """As far as the host can be asked: a connection that broke is opened anew once."""
        with contextlib.suppress(StoreCutError):
            return self._try_to_remove(target, *paths)
        with contextlib.suppress(StoreCutError):
            self._try_to_remove(target, *paths)

    def _try_to_remove(self, target: FilesystemScheme, *paths: str) -> None:
        try:
            self._remove(target, *paths)
        except StoreCutError as error:
            LOG.info("asking %s again: %s", target.ssh.host, error)
            raise
        except GlanceSyncError as error:
            LOG.warning("what lies unfinished on %s cannot be removed: %s", target.ssh.host, error)


class _Look:
    """Asks once a second how large the target's file is, while it grows."""

    def __init__(self, driver: FilesystemDriver, copy: StoreCopy, part: str, progress: Progress) -> None:
        self._driver = driver
        self._target = _folders(copy)[1]
        self._part = part
        self._progress = progress
        self._next = driver._clock.monotonic() + _LOOK_SECONDS

    def __call__(self) -> None:
        self._progress.check()
        if self._driver._clock.monotonic() < self._next:
            return
        with contextlib.suppress(StoreCopyError):  # the copy itself tells what is wrong
            self._progress.report(bytes_done=self._driver.size_of(self._target, self._part))
        self._next = self._driver._clock.monotonic() + _LOOK_SECONDS


def _folders(copy: StoreCopy) -> tuple[FilesystemScheme, FilesystemScheme]:
    if not isinstance(copy.source, FilesystemScheme) or not isinstance(copy.target, FilesystemScheme):
        raise StoreCopyError("one of the two stores is no folder")
    for each in (copy.image_id, copy.replica_id):
        if not _ID.match(each):
            raise StoreSourceMissingError("an image whose id is no UUID has no file")
    return copy.source, copy.target


def _packed(source: FilesystemScheme, image_id: str, name: str) -> list[str]:
    """Sends the file under another name, without its holes."""
    return ["tar", "-C", source.datadir, "-h", "-S", "-cf", "-", f"--transform=s|^.*$|{name}|", "--", image_id]


def _path(scheme: FilesystemScheme, name: str) -> str:
    return f"{scheme.datadir.rstrip('/')}/{name}"
