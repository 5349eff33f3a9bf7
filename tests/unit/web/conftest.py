# SPDX-License-Identifier: Apache-2.0
"""The shipped pipeline with the page over a fake core, a fake Keystone and a clock that a test moves."""
from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import webob
from prometheus_client import CollectorRegistry

from glancesync.api.app import load_app
from glancesync.api.parts import Parts
from glancesync.api.policies import new_enforcer
from glancesync.clock import ManualClock
from glancesync.cmd.outward import Outward, build_stages
from glancesync.conf import Settings
from glancesync.conf.api import ApiSettings
from glancesync.conf.metrics import MetricsSettings
from glancesync.conf.web import WebSettings
from glancesync.exceptions import NotReadyError
from glancesync.web.keystone import Credentials, Granted
from glancesync.web.stream import Streams
from tests.unit.api.fakes import CALLERS, PASTE_FILE, FakeService, guard, new_conf

ORIGIN = "http://localhost"


class FakeKeystone:
    """Knows everybody of CALLERS by the password `right`; a token is what HeaderAuth believes."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.asked: list[Credentials] = []
        self.taken_back: list[str] = []
        self.away = False
        self.seconds = 3600.0
        self.padding = ""

    def log_in(self, credentials: Credentials) -> Granted | None:
        self.asked.append(credentials)
        if self.away:
            raise NotReadyError("Keystone does not answer; try again in a moment.")
        caller = CALLERS.get(credentials.user)
        if credentials.password != "right" or caller is None:
            return None
        return Granted(token=json.dumps({**caller, **({"x_pad": self.padding} if self.padding else {})}),
                       ends_at=self.clock.now() + self.seconds)

    def log_out(self, token: str) -> bool:
        self.taken_back.append(token)
        return True


class Browser:
    """Keeps cookies and the session's text, and says where its requests come from, as browsers do."""

    def __init__(self, app: Any, *, url: str = ORIGIN) -> None:
        self._app = app
        self._url = url
        self.cookies: dict[str, str] = {}
        self.csrf: str | None = None

    def __call__(self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str | None] | None = None,
                 address: str = "192.0.2.1") -> webob.Response:
        request = webob.Request.blank(path, base_url=self._url, method=method)
        given: dict[str, str | None] = {"Sec-Fetch-Site": "same-origin", "X-CSRF-Token": self.csrf}
        if method != "GET":
            given["Origin"] = self._url
        if self.cookies:
            given["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        given |= dict(headers or {})
        request.headers.update({name: value for name, value in given.items() if value is not None})
        request.environ["REMOTE_ADDR"] = address
        if body is not None:
            request.content_type, request.body = "application/json", json.dumps(body).encode()
        response = request.get_response(self._app)
        for header in response.headers.getall("Set-Cookie"):
            name, _, value = header.partition(";")[0].partition("=")
            self.cookies[name] = value
        return response

    def log_in(self, user: str = "admin", password: str = "", **options: Any) -> webob.Response:
        password = password or "right"
        response = self("POST", "/web/login", {"user": user, "password": password, "project": "own"}, **options)
        if response.status_int == 200:
            self.csrf = self("GET", "/web/session").json["csrf"]
        return response


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def keystone(clock: ManualClock) -> FakeKeystone:
    return FakeKeystone(clock)


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def public_endpoint() -> str | None:
    return None


@pytest.fixture
def app(service: FakeService, keystone: FakeKeystone, clock: ManualClock, tmp_path: Path,
        public_endpoint: str | None) -> Any:
    conf = new_conf()
    enforcer = new_enforcer(conf)
    settings = Settings(**{
        **dict.fromkeys(("server", "sync", "strategy", "transfer", "stores", "worker", "celery", "breaker", "reconcile",
                         "deletion", "notifications", "doorbell")),
        "api": ApiSettings(public_endpoint=public_endpoint), "metrics": MetricsSettings(),
        "web": WebSettings(enabled="on", key_file=str(tmp_path / "key"))})
    stages = build_stages(Outward(
        settings=settings, identity=keystone, enforcer=enforcer, registry=CollectorRegistry(), clock=clock,
        trusts_proxy=False, streams=Streams(source=service, clock=clock, most=2, guard=guard)))  # type: ignore[arg-type]
    paste_file = tmp_path / "paste.ini"
    paste_file.write_text(PASTE_FILE.read_text("utf-8").replace(
        "glancesync.api.middleware.authtoken:filter_factory", "tests.unit.api.fakes:header_auth_factory"), "utf-8")
    return load_app(Parts(service=service, settings=settings.api, enforcer=enforcer, conf=conf, stages=stages),
                    paste_file)


@pytest.fixture
def browser(app: Any) -> Browser:
    return Browser(app)
