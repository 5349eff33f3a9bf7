# SPDX-License-Identifier: Apache-2.0
"""Serves the routes that anybody may ask (discovery, healthcheck) before a token is looked at."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from glancesync.api.parts import parts_of
from glancesync.api.router import Router
from glancesync.api.routes import PUBLIC_ROUTES

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class PublicRoutes:
    """Everything else goes on to the next stage."""

    def __init__(self, application: WSGIApplication, router: Router) -> None:
        self._application = application
        self._router = router

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        chosen = self._router if self._router.knows(environ) else self._application
        return chosen(environ, start_response)


def filter_factory(global_conf: Mapping[str, Any]) -> Callable[[WSGIApplication], WSGIApplication]:
    router = Router(parts_of(global_conf), PUBLIC_ROUTES)
    return lambda application: PublicRoutes(application, router)
