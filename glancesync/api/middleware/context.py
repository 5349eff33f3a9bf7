# SPDX-License-Identifier: Apache-2.0
"""Makes an oslo.context of what auth_token found out; log lines and handlers take request id and caller from it."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from oslo_context.context import RequestContext

from glancesync.api.router import CONTEXT

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Context:
    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[CONTEXT] = RequestContext.from_environ(environ)
        return self._application(environ, start_response)


def filter_factory(_global_conf: Mapping[str, Any]) -> Callable[[WSGIApplication], WSGIApplication]:
    return Context
