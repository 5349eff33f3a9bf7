# SPDX-License-Identifier: Apache-2.0
"""The cookie of a session: written at login, turned into the X-Auth-Token that the API's auth_token checks.

Used by `stage` (each request) and `login`. No request gets more than its token gives: who the caller is, and what he
may, is found out as for every other client.
"""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import webob

from glancesync.clock import Clock
from glancesync.exceptions import ForbiddenError
from glancesync.web.origin import SAFE_METHODS, carries_csrf, is_same_origin, is_secure
from glancesync.web.seal import Seal, Session

COOKIE = "glance_sync_session"
#: Where browsers hold a cookie to https, to this host and to no path, they make sure of it by its name.
SECURE_COOKIE = f"__Host-{COOKIE}"
#: Browsers drop larger ones.
MAX_COOKIE_BYTES = 3900
SESSION = "glancesync.web.session"
_AUTH_HEADER = "HTTP_X_AUTH_TOKEN"
_MOST_ENDED = 10_000


class Sessions:
    """Knows no session but what its cookies say, and those that were ended here."""

    def __init__(self, *, seal: Seal, clock: Clock, public_endpoint: str | None) -> None:
        self._seal = seal
        self._clock = clock
        self._public_endpoint = public_endpoint
        self._ended: OrderedDict[str, float] = OrderedDict()

    def find(self, environ: Mapping[str, Any]) -> Session | None:
        """The session of the request's cookie, None where it has none that is good now. Raises ConfigurationError."""
        cookies = webob.Request(dict(environ)).cookies
        text = cookies.get(SECURE_COOKIE) if self._is_secure(environ) else cookies.get(COOKIE)
        session = self._seal.open(text) if text else None
        if session is None or session.ends_at <= self._clock.now() or session.id in self._ended:
            return None
        return session

    def lend_token(self, environ: dict[str, Any]) -> None:
        """Give a request of our own page its session's token. One that brings a token keeps that; one that comes from
        elsewhere gets none. Raises ForbiddenError where a request with a session is to change something and does not
        prove to be the page's."""
        environ.pop(SESSION, None)
        if _AUTH_HEADER in environ or "HTTP_COOKIE" not in environ:
            return
        session = self.find(environ)
        if session is None:
            return
        if not is_same_origin(environ, self._public_endpoint) or not carries_csrf(environ, session.csrf):
            if environ.get("REQUEST_METHOD") in SAFE_METHODS:
                return
            raise ForbiddenError("This request does not come from the page that you are logged in to; load it again.")
        environ[_AUTH_HEADER] = session.token
        environ[SESSION] = session

    def is_ours(self, environ: Mapping[str, Any]) -> bool:
        """Whether a request without a session comes from our page."""
        return is_same_origin(environ, self._public_endpoint)

    def begin(self, response: webob.Response, environ: Mapping[str, Any], session: Session) -> bool:
        """Set the cookie; False where the token is too long for one."""
        text = self._seal.close(session)
        if len(text) > MAX_COOKIE_BYTES:
            return False
        self._set(response, environ, text, max_age=max(0, int(session.ends_at - self._clock.now())))
        return True

    def end(self, response: webob.Response, environ: Mapping[str, Any], session: Session | None) -> None:
        """Remove the cookie; a copy of it is no session any more on this server."""
        self._set(response, environ, "", max_age=0)
        if session is not None:
            self._ended[session.id] = session.ends_at
            while len(self._ended) > _MOST_ENDED or next(iter(self._ended.values())) <= self._clock.now():
                self._ended.popitem(last=False)
                if not self._ended:
                    break

    def _set(self, response: webob.Response, environ: Mapping[str, Any], text: str, *, max_age: int) -> None:
        secure = self._is_secure(environ)
        response.set_cookie(SECURE_COOKIE if secure else COOKIE, text, max_age=max_age, path="/", secure=secure,
                            httponly=True, samesite="Strict")

    def _is_secure(self, environ: Mapping[str, Any]) -> bool:
        return is_secure(environ, self._public_endpoint)
