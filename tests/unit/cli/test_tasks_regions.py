# SPDX-License-Identifier: Apache-2.0
"""`openstack image sync task ...` and `region ...`; what the plugin tells osc-lib."""
from __future__ import annotations

import argparse
import json
from typing import Any

import pytest
from osc_lib.exceptions import CommandError, EndpointNotFound

from glancesync.cli import plugin
from glancesync.cli.region import RegionFreeze, RegionList, RegionShow, RegionThaw
from glancesync.cli.task import TaskCancel, TaskList, TaskRetry, TaskShow
from glancesync.exceptions import StateConflictError
from tests.unit.cli.console import IMAGE, Console, task

TASKS = ("GET", "/v1/tasks")
REGIONS = ("GET", "/v1/regions")
FILL = {"images_done": 3, "images_failed": 1, "images_total": 9, "bytes_done": 3 << 30, "bytes_total": 9 << 30,
        "since": "then", "eta_seconds": 600}
RETRY_ALL = ("POST", "/v1/tasks/retry")


def region(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "endpoint": f"http://{name}", "cascading": False, "gone_at": None,
            "frozen": None, "images": {"in_sync": 2, "failed": 1}, **fields}


def test_tasks_by_filter() -> None:
    console = Console({TASKS: [{"tasks": [task(state="failed", reason_code="quota")]}]})
    console.run(TaskList, "--image", IMAGE, "--state", "failed", "--region", "R", "--long", "-f", "value",
                "-c", "ID", "-c", "Reason code", "-c", "Request ID")
    assert console.out == "t1 quota req-1\n"
    assert console.server.asked[0][2] == {"image_id": IMAGE, "state": "failed", "region": "R", "limit": 1000}


def test_a_task_with_its_runs() -> None:
    run = {"finished_at": "then", "outcome": "retry", "reason_code": "quota", "bytes_moved": 1 << 20,
           "reason": "full\x1b"}
    attempt = {"began_at": "before", "driver": "filesystem", "source_region": "One", "code": "store_full",
               "bytes_moved": 1 << 10, "seconds": 1.25, "reason": "full\x1b"}
    console = Console({("GET", "/v1/tasks/t1"): [{"task": task(), "runs": [run], "attempts": [attempt]}]})
    console.run(TaskShow, "t1")
    assert "then retry (quota), 1.0 MiB: full\\x1b" in console.out
    assert "before filesystem from One: store_full, 1.0 KiB in 1.2 s: full\\x1b" in console.out


def test_a_task_of_a_server_that_tells_no_attempts() -> None:
    console = Console({("GET", "/v1/tasks/t1"): [{"task": task(), "runs": []}]})
    console.run(TaskShow, "t1", "-f", "value", "-c", "attempts")
    assert console.out.strip() == ""


def test_retry_of_all_that_failed() -> None:
    console = Console({RETRY_ALL: [{"retried": 7}]})
    console.run(TaskRetry, "--failed", "--region", "R", "--reason-code", "quota")
    assert (console.out, console.server.asked[0][2]) == ("7 tasks are due now\n",
                                                         {"region": "R", "reason_code": "quota"})


@pytest.mark.parametrize("arguments", [(), ("t1", "--failed"), ("t1", "--region", "R")])
def test_retry_of_what_is_not_clear(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="Name tasks, or --failed"):
        Console({}).run(TaskRetry, *arguments)


def test_every_task_named_is_tried() -> None:
    console = Console({("POST", "/v1/tasks/t1/cancel"): [StateConflictError("it is done")],
                       ("POST", "/v1/tasks/t2/cancel"): [{"task": task("t2", state="running")}]})
    with pytest.raises(CommandError, match="t1: it is done"):
        console.run(TaskCancel, "t1", "t2")
    assert console.out == "t2 stops at its next step\n"


