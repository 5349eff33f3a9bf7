# SPDX-License-Identifier: Apache-2.0
"""Errors as JSON: {"error": {"code", "message", "request_id"}}. The one border where exceptions become answers."""
from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping

import webob

from glancesync.exceptions import GlanceSyncError

LOG = logging.getLogger(__name__)

REQUEST_ID = "openstack.request_id"

#: Codes of what HTTP itself refuses; every other code is a GlanceSyncError's.
HTTP_CODES = {
    400: "invalid_input",
    401: "unauthenticated",
    404: "not_found",
    405: "method_not_allowed",
    406: "version_not_supported",
    408: "request_timeout",
    415: "unsupported_media_type",
    503: "not_ready",
}
_UNEXPECTED = "The server failed on this request; its log tells why under this request id."


class HttpError(Exception):
    """What the rules of HTTP refuse, before any rule of ours is asked.

    Not one of WebOb's exceptions: stages of the pipeline that use wsgify would answer those in a form of their own.
    """

    def __init__(self, status: int, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}


def error_response(environ: Mapping[str, object], *, status: int, code: str, message: str,
                   headers: Mapping[str, str] | None = None,
                   more: Mapping[str, str] | None = None) -> webob.Response:
    """An error as this API shows it; `message` is one sentence for a person, `more` what a program can use."""
    body = {"error": {"code": code, "message": message, "request_id": environ.get(REQUEST_ID), **(more or {})}}
    response = webob.Response(status=status, body=json.dumps(body).encode(), content_type="application/json")
    response.headers.update({"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})})
    return response


def http_error_response(environ: Mapping[str, object], error: HttpError) -> webob.Response:
    return error_response(environ, status=error.status, code=HTTP_CODES[error.status], message=error.message,
                          headers=error.headers)


def known_error_response(environ: Mapping[str, object], error: GlanceSyncError) -> webob.Response:
    """An error of this package's tree. One that means our own failure (500) is logged and told without detail."""
    if error.http_status == 500:
        LOG.error("%s failed: %s", describe_request(environ), error, exc_info=error)
        return error_response(environ, status=500, code=error.code, message=_UNEXPECTED)
    headers = {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(max(0, math.ceil(error.retry_after_seconds)))
    return error_response(environ, status=error.http_status, code=error.code, message=error.message, headers=headers)


def unexpected_error_response(environ: Mapping[str, object]) -> webob.Response:
    """For an exception that nobody meant (and the caller logged with describe_request): no detail is told."""
    return error_response(environ, status=500, code="internal_error", message=_UNEXPECTED)


def describe_request(environ: Mapping[str, object]) -> str:
    """Method, path (escaped) and request id, for a log line."""
    return f"{environ.get('REQUEST_METHOD')} {environ.get('PATH_INFO')!r} ({environ.get(REQUEST_ID)})"
