# SPDX-License-Identifier: Apache-2.0
"""The rules as shipped, the sample made of them, and a policy file that overrides them."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from oslo_policy import generator

from glancesync.api import policies
from glancesync.api.routes import GUARDED_ROUTES
from tests.unit.api.fakes import PASTE_FILE, Caller, FakeService, build_app, new_conf

SAMPLE = PASTE_FILE.parent / "policy.yaml.sample"


def test_the_sample_is_what_the_rules_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Made by: oslopolicy-sample-generator --namespace glancesync --output-file etc/policy.yaml.sample"""
    monkeypatch.setattr(generator, "get_policies_dict", lambda _namespaces: {"glancesync": policies.list_rules()})
    made = tmp_path / "policy.yaml"
    generator._generate_sample(["glancesync"], str(made))
    assert made.read_text("utf-8") == SAMPLE.read_text("utf-8")


def test_every_guarded_route_has_a_rule_that_names_it() -> None:
    documented = {(rule.name, operation["method"], operation["path"]) for rule in policies.list_rules()
                  for operation in getattr(rule, "operations", ())}
    assert {(route.rule, route.method, route.path) for route in GUARDED_ROUTES} <= documented


def test_no_rule_is_open_to_everybody() -> None:
    for rule in policies.list_rules():
        assert rule.check_str.strip() not in ("", "@")


def _app_with(folder: Path, service: FakeService, policy: str) -> Any:
    policy_file = folder / "policy.yaml"
    policy_file.write_text(policy, "utf-8")
    conf = new_conf()
    policies.new_enforcer(conf)
    conf.set_override("policy_file", str(policy_file), group="oslo_policy")
    return build_app(service, folder, conf=conf)


def test_a_policy_file_opens_and_closes(tmp_path: Path, service: FakeService) -> None:
    app = _app_with(tmp_path, service, '"events:submit": "role:service"\n"regions:list": "role:reader"\n')
    assert Caller(app, "events")("POST", "/v1/events", {"events": []}).status_int == 403
    assert Caller(app, "service")("POST", "/v1/events", {"events": []}).status_int == 400
    assert Caller(app, "member")("GET", "/v1/regions").status_int == 200
    assert Caller(app, "service")("GET", "/v1/tasks").status_int == 403


def test_a_token_that_is_not_for_a_project_is_refused_even_to_an_admin(caller: Any) -> None:
    assert caller("system_admin")("GET", "/v1/regions").status_int == 403
