# SPDX-License-Identifier: Apache-2.0
"""The server's side of the agent (pure): what it is asked, and the error that its answer means. Used by the drivers."""
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from glancesync.exceptions import (
    StoreCopyError,
    StoreCorruptCopyError,
    StoreCutError,
    StoreFullError,
    StoreShortCopyError,
    StoreSourceMissingError,
    StoreWriteError,
)
from glancesync.model.store import FilesystemScheme
from glancesync.model.text import inert
from glancesync.stores.agent.bundle import invocation
from glancesync.stores.agent.words import VERSION
from glancesync.stores.ssh_words import CIPHERS, classify

_CONNECT_SECONDS = 10
_MAX_TOLD = 300
_KINDS: Mapping[str, type[StoreCopyError]] = {
    "full": StoreFullError, "write": StoreWriteError, "source": StoreSourceMissingError, "short": StoreShortCopyError,
    "corrupt": StoreCorruptCopyError, "cut": StoreCutError}


class HopError(StoreCopyError):
    """The target's host did not get to the source's by itself; `cause` is what ssh said there."""


def ask(what: str, folder: str, **more: Any) -> list[str]:
    """The words of a command on a host with python3."""
    return invocation({"version": VERSION, "do": what, "folder": folder, **more})


def hop_to(source: FilesystemScheme, target: FilesystemScheme, name: str | None = None) -> dict[str, Any]:
    """How the target's host logs in to the source's by itself. Call it where `peer.key_file` is named."""
    return {"host": source.peer.host or source.ssh.host, "port": source.peer.port or source.ssh.port,
            "user": source.peer.user or source.ssh.user, "key_file": target.peer.key_file,
            "known_hosts_file": target.peer.known_hosts_file, "ciphers": source.ssh.cipher or CIPHERS,
            "connect_seconds": _CONNECT_SECONDS, "folder": source.datadir, "name": name}


def parse_line(line: str) -> dict[str, Any]:
    """A report; empty for whatever is none."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def error_of(status: int, errors: str, *, what: str, reads: bool = False) -> StoreCopyError:
    """What an agent that failed means; `errors` is what it, or ssh, or the account's shell wrote."""
    lines = [line for line in errors.splitlines() if line.strip()]
    fields = parse_line(lines[-1]) if lines else {}
    code, told = fields.get("error"), inert(str(fields.get("told", "")))[:_MAX_TOLD]
    if code == "hop":
        error = classify(int(fields.get("status", 255)), str(fields.get("told", "")), what=what, reads=True)
        return HopError(f"{error.code}: {error}")
    if code is not None:
        return _KINDS.get(str(code), StoreCopyError)(f"{what}: {told}")
    return classify(status, errors, what=what, reads=reads)


def is_cut(status: int, errors: str) -> bool:
    """Whether this side only noticed that the other one ended."""
    lines = [line for line in errors.splitlines() if line.strip()]
    return bool(status) and bool(lines) and parse_line(lines[-1]).get("error") == "cut"
