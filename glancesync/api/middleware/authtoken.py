# SPDX-License-Identifier: Apache-2.0
"""keystonemiddleware's auth_token, told to use our configuration object and to refuse in this API's words."""
from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import webob
import webob.exc
from keystoneauth1.exceptions import ClientException
from keystoneauth1.session import Session
from keystonemiddleware import auth_token

from glancesync.api.errors import HttpError, http_error_response
from glancesync.api.parts import parts_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

LOG = logging.getLogger(__name__)

_TOKEN_HEADERS = ("X-Auth-Token", "X-Service-Token")
#: Longer ones make the server in front of Keystone fail (431), which would look like a Keystone that is down.
_MAX_TOKEN_LENGTH = 7000
_MESSAGES = {
    401: "A valid Keystone token is needed in X-Auth-Token.",
    503: "The token cannot be checked: Keystone does not answer.",
}


class AuthToken(auth_token.AuthProtocol):
    """Lets through only requests with a token that Keystone vouches for; the caller's headers say who it is."""

    def process_request(self, request: webob.Request) -> webob.Response | None:
        """None to go on, or the refusal (401; 503 when Keystone cannot be asked)."""
        if any(len(request.headers.get(name, "")) > _MAX_TOKEN_LENGTH for name in _TOKEN_HEADERS):
            return http_error_response(request.environ, HttpError(401, _MESSAGES[401]))
        try:
            refusal: webob.Response | None = super().process_request(request)
        except webob.exc.HTTPException as error:
            message = _MESSAGES.get(error.status_int)
            if message is None:
                raise
            where = error.headers.get("WWW-Authenticate")
            headers = {"WWW-Authenticate": where} if where else {}
            refusal = http_error_response(request.environ, HttpError(error.status_int, message, headers=headers))
        except ClientException as error:
            LOG.warning("a token cannot be checked, Keystone answered what is not its own: %s", type(error).__name__)
            refusal = http_error_response(request.environ, HttpError(503, _MESSAGES[503]))
        return refusal

    def _create_session(self, **options: Any) -> Session:
        """No redirect is followed: it would take the password wherever an answer points."""
        session: Session = super()._create_session(**options, redirect=False)
        return session


def filter_factory(global_conf: Mapping[str, Any], **local_conf: str) -> Callable[[WSGIApplication], WSGIApplication]:
    """Options of [keystone_authtoken] may also stand in the paste section."""
    conf = parts_of(global_conf).conf
    return lambda application: AuthToken(application, {**local_conf, "oslo_config_config": conf})
