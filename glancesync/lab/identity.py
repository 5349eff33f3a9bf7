# SPDX-License-Identifier: Apache-2.0
"""Projects, users, roles, regions and endpoints of the lab, made through Keystone's API. Called by `cloud`."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests
from keystoneauth1.identity.v3 import Password
from keystoneauth1.session import Session

from glancesync.lab.state import PROJECTS, USERS, LabState

_NAMES = {"identity": "keystone", "image": "glance", "image-sync": "glance-sync"}
INTERFACES = ("public", "internal", "admin")
Record = dict[str, object]


def new_session(state: LabState, user: str) -> Session:
    """A keystoneauth1 session of a user of the lab. The environment's proxies are not asked."""
    options: dict[str, Any] = {name: value for name, value in state.auth_options(user).items() if name != "auth_type"}
    plain = requests.Session()
    plain.trust_env = False
    return Session(auth=Password(**options), session=plain)


class Identity:
    """Makes what is missing and leaves what is there; every method may be repeated."""

    def __init__(self, state: LabState, session: Session) -> None:
        self._state = state
        self._session = session

    def ensure_all(self) -> None:
        for project in (*PROJECTS, "service"):
            self._ensure("project", name=project, domain_id="default")
        roles = {name: self._ensure("role", name=name)["id"] for _, names in USERS.values() for name in names}
        for user, (project, names) in USERS.items():
            self._ensure_user(user, project, [str(roles[name]) for name in names])
        for kind, url_by_region in self._services().items():
            service = self._ensure("service", type=kind, name=_NAMES[kind])
            self._ensure_endpoints(str(service["id"]), url_by_region)

    def _services(self) -> dict[str, dict[str, str]]:
        return {
            "identity": dict.fromkeys(self._state.regions, self._state.keystone_url),
            "image": {region: self._state.endpoint(region) for region in self._state.regions},
            "image-sync": {self._state.cascading_region: self._state.server_url},
        }

    def _ensure_user(self, name: str, project: str, role_ids: list[str]) -> None:
        project_id = self._ensure("project", name=project, domain_id="default")["id"]
        if name != "admin":  # the admin was made by `keystone-manage bootstrap`
            self._ensure("user", {"password": self._state.passwords[name]}, name=name, domain_id="default")
        user_id = self._ensure("user", name=name, domain_id="default")["id"]
        for role_id in role_ids:
            self._call("PUT", f"/projects/{project_id}/users/{user_id}/roles/{role_id}")

    def _ensure_endpoints(self, service_id: str, url_by_region: Mapping[str, str]) -> None:
        known = {str(region["id"]) for region in self._list("region")}
        for region in url_by_region.keys() - known:
            self._call("POST", "/regions", {"region": {"id": region}})
        endpoints = {(endpoint["region_id"], endpoint["interface"]): endpoint
                     for endpoint in self._list("endpoint", service_id=service_id)}
        for region, url in url_by_region.items():
            for interface in INTERFACES:
                wanted: Record = {"service_id": service_id, "region_id": region, "interface": interface, "url": url}
                found = endpoints.get((region, interface))
                if found is None:
                    self._call("POST", "/endpoints", {"endpoint": wanted})
                elif found["url"] != url:
                    self._call("PATCH", f"/endpoints/{found['id']}", {"endpoint": {"url": url}})

    def _ensure(self, kind: str, secrets: Mapping[str, str] | None = None, **wanted: str) -> Record:
        found = self._list(kind, **wanted)
        if found:
            return found[0]
        answer = self._call("POST", f"/{kind}s", {kind: wanted | dict(secrets or {})})
        return dict(answer.json()[kind])

    def _list(self, kind: str, **filters: str) -> list[Record]:
        return list(self._call("GET", f"/{kind}s", params=filters).json()[f"{kind}s"])

    def _call(self, method: str, path: str, body: object = None, *,
              params: Mapping[str, str] | None = None) -> requests.Response:
        return self._session.request(self._state.keystone_url + path, method, json=body, params=params or {})
