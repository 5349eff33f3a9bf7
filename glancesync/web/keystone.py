# SPDX-License-Identifier: Apache-2.0
"""Asks Keystone for a person's token, and takes it back. Used by `login`; the one place that sees a password."""
from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Protocol

from keystoneauth1 import exceptions as ksa
from keystoneauth1.identity import v3
from keystoneauth1.session import Session

from glancesync.exceptions import NotReadyError

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What a person typed. Its repr has no password."""

    user: str
    password: str = field(repr=False)
    project: str
    user_domain: str
    project_domain: str


@dataclass(frozen=True, kw_only=True)
class Granted:
    """`ends_at` is seconds since the epoch."""

    token: str = field(repr=False)
    ends_at: float


class Identity(Protocol):
    """What `login` needs of Keystone."""

    def log_in(self, credentials: Credentials) -> Granted | None:
        """None where Keystone refuses, whatever its reason. Raises NotReadyError."""

    def log_out(self, token: str) -> bool:
        """Whether Keystone took the token back."""


class Keystone:
    """`auth_url` is Keystone's, `session_options` are those of a keystoneauth1 session (verify, cert)."""

    def __init__(self, *, auth_url: str, timeout_seconds: float, session_options: dict[str, Any]) -> None:
        self._auth_url = auth_url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._session_options = session_options

    def log_in(self, credentials: Credentials) -> Granted | None:
        """As Identity says. No redirect is followed: the password goes to this Keystone only."""
        auth = v3.Password(
            auth_url=self._versioned_url(), username=credentials.user, password=credentials.password,
            user_domain_name=credentials.user_domain, project_name=credentials.project,
            project_domain_name=credentials.project_domain, include_catalog=False)
        try:
            access = auth.get_access(self._new_session())
        except (ksa.Unauthorized, ksa.Forbidden, ksa.NotFound, ksa.BadRequest):
            return None
        except ksa.ClientException as error:
            LOG.warning("nobody can log in to the page: Keystone does not answer (%s)", type(error).__name__)
            raise NotReadyError("Keystone does not answer; try again in a moment.") from error
        return Granted(token=access.auth_token, ends_at=access.expires.replace(tzinfo=UTC).timestamp())

    def log_out(self, token: str) -> bool:
        """As Identity says."""
        headers = {"X-Auth-Token": token, "X-Subject-Token": token}
        try:
            self._new_session().delete(f"{self._versioned_url()}/auth/tokens", headers=headers, authenticated=False)
        except ksa.ClientException as error:
            LOG.warning("a session's token could not be taken back, it lives until it ends (%s)", type(error).__name__)
            return False
        return True

    def _versioned_url(self) -> str:
        return self._auth_url if self._auth_url.endswith("/v3") else f"{self._auth_url}/v3"

    def _new_session(self) -> Session:
        """One for each call: nothing of one person's login stays for the next."""
        return Session(timeout=self._timeout_seconds, redirect=False, **self._session_options)
