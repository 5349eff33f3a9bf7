# SPDX-License-Identifier: Apache-2.0
"""What one region holds, by plain HTTP and by looking into its folders. For the judge (`oracle`) alone.

Nothing of the product is imported: neither its region client nor its model.
"""
from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from glancesync.lab.errors import LabError
from glancesync.lab.glance import Glance
from glancesync.lab.state import LabState

TIMEOUT_SECONDS = 30
IN_THE_MAKING = frozenset({"queued", "saving", "uploading", "importing"})
Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class RegionReading:
    """`images`: Glance's records by id. `members`: {project id: status} by the id of a shared image."""

    region: str
    images: dict[str, Record]
    members: dict[str, dict[str, str]] = field(default_factory=dict)


def get_token(state: LabState, user: str = "admin") -> str:
    """A token by Keystone's API; the password goes in the body."""
    auth = state.auth_options(user)
    domain = {"name": auth["user_domain_name"]}
    body: Record = {"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": auth["username"], "domain": domain, "password": auth["password"]}}},
        "scope": {"project": {"name": auth["project_name"], "domain": domain}},
    }}
    with _plain_session() as session:
        answer = session.post(f"{state.keystone_url}/auth/tokens", json=body, timeout=TIMEOUT_SECONDS)
    if answer.status_code != requests.codes.created:
        raise LabError(f"Keystone gave {user} no token: {answer.status_code}")
    return answer.headers["X-Subject-Token"]


def read_region(glance: Glance, token: str) -> RegionReading:
    """Every image of the region, hidden or not, of every project. Raises LabError when it cannot be read whole."""
    with _plain_session() as session:
        session.headers["X-Auth-Token"] = token
        images = {record["id"]: record for hidden in ("false", "true")
                  for record in _list(session, f"{glance.url}/v2/images?visibility=all&limit=100&os_hidden={hidden}")}
        members = {image_id: _read_members(session, glance, image_id)
                   for image_id, record in images.items() if record["visibility"] == "shared"}
    return RegionReading(region=glance.name, images=images, members=members)


def _list(session: requests.Session, url: str) -> Iterator[Record]:
    next_url: str | None = url
    while next_url:
        page = _get(session, next_url)
        yield from page["images"]
        following = page.get("next")
        next_url = f"{url.partition('/v2/')[0]}{following}" if following else None


def _read_members(session: requests.Session, glance: Glance, image_id: str) -> dict[str, str]:
    answer = _get(session, f"{glance.url}/v2/images/{image_id}/members", none_codes=(403, 404))
    return {member["member_id"]: member["status"] for member in answer.get("members", ())}


def _get(session: requests.Session, url: str, *, none_codes: Collection[int] = ()) -> Record:
    """`none_codes` read as nothing there: an image may go, or be shared no more, between two requests."""
    try:
        answer = session.get(url, timeout=TIMEOUT_SECONDS)
    except requests.RequestException as error:
        raise LabError(f"{url} cannot be read: {error}") from error
    if answer.status_code in none_codes:
        return {}
    if answer.status_code != requests.codes.ok:
        raise LabError(f"{url} answered {answer.status_code}")
    return dict(answer.json())


def _plain_session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # no proxy of the environment
    return session


def hash_file(path: Path, algorithm: str) -> str:
    """Hex digest of a file's bytes as they lie on the disk."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def find_leftovers(glance: Glance, images: dict[str, Record]) -> list[Path]:
    """Files in the store that belong to no image with bytes, and files staged for no image in the making."""
    filled = {image_id for image_id, record in images.items() if record["status"] not in ("queued", "killed")}
    making = {image_id for image_id, record in images.items() if record["status"] in IN_THE_MAKING}
    stored = [path for path in _files(glance.store_path) if path.name not in filled]
    staged = [path for path in _files(glance.staging_path) if path.name.partition(".")[0] not in making]
    return sorted([*stored, *staged])


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
