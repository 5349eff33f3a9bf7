# SPDX-License-Identifier: Apache-2.0
"""Logging in and out, what a session may, and what a foreign page may not: over the whole pipeline."""
from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from glancesync.clock import ManualClock
from glancesync.cmd.outward import is_page_on, key_path
from glancesync.conf import Settings
from glancesync.conf.server import ServerSettings
from glancesync.conf.web import WebSettings
from tests.unit.api.fakes import OWN_TASK, FakeService, error_of
from tests.unit.web.conftest import Browser, FakeKeystone

COOKIE = "glance_sync_session"


def test_a_session_may_what_its_token_may(browser: Browser, service: FakeService) -> None:
    assert browser("GET", "/v1/regions").status_int == 401
    assert browser.log_in("admin").status_int == 200
    assert browser("GET", "/v1/regions").status_int == 200
    assert browser("POST", f"/v1/tasks/{OWN_TASK}/retry", {}).status_int == 202
    assert ("retry_task", {"task_id": OWN_TASK}) in service.calls


def test_a_member_may_not_more_than_with_a_token(browser: Browser) -> None:
    browser.log_in("member")
    assert browser("GET", "/v1/images").status_int == 200
    assert browser("GET", "/v1/regions").status_int == 403
    assert browser("POST", "/v1/sync", {}).status_int == 403
    may = browser("GET", "/web/session").json["may"]
    assert (may["images:list"], may["regions:list"], may["sync:submit"]) == (True, False, False)


def test_the_cookie_is_for_our_own_page_only(browser: Browser) -> None:
    cookie = browser.log_in().headers["Set-Cookie"]
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= parts
    assert "secure" not in parts
    assert not any(part.startswith("domain") for part in parts)
    assert "roles" not in cookie  # the token is not readable


@pytest.mark.parametrize("public_endpoint", ["https://sync.example/image-sync"])
def test_behind_https_the_cookie_is_secure(app: Any) -> None:
    browser = Browser(app)
    cookie = browser.log_in(headers={"Origin": "https://sync.example"}).headers["Set-Cookie"]
    assert cookie.startswith(f"__Host-{COOKIE}=")
    assert "secure" in cookie.lower()
    assert browser("GET", "/v1/regions").status_int == 200


@pytest.mark.parametrize("headers", [
    {"X-CSRF-Token": None}, {"X-CSRF-Token": "other"}, {"Origin": "http://evil.example"},
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "null"},
    {"Origin": None, "Sec-Fetch-Site": None}])
def test_a_foreign_page_changes_nothing(browser: Browser, service: FakeService,
                                        headers: dict[str, str | None]) -> None:
    browser.log_in()
    response = browser("POST", f"/v1/tasks/{OWN_TASK}/retry", {}, headers=headers)
    assert (response.status_int, error_of(response)["code"]) == (403, "forbidden")
    assert service.calls == []


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}])
def test_a_foreign_page_reads_nothing(browser: Browser, headers: dict[str, str | None]) -> None:
    browser.log_in()
    assert browser("GET", "/v1/regions", headers=headers).status_int == 401
    assert browser("GET", "/web/session", headers=headers).status_int == 401


def test_a_foreign_page_logs_nobody_in_or_out(browser: Browser, keystone: FakeKeystone) -> None:
    assert browser.log_in(headers={"Origin": "http://evil.example"}).status_int == 403
    assert keystone.asked == []
    browser.log_in()
    assert browser("POST", "/web/logout", {}, headers={"X-CSRF-Token": None}).status_int == 403
    forged = browser("POST", "/web/logout", {}, headers={"X-CSRF-Token": None, "X-Auth-Token": "{}"})
    assert forged.status_int == 403
    assert keystone.taken_back == []


def test_a_program_keeps_its_own_token(browser: Browser) -> None:
    browser.log_in("admin")
    token = json.dumps({"roles": ["reader"], "x_project_id": "own"})
    assert browser("GET", "/v1/regions", headers={"X-Auth-Token": token}).status_int == 403


def test_logging_out_ends_the_session_everywhere(browser: Browser, keystone: FakeKeystone) -> None:
    browser.log_in()
    stolen = dict(browser.cookies)
    assert browser("POST", "/web/logout", {}).json == {"ended": True}
    assert browser.cookies[COOKIE] == ""
    assert len(keystone.taken_back) == 1
    browser.cookies = stolen
    assert browser("GET", "/v1/regions").status_int == 401


@pytest.mark.parametrize(("keystone_seconds", "lasts"), [(100.0, 100.0), (1e6, 8 * 3600)])
def test_a_session_ends_with_its_token_or_earlier(browser: Browser, keystone: FakeKeystone, clock: ManualClock,
                                                  keystone_seconds: float, lasts: float) -> None:
    keystone.seconds = keystone_seconds
    browser.log_in()
    clock.advance(lasts - 1)
    assert browser("GET", "/v1/regions").status_int == 200
    clock.advance(2)
    assert browser("GET", "/v1/regions").status_int == 401


def test_every_refused_login_is_answered_alike(browser: Browser) -> None:
    answers = [browser.log_in(user, password) for user, password in (("admin", "wrong"), ("nobody-at-all", "right"))]
    told = [(each.status_int, error_of(each)["message"], sorted(each.headers)) for each in answers]
    assert told[0] == told[1]
    assert told[0][0] == 401


