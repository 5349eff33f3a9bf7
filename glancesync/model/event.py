# SPDX-License-Identifier: Apache-2.0
"""What the filter tells the server: a hint to look at an image again, never a value."""
from __future__ import annotations

import enum
import re
import uuid
from dataclasses import dataclass
from typing import Any

from glancesync.exceptions import InvalidInputError

#: Glance takes any hyphenated uuid as an image id, and tells upper from lower case.
IMAGE_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_TEXT_LIMIT = 255


class Operation(enum.StrEnum):
    """Which seam of Glance's repositories reported; ALL says that events were lost and everything is to be seen."""

    ADD = "add"
    SAVE = "save"
    REMOVE = "remove"
    MEMBERS = "members"
    ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Event:
    """One committed change. `image_id` is None for Operation.ALL only. `at` is seconds since the epoch."""

    id: str
    operation: Operation
    image_id: str | None
    at: float
    request_id: str | None = None
    user_id: str | None = None
    project_id: str | None = None
    roles: tuple[str, ...] = ()
    host: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "operation": self.operation.value, "image_id": self.image_id, "at": self.at,
                "request_id": self.request_id, "user_id": self.user_id, "project_id": self.project_id,
                "roles": list(self.roles), "host": self.host}


def new_event_id() -> str:
    return uuid.uuid4().hex


def check_image_id(value: Any) -> str:
    """The value if it is an image id; raises InvalidInputError otherwise."""
    if not isinstance(value, str) or not IMAGE_ID.match(value):
        raise InvalidInputError(f"{str(value)[:64]!r} is not an image id (a hyphenated UUID)")
    return value


def event_from_json(data: Any) -> Event:
    """An Event from what `to_json` made; raises InvalidInputError naming the field that is wrong."""
    if not isinstance(data, dict):
        raise InvalidInputError("an event must be a JSON object")
    try:
        operation = Operation(str(data.get("operation")))
    except ValueError:
        raise InvalidInputError(f"operation must be one of {', '.join(Operation)}") from None
    image_id = None if operation is Operation.ALL else check_image_id(data.get("image_id"))
    at = data.get("at")
    if isinstance(at, bool) or not isinstance(at, int | float) or not 0 <= at < 1e11:
        raise InvalidInputError("at must be a number of seconds since the epoch")
    return Event(id=_text(data, "id", required=True) or "", operation=operation, image_id=image_id, at=float(at),
                 request_id=_text(data, "request_id"), user_id=_text(data, "user_id"),
                 project_id=_text(data, "project_id"), roles=_roles(data), host=_text(data, "host"))


def _text(data: dict[str, Any], name: str, *, required: bool = False) -> str | None:
    value = data.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= _TEXT_LIMIT:
        raise InvalidInputError(f"{name} must be a string of 1 to {_TEXT_LIMIT} characters")
    return value


def _roles(data: dict[str, Any]) -> tuple[str, ...]:
    roles = data.get("roles") or []
    if not isinstance(roles, list) or len(roles) > 100 or not all(isinstance(r, str) and len(r) <= _TEXT_LIMIT
                                                                   for r in roles):
        raise InvalidInputError("roles must be a list of at most 100 strings")
    return tuple(roles)
