# SPDX-License-Identifier: Apache-2.0
"""From folder to folder over ssh. An entry point of `glancesync.stores`.

    host to host:  target's host: pull ──ssh──► source's host: send     where the one can log in to the other by itself
    else:          source's host: send ──► this server's two ssh processes ──► target's host: receive
    one host:      clone (a reflink where the file system can, never a hard link)

Each is one request to the agent (stores.agent), which writes ID.part, compares size and hash, flushes, and names it ID.
"""
from __future__ import annotations

import contextlib
import logging
import re
from typing import Any

from glancesync.exceptions import (
    GlanceSyncError,
    LeaseLostError,
    StoreCopyError,
    StoreCutError,
    StoreOccupiedError,
    StoreSourceMissingError,
)
from glancesync.model.store import FilesystemScheme, Scheme
from glancesync.model.text import inert
from glancesync.stores.agent.words import HASHES
from glancesync.stores.driver import Capabilities, CopyDriver, Progress, StoreCopy
from glancesync.stores.loading import DriverOptions
from glancesync.stores.ssh import Finished, SshConnections
from glancesync.stores.ssh_agent import HopError, ask, error_of, hop_to, is_cut, read_report

LOG = logging.getLogger(__name__)
_ID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")
#: Two hosts of which one could not log in to the other are tried again after this time.
_ASIDE_SECONDS = 600.0
#: What a host may take for a request that moves no image.
_SHORT_SECONDS = 60.0


