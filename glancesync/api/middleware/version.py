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
        if not versions.has_versions(environ.get("PATH_INFO", "")):
            return self._application(environ, start_response)
        response = self._answer(webob.Request(environ))
        answer: Iterable[bytes] = response(environ, start_response)
        return answer

    def _answer(self, request: webob.Request) -> webob.Response:
        try:
            version = versions.requested_version(request.headers.get(versions.HEADER, ""))
        except InvalidInputError as error:
            return _named(known_error_response(request.environ, error), versions.MINIMUM)
        if not versions.MINIMUM <= version <= versions.MAXIMUM:
            return _named(_not_spoken(request, version), version)
        return _named(request.get_response(self._application), version)


def _not_spoken(request: webob.Request, version: versions.ApiVersion) -> webob.Response:
    spoken = {"min_version": versions.MINIMUM.text, "max_version": versions.MAXIMUM.text}
    return error_response(
        request.environ, status=406, code=HTTP_CODES[406], more=spoken,
        message=f"Version {version.text} is not spoken here, only {versions.MINIMUM.text} to {versions.MAXIMUM.text}.")


def _named(response: webob.Response, version: versions.ApiVersion) -> webob.Response:
    response.headers[versions.HEADER] = f"{versions.SERVICE_TYPE} {version.text}"
    response.vary = (*(response.vary or ()), versions.HEADER)
    return response


def filter_factory(_global_conf: Mapping[str, Any]) -> Callable[[WSGIApplication], WSGIApplication]:
    return MicroVersion
