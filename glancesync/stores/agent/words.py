# SPDX-License-Identifier: Apache-2.0
"""What the agent is asked, says, and fails with. Used by its other modules, and by the server's side of it."""
from __future__ import annotations

import errno
import json
import os
import re
import sys
from typing import Any

VERSION = 2
#: What may be asked; those that change nothing on this host.
READS = frozenset({"hello", "send", "free"})
WRITES = frozenset({"receive", "pull", "clone", "remove", "reach", "check", "hash"})
ID = r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
HASHES = frozenset({"sha512", "sha384", "sha256", "sha1", "md5"})
_WORD = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_.:%@,+-]*\Z")
_NAME = re.compile(ID + r"\Z")
_KINDS: dict[int, str] = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "full"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.ELOOP), "write")}
Request = dict[str, Any]


class Failure(Exception):
    """`code`: full, write, source, short, corrupt, cut, occupied, hop (ssh to another host; then `status` is ssh's),
    refused, failed."""

    def __init__(self, code: str, told: str, **more: Any) -> None:
        super().__init__(told)
        self.code = code
        self.fields = {**more, "error": code, "told": told}


def say(**fields: Any) -> None:
    """A line of the report."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def failure_of(error: OSError) -> Failure:
    """What a call on the target's side means."""
    code = _KINDS.get(error.errno or 0, "failed")
    return Failure(code, f"{error.filename or 'writing'}: {error.strerror}")


def path_of(request: Request, key: str = "name") -> str:
    """The one path that an image's file has. Raises Failure for a name that is no UUID, whatever is asked."""
    name = request.get(key)
    if not isinstance(name, str) or not _NAME.match(name):
        raise Failure("refused", "a name that is no UUID has no file")
    return os.path.join(request["folder"], name)


def read_request(text: str) -> Request:
    """Raises Failure for anything but a request of this version with an absolute folder."""
    try:
        request = json.loads(text)
    except (ValueError, RecursionError):
        raise Failure("refused", "this is no request") from None
    if not isinstance(request, dict) or request.get("version") != VERSION:
        raise Failure("refused", f"this agent knows requests of version {VERSION}; bring both sides to one release")
    folder = request.get("folder")
    if request.get("do") not in READS | WRITES or not isinstance(folder, str) or not folder.startswith("/"):
        raise Failure("refused", "this is no request")
    _check_fields(request)
    return request


def _check_fields(request: Request) -> None:
    """Whatever has a wrong type is refused before anything is done."""
    size, digest, hop = request.get("size", 0), request.get("digest"), request.get("hop")
    well = type(size) is int and size >= 0 and all(
        isinstance(request.get(key, ""), str) for key in ("name", "source", "source_name", "base", "mark"))
    if digest is not None:
        well = well and isinstance(digest, dict) and digest.get("algorithm") in HASHES and isinstance(
            digest.get("value"), str)
    if hop is not None:
        well = well and isinstance(hop, dict) and all(
            isinstance(hop.get(key), str) and _WORD.match(hop[key]) for key in ("host", "user", "ciphers")) and all(
            isinstance(hop.get(key), str) and hop[key].startswith("/") for key in (
                "key_file", "known_hosts_file", "folder")) and all(
            type(hop.get(key)) is int for key in ("port", "connect_seconds"))
    if not well:
        raise Failure("refused", "a part of the request has a wrong form")
