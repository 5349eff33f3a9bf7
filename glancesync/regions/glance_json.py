# SPDX-License-Identifier: Apache-2.0
"""Glance's JSON and our values. Pure; called by the Glance client.

The `parse_` functions raise MalformedError for anything that is not what the Images API promises; whoever made the
call turns that into a RegionAnswerError that names it.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from glancesync.clock import parse_isoformat
from glancesync.model.image import Digest, Image, ImageChanges, Member, NewImage
from glancesync.model.imports import ImportTask

STATUSES = frozenset(("queued", "saving", "uploading", "importing", "active", "deactivated", "pending_delete",
                      "killed", "deleted"))
VISIBILITIES = frozenset(("public", "private", "shared", "community"))
MEMBER_STATUSES = frozenset(("pending", "accepted", "rejected"))
#: Every key of an image that is Glance's own; all others are custom properties.
OWN_KEYS = frozenset((
    "id", "name", "status", "visibility", "protected", "os_hidden", "checksum", "os_hash_algo", "os_hash_value",
    "owner", "size", "virtual_size", "container_format", "disk_format", "created_at", "updated_at", "tags",
    "direct_url", "min_ram", "min_disk", "self", "file", "stores", "schema", "locations",
))
RESERVED_PREFIX = "os_glance_"
#: The stores that an import or copy-image task has yet to fill. The task's lock (os_glance_import_task) tells nothing
#: of the bytes: a Glance that died before it let go of it leaves it on an image that is complete, for ever.
LOCK_KEY = "os_glance_import_task"
IMPORTING_KEY = "os_glance_importing_to_stores"
#: Attributes of Glance's image object: create takes them as names of custom properties, but PATCH would set the
#: attribute instead (`image_id` answers 404 for another image, `delete` answers 200 and changes nothing).
UNPATCHABLE = frozenset((
    "image_id", "extra_properties", "locations", "delete", "deactivate", "reactivate", "get_data", "set_data", "member",
    "base", "repo", "context", "notifier", "get_payload", "get_super_class", "send_notification",
))
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")


class MalformedError(ValueError):
    """Says which field of an answer is wrong, never its value."""


def parse_image(data: Any) -> Image:
    """An Image from what Glance shows of one; `members` stays None."""
    fields = _object(data)
    return Image(
        id=_id(fields),
        status=_one_of(fields, "status", STATUSES),
        visibility=_one_of(fields, "visibility", VISIBILITIES),
        **{name: _text(fields, name) for name in ("name", "owner", "disk_format", "container_format", "checksum")},
        **{name: _boolean(fields, name) for name in ("protected", "os_hidden")},
        **{name: _size(fields, name) or 0 for name in ("min_disk", "min_ram")},
        **{name: _size(fields, name) for name in ("size", "virtual_size")},
        **{name: _time(fields, name) for name in ("created_at", "updated_at")},
        tags=_tags(fields), digest=_digest(fields), properties=_properties(fields),
        importing=bool(fields.get(IMPORTING_KEY)),
        stores=tuple(each for each in (_text(fields, "stores") or "").split(",") if each),
        locked=bool(fields.get(LOCK_KEY)), hash_is_claim=_is_hash_claim(fields),
    )


def parse_page(data: Any) -> tuple[list[Image], str | None]:
    """The images of one page of a listing, and its link to the next one."""
    fields = _object(data)
    return [parse_image(image) for image in _list(fields, "images")], _text(fields, "next")


def continues_after(link: str, image_id: str) -> bool:
    """Whether the link to the next page goes on after this image in the same listing of the same Glance."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return False
    return (not parts.scheme and not parts.netloc and parts.path.endswith("/v2/images")
            and parse_qs(parts.query).get("marker") == [image_id])


def parse_members(data: Any) -> tuple[Member, ...]:
    """Sorted members from Glance's list of them."""
    found = []
    for entry in _list(_object(data), "members"):
        fields = _object(entry)
        member_id = _text(fields, "member_id")
        if not member_id:
            raise MalformedError("a member has no member_id")
        found.append(Member(member_id=member_id, status=_one_of(fields, "status", MEMBER_STATUSES)))
    return tuple(sorted(found))


def parse_locations(data: Any) -> tuple[str, ...]:
    """The URLs of an image's locations."""
    if not isinstance(data, list):
        raise MalformedError("not a list of locations")
    return tuple(url for each in data if (url := _text(_object(each), "url")) is not None)


def parse_import_tasks(data: Any) -> tuple[ImportTask, ...]:
    """The tasks of an image, oldest first."""
    found = []
    for entry in _list(_object(data), "tasks"):
        fields = _object(entry)
        status, task_id = _text(fields, "status"), _text(fields, "id")
        if not status or not task_id:
            raise MalformedError("a task has no id or no status")
        found.append((_time(fields, "created_at") or 0.0, ImportTask(
            id=task_id, status=status, message=_text(fields, "message"), updated_at=_time(fields, "updated_at"))))
    return tuple(task for _, task in sorted(found, key=lambda each: each[0]))


