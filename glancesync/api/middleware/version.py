# SPDX-License-Identifier: Apache-2.0
"""Reads the microversion header before anything else looks at a request, and names the version on every answer."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import webob

from glancesync.api import versions
from glancesync.api.errors import HTTP_CODES, error_response, known_error_response
from glancesync.exceptions import InvalidInputError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class MicroVersion:
    """Applies below /v1/ only: discovery must answer whoever does not know the versions yet."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not environ.get("PATH_INFO", "").rstrip("/").startswith("/v1/"):
            return self._application(environ, start_response)
        response = self._answer(webob.Request(environ))
        answer: Iterable[bytes] = response(environ, start_response)
        return answer

    def _answer(self, request: webob.Request) -> webob.Response:
        try:
            version = versions.requested_version(request.headers.get(versions.HEADER, ""))
        except InvalidInputError as error:
            return known_error_response(request.environ, error)
        if not versions.MINIMUM <= version <= versions.MAXIMUM:
            return error_response(
                request.environ, status=406, code=HTTP_CODES[406],
                message=f"Version {version.text} is not spoken here, "
                        f"only {versions.MINIMUM.text} to {versions.MAXIMUM.text}.")
        response = request.get_response(self._application)
        response.headers[versions.HEADER] = f"{versions.SERVICE_TYPE} {version.text}"
        response.vary = (*(response.vary or ()), versions.HEADER)
        return response


def filter_factory(_global_conf: Mapping[str, Any]) -> Callable[[WSGIApplication], WSGIApplication]:
    return MicroVersion
