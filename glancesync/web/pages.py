# SPDX-License-Identifier: Apache-2.0
"""The page's inner stage, where the caller is known: who is logged in and what he may, and the live stream."""
from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import webob
from oslo_policy import policy

from glancesync.api.access import Access
from glancesync.api.errors import HttpError
from glancesync.api.policies import list_rules
from glancesync.api.router import CONTEXT
from glancesync.clock import Clock, isoformat
from glancesync.web.files import PREFIX
from glancesync.web.headers import HEADERS
from glancesync.web.sessions import SESSION
from glancesync.web.stream import Streams, Viewer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from glancesync.web.seal import Session

#: A stream ends after this, so that whoever listens is asked for a good token again.
_STREAM_SECONDS = 300.0
_RULES = sorted(rule.name for rule in list_rules() if ":" in rule.name)


class CallerPages:
    """Answers what needs a session; everything else goes on to the API."""

    def __init__(self, application: WSGIApplication, *, enforcer: policy.Enforcer, streams: Streams,
                 clock: Clock) -> None:
        self._application = application
        self._enforcer = enforcer
        self._streams = streams
        self._clock = clock

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if not path.startswith(PREFIX):
            return self._application(environ, start_response)
        if path not in (f"{PREFIX}session", f"{PREFIX}events"):
            raise HttpError(404, "The page has no such path.")
        if environ.get("REQUEST_METHOD") != "GET":
            raise HttpError(405, "This path takes GET.", headers={"Allow": "GET"})
        session = environ.get(SESSION)
        if session is None:
            raise HttpError(401, "This is for whoever is logged in to the page.")
        context = environ[CONTEXT]
        access = Access(enforcer=self._enforcer, context=context)
        response = self._tell(session, access, context.project_id) if path.endswith("session") else self._stream(
            session, environ, access)
        answer: Iterable[bytes] = response(environ, start_response)
        return answer

    def _tell(self, session: Session, access: Access, project_id: str | None) -> webob.Response:
        """The page hides what the caller may not; that it is refused is the API's matter."""
        may = {rule: access.allows(rule, owner=project_id) for rule in _RULES}
        body: dict[str, Any] = {"user": session.user, "project": session.project, "csrf": session.csrf,
                                "ends_at": isoformat(session.ends_at), "may": may}
        response = webob.Response(body=json.dumps(body).encode(), content_type="application/json", charset=None)
        response.headers.update({**HEADERS, "Cache-Control": "no-store"})
        return response

    def _stream(self, session: Session, environ: WSGIEnvironment, access: Access) -> webob.Response:
        """Server-sent events. Raises NotReadyError when as many listen as may."""
        environ["eventlet.minimum_write_chunk_size"] = 0  # each event goes out when it happens
        seconds = min(_STREAM_SECONDS, session.ends_at - self._clock.now())
        viewer = Viewer(sees=lambda owner: access.allows("images:get", owner=owner),
                        sees_regions=access.allows("regions:list"))
        response = webob.Response(app_iter=self._streams.open(viewer, seconds=seconds),
                                  content_type="text/event-stream", charset="utf-8")
        response.headers.update({**HEADERS, "Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        return response
