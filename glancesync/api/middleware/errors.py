# SPDX-License-Identifier: Apache-2.0
"""Makes JSON answers of every exception that the later stages raise."""
from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from glancesync.api.errors import (
    HttpError,
    describe_request,
    http_error_response,
    known_error_response,
    unexpected_error_response,
)
from glancesync.exceptions import GlanceSyncError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LOG = logging.getLogger(__name__)


class ErrorBorder:
    """No exception leaves it, so that a caller never sees a traceback or an empty connection."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            return self._application(environ, start_response)
        except GlanceSyncError as error:
            response = known_error_response(environ, error)
        except HttpError as error:
            response = http_error_response(environ, error)
        except Exception:
            LOG.exception("%s failed unexpectedly", describe_request(environ))
            response = unexpected_error_response(environ)
        answer: Iterable[bytes] = response(environ, start_response)
        return answer


def filter_factory(_global_conf: Mapping[str, Any]) -> Callable[[WSGIApplication], WSGIApplication]:
    return ErrorBorder
