# SPDX-License-Identifier: Apache-2.0
"""What a notification of a Glance says to this server (pure): the same hint as an event of the filter.

A listener process makes these of oslo.messaging's notifications and hands them to the server as lines of JSON.
"""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from glancesync.exceptions import InvalidInputError
from glancesync.model.event import IMAGE_ID, Event, Operation, event_from_json

#: What Glance emits after it committed something that matters to replicas. `image.send` is a download.
OPERATIONS: Mapping[str, Operation] = {
    "image.create": Operation.ADD, "image.delete": Operation.REMOVE,
    **dict.fromkeys(("image.update", "image.prepare", "image.upload", "image.activate", "image.deactivate",
                     "image.reactivate"), Operation.SAVE),
    **dict.fromkeys(("image.member.create", "image.member.update", "image.member.delete"), Operation.MEMBERS),
}
_TEXT_LIMIT = 255


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A change that a Glance told of; `region` is the cascaded one, None for the cascading one."""

    region: str | None
    event: Event


def heard_from(message: Mapping[str, Any], region: str | None, now: float) -> Heard | None:
    """What a notification (event_type, publisher_id, payload, metadata) says; None where it is nothing to us."""
    operation, payload = OPERATIONS.get(str(message.get("event_type"))), message.get("payload")
    if operation is None or not isinstance(payload, Mapping):
        return None
    image_id = payload.get("image_id") if operation is Operation.MEMBERS else payload.get("id")
    if not isinstance(image_id, str) or not IMAGE_ID.match(image_id):
        return None
    metadata = message.get("metadata") or {}
    name = str(metadata.get("message_id") or f"{image_id}-{operation.value}-{now:.6f}")
    return Heard(region=region, event=Event(
        id=f"notification-{name}"[:_TEXT_LIMIT], operation=operation, image_id=image_id,
        at=min(_seconds(metadata.get("timestamp"), now), now), project_id=_text(payload.get("owner")),
        host=_text(message.get("publisher_id"))))


def to_line(batch: int, heard: Sequence[Heard]) -> bytes:
    """One line for the server."""
    return json.dumps({"batch": batch, "heard": [{"region": each.region, "event": each.event.to_json()}
                                                 for each in heard]}).encode() + b"\n"


def from_line(line: bytes) -> tuple[int, list[Heard]]:
    """What `to_line` made; raises InvalidInputError."""
    try:
        data = json.loads(line)
        return int(data["batch"]), [Heard(region=each["region"], event=event_from_json(each["event"]))
                                    for each in data["heard"]]
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidInputError("a line of the notification listener is none of ours") from error


def _text(value: Any) -> str | None:
    return value[:_TEXT_LIMIT] if isinstance(value, str) and value else None


def _seconds(stamp: Any, now: float) -> float:
    """oslo.messaging's times are in UTC and do not say so."""
    try:
        moment = datetime.fromisoformat(str(stamp))
    except ValueError:
        return now
    return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
