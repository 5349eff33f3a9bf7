# SPDX-License-Identifier: Apache-2.0
"""Every error of the tree, and every exception nobody meant, as an answer."""
from __future__ import annotations

import logging
import re

import pytest

from glancesync.api.middleware.errors import ErrorBorder
from glancesync.clock import ManualClock
from glancesync.exceptions import (
    ConfigurationError,
    GlanceSyncError,
    NotReadyError,
    RegionUnavailableError,
    StateConflictError,
    all_error_classes,
)
from tests.unit.api.fakes import OWN_TASK, Caller, FakeService, error_of

#: Only those of this package: a test elsewhere may derive others.
ERRORS = [cls for cls in all_error_classes() if cls.__module__ == "glancesync.exceptions"]


@pytest.mark.parametrize("cls", ERRORS, ids=lambda cls: cls.__name__)
def test_errors_of_the_core(admin: Caller, service: FakeService, cls: type[GlanceSyncError]) -> None:
    service.error = cls("RegionTwo said so.")

    response = admin("GET", "/v1/regions")

    assert response.status_int == cls.http_status
    error = error_of(response)
    assert error["code"] == cls.code
    assert ("RegionTwo said so." == error["message"]) == (cls.http_status != 500)


def test_the_time_to_wait_is_handed_on(admin: Caller, service: FakeService) -> None:
    service.error = NotReadyError("No catalog yet.", retry_after_seconds=2.1)
    assert admin("GET", "/v1/regions").headers["Retry-After"] == "3"
    service.error = RegionUnavailableError("It is away.")
    assert "Retry-After" not in admin("GET", "/v1/regions").headers


def test_what_nobody_meant_is_logged_and_not_told(admin: Caller, service: FakeService,
                                                  caplog: pytest.LogCaptureFixture) -> None:
    service.error = RuntimeError("secret detail")

    response = admin("POST", f"/v1/tasks/{OWN_TASK}/retry")

    assert response.status_int == 500
    error = error_of(response)
    assert error["code"] == "internal_error"
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    record = next(record for record in caplog.records if record.exc_info)
    assert record.levelno == logging.ERROR
    assert "secret detail" in caplog.text
    assert error["request_id"] in record.getMessage()


def test_a_failure_of_ours_is_logged(admin: Caller, service: FakeService, caplog: pytest.LogCaptureFixture) -> None:
    service.error = ConfigurationError("the option x is wrong")
    assert "option x" not in admin("GET", "/v1/regions").text
    assert "the option x is wrong" in caplog.text


def test_what_could_not_be_done_is_logged_once_a_minute(service: FakeService, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_environ: object, _start_response: object) -> list[bytes]:
        raise NotReadyError("The disk is full\x1b[2J.")

    clock = ManualClock()
    caller = Caller(ErrorBorder(fail, clock), "nobody")
    for seconds in (0, 59, 2):
        clock.advance(seconds)
        assert caller("GET", "/v1/regions").status_int == 503
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == 2
    assert "not_ready" in told[0]
    assert "The disk is full\\x1b[2J." in told[0]


def test_conflicts_are_told(admin: Caller, service: FakeService) -> None:
    service.error = StateConflictError("The task is running.")
    response = admin("POST", f"/v1/tasks/{OWN_TASK}/cancel", {})
    assert (response.status_int, error_of(response)["code"]) == (409, "state_conflict")


@pytest.mark.parametrize(("path", "allowed"), [
    ("/v1/events", {"POST", "OPTIONS"}),
    ("/v1/tasks", {"GET", "HEAD", "OPTIONS"}),
    (f"/v1/images/{OWN_TASK}", {"GET", "HEAD", "PATCH", "PUT", "DELETE", "OPTIONS"}),
    ("/", {"GET", "HEAD", "OPTIONS"}),
])
@pytest.mark.parametrize("method", ["TRACE", "FETCH", "get", "CONNECT"])
def test_other_methods(admin: Caller, path: str, allowed: set[str], method: str) -> None:
    response = admin(method, path)
    assert response.status_int == 405
    assert error_of(response)["code"] == "method_not_allowed"
    assert set(re.split(", *", response.headers["Allow"])) == allowed

    options = admin("OPTIONS", path)
    assert (options.status_int, options.body) == (204, b"")
    assert set(re.split(", *", options.headers["Allow"])) == allowed


def test_head_is_get_without_a_body(admin: Caller) -> None:
    got, head = admin("GET", "/v1/regions"), admin("HEAD", "/v1/regions")
    assert head.status_int == 200
    assert head.body == b""
    assert head.headers["Content-Length"] == got.headers["Content-Length"]
    assert head.headers["ETag"] == got.headers["ETag"]


def test_what_did_not_change_is_not_sent_again(admin: Caller) -> None:
    first = admin("GET", "/v1/regions")
    again = admin("GET", "/v1/regions", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_int, again.body) == (304, b"")
    assert "X-Auth-Token" in first.headers["Vary"]
    assert first.headers["Cache-Control"] == "no-cache"


def test_the_callers_request_id_is_taken_along(admin: Caller, service: FakeService) -> None:
    given = "req-11111111-2222-4333-8444-555555555555"
    response = admin("DELETE", "/v1/images/11111111-1111-4111-8111-111111111111",
                     headers={"X-OpenStack-Request-ID": given})
    assert service.calls[0][1]["request_id"] == given
    assert response.headers["x-openstack-request-id"] != given


@pytest.mark.parametrize("given", ["", "mine", "req-1", "req-11111111-2222-4333-8444-55555555555X"])
def test_other_request_ids_are_not_believed(admin: Caller, service: FakeService, given: str) -> None:
    response = admin("POST", "/v1/sync", {}, headers={"X-OpenStack-Request-ID": given})
    assert service.calls[0][1]["request_id"] == response.headers["x-openstack-request-id"]
    assert re.fullmatch("req-[0-9a-f-]{36}", response.headers["x-openstack-request-id"])
