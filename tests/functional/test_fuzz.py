# SPDX-License-Identifier: Apache-2.0
"""The API fuzzed from its own OpenAPI document: a whole server process over the real Keystone and the real regions,
asked as an admin, as a member and as nobody. Nothing may fail, hang or grow, and every answer is one of the document's.

The server is one of its own, with sync_strategy None: what it is asked leaves the regions as they are.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from keystoneauth1.session import Session
from schemathesis import GenerationMode, checks

from glancesync.api import openapi
from glancesync.api.routes import GUARDED_ROUTES, ROUTES
from glancesync.api.versions import HEADER
from glancesync.lab import ports
from glancesync.lab.cloud import Lab
from glancesync.lab.images import Images
from glancesync.lab.server import SyncServer

pytestmark = pytest.mark.lab

ANSWER_SECONDS = 60
GROWTH_BYTES = 48 * 1024 * 1024
CHECKS = [checks.not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
          checks.response_headers_conformance, checks.response_schema_conformance]
SCHEMA: Any = schemathesis.openapi.from_dict(openapi.document(ROUTES))
#: (caller, examples of each operation and mode by default, and with --full)
CALLERS = {"admin": (8, 80), "demo": (3, 25), "nobody": (2, 10)}
GUARDED = {(route.method, route.path) for route in GUARDED_ROUTES}
#: What a member may ask of its own project's things.
MEMBERS = {("POST", "/v1/cascaded-eps"), ("GET", "/v1/images"), ("GET", "/v1/images/{image_id}"), ("GET", "/v1/tasks"),
           ("GET", "/v1/tasks/{task_id}")}
_KNOWN = {"image_id": ["11111111-1111-4111-8111-111111111111"], "task_id": ["a" * 32], "region": ["RegionTwo"]}


class Target:
    """The server, the callers' tokens, and ids that it knows."""

    def __init__(self, server: SyncServer, sessions: Mapping[str, Session]) -> None:
        self.url = server.url
        self._server = server
        self._sessions = sessions
        self._http = requests.Session()
        self._http.trust_env = False
        self.known = {name: list(values) for name, values in _KNOWN.items()}

    def headers(self, caller: str) -> dict[str, str]:
        return {"X-Auth-Token": str(self._sessions[caller].get_token())} if caller in self._sessions else {}

    def ask(self, case: Any, caller: str) -> Any:
        return case.call(base_url=self.url, session=self._http, timeout=ANSWER_SECONDS, headers=self.headers(caller),
                         allow_redirects=False)

    def rss_bytes(self) -> int:
        return int(Path(f"/proc/{self._server.pid}/statm").read_text().split()[1]) * 4096

    def warm_up(self) -> None:
        """What is loaded and cached once is no growth; an image and its tasks are there to be found."""
        headers = self.headers("admin")
        for _ in range(20):
            for path in ("/v1/images", "/v1/tasks", "/v1/conflicts", "/v1/deletions", "/v1/regions"):
                assert self._http.get(self.url + path, headers=headers, timeout=ANSWER_SECONDS).status_code == 200
        event = {"id": "first", "operation": "save", "image_id": self.known["image_id"][0], "at": 1.0}
        assert self._http.post(self.url + "/v1/events", headers=headers, json={"events": [event]}).status_code == 202
        assert self._http.post(self.url + "/v1/sync", headers=headers, json={}).status_code == 202


@pytest.fixture(scope="module")
def target(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    state = replace(lab.state, directory=tmp_path_factory.mktemp("fuzz"),
                    ports=lab.state.ports | {"server": ports.find_free_port(lab.state.ports.values())})
    server = SyncServer(state, {"DEFAULT": {"sync_strategy": "None", "reconcile_interval_seconds": 0,
                                            "reconcile_at_start": False}})
    admin = lab.session("admin")
    images = Images(admin, lab.endpoint(lab.cascading_region), lambda _image_id: None)
    before = _hidden(images)
    server.bring_up()
    found = Target(server, {"admin": admin, "demo": lab.session("demo")})
    try:
        found.warm_up()
        begun = found.rss_bytes()
        yield found
        grown = found.rss_bytes() - begun
        assert grown < GROWTH_BYTES, f"the server grew by {grown} bytes"
        assert "Traceback" not in server.log_path.read_text("utf-8", "replace")
    finally:
        server.stop()
        for image_id in _hidden(images) - before:
            images.ensure_deleted(image_id)  # its canary


def _hidden(images: Images) -> set[str]:
    return {record["id"] for record in images.list(visibility="all", os_hidden="true")}


def _attempts() -> list[Any]:
    """Operations with what may be right; and with what is wrong, where there is something to be wrong."""
    found = [result.ok() for result in SCHEMA.get_all_operations()]
    return [pytest.param(operation, mode, id=f"{operation.label} {mode.value}") for operation in found
            for mode in GenerationMode
            if mode is GenerationMode.POSITIVE or operation.body or operation.query or operation.path_parameters]


def _examples(request: pytest.FixtureRequest, caller: str) -> int:
    return CALLERS[caller][bool(request.config.getoption("--full"))]


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize(("operation", "mode"), _attempts())
def test_every_operation(request: pytest.FixtureRequest, target: Target, operation: Any, caller: str,
                         mode: GenerationMode) -> None:
    route = (operation.method.upper(), operation.path)

    @settings(max_examples=_examples(request, caller), deadline=None, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode), data=st.data())
    def fuzz(case: Any, data: st.DataObject) -> None:
        _aim(case, data, target, mode)
        response = target.ask(case, caller)
        case.validate_response(response, checks=CHECKS)
        if 200 <= response.status_code < 400 and caller != "admin":
            assert route not in GUARDED or (caller == "demo" and route in MEMBERS), route

    fuzz()


def _aim(case: Any, data: st.DataObject, target: Target, mode: GenerationMode) -> None:
    """Half of what is well-formed asks for things that are there, in a version that is spoken."""
    if mode is not GenerationMode.POSITIVE or not data.draw(st.booleans()):
        return
    if case.headers:
        case.headers.pop(HEADER, None)
    for name in case.path_parameters or ():
        case.path_parameters[name] = data.draw(st.sampled_from(target.known[name]))
