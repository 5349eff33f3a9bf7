# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keystoneauth1 import exceptions as ksa

from glancesync import exceptions as exc
from glancesync.regions.glance_errors import Answer, Call, error_from_answer, error_from_failure, retry_after_seconds

ID = "b1e4bd3c-4c1e-4a6e-9f0a-0d7f3f9b6d11"
NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
OWN = {"x-openstack-request-id": "req-1"}


def call(path: str = f"/v2/images/{ID}") -> Call:
    return Call(region="R", method="GET", path=path)


@pytest.mark.parametrize(("path", "image_id", "member_id"), [
    (f"/v2/images/{ID}", ID, None), (f"/v2/images/{ID}/file", ID, None), (f"/v2/images/{ID}/members", ID, None),
    (f"/v2/images/{ID}/members/a%2Fb", ID, "a/b"), ("/v2/images?limit=1", None, None), ("/v2/images", None, None)])
def test_what_a_call_is_about(path: str, image_id: str | None, member_id: str | None) -> None:
    assert (call(path).image_id, call(path).member_id) == (image_id, member_id)


@pytest.mark.parametrize(("path", "message", "error"), [
    (f"/v2/images/{ID}", f"No image found with ID {ID}", exc.ImageNotFoundError),
    (f"/v2/images/{ID}", f"Image {ID} not found.", exc.ImageNotFoundError),
    (f"/v2/images/{ID}", f"Es wurde kein Abbild mit ID {ID} gefunden", exc.ImageNotFoundError),
    (f"/v2/images/{ID}", f"/v2/images/{ID} not found", exc.RegionAnswerError),
    (f"/v2/images/{ID}", f"{ID}0 not found", exc.RegionAnswerError),
    (f"/v2/images/{ID}/members/m", f"m not found in the member list of the image {ID}.", exc.MemberNotFoundError),
    (f"/v2/images/{ID}/members/m", f"Image {ID} not found.", exc.ImageNotFoundError),
    ("/v2/images?marker=x", f"No image found with ID {ID}", exc.RegionAnswerError)])
def test_who_says_not_found(path: str, message: str, error: type[Exception]) -> None:
    body = message.encode()
    assert type(error_from_answer(call(path), Answer(status=404, headers=OWN, body=body))) is error
    assert type(error_from_answer(call(path), Answer(status=404, headers={}, body=body))) is exc.RegionAnswerError


@pytest.mark.parametrize(("value", "seconds"), [
    ("5", 5), ("0", 0), ("Sat, 31 Jan 2026 12:00:30 GMT", 30), ("Sat, 31 Jan 2026 11:00:00 GMT", 0), ("", None),
    ("-1", None), ("soon", None), ("²", None), ("9" * 40, 999_999_999)])
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after_seconds({"Retry-After": value}, now=NOW) == seconds


@given(st.integers(100, 599), st.binary(max_size=300), st.text(max_size=20))
def test_any_answer_makes_a_short_printable_sentence(status: int, body: bytes, retry: str) -> None:
    error = error_from_answer(call(), Answer(status=status, headers={"Retry-After": retry}, body=body))
    assert str(error).isprintable()
    assert str(error).startswith(f"GET /v2/images/{ID} in R answered {status}")
    assert len(str(error)) < 300


@pytest.mark.parametrize(("failure", "error"), [
    (ksa.Unauthorized(), exc.KeystoneRefusedError), (ksa.AuthorizationFailure(), exc.KeystoneRefusedError),
    (ksa.ConnectTimeout("t"), exc.RegionUnavailableError), (ksa.ConnectFailure("t"), exc.RegionUnavailableError),
    (ksa.SSLError("t"), exc.RegionUnavailableError), (ksa.EndpointNotFound(), exc.RegionUnavailableError)])
def test_failures_without_an_answer(failure: Exception, error: type[Exception]) -> None:
    assert type(error_from_failure(call(), failure)) is error


def test_a_failure_hides_tokens() -> None:
    text = str(error_from_failure(call(), ksa.ConnectFailure("token gAAAAABabcdefghijklmnop refused")))
    assert "gAAAA" not in text
    assert "R" in text
