# SPDX-License-Identifier: Apache-2.0
"""What the API answers before the server is ready. Used by the daemon."""
from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from glancesync.api.errors import error_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_RETRY_SECONDS = "3"


class StartGate:
    """Everybody is told 503 and why, until `open`. Nothing of a request is looked at."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self._why: str | None = "the server starts"

    def wait_for(self, why: str) -> None:
        """What the start waits for, in words for a caller."""
        self._why = why

    def open(self) -> None:
        self._why = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self._why is None:
            return self._application(environ, start_response)
        response: Any = error_response(environ, status=503, code="not_ready", message=f"Not ready: {self._why}",
                                       headers={"Retry-After": _RETRY_SECONDS})
        answer: Iterable[bytes] = response(environ, start_response)
        return answer