def name_filter(name: str) -> dict[str, str]:
    """What to ask a listing for, so that it shows all images of this name (and perhaps more)."""
    if ":" not in name:
        return {"name": name}
    if '"' in name or "\\" in name:  # Glance takes what is before a colon for an operator, and cannot quote these
        return {}
    return {"name": f'in:"{name}"'}


def create_body(new: NewImage) -> dict[str, object]:
    """The body of POST /v2/images. An owner of None is left to Glance (the caller's project)."""
    body: dict[str, object] = dict(new.properties)
    body |= {name: getattr(new, name) for name in (
        "id", "name", "visibility", "protected", "os_hidden", "disk_format", "container_format", "min_disk",
        "min_ram")}
    body["tags"] = sorted(new.tags)
    if new.owner is not None:
        body["owner"] = new.owner
    return body


def patch_body(changes: ImageChanges) -> list[dict[str, object]]:
    """The JSON patch of an update. Raises ValueError with a sentence when Glance's PATCH cannot name a property."""
    for name in (*changes.set_properties, *changes.remove_properties):
        check_patchable(name)
    patch: list[dict[str, object]] = [
        {"op": "replace", "path": f"/{name}", "value": _plain(value)} for name, value in changes.fields.items()]
    patch += [{"op": "add", "path": pointer(name), "value": value} for name, value in changes.set_properties.items()]
    patch += [{"op": "remove", "path": pointer(name)} for name in changes.remove_properties]
    return patch


def pointer(name: str) -> str:
    """A JSON pointer to a key of the image."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def check_patchable(name: str) -> None:
    """Raise ValueError where PATCH would not do what its path says."""
    if name != name.strip():
        raise ValueError(f"Glance strips the spaces around the property name {name[:64]!r}, so it cannot be changed")
    if name in UNPATCHABLE or name in OWN_KEYS or name.startswith(("__", RESERVED_PREFIX)):
        raise ValueError(f"Glance does not change a custom property named {name[:64]!r}")


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset | set) else value


def _object(data: Any) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise MalformedError("not a JSON object where one belongs")
    return data


def _list(fields: Mapping[str, Any], name: str) -> list[Any]:
    if not isinstance(fields.get(name), list):
        raise MalformedError(f"{name} is not a list")
    return list(fields[name])


def _id(fields: Mapping[str, Any]) -> str:
    value = fields.get("id")
    if not isinstance(value, str) or not _ID.match(value):
        raise MalformedError("id is not an image id")
    return value


def _one_of(fields: Mapping[str, Any], name: str, allowed: frozenset[str]) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or value not in allowed:
        raise MalformedError(f"{name} is none of {', '.join(sorted(allowed))}")
    return value


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    return _optional(fields, name, lambda value: isinstance(value, str), "a string")


def _size(fields: Mapping[str, Any], name: str) -> int | None:
    return _optional(fields, name, lambda value: type(value) is int and value >= 0, "a whole number from 0 up")


def _boolean(fields: Mapping[str, Any], name: str) -> bool:
    return bool(_optional(fields, name, lambda value: isinstance(value, bool), "a boolean"))


def _optional(fields: Mapping[str, Any], name: str, fits: Callable[[Any], bool], what: str) -> Any:
    value = fields.get(name)
    if value is not None and not fits(value):
        raise MalformedError(f"{name} is not {what}")
    return value


def _time(fields: Mapping[str, Any], name: str) -> float | None:
    text = _text(fields, name)
    try:
        return None if text is None else parse_isoformat(text)
    except ValueError:
        raise MalformedError(f"{name} is not a time") from None


def _tags(fields: Mapping[str, Any]) -> frozenset[str]:
    tags = _list(fields, "tags")
    if not all(isinstance(tag, str) for tag in tags):
        raise MalformedError("tags are not all strings")
    return frozenset(tags)


def _digest(fields: Mapping[str, Any]) -> Digest | None:
    algorithm, value = _text(fields, "os_hash_algo"), _text(fields, "os_hash_value")
    return Digest(algorithm=algorithm.lower(), value=value.lower()) if algorithm and value else None


def _is_hash_claim(fields: Mapping[str, Any]) -> bool:
    """Whether a client may have given the hash with a location that it registered.

    Glance computes md5 and os_hash of whatever passes through it. POST /locations takes an os_hash on trust where
    do_secure_hash is off, but no md5; PATCH takes both, where show_multiple_locations is on: then `locations` is shown.
    """
    return bool(fields.get("os_hash_value")) and ("locations" in fields or not fields.get("checksum"))


def _properties(fields: Mapping[str, Any]) -> dict[str, str | None]:
    found = {name: value for name, value in fields.items()
             if name not in OWN_KEYS and not name.startswith(RESERVED_PREFIX)}
    if not all(value is None or isinstance(value, str) for value in found.values()):
        raise MalformedError("custom properties are not all strings")
    return found
