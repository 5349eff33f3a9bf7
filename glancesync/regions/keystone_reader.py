# SPDX-License-Identifier: Apache-2.0
"""Questions to the Keystone that the service user logs in at. Called by the catalog and projects."""
from __future__ import annotations

from typing import Any

import requests
from keystoneauth1 import exceptions as ksa
from keystoneauth1.adapter import Adapter
from keystoneauth1.plugin import AUTH_INTERFACE
from keystoneauth1.session import Session

from glancesync.regions.glance_errors import Answer, Call, bad_answer, error_from_answer, error_from_failure
from glancesync.regions.glance_http import read_json, refusal

_KEYSTONE = "Keystone"


class KeystoneReader:
    """Asks anew at each call; no redirect is followed and nothing is sent twice."""

    def __init__(self, *, session: Session, timeout_seconds: float = 60) -> None:
        self._keystone = Adapter(session, interface=AUTH_INTERFACE, version="3", connect_retries=0)
        self._timeout_seconds = timeout_seconds

    def list(self, path: str, name: str, *, missing: str | None = None) -> list[dict[str, Any]] | None:
        """The objects that the answer holds under `name`. `missing`: an id, None is returned where Keystone itself says
        that there is none of it. Raises RegionErrors that name Keystone."""
        call = self.call(path)
        found = self.get(call, missing=missing)
        return None if found is None else objects(call, found, name)

    def call(self, path: str) -> Call:
        return Call(region=_KEYSTONE, method="GET", path=path)

    def get(self, call: Call, *, missing: str | None = None) -> Any:
        """The answer's JSON; as `list`."""
        try:
            response = self._keystone.request(
                call.path, call.method, headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                raise_exc=False, redirect=False, log=False, stream=True, timeout=self._timeout_seconds)
            if response.status_code == 404 and missing is not None:
                return self._ensure_missing(call, response, missing)
            if response.status_code != 200:
                raise refusal(call, response)
            try:
                found = read_json(response, call)
            finally:
                response.close()
        except (ksa.ClientException, requests.RequestException) as failure:
            raise error_from_failure(call, failure) from failure
        if found is None:
            raise bad_answer(call, "it has no body")
        return found

    def _ensure_missing(self, call: Call, response: requests.Response, missing: str) -> None:
        """A proxy's 404, or one for a path that this Keystone does not know, says nothing of the thing itself."""
        try:
            told = read_json(response, call)
        finally:
            response.close()
        error = told.get("error") if isinstance(told, dict) else None
        message = str(error.get("message")) if isinstance(error, dict) else ""
        if missing not in message:
            raise error_from_answer(call, Answer(status=404, headers=response.headers, body=message.encode()))


def objects(call: Call, data: Any, name: str) -> list[dict[str, Any]]:
    """The list of objects that an answer has under that name. Raises RegionAnswerError where it has none."""
    found = data.get(name) if isinstance(data, dict) else None
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise bad_answer(call, f"{name} is no list of objects")
    return found