class FilesystemDriver(CopyDriver):
    """Needs python3 (3.9) on the hosts, and OpenSSH's client on a target that fetches by itself."""

    name = "filesystem"
    capabilities = Capabilities(source_scheme="filesystem", target_scheme="filesystem", registers="file",
                                target_stores=frozenset({"file"}), role="glance_sync_store",
                                algorithms=HASHES)

    def __init__(self, options: DriverOptions) -> None:
        self._clock = options.clock
        self._timeout = options.copy_timeout_seconds
        self._ssh = SshConnections(options.clock, tries=options.shell_tries)
        self._apart: dict[tuple[FilesystemScheme, FilesystemScheme], tuple[float, str]] = {}

    def find_obstacle(self, source: Scheme | None, target: Scheme | None) -> str | None:
        if not isinstance(source, FilesystemScheme) or not isinstance(target, FilesystemScheme):
            return "one of the two is no folder"
        if (source.ssh.jump_host, source.ssh.host, source.datadir) == (
                target.ssh.jump_host, target.ssh.host, target.datadir):
            return "both regions keep their images in the same folder; a file would belong to two Glances"
        return None

    def describe_route(self, source: Scheme, target: Scheme) -> str | None:
        if not isinstance(source, FilesystemScheme) or not isinstance(target, FilesystemScheme):
            return None
        if source.ssh.account == target.ssh.account:
            return "within one host"
        why = self._why_not_direct(source, target)
        return "host to host" if why is None else f"through the server: {why}"

    def copy(self, copy: StoreCopy, progress: Progress) -> str:
        target = _folders(copy)[1]
        progress.report(step="copying", bytes_done=0, bytes_total=copy.size)
        try:
            self._move(copy, _Within(progress, copy.size))
        except (LeaseLostError, StoreOccupiedError):  # what lies there now is another's
            raise
        except BaseException:
            _ensure_ours(progress)
            self._clean_up(copy)
            raise
        return f"file://{target.datadir.rstrip('/')}/{copy.replica_id}"

    def verify(self, copy: StoreCopy, progress: Progress) -> None:
        target = _folders(copy)[1]
        progress.report(step="verifying")
        self._ask(target, ask("hash", target.datadir, name=copy.replica_id, digest=_wanted(copy)),
                  _Within(progress, copy.size))

    def discard(self, copy: StoreCopy) -> None:
        target = _folders(copy)[1]
        self._ask(target, ask("remove", target.datadir, name=copy.replica_id, mark=copy.target_region))

    def check(self, scheme: Scheme) -> list[str]:
        if not isinstance(scheme, FilesystemScheme):
            raise StoreCopyError(f"a store of kind {scheme.name} cannot be tried")
        started = self._clock.monotonic()
        self._ssh.run(scheme.ssh, ["true"])
        lines = [f"log in: {self._clock.monotonic() - started:.2f} s"]
        found: dict[str, Any] = {}
        self._ask(scheme, ask("check", scheme.datadir), heard=found)
        free, trial, seconds = (_told(found, name, scheme) for name in ("free", "trial", "seconds"))
        lines.append(f"free: {free // 2 ** 20} MiB")
        lines.append(f"write and flush: {trial / 2 ** 20 / max(seconds, 1e-6):.0f} MiB/s")
        return lines if found.get("rsync") else [*lines, "no rsync: images are copied whole"]

    def find_free_bytes(self, scheme: Scheme) -> int | None:
        if not isinstance(scheme, FilesystemScheme):
            return None
        found: dict[str, Any] = {}
        self._ask(scheme, ask("free", scheme.datadir), heard=found)
        free: int = _told(found, "free", scheme)
        return free

    def check_route(self, source: Scheme, target: Scheme) -> str | None:
        """Try how the two hosts reach one another, in words; None where nothing is to be tried."""
        if not isinstance(source, FilesystemScheme) or not isinstance(target, FilesystemScheme):
            return None
        if source.ssh.account != target.ssh.account and target.peer.key_file is not None:
            self._apart.pop((source, target), None)
            try:
                self._ask(target, ask("reach", target.datadir, hop=hop_to(source, target)))
            except HopError as error:
                self._set_apart(source, target, error)
        return self.describe_route(source, target)

    def close(self) -> None:
        self._ssh.close()

    def _move(self, copy: StoreCopy, progress: Progress) -> None:
        source, target = _folders(copy)
        wanted: dict[str, Any] = {
            "name": copy.replica_id, "mark": copy.target_region, "size": copy.size,
            "digest": None if copy.unhashed else _wanted(copy)}
        if source.ssh.account == target.ssh.account:
            words = ask("clone", target.datadir, source=source.datadir, source_name=copy.image_id, **wanted)
            return self._ask(target, words, progress)
        if self._why_not_direct(source, target) is None:
            heard: dict[str, Any] = {}
            if copy.base_id is not None and _ID.match(copy.base_id):
                wanted["base"] = copy.base_id
            try:
                words = ask("pull", target.datadir, hop=hop_to(source, target, copy.image_id), **wanted)
                self._ask(target, words, progress, heard)
                return _tell_delta(copy, heard)
            except HopError as error:
                if heard.get("bytes"):  # they do reach one another
                    raise StoreCutError(f"between {source.ssh.host} and {target.ssh.host}: {error}") from None
                self._set_apart(source, target, error)
        wanted.pop("base", None)
        return self._relay(source, target, [ask("send", source.datadir, name=copy.image_id),
                                            ask("receive", target.datadir, **wanted)], progress)

    def _ask(self, scheme: FilesystemScheme, words: list[str], progress: Progress | None = None,
             heard: dict[str, Any] | None = None) -> None:
        """One request to one host; one that nobody watches is a short one. Raises StoreCopyErrors."""
        ears = _Ears(progress, {} if heard is None else heard)
        most = self._timeout() if progress is not None else min(self._timeout(), _SHORT_SECONDS)
        [ended] = self._ssh.pipe([(scheme.ssh, words)], timeout_seconds=most, watch=ears.check, listen=ears.hear,
                                 leash=True)
        ears.expect_done(ended, scheme)

    def _relay(self, source: FilesystemScheme, target: FilesystemScheme, words: list[list[str]],
               progress: Progress) -> None:
        ears = _Ears(progress, {})
        sent, received = self._ssh.pipe([(source.ssh, words[0]), (target.ssh, words[1])], watch=ears.check,
                                        timeout_seconds=self._timeout(), listen=ears.hear)
        # The receiver's end breaks the pipe that the sender writes to: what the receiver says comes first.
        if sent.status and is_cut(received.status, received.errors):
            raise error_of(sent.status, sent.errors, what=f"reading on {source.ssh.host}", reads=True)
        ears.expect_done(received, target)

    def _why_not_direct(self, source: FilesystemScheme, target: FilesystemScheme) -> str | None:
        if target.peer.key_file is None:
            return f"{target.ssh.host} has no peer_key_file"
        until, why = self._apart.get((source, target), (0.0, ""))
        return why if self._clock.monotonic() < until else None

    def _set_apart(self, source: FilesystemScheme, target: FilesystemScheme, error: HopError) -> None:
        why = f"{target.ssh.host} does not reach {source.peer.host or source.ssh.host} ({error})"
        self._apart[source, target] = (self._clock.monotonic() + _ASIDE_SECONDS, why)
        LOG.warning("bytes go through this server for %d minutes: %s", _ASIDE_SECONDS // 60, why)

    def _clean_up(self, copy: StoreCopy) -> None:
        """As far as the host can be asked: a connection that broke is opened anew once."""
        with contextlib.suppress(StoreCutError):
            return self._try_to_remove(copy)
        with contextlib.suppress(StoreCutError):
            self._try_to_remove(copy)

    def _try_to_remove(self, copy: StoreCopy) -> None:
        target = _folders(copy)[1]
        try:
            self.discard(copy)
        except StoreCutError as error:
            LOG.info("asking %s again: %s", target.ssh.host, error)
            raise
        except GlanceSyncError as error:
            LOG.warning("what lies unfinished on %s cannot be removed: %s", target.ssh.host, error)


class _Within:
    """What a host says of more bytes than the image has is not passed on."""

    def __init__(self, progress: Progress, size: int) -> None:
        self.check = progress.check
        self._progress = progress
        self._size = size

    def report(self, step: str | None = None, bytes_done: int | None = None, bytes_total: int | None = None) -> None:
        self._progress.report(step=step, bytes_total=bytes_total,
                              bytes_done=None if bytes_done is None else min(bytes_done, self._size))


class _Ears:
    """Hears the agent's reports while it works."""

    def __init__(self, progress: Progress | None, heard: dict[str, Any]) -> None:
        self._progress = progress
        self._heard = heard
        self._most = 0

    def check(self) -> None:
        if self._progress is not None:
            self._progress.check()

    def hear(self, line: str) -> None:
        fields = read_report(line)
        self._heard.update(fields)
        if self._progress is not None and "bytes" in fields:
            self._most = max(self._most, fields["bytes"])  # another try of the agent begins anew
            self._progress.report(step=fields.get("step"), bytes_done=self._most)

    def expect_done(self, ended: Finished, scheme: FilesystemScheme) -> None:
        if ended.status or self._heard.get("done") is not True:
            raise error_of(ended.status, ended.errors, what=f"the store on {scheme.ssh.host}")


def _told(heard: dict[str, Any], name: str, scheme: FilesystemScheme) -> Any:
    if name not in heard:
        raise StoreCopyError(f"the agent on {scheme.ssh.host} does not tell of {name}")
    return heard[name]


def _ensure_ours(progress: Progress) -> None:
    """Raises LeaseLostError where another server may be at work on the image by now."""
    try:
        progress.check()
    except LeaseLostError:
        raise
    except GlanceSyncError:
        return


def _wanted(copy: StoreCopy) -> dict[str, str]:
    return {"algorithm": copy.digest.algorithm, "value": copy.digest.value}


def _tell_delta(copy: StoreCopy, heard: dict[str, Any]) -> None:
    if copy.base_id is None:
        return
    if "whole" in heard:
        LOG.info("image %s was copied whole, not as a difference to %s: %s", copy.image_id, copy.base_id,
                 inert(str(heard["whole"])))
    else:
        LOG.info("image %s was copied as a difference to %s: %s bytes of %d were sent", copy.image_id, copy.base_id,
                 heard.get("sent"), copy.size)


def _folders(copy: StoreCopy) -> tuple[FilesystemScheme, FilesystemScheme]:
    if not isinstance(copy.source, FilesystemScheme) or not isinstance(copy.target, FilesystemScheme):
        raise StoreCopyError("one of the two stores is no folder")
    for each in (copy.image_id, copy.replica_id):
        if not _ID.match(each):
            raise StoreSourceMissingError("an image whose id is no UUID has no file")
    return copy.source, copy.target
