# SPDX-License-Identifier: Apache-2.0
"""What Glance's notifications say, in its own words (recorded from a real one), and what they do not."""
from __future__ import annotations

from typing import Any

import pytest

from glancesync.model.event import Operation
from glancesync.model.notification import Heard, from_line, heard_from, to_line

IMAGE = "a4b4a0f2-7c54-4b5b-9a39-6a3b2b8b6a11"
NOW = 2_000_000_000.0


def _message(event_type: str, payload: Any, **metadata: Any) -> dict[str, Any]:
    return {"event_type": event_type, "publisher_id": "image.host", "payload": payload,
            "metadata": {"message_id": "m1", "timestamp": "2026-11-22 12:00:00.500000", **metadata}}


@pytest.mark.parametrize(("event_type", "operation"), [
    ("image.create", Operation.ADD), ("image.update", Operation.SAVE), ("image.upload", Operation.SAVE),
    ("image.activate", Operation.SAVE), ("image.delete", Operation.REMOVE), ("image.deactivate", Operation.SAVE)])
def test_a_change_of_an_image(event_type: str, operation: Operation) -> None:
    found = heard_from(_message(event_type, {"id": IMAGE, "owner": "p", "name": "x"}), "RegionTwo", NOW)
    assert found is not None
    assert (found.region, found.event.operation, found.event.image_id) == ("RegionTwo", operation, IMAGE)
    assert (found.event.id, found.event.project_id, found.event.host) == ("notification-m1", "p", "image.host")
    assert found.event.at == 1795348800.5


def test_a_change_of_a_member() -> None:
    found = heard_from(_message("image.member.update", {"image_id": IMAGE, "member_id": "p"}), None, NOW)
    assert found is not None
    assert (found.event.operation, found.event.image_id) == (Operation.MEMBERS, IMAGE)


@pytest.mark.parametrize("message", [
    {}, _message("image.send", {"image_id": IMAGE}), _message("task.run", {"id": IMAGE}),
    _message("image.upload", "Error in store configuration"), _message("image.update", {"id": "x"}),
    _message("image.update", {"id": 7}), _message("image.update", {}), _message("image.member.create", {"id": IMAGE}),
])
def test_what_is_nothing_to_us(message: dict[str, Any]) -> None:
    assert heard_from(message, None, NOW) is None


@pytest.mark.parametrize("stamp", [None, "yesterday", "2999-01-01 00:00:00"])
def test_a_time_that_cannot_be_is_now(stamp: Any) -> None:
    found = heard_from(_message("image.update", {"id": IMAGE}, timestamp=stamp), None, NOW)
    assert found is not None
    assert found.event.at == NOW


def test_lines_bring_everything_across() -> None:
    found = [heard_from(_message("image.update", {"id": IMAGE}, message_id=str(number)), region, NOW)
             for number, region in enumerate([None, "RegionTwo"])]
    heard: list[Heard] = [each for each in found if each is not None]
    assert from_line(to_line(9, heard)) == (9, heard)


def test_an_id_that_is_too_long_is_cut() -> None:
    found = heard_from(_message("image.update", {"id": IMAGE}, message_id="m" * 999), None, NOW)
    assert found is not None
    assert len(found.event.id) == 255
