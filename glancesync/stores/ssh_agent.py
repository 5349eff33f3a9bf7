# SPDX-License-Identifier: Apache-2.0
"""The server's side of the agent (pure): what it is asked, and the error that its answer means. Used by the drivers."""
from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from glancesync.exceptions import (
    StoreCopyError,
    StoreCorruptCopyError,
    StoreCutError,
    StoreFullError,
    StoreOccupiedError,
    StoreShortCopyError,
    StoreSourceMissingError,
    StoreWriteError,
)
from glancesync.model.store import FilesystemScheme
from glancesync.model.text import inert
from glancesync.stores.agent.bundle import invocation
from glancesync.stores.agent.words import VERSION
from glancesync.stores.ssh_words import CIPHERS, SSH_FAILED, classify

_CONNECT_SECONDS = 10
_MAX_TOLD = 300
_KINDS: Mapping[str, type[StoreCopyError]] = {
    "full": StoreFullError, "write": StoreWriteError, "source": StoreSourceMissingError, "short": StoreShortCopyError,
    "corrupt": StoreCorruptCopyError, "cut": StoreCutError, "occupied": StoreOccupiedError}
#: Of a disk, or of an image: more than there is, and less than a database's numbers end with.
_MOST = 1 << 62


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST


#: What an agent says of its work, and how it is told from what it never would.
_REPORTS: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("bytes", "free", "trial", "sent"), _is_count), "done": lambda value: value is True,
    "step": lambda value: value == "verifying", "whole": lambda value: isinstance(value, str),
    "seconds": lambda value: type(value) in (int, float) and 0 <= value < _MOST,
    "rsync": lambda value: isinstance(value, bool)}


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
    """An object; empty for whatever is none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def read_report(line: str) -> dict[str, Any]:
    """What an agent says while it works; whatever else a host says, or in another way, was not said."""
    return {key: value for key, value in parse_line(line).items() if key in _REPORTS and _REPORTS[key](value)}


def error_of(status: int, errors: str, *, what: str, reads: bool = False) -> StoreCopyError:
    """What an agent that failed means; `errors` is what it, or ssh, or the account's shell wrote."""
    lines = [line for line in errors.splitlines() if line.strip()]
    fields = parse_line(lines[-1]) if lines else {}
    code, told = fields.get("error"), inert(str(fields.get("told", "")))[:_MAX_TOLD]
    if code == "hop":
        ended = fields.get("status")
        error = classify(ended if isinstance(ended, int) else SSH_FAILED, str(fields.get("told", "")), what=what,
                         reads=True)
        return HopError(f"{error.code}: {error}")
    if code is not None:
        return _KINDS.get(str(code), StoreCopyError)(f"{what}: {told}")
    return classify(status, errors, what=what, reads=reads)


def is_cut(status: int, errors: str) -> bool:
    """Whether this side only noticed that the other one ended."""
    lines = [line for line in errors.splitlines() if line.strip()]
    return bool(status) and bool(lines) and parse_line(lines[-1]).get("error") == "cut"
