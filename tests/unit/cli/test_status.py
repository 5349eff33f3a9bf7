# SPDX-License-Identifier: Apache-2.0
"""`openstack image sync status` and `wait`."""
from __future__ import annotations

import json

import pytest
from osc_lib.exceptions import CommandError

from glancesync.cli.status import Status, Wait, unsettled, wait_until
from glancesync.clock import ManualClock
from glancesync.exceptions import ImageNotFoundError, RegionUnavailableError
from tests.unit.cli.console import IMAGE, OTHER, Console, image, replica

LISTING = ("GET", "/v1/images")
ONE = ("GET", f"/v1/images/{IMAGE}")


def test_matrix_of_images_and_regions() -> None:
    console = Console({LISTING: [{"images": [
        image(replica("RegionTwo"), replica("RegionThree", state="copying", bytes_done=1)),
        image(replica("RegionTwo", state="failed", reason_code="quota"), image_id=OTHER, name="\x1b[2Jtwo")]}]})
    assert console.run(Status) == 0
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in console.out.splitlines() if "|" in line]
    assert lines == [["Image ID", "Name", "RegionThree", "RegionTwo"], [IMAGE, "one", "copying 25 %", "in_sync"],
                     [OTHER, "\\x1b[2Jtwo", "-", "failed (quota)"]]


def test_programs_get_the_whole_records_and_the_true_name() -> None:
    console = Console({LISTING: [{"images": [image(replica("RegionTwo"), name="\x1bx")]}]})
    console.run(Status, "-f", "json")
    assert json.loads(console.out) == [{"Image ID": IMAGE, "Name": "\x1bx", "RegionTwo": replica("RegionTwo")}]


@pytest.mark.parametrize("output", ["csv", "value", "table"])
def test_what_a_terminal_may_show_is_inert(output: str) -> None:
    console = Console({LISTING: [{"images": [image(replica("RegionTwo", reason="\x1b[1m"), name="\x1bx")]}]})
    console.run(Status, "--long", "-f", output)
    assert "\x1b" not in console.out


def test_long_listings_are_paged_and_limited() -> None:
    pages = [{"images": [image(replica(), image_id=IMAGE)], "next": "/v1/images?..."},
             {"images": [image(replica(), image_id=OTHER)]}]
    console = Console({LISTING: pages})
    console.run(Status, "--limit", "2", "--state", "failed", "--sort", "name:desc", "--region", "RegionTwo")
    query = {"region": "RegionTwo", "state": "failed", "sort_key": "name", "sort_dir": "desc",
             "deleted": "false"}
    assert [content for _, _, content in console.server.asked] == [
        {**query, "limit": 2}, {**query, "limit": 1, "marker": IMAGE}]
    assert IMAGE in console.out
    assert OTHER in console.out


@pytest.mark.parametrize(("options", "query"), [
    ([], {"deleted": "false"}), (["--deleted"], {}), (["--state", "deleted"], {"state": "deleted"}),
    (["--state", "failed"], {"state": "failed", "deleted": "false"})])
def test_what_is_deleted_everywhere_is_listed_when_asked_for(options: list[str], query: dict[str, str]) -> None:
    console = Console({LISTING: [{"images": []}]})
    console.run(Status, *options)
    [(_, _, asked)] = console.server.asked
    assert {name: value for name, value in asked.items() if name in ("state", "deleted")} == query


def test_one_image_by_its_name_hidden_or_not() -> None:
    answer = {"image": image(replica("RegionTwo"), replica("RegionThree"))}
    console = Console({ONE: [answer]}, images=[(IMAGE, "golden", True), (OTHER, "other", False)])
    console.run(Status, "golden", "--region", "RegionThree", "-f", "value", "-c", "Region", "-c", "State")
    assert console.out == "RegionThree in_sync\n"


@pytest.mark.parametrize(("images", "word"), [
    ([], "shows no image gol\\x1bden here"), ([(IMAGE, "gol\x1bden", True), (OTHER, "gol\x1bden", False)],
                                             f"Several images are named gol\\x1bden: {IMAGE}, {OTHER}")])
def test_a_name_that_says_nothing(images: list[tuple[str, str, bool]], word: str) -> None:
    with pytest.raises(CommandError) as caught:
        Console({}, images=images).run(Status, "gol\x1bden")
    assert word in str(caught.value)


def test_a_refusal_names_the_request_and_the_next_step() -> None:
    console = Console({LISTING: [RegionUnavailableError("no answer")]})
    with pytest.raises(CommandError, match=r"no answer Look whether the sync server runs"):
        console.run(Status)
    console = Console({LISTING: [RegionUnavailableError("Two gave no answer", request_id="req-7")]})
    with pytest.raises(CommandError, match=r"no answer \(request req-7\) openstack image sync region list"):
        console.run(Status)


@pytest.mark.parametrize(("regions", "left"), [
    ([replica("A"), replica("B", state="unwanted")], []),
    ([replica("A"), replica("B", state="copying")], ["B copying 100 %: same"]),
    ([replica("A", state="failed", reason_code="x", next_try_at="soon")], ["A failed (x): same"]),
    ([replica("A", state="waiting", reason=None)], ["A waiting (in_sync): no reason told"])])
def test_what_is_not_in_sync_yet(regions: list[dict[str, object]], left: list[str]) -> None:
    assert unsettled(image(*regions), None) == left


@pytest.mark.parametrize("state", ["failed", "conflict", "contested", "parked", "deleted"])
def test_what_waiting_does_not_mend_ends_it(state: str) -> None:
    with pytest.raises(CommandError, match=f"does not come in sync by itself: B {state}"):
        unsettled(image(replica("A"), replica("B", state=state)), None)
    assert unsettled(image(replica("A"), replica("B", state=state)), ["A"]) == []


def test_a_region_without_a_record_is_named() -> None:
    with pytest.raises(CommandError, match="no record in C; it has in A"):
        unsettled(image(replica("A")), ["C"])


def test_waiting_ends_with_what_was_seen_last() -> None:
    clock = ManualClock()
    seen = [["A copying 1 %"], ["A copying 9 %"]]
    with pytest.raises(CommandError, match="Not in sync after 3 s: A copying 9 %"):
        wait_until(lambda: seen.pop(0) if len(seen) > 1 else seen[0], timeout_seconds=3, clock=clock)
    assert clock.now() == ManualClock().now() + 3


def test_wait_tells_that_it_is_there() -> None:
    console = Console({ONE: [{"image": image(replica("A"))}]})
    assert console.run(Wait, IMAGE) == 0
    assert console.out == f"{IMAGE} is in sync in every region\n"


def test_wait_for_an_image_that_nobody_knows() -> None:
    console = Console({ONE: [ImageNotFoundError("no")]})
    with pytest.raises(CommandError, match="Neither Glance nor the sync server"):
        console.run(Wait, IMAGE)


def test_wait_for_an_image_whose_report_is_on_its_way() -> None:
    console = Console({ONE: [ImageNotFoundError("no")]}, images=[(IMAGE, "new", False)])
    with pytest.raises(CommandError, match="not yet known to the sync server"):
        console.run(Wait, IMAGE, "--timeout", "0")