def test_regions_and_their_health() -> None:
    console = Console({REGIONS: [{"regions": [
        region("One", cascading=True, images={}), region("Two", breaker={"state": "open"}, fill=FILL),
        region("Three", endpoint=None, gone_at="then"), region("Four", frozen={"since": "then"}),
        region("Five", breaker={"state": "closed"}), region("Six", breaker={"state": "half_open"}),
        region("Seven", breaker={"state": "closed"}, problems=["it hides images"])]}]})
    console.run(RegionList, "-f", "json")
    assert [list(row.values()) for row in json.loads(console.out)] == [
        ["One", "cascading", "http://One", "-", {}, None],
        ["Two", "cascaded", "http://Two", "left alone", {"in_sync": 2, "failed": 1}, FILL],
        ["Three", "cascaded", None, "gone from the catalog since then", {"in_sync": 2, "failed": 1}, None],
        ["Four", "cascaded", "http://Four", "frozen since then", {"in_sync": 2, "failed": 1}, None],
        ["Five", "cascaded", "http://Five", "well", {"in_sync": 2, "failed": 1}, None],
        ["Six", "cascaded", "http://Six", "on trial", {"in_sync": 2, "failed": 1}, None],
        ["Seven", "cascaded", "http://Seven", "not seen whole", {"in_sync": 2, "failed": 1}, None]]


def test_how_far_a_fill_has_come() -> None:
    console = Console({REGIONS: [{"regions": [region("Two", fill=FILL), region("Three", fill={
        **FILL, "images_failed": 0, "eta_seconds": None})]}]})
    console.run(RegionList, "-f", "value", "-c", "Fill")
    assert console.out == ("3 of 9 images, 1 failed, 3.0 GiB of 9.0 GiB, about 10 min left\n"
                           "3 of 9 images, 3.0 GiB of 9.0 GiB\n")


def test_freeze_and_thaw() -> None:
    console = Console({("POST", "/v1/regions/Two/freeze"): [{"region": region("Two")}],
                       ("POST", "/v1/regions/Two/thaw"): [{"region": region("Two")}]})
    console.run(RegionFreeze, "Two", "--reason", "new disks")
    console.run(RegionThaw, "Two")
    assert console.out == "Two is frozen\nTwo is thawed\n"
    assert [asked[2] for asked in console.server.asked] == [{"reason": "new disks"}, {}]


def test_counts_in_words() -> None:
    console = Console({REGIONS: [{"regions": [region("One", images={}), region("Two")]}]})
    console.run(RegionList, "-f", "value", "-c", "Images")
    assert console.out == "none\n1 failed, 2 in_sync\n"


def test_a_region_that_is_not_there() -> None:
    console = Console({REGIONS: [{"regions": [region("Two")]}]})
    console.run(RegionShow, "Two", "-f", "value", "-c", "role")
    assert console.out == "cascaded\n"
    with pytest.raises(CommandError, match="no region Four; there are Two"):
        console.run(RegionShow, "Four")


class Instance:
    """osc-lib's ClientManager as far as the plugin asks it."""

    def __init__(self, *, catalog: str | None, named: str | None = None) -> None:
        self.session, self.region_name, self.interface = object(), "RegionOne", "public"
        self._catalog, self._named = catalog, named

    def get_configuration(self) -> dict[str, Any]:
        return {"image_sync_endpoint": self._named}

    def get_endpoint_for_service_type(self, kind: str, *, region_name: str, interface: str) -> str | None:
        assert (kind, region_name, interface) == ("image-sync", "RegionOne", "public")
        return self._catalog


@pytest.mark.parametrize(("instance", "url"), [
    (Instance(catalog="http://sync:9595/"), "http://sync:9595"),
    (Instance(catalog="http://sync/image-sync/v1"), "http://sync/image-sync"),
    (Instance(catalog="http://sync", named="http://other/v1/"), "http://other")])
def test_the_servers_address(instance: Instance, url: str) -> None:
    assert plugin.make_client(instance)._base_url == url


def test_without_an_address_the_next_step_is_told() -> None:
    with pytest.raises(EndpointNotFound, match="names no image-sync service in region RegionOne.*OS_IMAGE_SYNC_END"):
        plugin.make_client(Instance(catalog=None))


def test_options_hold_for_all_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_IMAGE_SYNC_ENDPOINT", "http://there")
    parser = plugin.build_option_parser(argparse.ArgumentParser())
    given = vars(parser.parse_args([]))
    assert given == {"os_image_sync_api_version": "1", "os_image_sync_endpoint": "http://there"}
