# SPDX-License-Identifier: Apache-2.0
"""Reads the sync server's answers within bounds, and turns its refusals into this package's errors.

Used by `client.client` alone. Nothing that the server sends is believed before it was measured: size, time, type.
"""
from __future__ import annotations

import json
import math
import time
from typing import Any

import requests

from glancesync.exceptions import (
    BodyTooLargeError,
    ForbiddenError,
    GlanceSyncError,
    NotFoundError,
    RegionAnswerError,
    RegionBusyError,
    RegionUnauthorizedError,
    RegionUnavailableError,
    StateConflictError,
    VersionNotSpokenError,
    all_error_classes,
)

_CHUNK_BYTES = 64 * 1024
_SMALL_CHUNK_BYTES = 1024
_ERROR_LIMIT_BYTES = 64 * 1024
_MESSAGE_LIMIT = 300
_BY_STATUS: dict[int, type[GlanceSyncError]] = {
    401: RegionUnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    406: VersionNotSpokenError,
    409: StateConflictError,
    413: BodyTooLargeError,
    429: RegionBusyError,
}


def read_object(response: requests.Response, *, limit_bytes: int, deadline_seconds: float) -> dict[str, Any]:
    """The JSON object of a 2xx answer; raises the error that any other answer stands for.

    :param limit_bytes: a longer body is a RegionAnswerError
    :param deadline_seconds: how long the body may take, however slowly it drips; then RegionUnavailableError
    """
    accepted = 200 <= response.status_code < 300
    body = _read(response, limit_bytes if accepted else min(limit_bytes, _ERROR_LIMIT_BYTES), deadline_seconds)
    data = _parse(body)
    if not accepted:
        raise refusal(response, data)
    if not isinstance(data, dict):
        raise RegionAnswerError(f"The sync server's answer ({response.status_code}) is not a JSON object.")
    return data


def refusal(response: requests.Response, data: Any) -> GlanceSyncError:
    """The error for an answer that is not 2xx, by the code that the server's own JSON names, else by its status."""
    status = response.status_code
    told = data.get("error") if isinstance(data, dict) else None
    told = told if isinstance(told, dict) else {}
    kind = _class_of(status, told.get("code"))
    sentence = str(told.get("message") or f"It gave no reason (HTTP {status}).")
    error = kind(f"The sync server refused: {printable(sentence)}", retry_after_seconds=_retry_after(response),
                 request_id=printable(response.headers.get("x-openstack-request-id", "")) or None)
    if isinstance(error, VersionNotSpokenError):
        error.spoken = str(told.get("min_version")), str(told.get("max_version"))
    return error


def printable(text: str) -> str:
    """Foreign text for a log line: short, without control characters."""
    return "".join(c if c.isprintable() else " " for c in text[:_MESSAGE_LIMIT])


def _class_of(status: int, code: Any) -> type[GlanceSyncError]:
    """Without the server's own code a 400 proves nothing of the request: some other server may have answered."""
    for kind in all_error_classes():
        if kind.code == code and kind.http_status == status:
            return kind
    if status == 503 or status >= 500:
        return RegionUnavailableError
    return _BY_STATUS.get(status, RegionAnswerError)


def _retry_after(response: requests.Response) -> float | None:
    try:
        seconds = float(response.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _read(response: requests.Response, limit_bytes: int, deadline_seconds: float) -> bytes:
    end = time.monotonic() + deadline_seconds
    body = bytearray()
    while chunk := _next_bytes(response.raw):
        body += chunk
        if len(body) > limit_bytes:
            raise RegionAnswerError(f"The sync server's answer is longer than {limit_bytes} bytes.")
        if time.monotonic() > end:
            raise RegionUnavailableError(f"The sync server's answer took longer than {deadline_seconds:g} s.")
    return bytes(body)


def _next_bytes(raw: Any) -> bytes:
    """What is there, as it comes. requests' own reading waits for whole chunks, so that a slow drip would never meet
    its deadline; urllib3 before 2.1 can only be asked for little at a time."""
    found = raw.read1(_CHUNK_BYTES) if hasattr(raw, "read1") else raw.read(_SMALL_CHUNK_BYTES)
    return bytes(found)


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