def test_who_guesses_waits_and_the_password_is_not_tried(browser: Browser, keystone: FakeKeystone,
                                                         clock: ManualClock) -> None:
    statuses = [browser.log_in("admin", f"guess {number}").status_int for number in range(7)]
    assert statuses == [401] * 5 + [429] * 2
    locked = browser.log_in("admin", "right")
    assert (locked.status_int, error_of(locked)["code"], locked.headers["Retry-After"]) == (429, "too_many_logins", "1")
    assert len(keystone.asked) == 5
    clock.advance(1.1)
    assert browser.log_in("admin", "right").status_int == 200


def test_a_name_is_one_account_however_it_is_written(browser: Browser) -> None:
    for name in ("nobody", "NOBODY", "Nobody", "nOBODY", "noBODY"):
        assert browser.log_in(name, "wrong").status_int == 401
    assert browser.log_in("nobody", "wrong").status_int == 429


def test_a_keystone_that_is_away_locks_nobody_out(browser: Browser, keystone: FakeKeystone) -> None:
    keystone.away = True
    assert [browser.log_in().status_int for _ in range(30)] == [503] * 30
    keystone.away = False
    assert browser.log_in().status_int == 200


@pytest.mark.parametrize("body", [
    {}, {"user": "a", "password": "b"}, {"user": "a", "password": "b", "project": "c", "more": 1},
    {"user": ["a"], "password": "b", "project": "c"}, {"user": "", "password": "b", "project": "c"}, []])
def test_a_login_of_another_form_is_refused(browser: Browser, keystone: FakeKeystone, body: Any) -> None:
    assert browser("POST", "/web/login", body).status_int == 400
    assert keystone.asked == []


def test_a_token_that_no_cookie_holds_is_taken_back(browser: Browser, keystone: FakeKeystone) -> None:
    keystone.padding = "x" * 5000
    assert browser.log_in().status_int == 503
    assert len(keystone.taken_back) == 1


def test_neither_password_nor_token_is_logged(browser: Browser, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    browser.log_in("admin", "right")
    browser.log_in("admin\x1b[2J", "a secret guess")
    assert "right" not in caplog.text.replace("rights", "")
    assert "a secret guess" not in caplog.text
    assert "\x1b" not in caplog.text
    assert "x_project_id" not in caplog.text


def test_files_carry_a_strict_policy_and_are_kept_while_they_are_the_same(browser: Browser) -> None:
    page = browser("GET", "/web/")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    again = browser("GET", "/web/", headers={"If-None-Match": page.headers["ETag"]})
    assert (again.status_int, again.body) == (304, b"")
    assert browser("GET", "/web").headers["Location"].endswith("/web/")
    assert browser("POST", "/web/page.css", {}).status_int == 405


@pytest.mark.parametrize("path", ["/web/../conf/web.py", "/web/%2e%2e/stage.py", "/web/js", "/web/js/", "/web/nothing",
                                  "/web/index.html", "/web//page.css", "/web/static/page.css"])
def test_no_path_leads_elsewhere(browser: Browser, path: str) -> None:
    browser.log_in()
    assert browser("GET", path).status_int in (400, 404)


def test_the_pages_files_have_nothing_inline_and_name_no_foreign_host() -> None:
    folder = Path(__file__).parents[3] / "glancesync" / "web" / "static"
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, path
        assert "https://" not in text, path
        for hidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "style=", "onclick=",
                       "javascript:", "setAttribute(\"style"):
            assert hidden not in text, (path, hidden)


def test_streams_are_for_sessions_and_bounded(browser: Browser, app: Any) -> None:
    assert browser("GET", "/web/events").status_int == 401
    token = json.dumps({"roles": ["admin"], "x_project_id": "own"})
    assert Browser(app)("GET", "/web/events", headers={"X-Auth-Token": token}).status_int == 401


@pytest.mark.parametrize(("enabled", "host", "expected"), [
    ("auto", "127.0.0.1", True), ("auto", "::1", True), ("auto", "localhost", True), ("auto", "0.0.0.0", False),  # noqa: S104
    ("auto", "192.0.2.1", False), ("auto", "sync.example", False), ("on", "192.0.2.1", True),
    ("off", "127.0.0.1", False)])
def test_where_the_page_is_served(enabled: str, host: str, expected: bool) -> None:
    assert is_page_on(_settings(WebSettings(enabled=enabled), host=host)) is expected


@pytest.mark.parametrize(("connection", "key_file", "expected"), [
    ("sqlite:////var/lib/x/glance-sync.db", None, "/var/lib/x/web-session.key"),
    ("postgresql://u@h/d", None, "/var/lib/glance-sync/web-session.key"),
    ("sqlite:////var/lib/x/glance-sync.db", "/etc/key", "/etc/key")])
def test_where_the_key_lies(connection: str, key_file: str | None, expected: str) -> None:
    assert str(key_path(_settings(WebSettings(key_file=key_file), connection=connection))) == expected


def _settings(web: WebSettings, *, host: str = "127.0.0.1", connection: str = "sqlite:////x/y.db") -> Settings:
    server = ServerSettings(bind_host=host, bind_port=1, backlog=1, api_paste_config="", graceful_shutdown_seconds=1,
                            connection=connection)
    sections = ("api", "sync", "strategy", "transfer", "stores", "worker", "celery", "breaker", "reconcile", "deletion",
                "metrics", "notifications", "doorbell")
    return Settings(**{**dict.fromkeys(sections), "server": server, "web": web})
