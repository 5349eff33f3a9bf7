# SPDX-License-Identifier: Apache-2.0
"""Errors as JSON: {"error": {"code", "message", "request_id"}}. The one border where exceptions become answers."""
from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping

import webob

from glancesync.exceptions import GlanceSyncError, InvalidInputError, NotFoundError, NotReadyError
from glancesync.model.meaning import Explained

LOG = logging.getLogger(__name__)

REQUEST_ID = "openstack.request_id"

_CALLER = "Correct the request."


class HttpCode(Explained):
    """Codes of refusals by the rules of HTTP, beside those that errors of ours share."""

    UNAUTHENTICATED = ("unauthenticated", "401: the request has no token, or one that Keystone does not know.",
                       "Nothing was done.", "Log in again.")
    METHOD_NOT_ALLOWED = ("method_not_allowed", "405: this path does not know the method; the header Allow names "
                          "those it knows.", "Nothing was done.", _CALLER)
    VERSION_NOT_SUPPORTED = ("version_not_supported", "406: the microversion that was asked for is none of this "
                             "server's; the answer names them.", "Nothing was done.", "Ask for one of those.")
    REQUEST_TIMEOUT = ("request_timeout", "408: the request's body came too slowly.", "Nothing was done.",
                       "Send it again.")
    UNSUPPORTED_MEDIA_TYPE = ("unsupported_media_type", "415: the body is not JSON by its Content-Type.",
                              "Nothing was done.", _CALLER)
    TOO_MANY_LOGINS = ("too_many_logins", "429: so many logins of the account, or from the address, failed that it has "
                       "to wait; Retry-After says how long.", "The password was not tried.", "Wait; then log in.")


#: Codes of what HTTP itself refuses; every other code is a GlanceSyncError's.
HTTP_CODES = {
    400: InvalidInputError.code,
    401: HttpCode.UNAUTHENTICATED.value,
    404: NotFoundError.code,
    405: HttpCode.METHOD_NOT_ALLOWED.value,
    406: HttpCode.VERSION_NOT_SUPPORTED.value,
    408: HttpCode.REQUEST_TIMEOUT.value,
    415: HttpCode.UNSUPPORTED_MEDIA_TYPE.value,
    429: HttpCode.TOO_MANY_LOGINS.value,
    503: NotReadyError.code,
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
