# SPDX-License-Identifier: Apache-2.0
"""Images over plain HTTP as one user in one region. What tests and the demo write and read with."""
from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import requests
from keystoneauth1.session import Session

from glancesync.lab.errors import LabError
from glancesync.lab.service import POLL_SECONDS

PATCH_TYPE = "application/openstack-images-v2.1-json-patch"
Record = dict[str, Any]


def _nothing(_image_id: str) -> None:
    """Nobody wants to know."""


class Images:
    """Each method is one request and raises keystoneauth1's HTTP errors unless it says otherwise.

    `on_create` is called with the id of each image made, before its bytes are sent.
    """

    def __init__(self, session: Session, endpoint: str, on_create: Callable[[str], None] = _nothing) -> None:
        self._session = session
        self._endpoint = endpoint
        self._on_create = on_create

    def create(self, name: str | None = "image", data: bytes | None = None, **fields: Any) -> Record:
        """A queued raw image; with `data` an active one. Fields are Glance's, custom properties among them."""
        wanted = {"name": name, "disk_format": "raw", "container_format": "bare"} | fields
        record = self._call("POST", "/v2/images", json=wanted).json()
        self._on_create(record["id"])
        if data is not None:
            self.upload(record["id"], data)
            record = self.get(record["id"])
        return dict(record)

    def upload(self, image_id: str, data: Any) -> None:
        """`data`: bytes, or an iterable of them (sent in chunks)."""
        self._call("PUT", f"/v2/images/{image_id}/file", data=data,
                   headers={"Content-Type": "application/octet-stream"})

    def stage(self, image_id: str, data: Any) -> None:
        self._call("PUT", f"/v2/images/{image_id}/stage", data=data,
                   headers={"Content-Type": "application/octet-stream"})

    def start_import(self, image_id: str, method: str, **parameters: Any) -> None:
        """`method`: glance-direct, web-download (uri=), glance-download, copy-image."""
        self._call("POST", f"/v2/images/{image_id}/import", json={"method": {"name": method, **parameters}})

    def get(self, image_id: str) -> Record:
        return dict(self._call("GET", f"/v2/images/{image_id}").json())

    def find(self, image_id: str) -> Record | None:
        answer = self._call("GET", f"/v2/images/{image_id}", raise_exc=False)
        if answer.status_code == requests.codes.not_found:
            return None
        answer.raise_for_status()
        return dict(answer.json())

    def list(self, **filters: str) -> list[Record]:
        """All pages. Admins see every project's; hidden ones only with os_hidden="true"."""
        found: list[Record] = []
        path: str | None = "/v2/images"
        query: Mapping[str, str] = {"limit": "200", **filters}
        while path:
            page = self._call("GET", path, params=query).json()
            found += page["images"]
            path, query = page.get("next"), {}
        return found

    def read(self, image_id: str) -> bytes:
        return bytes(self._call("GET", f"/v2/images/{image_id}/file").content)

    def patch(self, image_id: str, *operations: Mapping[str, Any]) -> Record:
        """JSON patch operations as Glance takes them."""
        answer = self._call("PATCH", f"/v2/images/{image_id}", data=json.dumps(operations),
                            headers={"Content-Type": PATCH_TYPE})
        return dict(answer.json())

    def set(self, image_id: str, **fields: Any) -> Record:
        """Add or replace fields and custom properties (an existing one is replaced by `add` as well)."""
        return self.set_properties(image_id, fields)

    def set_properties(self, image_id: str, fields: Mapping[str, Any]) -> Record:
        """As `set`, for names that are no Python names."""
        return self.patch(image_id, *({"op": "add", "path": _pointer(name), "value": value}
                                      for name, value in fields.items()))

    def unset(self, image_id: str, *names: str) -> Record:
        return self.patch(image_id, *({"op": "remove", "path": _pointer(name)} for name in names))

    def add_tag(self, image_id: str, tag: str) -> None:
        self._call("PUT", f"/v2/images/{image_id}/tags/{quote(tag, safe='')}")

    def remove_tag(self, image_id: str, tag: str) -> None:
        self._call("DELETE", f"/v2/images/{image_id}/tags/{quote(tag, safe='')}")

    def members(self, image_id: str) -> dict[str, str]:
        """Status by project id."""
        answer = self._call("GET", f"/v2/images/{image_id}/members").json()
        return {member["member_id"]: member["status"] for member in answer["members"]}

    def add_member(self, image_id: str, project_id: str) -> None:
        self._call("POST", f"/v2/images/{image_id}/members", json={"member": project_id})

    def set_member_status(self, image_id: str, project_id: str, status: str) -> None:
        """To be called by the member's own user: accepted, rejected, pending."""
        self._call("PUT", f"/v2/images/{image_id}/members/{project_id}", json={"status": status})

    def remove_member(self, image_id: str, project_id: str) -> None:
        self._call("DELETE", f"/v2/images/{image_id}/members/{project_id}")

    def deactivate(self, image_id: str) -> None:
        self._call("POST", f"/v2/images/{image_id}/actions/deactivate")

    def reactivate(self, image_id: str) -> None:
        self._call("POST", f"/v2/images/{image_id}/actions/reactivate")

    def delete(self, image_id: str) -> None:
        self._call("DELETE", f"/v2/images/{image_id}")

    def wait_status(self, image_id: str, status: str = "active", deadline_seconds: float = 30) -> Record:
        """The record once it has the status; raises LabError when it has another at the deadline."""
        end = time.monotonic() + deadline_seconds
        while (record := self.get(image_id))["status"] != status:
            if time.monotonic() > end:
                raise LabError(f"image {image_id} is {record['status']}, not {status}, after {deadline_seconds:g} s")
            time.sleep(POLL_SECONDS)
        return record

    def ensure_deleted(self, image_id: str) -> None:
        """Whatever state it is in, it is gone afterwards; raises LabError when Glance does not let it go."""
        record = self.find(image_id)
        if record is None:
            return
        if record["protected"]:
            self.set(image_id, protected=False)
        answer = self._call("DELETE", f"/v2/images/{image_id}", raise_exc=False)
        if answer.status_code in (requests.codes.no_content, requests.codes.not_found):
            return
        # Somebody else may delete it at the same moment: Glance shows it as deleted for an instant.
        left = self.find(image_id)
        if left is not None and left["status"] != "deleted":
            raise LabError(f"{image_id} cannot be removed: {answer.status_code} {answer.text}")

    def _call(self, method: str, path: str, **options: Any) -> requests.Response:
        return self._session.request(self._endpoint + path, method, **options)


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")
