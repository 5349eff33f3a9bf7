# SPDX-License-Identifier: Apache-2.0
"""Fetches what an image has beyond another one that lies here already, by rsync. Called by moves.

Whatever is in the way of it (no rsync on one of the hosts, no base) is told, and the image is then fetched whole.
"""
from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from typing import IO

from glancesync.stores.agent.files import Part, open_source
from glancesync.stores.agent.hop import SharedHop
from glancesync.stores.agent.words import Failure, Request, path_of, say

#: rsync of some releases gives the path to the other host's shell as it is.
_PLAIN = re.compile(r"/[A-Za-z0-9/._-]*\Z")
_SENT = re.compile(r"^Total bytes received: ([0-9]+)", re.MULTILINE)
_MAX_TOLD = 8192
_OPTIONS = ("--ignore-times", "--inplace", "--no-whole-file", "--info=progress2", "--no-h", "--stats")
_BLOCK_BYTES = 65536
_LEAST_BYTES = 128 << 20


class NoDelta(Exception):
    """Why there is none."""


def fetch_delta(request: Request, part: Part, copy: Callable[[int, int], None]) -> None:
    """The part is as the source's file now; nothing is verified yet. `copy` makes a part of a base's descriptor and
    size. Raises NoDelta and OSError."""
    hop, rsync = request["hop"], shutil.which("rsync")
    if rsync is None:
        raise NoDelta("this host has no rsync")
    if not _PLAIN.match(hop["folder"]) or "'" in hop["key_file"] + hop["known_hosts_file"]:
        raise NoDelta("a path has characters that not every rsync takes")
    try:
        base, size = open_source(path_of(request, "base"))
    except Failure as failure:
        raise NoDelta(f"its base is not here: {failure}") from None
    shared = SharedHop(hop)
    try:
        copy(base, size)
        ssh = shared.arguments()
        _run([rsync, *_OPTIONS, *_block_size(request["size"]), "-e", " ".join(map(shlex.quote, ssh)), "--",
              f"{_host(hop)}:{path_of(hop)}", part.name], request["size"])
    except Failure as failure:
        raise NoDelta(str(failure)) from None
    finally:
        os.close(base)
        shared.close()


def _host(hop: Request) -> str:
    host: str = hop["host"]
    return f"[{host}]" if ":" in host else host


def _block_size(size: int) -> list[str]:
    """As large as a cluster of qcow2, where rsync's own are smaller: fewer are told and looked for."""
    return [f"--block-size={_BLOCK_BYTES}"] if _LEAST_BYTES <= size < _BLOCK_BYTES ** 2 else []


def _run(words: list[str], size: int) -> None:
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                                   env={**os.environ, "LC_ALL": "C"})
        try:
            told = _listen(process.stdout, size) if process.stdout is not None else ""
        except BaseException:
            process.kill()
            raise
        finally:
            status = process.wait()
        errors.seek(0)
        lines = errors.read(_MAX_TOLD).decode("utf-8", "replace").strip().splitlines()
    if status:
        raise NoDelta(f"rsync ended with status {status}: {lines[0] if lines else ''}")
    found = _SENT.search(told)
    say(sent=int(found.group(1)) if found else None)


def _listen(stream: IO[bytes], size: int) -> str:
    """All that it wrote; the progress is reported meanwhile."""
    told = b""
    while data := os.read(stream.fileno(), _MAX_TOLD):
        told = (told + data)[-4 * _MAX_TOLD:]
        word = data.replace(b"\r", b"\n").rsplit(b"\n", 1)[-1].split()[:1] or data.split()[:1]
        if word and word[0].isdigit():
            say(bytes=min(int(word[0]), size))
    return told.decode("utf-8", "replace")
