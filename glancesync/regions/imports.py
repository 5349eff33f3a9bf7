# SPDX-License-Identifier: Apache-2.0
"""A Glance that fetches an image's bytes by itself: the part of a RegionClient that orders and watches it, and how a
real Glance is asked. `memory_imports` is the twin."""
from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from glancesync.exceptions import RegionAnswerError
from glancesync.model.image import Image
from glancesync.model.imports import ImportTask
from glancesync.regions import glance_json
from glancesync.regions.glance_http import GlanceHTTP, path_of


class ImportClient(abc.ABC):
    """Raises as RegionClient does."""

    @abc.abstractmethod
    def import_from_region(self, image_id: str, region: str, source_id: str, *, interface: str) -> None:
        """One POST: let the queued image's bytes, formats and some of its properties be those of an active image of
        another region. Its Glance fetches them after this returned, with our user's token; meanwhile the image is
        importing and `locked`, afterwards active, or queued again. Raises RegionRejectedError where the method is not
        enabled, RegionConflictError for an image that is not queued."""

    @abc.abstractmethod
    def list_import_tasks(self, image_id: str) -> tuple[ImportTask, ...]:
        """The tasks in which the Glance itself worked on the image, oldest first; those that it forgot are not among
        them. Raises ImageNotFoundError."""

    @abc.abstractmethod
    def copy_to_store(self, image_id: str, store: str) -> None:
        """One POST: let the active image's bytes lie in that store too. Its Glance copies them after this returned;
        meanwhile the image is `locked`. It compares them with the hash that the image has, and sets hash and checksum
        to what it computed. Raises RegionRejectedError where they lie there already, or there is no such store."""

    @abc.abstractmethod
    def remove_from_store(self, image_id: str, store: str) -> None:
        """One DELETE: the active image's bytes lie in that store no more. Raises RegionForbiddenError for its only
        one, ImageNotFoundError or RegionAnswerError where they do not lie there."""


class GlanceImports(ImportClient):
    """The part of a GlanceRegion."""

    _http: GlanceHTTP
    _ask: Callable[..., Any]
    get_image: Callable[..., Image]

    def import_from_region(self, image_id: str, region: str, source_id: str, *, interface: str) -> None:
        self._http.request(path_of(image_id, "import"), "POST", json={"method": {
            "name": "glance-download", "glance_region": region, "glance_image_id": source_id,
            "glance_service_interface": interface}})

    def copy_to_store(self, image_id: str, store: str) -> None:
        self._http.request(path_of(image_id, "import"), "POST", json={
            "method": {"name": "copy-image"}, "stores": [store], "all_stores_must_succeed": True})

    def remove_from_store(self, image_id: str, store: str) -> None:
        self._http.request(f"/v2/stores/{quote(store, safe='')}/{quote(image_id, safe='')}", "DELETE")

    def list_import_tasks(self, image_id: str) -> tuple[ImportTask, ...]:
        try:
            found: tuple[ImportTask, ...] = self._ask("GET", path_of(image_id, "tasks"),
                                                      glance_json.parse_import_tasks)
        except RegionAnswerError:
            self.get_image(image_id, with_members=False)  # this 404 of Glance's names no image
            raise
        return found
