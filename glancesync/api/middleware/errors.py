# SPDX-License-Identifier: Apache-2.0
"""Makes JSON answers of every exception that the later stages raise."""
from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from glancesync.api.errors import (
    HttpError,
    describe_request,
    http_error_response,
    known_error_response,
    unexpected_error_response,
)
from glancesync.clock import Clock, SystemClock
from glancesync.exceptions import GlanceSyncError
from glancesync.model.text import inert

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LOG = logging.getLogger(__name__)
_TELL_SECONDS = 60.0


class ErrorBorder:
    """No exception leaves it, so that a caller never sees a traceback or an empty connection. What the server could not
    do is in its log too, each cause once a minute."""

    def __init__(self, application: WSGIApplication, clock: Clock | None = None) -> None:
        self._application = application
        self._clock = clock or SystemClock()
        self._told_at: dict[str, float] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            return self._application(environ, start_response)
        except GlanceSyncError as error:
            self._tell(environ, error)
            response = known_error_response(environ, error)
        except HttpError as error:
            response = http_error_response(environ, error)
        except Exception:
            LOG.exception("%s failed unexpectedly", describe_request(environ))
            response = unexpected_error_response(environ)
        answer: Iterable[bytes] = response(environ, start_response)
        return answer

    def _tell(self, environ: WSGIEnvironment, error: GlanceSyncError) -> None:
        if error.http_status <= HTTPStatus.INTERNAL_SERVER_ERROR:  # that one itself is always logged
            return
        now = self._clock.monotonic()
        if now - self._told_at.get(error.code, -_TELL_SECONDS) >= _TELL_SECONDS:
            self._told_at[error.code] = now
            LOG.warning("%s could not be done (%s, told once in %d s): %s", describe_request(environ), error.code,
                        _TELL_SECONDS, inert(str(error)))


def filter_factory(_global_conf: Mapping[str, Any]) -> Callable[[WSGIApplication], WSGIApplication]:
    return ErrorBorder
