# SPDX-License-Identifier: Apache-2.0
"""The page's outer stage, before a token is looked at: files, login, and sessions turned into tokens. Built by cmd."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import webob

from glancesync.api.errors import HttpError
from glancesync.web.files import PREFIX, StaticFile, file_response
from glancesync.web.login import Login
from glancesync.web.sessions import Sessions

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class WebStage:
    """Everything that is not the page's goes on, with the token of its session where it has one."""

    def __init__(self, application: WSGIApplication, *, files: Mapping[str, StaticFile], login: Login,
                 sessions: Sessions) -> None:
        self._application = application
        self._files = files
        self._sessions = sessions
        self._posts: Mapping[str, Callable[[webob.Request], webob.Response]] = {
            f"{PREFIX}login": login.log_in, f"{PREFIX}logout": login.log_out}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        response = self._answer(webob.Request(environ))
        if response is None:
            self._sessions.lend_token(environ)
            return self._application(environ, start_response)
        answer: Iterable[bytes] = response(environ, start_response)
        return answer

    def _answer(self, request: webob.Request) -> webob.Response | None:
        path = request.environ.get("PATH_INFO", "")
        if path == PREFIX.rstrip("/"):
            return webob.Response(status=302, headers={"Location": f"{request.script_name}{PREFIX}"},
                                  content_type=None)
        if path in self._posts:
            _require(request, "POST")
            return self._posts[path](request)
        if path in self._files:
            _require(request, "GET", "HEAD")
            return file_response(self._files[path])
        return None


def _require(request: webob.Request, *methods: str) -> None:
    if request.method not in methods:
        raise HttpError(405, f"This path takes {', '.join(methods)}.", headers={"Allow": ", ".join(methods)})
