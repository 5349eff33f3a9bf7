# SPDX-License-Identifier: Apache-2.0
"""The image endpoints that Keystone knows. Called by the directory."""
from __future__ import annotations

from typing import Any

import requests
from keystoneauth1 import exceptions as ksa
from keystoneauth1.adapter import Adapter
from keystoneauth1.plugin import AUTH_INTERFACE
from keystoneauth1.session import Session

from glancesync.exceptions import RegionAnswerError, RegionForbiddenError
from glancesync.regions.endpoints import CatalogEntry
from glancesync.regions.glance_errors import Call, bad_answer, error_from_failure
from glancesync.regions.glance_http import read_json, refusal

SERVICE_TYPE = "image"
_KEYSTONE = "Keystone"


class Catalog:
    """Asks the Keystone that the session logs in at, anew at each call: the catalog inside a token never changes, so a
    new region would stay unseen for as long as the token lives."""

    def __init__(self, *, session: Session, timeout_seconds: float = 60) -> None:
        self._keystone = Adapter(session, interface=AUTH_INTERFACE, version="3", connect_retries=0)
        self._timeout_seconds = timeout_seconds

    def list_endpoints(self) -> list[CatalogEntry]:
        """Every enabled image endpoint, of all regions and interfaces, sorted.

        Raises RegionErrors that name Keystone. An empty list never stands for a failure: a Keystone that shows no
        image endpoint at all is an error too.
        """
        entries = self._from_token() or self._from_endpoints()
        if not entries:
            raise RegionAnswerError("Keystone shows the service user no image endpoint at all; see its role and the "
                                    "catalog")
        return sorted(set(entries))

    def _from_token(self) -> list[CatalogEntry]:
        """What a token issued now would carry; empty where the service user's has no catalog (no project)."""
        call = Call(region=_KEYSTONE, method="GET", path="/auth/catalog")
        try:
            services = _objects(call, self._get(call), "catalog")
        except RegionForbiddenError:
            return []
        return [_entry(call, endpoint) for service in services if service.get("type") == SERVICE_TYPE
                for endpoint in _objects(call, service, "endpoints")]

    def _from_endpoints(self) -> list[CatalogEntry]:
        services = Call(region=_KEYSTONE, method="GET", path=f"/services?type={SERVICE_TYPE}")
        endpoints = Call(region=_KEYSTONE, method="GET", path="/endpoints")
        image_ids = {service.get("id") for service in _objects(services, self._get(services), "services")
                     if service.get("enabled", True)}
        return [_entry(endpoints, endpoint) for endpoint in _objects(endpoints, self._get(endpoints), "endpoints")
                if endpoint.get("service_id") in image_ids and endpoint.get("enabled", True)]

    def _get(self, call: Call) -> Any:
        try:
            response = self._keystone.request(
                call.path, call.method, headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                raise_exc=False, redirect=False, log=False, stream=True, timeout=self._timeout_seconds)
            if response.status_code != 200:
                raise refusal(call, response)
            try:
                return read_json(response, call)
            finally:
                response.close()
        except (ksa.ClientException, requests.RequestException) as failure:
            raise error_from_failure(call, failure) from failure


def _objects(call: Call, data: Any, name: str) -> list[dict[str, Any]]:
    found = data.get(name) if isinstance(data, dict) else None
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise bad_answer(call, f"{name} is no list of objects")
    return found


def _entry(call: Call, endpoint: dict[str, Any]) -> CatalogEntry:
    fields = {"region": endpoint.get("region_id") or endpoint.get("region") or "", "url": endpoint.get("url"),
              "interface": endpoint.get("interface")}
    if not all(isinstance(value, str) for value in fields.values()):
        raise bad_answer(call, "an endpoint's region, interface or url is no string")
    return CatalogEntry(**fields)
