# SPDX-License-Identifier: Apache-2.0
"""`openstack image sync run` and `diff`."""
from __future__ import annotations

from typing import Any

import pytest
from keystoneauth1 import exceptions as ksa
from openstack.exceptions import ConfigException
from osc_lib.exceptions import CommandError, EndpointNotFound

from glancesync.cli.plans import stands_out
from glancesync.cli.run import Diff, Run
from glancesync.conf.image_rules import parse_rules
from glancesync.exceptions import ForbiddenError
from tests.unit.cli.console import IMAGE, OTHER, Console, task

SYNC = ("POST", "/v1/sync")
ALL = ("POST", "/v1/sync?limit=1000")
REF = {"id": "t1", "image_id": IMAGE, "region": "RegionTwo"}


def plan(**fields: Any) -> dict[str, Any]:
    return {"image_id": IMAGE, "region": "RegionTwo", "state": "waiting", "reason_code": "create", "reason": "missing",
            "actions": [{"action": "create", "detail": {}}, {"action": "copy_bytes", "detail": {}}],
            "bytes": 1 << 20, **fields}


IN_SYNC = plan(state="in_sync", actions=[], bytes=0)


@pytest.mark.parametrize(("row", "seen"), [
    (plan(), True), (IN_SYNC, False), (plan(state="conflict", actions=[]), True),
    (plan(state="failed", actions=[]), True), (plan(state="unwanted", actions=[]), False)])
def test_what_stands_out(row: dict[str, Any], seen: bool) -> None:
    assert stands_out(row) is seen


@pytest.mark.parametrize(("rows", "status"), [([], 0), ([IN_SYNC], 0), ([IN_SYNC, plan()], 1)])
def test_diff_tells_by_its_status(rows: list[dict[str, Any]], status: int) -> None:
    console = Console({ALL: [{"plan": rows}]})
    assert console.run(Diff) == status
    assert console.server.asked == [(*ALL, {"dry_run": True})]
    assert ("create, copy_bytes" in console.out) is bool(status)


def test_diff_of_everything_follows_the_pages() -> None:
    pages = {ALL: [{"plan": [plan()], "next": "/behind/v1/sync?limit=1&marker=%3A1"}],
             ("POST", "/v1/sync?limit=1&marker=%3A1"): [{"plan": [plan(image_id=OTHER)]}]}
    console = Console(pages)
    assert console.run(Diff) == 1
    assert IMAGE in console.out
    assert OTHER in console.out


def test_an_image_that_is_not_ours_is_named_and_no_difference() -> None:
    console = Console({ALL: [{"plan": [plan(state="source_missing", reason_code="foreign", actions=[])]}]})
    assert console.run(Diff) == 0
    assert IMAGE in console.out


@pytest.mark.parametrize(("command", "options", "status"), [(Diff, [], 2), (Run, ["--dry-run"], 1)])
@pytest.mark.parametrize("rows", [[], [plan()]])
def test_a_region_that_could_not_be_compared_is_not_taken_for_equal(
        command: type, options: list[str], status: int, rows: list[dict[str, Any]],
        capsys: pytest.CaptureFixture[str]) -> None:
    console = Console({ALL: [{"plan": rows, "left_out": [{"region": "RegionTwo", "reason": "no \x1banswer"}]}]})
    assert console.run(command, *options) == status
    assert "RegionTwo was not compared to its end and may differ: no \\x1banswer" in capsys.readouterr().err


def test_diff_in_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console({ALL: [ForbiddenError("not you")]})
    assert console.run(Diff) == 2
    assert "not you Ask with the credentials of an administrator" in capsys.readouterr().err


@pytest.mark.parametrize("error", [
    ksa.ConnectFailure("Keystone is away"), ksa.Unauthorized("Keystone is away"), EndpointNotFound("Keystone is away"),
    ConfigException("Keystone is away")])
def test_a_login_that_fails_is_no_difference(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    console = Console({ALL: [{"plan": []}]})
    console.login_error = error
    assert console.run(Diff) == 2
    assert "Keystone is away" in capsys.readouterr().err


def test_run_names_images_and_regions_and_tells_the_tasks() -> None:
    console = Console({SYNC: [{"tasks": [REF]}]}, images=[(OTHER, "golden", False)])
    assert console.run(Run, IMAGE.upper(), "golden", IMAGE, "--region", "RegionTwo", "-f", "value") == 0
    assert console.server.asked == [("POST", "/v1/sync", {"image_ids": [IMAGE, OTHER], "regions": ["RegionTwo"]})]
    assert console.out == f"{IMAGE} RegionTwo t1\n"


def test_conditions_are_one_rule_however_they_are_quoted() -> None:
    console = Console({SYNC: [{"tasks": []}]})
    console.run(Run, "--filter", "name=my image", "--filter", "size<=1GiB", "--region", "RegionTwo")
    [(_, _, content)] = console.server.asked
    assert content == {"filter": "'name=my image' 'size<=1GiB'", "regions": ["RegionTwo"]}
    assert parse_rules(content["filter"]) == parse_rules("name='my image' size<=1GiB")


def test_more_images_than_one_request_takes_are_asked_for_in_parts() -> None:
    console = Console({SYNC: [{"tasks": []}]})
    console.run(Run, *(f"{number:08d}-2222-4333-8444-555555555555" for number in range(1500)))
    assert [len(content["image_ids"]) for _, _, content in console.server.asked] == [1000, 500]


def test_images_and_a_filter_are_one_too_many() -> None:
    console = Console({SYNC: [{"tasks": []}]})
    with pytest.raises(CommandError, match="not both"):
        console.run(Run, IMAGE, "--filter", "name=x")
    assert console.server.asked == []


def test_a_dry_run_only_asks() -> None:
    pages = [{"plan": [plan()], "next": "/behind/a/proxy/v1/sync?limit=1000&marker=m"}]
    console = Console({ALL: pages, ("POST", "/v1/sync?limit=1000&marker=m"): [{"plan": [IN_SYNC]}]})
    assert console.run(Run, "--dry-run", "-f", "value", "-c", "Region", "-c", "Size") == 0
    assert [content for _, _, content in console.server.asked] == [{"dry_run": True}] * 2
    assert console.out == "RegionTwo 1.0 MiB\n"


@pytest.mark.parametrize(("ended", "status"), [("done", 0), ("failed", 1)])
def test_waiting_ends_with_what_became_of_it(ended: str, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    run = {"bytes_moved": 1 << 20}
    console = Console({SYNC: [{"tasks": [REF]}], ("GET", "/v1/tasks"): [{"tasks": []}],
                       ("GET", "/v1/tasks/t1"): [{"task": task(state=ended), "runs": [run]}]})
    assert console.run(Run, IMAGE, "--wait", "-f", "value", "-c", "State") == status
    assert console.out == f"{ended}\n"
    assert "RegionTwo: 1 of 1, 1.0 MiB" in capsys.readouterr().err
