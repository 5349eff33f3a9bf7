# SPDX-License-Identifier: Apache-2.0
"""Logging in and out: POST /web/login and /web/logout. Called by the outer stage."""
from __future__ import annotations

import json
import logging
import math
import secrets
from typing import Any

import webob

from glancesync.api.body import read_json
from glancesync.api.errors import HttpError
from glancesync.api.validation import check, compile_schema
from glancesync.clock import Clock
from glancesync.exceptions import ForbiddenError, NotReadyError
from glancesync.model.text import inert
from glancesync.web.headers import HEADERS
from glancesync.web.keystone import Credentials, Granted, Identity
from glancesync.web.lockout import Lockout
from glancesync.web.seal import Session
from glancesync.web.sessions import Sessions

LOG = logging.getLogger(__name__)
_TEXT = {"type": "string", "minLength": 1, "maxLength": 255}
_SCHEMA = compile_schema({
    "type": "object", "additionalProperties": False, "required": ["user", "password", "project"],
    "properties": {"user": _TEXT, "password": {"type": "string", "minLength": 1, "maxLength": 4096},
                   "project": _TEXT, "user_domain": _TEXT, "project_domain": _TEXT}})
_DEFAULT_DOMAIN = "Default"
_REFUSED = "Keystone does not know this user with this password in this project."


class Login:
    """Whatever is wrong with a login, one answer: it tells nobody whether a user or a project exists."""

    def __init__(self, *, identity: Identity, sessions: Sessions, lockout: Lockout, clock: Clock,
                 session_seconds: float) -> None:
        self._identity = identity
        self._sessions = sessions
        self._lockout = lockout
        self._clock = clock
        self._session_seconds = session_seconds

    def log_in(self, request: webob.Request) -> webob.Response:
        """Raises HttpError (401; 429 while the account or the address has to wait), ForbiddenError, NotReadyError."""
        if not self._sessions.is_ours(request.environ):
            raise ForbiddenError("Logging in is for this server's own page; programs send X-Auth-Token.")
        credentials = _credentials(request)
        account = f"{credentials.user_domain}\0{credentials.user}".casefold()
        address = str(request.environ.get("REMOTE_ADDR", ""))
        wait = self._lockout.begin(account, address)
        if wait > 0:
            raise HttpError(429, "Too many failed logins; wait and try again.",
                            headers={"Retry-After": str(math.ceil(wait))})
        try:
            granted = self._identity.log_in(credentials)
        except NotReadyError:
            self._lockout.undecided(account, address)
            raise
        if granted is None:
            LOG.warning("login of %s from %s refused", inert(credentials.user), address)
            raise HttpError(401, _REFUSED)
        self._lockout.succeeded(account, address)
        return self._begin(request, credentials, granted)

    def log_out(self, request: webob.Request) -> webob.Response:
        """End the session here and have Keystone take its token back; well also where there is none. Raises
        ForbiddenError where a session's own text is missing."""
        environ = {name: value for name, value in request.environ.items() if name != "HTTP_X_AUTH_TOKEN"}
        self._sessions.lend_token(environ)
        session = self._sessions.find(environ)
        response = _json({"ended": session is not None})
        self._sessions.end(response, request.environ, session)
        if session is not None:
            self._identity.log_out(session.token)
        return response

    def _begin(self, request: webob.Request, credentials: Credentials, granted: Granted) -> webob.Response:
        ends_at = min(granted.ends_at, self._clock.now() + self._session_seconds)
        session = Session(id=secrets.token_hex(16), token=granted.token, csrf=secrets.token_urlsafe(32),
                          ends_at=ends_at, user=credentials.user, project=credentials.project)
        response = _json({"user": session.user, "project": session.project})
        if not self._sessions.begin(response, request.environ, session):
            self._identity.log_out(granted.token)
            raise NotReadyError("Keystone's tokens are too long for a cookie; use the command line instead.")
        LOG.info("%s logged in to project %s from %s", inert(credentials.user), inert(credentials.project),
                 request.environ.get("REMOTE_ADDR"))
        return response


def _credentials(request: webob.Request) -> Credentials:
    body = read_json(request)
    check(_SCHEMA, body, what="the body")
    return Credentials(user=body["user"], password=body["password"], project=body["project"],
                       user_domain=body.get("user_domain", _DEFAULT_DOMAIN),
                       project_domain=body.get("project_domain", body.get("user_domain", _DEFAULT_DOMAIN)))


def _json(body: dict[str, Any]) -> webob.Response:
    response = webob.Response(body=json.dumps(body).encode(), content_type="application/json", charset=None)
    response.headers.update({**HEADERS, "Cache-Control": "no-store"})
    return response
