# SPDX-License-Identifier: Apache-2.0
"""The page of the running server over HTTP: login at the real Keystone, cookies, what foreign pages get, metrics."""
from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from glancesync.lab.cloud import Lab
from glancesync.lab.server import SyncServer
from tests.fixtures.polling import eventually

pytestmark = pytest.mark.lab
COOKIE = "glance_sync_session"


class Page:
    """What a browser with our page sends."""

    def __init__(self, lab: Lab, url: str) -> None:
        self._lab = lab
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.headers = {"Origin": url, "Sec-Fetch-Site": "same-origin"}

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {**self.headers, **options.pop("headers", {})}
        return self.session.request(method, self.url + path, timeout=30, headers=headers, **options)

    def credentials(self, user: str) -> dict[str, str]:
        auth = self._lab.state.auth_options(user)
        return {"user": auth["username"], "password": auth["password"], "project": auth["project_name"],
                "user_domain": auth["user_domain_name"], "project_domain": auth["project_domain_name"]}

    def log_in(self, user: str, /, **changes: str) -> requests.Response:
        answer = self("POST", "/web/login", json={**self.credentials(user), **changes})
        if answer.status_code == 200:
            self.headers["X-CSRF-Token"] = self("GET", "/web/session").json()["csrf"]
        return answer


@pytest.fixture
def page(lab: Lab, sync_server: SyncServer) -> Iterator[Page]:
    found = Page(lab, sync_server.url)
    yield found
    found.session.close()


def test_an_administrator_logs_in_works_and_logs_out(page: Page, sync_server: SyncServer) -> None:
    answer = page.log_in("admin")
    cookie = answer.headers["Set-Cookie"].lower()
    assert all(each in cookie for each in ("httponly", "samesite=strict", "path=/"))
    assert page("GET", "/v1/regions").status_code == 200
    assert page("POST", "/v1/sync", json={"dry_run": True}).status_code == 200
    told = page("GET", "/web/session").json()
    assert (told["user"], told["may"]["sync:submit"]) == ("admin", True)
    stolen = page.session.cookies[COOKIE]
    assert (sync_server.directory / "web-session.key").stat().st_mode & 0o777 == 0o600
    assert page("POST", "/web/logout", json={}).json() == {"ended": True}
    assert page("GET", "/v1/regions", headers={"Cookie": f"{COOKIE}={stolen}"}).status_code == 401


@pytest.mark.full
def test_a_session_outlives_the_server_that_made_it(page: Page, sync_server: SyncServer) -> None:
    page.log_in("admin")
    sync_server.stop()
    sync_server.start()
    sync_server.wait_ready(60)
    eventually(lambda: page("GET", "/v1/regions").status_code == 200, 30, what="the new process takes the session")


def test_a_member_sees_his_own_only(page: Page) -> None:
    page.log_in("demo")
    assert page("GET", "/v1/images").status_code == 200
    assert page("GET", "/v1/regions").status_code == 403
    assert page("GET", "/v1/history").status_code == 403


def test_a_foreign_page_can_do_nothing(page: Page) -> None:
    page.log_in("admin")
    for headers in ({"X-CSRF-Token": "x"}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert page("POST", "/v1/sync", json={}, headers=headers).status_code == 403
    assert page("GET", "/v1/regions", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 401
    assert page("POST", "/web/login", json=page.credentials("admin"),
                headers={"Origin": "http://evil.example"}).status_code == 403


def test_wrong_logins_are_answered_alike_and_wait(page: Page) -> None:
    """On an account that is nobody's, so that no other test waits."""
    answers = [page.log_in("admin", user="nobody-of-these-tests") for _ in range(5)]
    assert {answer.status_code for answer in answers} == {401}
    locked = page.log_in("admin", user="nobody-of-these-tests")
    assert (locked.status_code, locked.json()["error"]["code"]) == (429, "too_many_logins")
    assert int(locked.headers["Retry-After"]) >= 1
    wrong = page.log_in("admin", project="no-such-project")
    assert wrong.json()["error"]["message"] == answers[0].json()["error"]["message"]
    assert page.log_in("admin").status_code == 200


def test_the_page_is_strict_and_kept(page: Page) -> None:
    answer = page("GET", "/web/")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert page("GET", "/web/", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    assert page("GET", "/web/js/main.js").headers["Content-Type"].startswith("text/javascript")


def test_live_progress_begins_at_once(page: Page) -> None:
    assert page("GET", "/web/events").status_code == 401
    page.log_in("admin")
    with page("GET", "/web/events", stream=True) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        begin = [next(lines) for _ in range(4)]
        assert begin[2] == b"event: regions"
        assert {region["name"] for region in json.loads(begin[3].removeprefix(b"data: "))} >= {"RegionOne", "RegionTwo"}


def test_metrics_are_for_this_host(page: Page) -> None:
    answer = page("GET", "/metrics")
    assert answer.status_code == 200
    assert "glance_sync_up 1.0" in answer.text
    assert 'glance_sync_region_up{region="RegionTwo"}' in answer.text
    assert page("GET", "/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 403


@pytest.mark.full
def test_a_run_is_one_json_line(start_server: Any, images: Any, page: Page) -> None:
    server = start_server({"DEFAULT": {"use_json": True}})
    page.log_in("admin")
    image = images().create("json line", b"x" * 1000)

    def logged() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in server.log_path.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["extra"].get("image_id") == image["id"]
                and line["message"].startswith("task ") and "in_sync" in line["message"]]

    line = eventually(logged, 60, what="the run is logged")[0]
    assert line["extra"]["region"] in ("RegionTwo", "RegionThree")
    assert len(line["extra"]["task_id"]) == 32
    assert line["extra"]["request_id"].startswith("req-")
    text = page("GET", "/metrics").text
    assert 'glance_sync_copied_bytes_total{driver="stream",source="RegionOne",target="RegionTwo"}' in text
