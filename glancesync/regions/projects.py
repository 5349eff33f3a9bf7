# SPDX-License-Identifier: Apache-2.0
"""What Keystone says of a project: its image endpoints, the roles in it, its domain. Called by sync.owners.

Keystone's endpoint filtering: endpoints are associated with a project one by one, or by endpoint groups (filters over
all endpoints). One list has both. It is empty for a project that nothing is associated with, which sees all endpoints
or none, as an option of Keystone says that its API does not tell.
"""
from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from keystoneauth1.session import Session

from glancesync.exceptions import RegionAnswerError
from glancesync.model.owner import Owner
from glancesync.regions.catalog import SERVICE_TYPE
from glancesync.regions.keystone_reader import KeystoneReader

#: Keystone's ids. Glance lets an admin write any text as an image's owner.
_PROJECT_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


class Projects:
    """Asks the Keystone that the session logs in at, as a user who has the admin role there."""

    def __init__(self, *, session: Session, timeout_seconds: float = 60) -> None:
        self._keystone = KeystoneReader(session=session, timeout_seconds=timeout_seconds)

    def read(self, project_id: str, *, roles: bool, domain: bool) -> Owner:
        """Two to four requests. Raises RegionErrors that name Keystone; an answer that is none never makes an empty
        list."""
        if not _PROJECT_ID.fullmatch(project_id):
            return Owner(project_id=project_id, exists=False)
        project = quote(project_id, safe="")
        endpoints = self._keystone.list(f"/OS-EP-FILTER/projects/{project}/endpoints", "endpoints", missing=project_id)
        if endpoints is None:
            return Owner(project_id=project_id, exists=False)
        return Owner(
            project_id=project_id, endpoint_regions=self._image_regions(endpoints) if endpoints else None,
            roles=self._roles(project) if roles else frozenset(),
            domain_id=self._domain(project_id, project) if domain else None)

    def _image_regions(self, endpoints: list[dict[str, Any]]) -> frozenset[str]:
        services = self._keystone.list(f"/services?type={SERVICE_TYPE}", "services") or []
        image_ids = {service.get("id") for service in services if service.get("enabled", True)}
        return frozenset(
            _text(endpoint.get("region_id") or endpoint.get("region"), "an endpoint's region") for endpoint in endpoints
            if endpoint.get("service_id") in image_ids and endpoint.get("enabled", True))

    def _roles(self, project: str) -> frozenset[str]:
        """Names and ids of the roles that users have in it: directly, by groups, inherited from above, implied."""
        found = self._keystone.list(
            f"/role_assignments?scope.project.id={project}&effective&include_names=true", "role_assignments") or []
        roles = [each.get("role") for each in found]
        return frozenset(_text(role.get(name) if isinstance(role, dict) else None, "a role") for role in roles
                         for name in ("id", "name"))

    def _domain(self, project_id: str, project: str) -> str:
        call = self._keystone.call(f"/projects/{project}")
        found = self._keystone.get(call, missing=project_id)
        record = found.get("project") if isinstance(found, dict) else None
        return _text(record.get("domain_id") if isinstance(record, dict) else None, "a project's domain")


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise RegionAnswerError(f"Keystone's answer has {what} that is no text", region="Keystone")
    return value
