# SPDX-License-Identifier: Apache-2.0
"""Registers a file whose bytes nobody has verified yet, and verifies them. Used by store_locations.

    POST /v2/glance-sync/images/ID/locations        as Glance's POST /v2/images/ID/locations

A Glance without this filter knows no such path, so what is sent there is verified or refused, never taken as it is.
Where `do_secure_hash` is on, Glance compares the hash itself before the image is active; where it is off the filter
does, in the task of Glance's that follows in this process.
"""
from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any

from oslo_config import cfg

_PATH = re.compile(r"/v2/glance-sync/images/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/locations\Z")
_MOST_BYTES = 65536
_MOST_WAITING = 1000
Digest = tuple[str, str]
Application = Callable[..., Iterable[bytes]]


class Demands:
    """The hashes that the files of images are to have, until their tasks ask."""

    def __init__(self) -> None:
        self._wanted: dict[str, Digest] = {}
        self._lock = threading.Lock()

    def put(self, image_id: str, digest: Digest) -> bool:
        """False, and nothing is noted, where too many wait already: none may be forgotten."""
        with self._lock:
            if len(self._wanted) >= _MOST_WAITING and image_id not in self._wanted:
                return False
            self._wanted[image_id] = digest
            return True

    def take(self, image_id: str) -> Digest | None:
        with self._lock:
            return self._wanted.pop(image_id, None)


class VerifiedLocations:
    """The WSGI application around Glance's."""

    def __init__(self, application: Application, demands: Demands, conf: cfg.ConfigOpts) -> None:
        self._application = application
        self._demands = demands
        self._conf = conf

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        found = _PATH.match(environ.get("PATH_INFO", ""))
        if found is None or environ.get("REQUEST_METHOD") != "POST":
            return self._application(environ, start_response)
        body = _read(environ)
        digest = find_digest(body)
        if digest is None:
            return _refuse(start_response, "400 Bad Request")
        image_id = found.group(1)
        environ.update({"PATH_INFO": f"/v2/images/{image_id}/locations", "wsgi.input": io.BytesIO(body),
                        "CONTENT_LENGTH": str(len(body))})
        if self._conf.do_secure_hash:
            return self._application(environ, start_response)
        return self._demanded(environ, start_response, image_id, digest)

    def _demanded(self, environ: dict[str, Any], start_response: Callable[..., Any], image_id: str,
                  digest: Digest) -> Iterable[bytes]:
        def start(status: str, *more: Any) -> Any:
            if not status.startswith("202"):  # no task follows
                self._demands.take(image_id)
            return start_response(status, *more)

        if not self._demands.put(image_id, digest):
            return _refuse(start_response, "503 Service Unavailable")
        return self._application(environ, start)


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
