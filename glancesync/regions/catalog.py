# SPDX-License-Identifier: Apache-2.0
"""The image endpoints that Keystone knows. Called by the directory."""
from __future__ import annotations

from typing import Any

from keystoneauth1.session import Session

from glancesync.exceptions import RegionAnswerError, RegionForbiddenError
from glancesync.regions.endpoints import CatalogEntry
from glancesync.regions.glance_errors import Call, bad_answer
from glancesync.regions.keystone_reader import KeystoneReader, objects

SERVICE_TYPE = "image"


class Catalog:
    """Asks the Keystone that the session logs in at, anew at each call: the catalog inside a token never changes, so a
    new region would stay unseen for as long as the token lives."""

    def __init__(self, *, session: Session, timeout_seconds: float = 60) -> None:
        self._keystone = KeystoneReader(session=session, timeout_seconds=timeout_seconds)

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
        call = self._keystone.call("/auth/catalog")
        try:
            services = objects(call, self._keystone.get(call), "catalog")
        except RegionForbiddenError:
            return []
        return [_entry(call, endpoint) for service in services if service.get("type") == SERVICE_TYPE
                for endpoint in objects(call, service, "endpoints")]

    def _from_endpoints(self) -> list[CatalogEntry]:
        services = self._keystone.call(f"/services?type={SERVICE_TYPE}")
        endpoints = self._keystone.call("/endpoints")
        image_ids = {service.get("id") for service in objects(services, self._keystone.get(services), "services")
                     if service.get("enabled", True)}
        return [_entry(endpoints, endpoint)
                for endpoint in objects(endpoints, self._keystone.get(endpoints), "endpoints")
                if endpoint.get("service_id") in image_ids and endpoint.get("enabled", True)]


def _entry(call: Call, endpoint: dict[str, Any]) -> CatalogEntry:
    fields = {"region": endpoint.get("region_id") or endpoint.get("region") or "", "url": endpoint.get("url"),
              "interface": endpoint.get("interface")}
    if not all(isinstance(value, str) for value in fields.values()):
        raise bad_answer(call, "an endpoint's region, interface or url is no string")
    return CatalogEntry(**fields)
