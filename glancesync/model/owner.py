# SPDX-License-Identifier: Apache-2.0
"""The project that owns an image, as far as it decides about regions. Read by regions.projects, judged by sync.user."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Owner:
    """What Keystone said of a project. `endpoint_regions` are the regions of the image endpoints in its catalog, None
    where no endpoint of any service is associated with it; `roles` are those that anybody has in it, by name and id;
    `domain_id` None and `roles` empty also where nobody asked. `exists` False: Keystone says there is no such project.
    """

    project_id: str
    exists: bool = True
    endpoint_regions: frozenset[str] | None = None
    roles: frozenset[str] = frozenset()
    domain_id: str | None = None
