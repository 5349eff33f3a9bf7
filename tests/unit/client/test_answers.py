# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import json

import pytest
import requests

from glancesync.client.answers import read_object
from glancesync.exceptions import (
    BodyTooLargeError,
    ForbiddenError,
    GlanceSyncError,
    ImageNotFoundError,
    InvalidInputError,
    NotFoundError,
    NotReadyError,
    RegionAnswerError,
    RegionBusyError,
    RegionUnauthorizedError,
    RegionUnavailableError,
)


def answer(status: int, body: bytes | object = b"", **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.raw = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


def read(response: requests.Response, limit_bytes: int = 1000) -> dict[str, object]:
    return read_object(response, limit_bytes=limit_bytes, deadline_seconds=5)


def error(code: str, message: str = "Why.") -> dict[str, object]:
    return {"error": {"code": code, "message": message}}


def test_a_json_object_is_returned() -> None:
    assert read(answer(200, {"a": [1]})) == {"a": [1]}


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b"\xff", b'"text"', b"[" * 900])
def test_other_bodies_are_no_answer(body: bytes) -> None:
    with pytest.raises(RegionAnswerError):
        read(answer(202, body))


def test_a_body_beyond_the_limit_is_not_read_on() -> None:
    response = answer(200, b" " * 1_000_000)
    with pytest.raises(RegionAnswerError, match="longer than 1000 bytes"):
        read(response)
    assert response.raw.tell() < 200_000


@pytest.mark.parametrize(("status", "body", "kind"), [
    (400, error("invalid_input"), InvalidInputError),
    (404, error("image_not_found"), ImageNotFoundError),
    (404, error("unheard_of"), NotFoundError),
    (413, error("body_too_large"), BodyTooLargeError),
    (413, b"<html>", BodyTooLargeError),
    (401, b"", RegionUnauthorizedError),
    (403, error("forbidden"), ForbiddenError),
    (429, b"", RegionBusyError),
    (500, error("internal_error"), GlanceSyncError),
    (500, b"", RegionUnavailableError),
    (503, error("not_ready"), NotReadyError),
    (307, b"", RegionAnswerError),
    (418, b"", RegionAnswerError),
])
def test_refusals_by_the_servers_code_then_by_status(status: int, body: object, kind: type[Exception]) -> None:
    with pytest.raises(GlanceSyncError) as raised:
        read(answer(status, body))
    assert type(raised.value) is kind


@pytest.mark.parametrize("body", [b"", b"<html>Bad Request</html>", {"error": "text"}, {"error": {"code": 5}}, [],
                                  error("image_not_found")])
def test_a_400_that_is_not_our_servers_does_not_condemn_what_was_sent(body: object) -> None:
    with pytest.raises(RegionAnswerError):
        read(answer(400, body))


@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), ("0.5", 0.5), ("Wed, 21 Oct 2026 07:28:00 GMT", None),
                                                ("-1", None), ("nan", None), ("inf", None), ("", None)])
def test_retry_after(value: str, seconds: float | None) -> None:
    with pytest.raises(RegionUnavailableError) as raised:
        read(answer(503, b"", Retry_After=value))
    assert raised.value.retry_after_seconds == seconds


def test_what_a_server_says_is_made_harmless_for_a_log() -> None:
    with pytest.raises(InvalidInputError) as raised:
        read(answer(400, error("invalid_input", "\x1b[31mred\n" + "x" * 900),
                    x_openstack_request_id="req-1\r\n2"), 9999)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 400
    assert raised.value.request_id == "req-1  2"
