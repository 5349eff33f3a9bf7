# SPDX-License-Identifier: Apache-2.0
"""Registers a file whose bytes nobody has verified yet, and verifies them. Used by store_locations.

    POST /v2/glance-sync/images/ID/locations        as Glance's POST /v2/images/ID/locations

A Glance without this filter knows no such path, so what is sent there is verified or refused, never taken as it is.
Where `do_secure_hash` is on, Glance compares the hash itself before the image is active; where it is off the filter
does, in the task of Glance's that follows. The hash goes with the request's own context, which that task is given: no
other request about the image, before or after, by whomever, changes or uses up what this one is to have. Two headers
spare the filter work (model.filed): that the hash was compared on the file's host a moment ago, and which md5 bytes of
that hash have. They count for a token with the filter's role alone, for without it nothing is registered.
"""
from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import webob
from oslo_config import cfg

from glancesync.model.filed import CHECKSUM_HEADER, COMPARED_HEADER

_PATH = re.compile(r"/v2/glance-sync/images/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/locations\Z")
_MOST_BYTES = 65536
_WANTED = "glancesync_demand"
_MD5 = re.compile(r"[0-9a-f]{32}\Z")
Digest = tuple[str, str]
Application = Callable[..., Iterable[bytes]]


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What is left to do. `digest`: the hash that the bytes must have, None where it was compared before; `checksum`:
    the md5 that bytes of that hash have, None where it has to be computed."""

    digest: Digest | None
    checksum: str | None = None


class VerifiedLocations:
    """The WSGI application around Glance's, behind the one that makes its contexts."""

    def __init__(self, application: Application, conf: cfg.ConfigOpts) -> None:
        self._application = application
        self._conf = conf

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        found = _PATH.match(environ.get("PATH_INFO", ""))
        if found is None or environ.get("REQUEST_METHOD") != "POST":
            return self._application(environ, start_response)
        body = _read(environ)
        digest = find_digest(body)
        if digest is None:
            return _refuse(start_response, "400 Bad Request")
        if not self._conf.do_secure_hash:
            context = getattr(webob.Request(environ), "context", None)
            if context is None:  # nothing would tell the task
                return _refuse(start_response, "503 Service Unavailable")
            setattr(context, _WANTED, read_demand(environ, digest))
        environ.update({"PATH_INFO": f"/v2/images/{found.group(1)}/locations", "wsgi.input": io.BytesIO(body),
                        "CONTENT_LENGTH": str(len(body))})
        return self._application(environ, start_response)


def find_wanted(context: Any) -> Demand:
    """What is left to do with the file that a request with this context registers."""
    found: Demand = getattr(context, _WANTED, None) or Demand(digest=None)
    return found


def read_demand(environ: dict[str, Any], digest: Digest) -> Demand:
    """What the request's headers leave to do. A checksum that is none is not heard."""
    checksum = str(environ.get(_key(CHECKSUM_HEADER)) or "")
    return Demand(digest=None if environ.get(_key(COMPARED_HEADER)) == "1" else digest,
                  checksum=checksum if _MD5.match(checksum) else None)


def _key(header: str) -> str:
    return "HTTP_" + header.upper().replace("-", "_")


def find_digest(body: bytes) -> Digest | None:
    """The hash that the request says the bytes have."""
    try:
        given = json.loads(body)["validation_data"]
        digest = given["os_hash_algo"], given["os_hash_value"]
    except (ValueError, KeyError, TypeError):
        return None
    return digest if all(isinstance(each, str) and each for each in digest) else None


def _refuse(start_response: Callable[..., Any], status: str) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", "0")])
    return [b""]


def _read(environ: dict[str, Any]) -> bytes:
    length = str(environ.get("CONTENT_LENGTH") or "0")
    stream = environ["wsgi.input"]
    data: bytes = stream.read(min(int(length), _MOST_BYTES) if length.isdigit() else 0)
    return data
