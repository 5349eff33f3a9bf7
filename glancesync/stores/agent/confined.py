# SPDX-License-Identifier: Apache-2.0
"""What an account may do whose key has the agent as its forced command (pure but for reading its options). Called by
main. docs/stores.md tells how it is set up."""
from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from glancesync.stores.agent.words import ID, READS, Failure, Request, read_request

#: What rsync's client asks of the sender of one file, whatever its release.
_RSYNC = ("rsync", "--server", "--sender")
_RSYNC_FLAGS = re.compile(r"-I?e?\.?[A-Za-z]*(\.[A-Za-z]*)?\Z")
_RSYNC_BLOCKS = re.compile(r"-B[0-9]{1,6}\Z")
_PYTHON = ["python3", "-IS", "-c"]
#: Of the environment, what ssh and rsync need.
_ENVIRONMENT = ("HOME", "LANG", "LOGNAME", "USER")
_ONCE = ("--peer-key-file", "--peer-known-hosts-file")


class Limits(NamedTuple):
    """`folders`: what may be read and, where not `read_only`, written. With what, and to which hosts, it may log in."""

    folders: tuple[str, ...]
    read_only: bool = False
    peer_key_file: str | None = None
    peer_known_hosts_file: str | None = None
    peers: tuple[str, ...] = ()


def read_limits(arguments: Sequence[str]) -> Limits:
    """The options of the forced command. Raises Failure for any other."""
    found: dict[str, list[str]] = {"--folder": [], "--peer": [], **{key: [] for key in _ONCE}}
    words, read_only = list(arguments), False
    while words:
        word = words.pop(0)
        if word == "--read-only":
            read_only = True
        elif word in found and words:
            found[word].append(words.pop(0))
        else:
            raise Failure("refused", f"the forced command has an option that is not known: {word}")
    if not found["--folder"] or not all(each.startswith("/") for each in found["--folder"]):
        raise Failure("refused", "the forced command names no folder")
    if any(len(found[key]) > 1 for key in _ONCE):
        raise Failure("refused", "the forced command names two keys")
    key_file, known_hosts_file = (found[key][0] if found[key] else None for key in _ONCE)
    return Limits(folders=tuple(each.rstrip("/") or "/" for each in found["--folder"]), read_only=read_only,
                  peer_key_file=key_file, peer_known_hosts_file=known_hosts_file, peers=tuple(found["--peer"]))


def select_permitted(limits: Limits, command: str) -> Request | list[str] | None:
    """The request that the command makes, or rsync's argument list, or None for a command that does nothing. Raises
    Failure for every other command."""
    try:
        words = shlex.split(command)
    except ValueError:
        raise Failure("refused", "this account runs no such command") from None
    if words == ["true"]:
        return None
    if tuple(words[:3]) == _RSYNC:
        return _rsync(limits, words)
    if len(words) != 5 or words[:3] != _PYTHON:
        raise Failure("refused", "this account runs no such command")
    request = read_request(words[4])
    _check(limits, request)
    return request


def _check(limits: Limits, request: Request) -> None:
    if request["folder"] not in limits.folders or request.get("source", request["folder"]) not in limits.folders:
        raise Failure("refused", "this account has another folder")
    if limits.read_only and request["do"] not in READS:
        raise Failure("refused", "this account may only read")
    hop = request.get("hop")
    if hop is None:
        return
    if limits.peer_key_file is None or (hop["key_file"], hop["known_hosts_file"]) != (
            limits.peer_key_file, limits.peer_known_hosts_file):
        raise Failure("refused", "this account logs in to other hosts with another key")
    if hop["host"] not in limits.peers:
        raise Failure("refused", "this account does not log in to that host")


def _rsync(limits: Limits, words: Sequence[str]) -> list[str]:
    """The sender of one image's file, put together anew."""
    *flags, dot, path = words[3:]
    folder, _slash, name = path.rpartition("/")
    blocks = [each for each in flags[1:2] if _RSYNC_BLOCKS.match(each)]
    if (flags[1:] != [*blocks, "--inplace"] or dot != "." or not _RSYNC_FLAGS.match(flags[0])
            or (folder or "/") not in limits.folders or not re.match(ID + r"\Z", name) or os.path.islink(path)):
        raise Failure("refused", "this account runs no such rsync")
    return [*_RSYNC, flags[0], *blocks, "--inplace", ".", path]


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What is left of what a client may have sent."""
    return {"PATH": "/usr/bin:/bin", **{key: environ[key] for key in _ENVIRONMENT if key in environ}}
