# SPDX-License-Identifier: Apache-2.0
"""What the sync server says of images and regions, by its API. Read by the demo for display; it decides nothing."""
from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from keystoneauth1 import exceptions
from keystoneauth1.session import Session

from glancesync.lab.errors import LabError


@dataclass(frozen=True, kw_only=True)
class ReplicaState:
    """One image in one region. Times in seconds, ISO 8601 where text; None where the server does not know."""

    region: str
    state: str
    reason: str | None
    bytes_done: int | None
    bytes_total: int | None
    replica_id: str | None
    digest: str | None
    verified_at: str | None
    lag_seconds: float | None
    rate_bytes_per_second: float | None

    @property
    def percent(self) -> int:
        """Of the bytes, 0 to 100."""
        if not self.bytes_total:
            return 100 if self.state == "in_sync" else 0
        return min(100, 100 * (self.bytes_done or 0) // self.bytes_total)


@dataclass(frozen=True, kw_only=True)
class ImageState:
    id: str
    name: str | None
    replicas: dict[str, ReplicaState]

    def is_in_sync(self, regions: Collection[str]) -> bool:
        """Whether the server calls it in sync in all of these regions."""
        return all(region in self.replicas and self.replicas[region].state == "in_sync" for region in regions)


class SyncState:
    """Reads GET /v1/images as an admin."""

    def __init__(self, session: Session, server_url: str) -> None:
        self._session = session
        self._server_url = server_url

    def read(self, image_ids: Collection[str]) -> dict[str, ImageState]:
        """Those of the images that the server knows, by id. Raises LabError when it does not answer."""
        found: dict[str, ImageState] = {}
        url: str | None = "/v1/images?limit=200"
        while url:
            page = self._get(url)
            for record in page["images"]:
                if record["id"] in image_ids:
                    found[record["id"]] = _image_state(record)
            url = page.get("next")
        return found

    def _get(self, url: str) -> dict[str, Any]:
        absolute = url if url.startswith("http") else self._server_url + url
        try:
            return dict(self._session.get(absolute).json())
        except exceptions.ClientException as error:
            raise LabError(f"the sync server did not answer {absolute}: {error}") from error


def _image_state(record: dict[str, Any]) -> ImageState:
    replicas = (_replica_state(region) for region in record["regions"])
    return ImageState(id=record["id"], name=record["name"], replicas={replica.region: replica for replica in replicas})


def _replica_state(record: dict[str, Any]) -> ReplicaState:
    digest = record.get("digest")
    names = ("region", "state", "reason", "bytes_done", "bytes_total", "replica_id", "verified_at", "lag_seconds",
             "rate_bytes_per_second")
    plain: dict[str, Any] = {name: record.get(name) for name in names}
    return ReplicaState(digest=digest["value"] if digest else None, **plain)
