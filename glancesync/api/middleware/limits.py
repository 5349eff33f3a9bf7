# SPDX-License-Identifier: Apache-2.0
"""Refuses what is too large or oddly shaped before anybody reads it."""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from glancesync.api.errors import HttpError
from glancesync.api.parts import parts_of
from glancesync.exceptions import BodyTooLargeError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_PIECE_BYTES = 65536
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
#: A name or IPv4 address, or an IPv6 address in brackets, and a port. Links are made of it.
_HOST = re.compile(r"([\w.~-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?\Z", re.ASCII)
_PREFIX = re.compile(r"(/[\w.~-]+)*\Z", re.ASCII)


class _Readable(Protocol):
    def read(self, size: int) -> bytes: ...


class LimitedInput:
    """A body of unknown length, read in pieces; raises BodyTooLargeError as soon as it is longer than the limit."""

    def __init__(self, stream: _Readable, limit_bytes: int) -> None:
        self._stream = stream
        self._limit_bytes = limit_bytes
        self._left_bytes = limit_bytes

    def read(self, size: int = -1) -> bytes:
        wanted = self._left_bytes + 1 if size is None or size < 0 else size
        pieces: list[bytes] = []
        while wanted > 0 and (piece := self._stream.read(min(wanted, _PIECE_BYTES))):
            wanted -= len(piece)
            self._left_bytes -= len(piece)
            if self._left_bytes < 0:
                raise _too_large(self._limit_bytes)
            pieces.append(piece)
        return b"".join(pieces)


class Limits:
    """Checks the declared length of the body, the spelling of the path, and what links would be made of."""

    def __init__(self, application: WSGIApplication, *, max_body_bytes: int) -> None:
        self._application = application
        self._max_body_bytes = max_body_bytes

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        _check_path(environ)
        _check_origin(environ)
        length = environ.get("CONTENT_LENGTH") or ""
        if length and not re.fullmatch("[0-9]{1,18}", length, re.ASCII):
            raise HttpError(400, "Content-Length must be a number of bytes.")
        if length and int(length) > self._max_body_bytes:
            raise _too_large(self._max_body_bytes)
        if not length and "HTTP_TRANSFER_ENCODING" in environ:
            environ["wsgi.input"] = LimitedInput(environ["wsgi.input"], self._max_body_bytes)
        return self._application(environ, start_response)


def _too_large(limit_bytes: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"The body is larger than {limit_bytes} bytes; send it in parts.")


def _check_path(environ: WSGIEnvironment) -> None:
    path = environ.get("PATH_INFO", "")
    try:
        path.encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise HttpError(400, "The path is not valid UTF-8.") from None
    if "//" in path or _CONTROLS.search(path):
        raise HttpError(400, "The path has an empty segment or a control character.")


def _check_origin(environ: WSGIEnvironment) -> None:
    if not _HOST.match(environ.get("HTTP_HOST", "")):
        raise HttpError(400, "The Host is no name or address with a port.")
    if not _PREFIX.match(environ.get("SCRIPT_NAME", "")) or environ.get("wsgi.url_scheme") not in ("http", "https"):
        raise HttpError(400, "The proxy in front names a prefix or a protocol that is none.")


def filter_factory(global_conf: Mapping[str, Any]) -> Callable[[WSGIApplication], WSGIApplication]:
    limit = parts_of(global_conf).settings.max_body_bytes
    return lambda application: Limits(application, max_body_bytes=limit)
