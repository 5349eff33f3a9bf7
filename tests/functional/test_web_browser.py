# SPDX-License-Identifier: Apache-2.0
"""The page in a real Chromium on the whole product. Screenshots lie in each test's folder, for people to look at."""
from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.server import SyncServer
from tests.fixtures.browser import Visitor
from tests.fixtures.images import ImagesOf
from tests.fixtures.main_job import MainJob
from tests.fixtures.polling import eventually

pytestmark = [pytest.mark.lab, pytest.mark.full]
MIB = 1024 * 1024
#: Small pieces make a copy slow enough to be looked at.
SLOW = {"transfer": {"chunk_bytes": 8192}}


@pytest.fixture
def arrive(lab: Lab, visit: Callable[..., Visitor]) -> Callable[..., Visitor]:
    """arrive(server, user="admin", **options of the window): somebody who is logged in."""
    def new(server: SyncServer, user: str = "admin", **options: Any) -> Visitor:
        visitor = visit(server.url, **options)
        auth = lab.state.auth_options(user)
        visitor.log_in(auth["username"], auth["password"], auth["project_name"])
        return visitor

    return new


def _name(text: str) -> str:
    """Of this run alone: on a standing cloud the images of another may be on their way out."""
    return f"{text} {uuid.uuid4().hex[:8]}"


def _percents(visitor: Visitor) -> list[int]:
    texts = visitor.page.locator(".grid .state.busy").all_inner_texts()
    return [int(found[1]) for text in texts if (found := re.search(r"(\d+) %", text))]


def test_a_running_copy_moves(start_server: Callable[..., SyncServer], arrive: Callable[..., Visitor],
                              images: ImagesOf, job: MainJob) -> None:
    visitor = arrive(start_server(SLOW))
    visitor.open("images")
    name = _name("a large one")
    image = images().create(name, b"\xa5" * (640 * MIB))
    row = visitor.page.get_by_role("row", name=name)
    row.wait_for(timeout=60000)  # it comes by itself
    seen: set[int] = set()

    def moved() -> bool:
        seen.update(_percents(visitor))
        return len(seen) >= 3

    eventually(moved, 60, what="the copy is seen to move")
    visitor.picture("copying")
    job.wait_for(image["id"], deadline_seconds=180)
    eventually(lambda: row.locator(".state.good").count() == len(job.regions), 30, what="it is shown in sync")
    row.get_by_role("link").click()
    visitor.page.get_by_text(image["id"]).first.wait_for()
    visitor.page.get_by_role("table", name=re.compile("Attempts in RegionTwo")).wait_for()
    assert visitor.page.get_by_text("req-").count() >= 1, "the request that caused it is named"
    visitor.picture("image", whole=True)
    visitor.assert_content()


def _stays_changed(images: ImagesOf, image_id: str) -> bool:
    replica = images("admin", "RegionTwo")
    replica.set(image_id, name="somebody changed it")
    time.sleep(2)  # a comparison that was on its way would have mended it by then
    return bool(replica.get(image_id)["name"] == "somebody changed it")


def test_a_sync_is_planned_and_run_by_keyboard_alone(sync_server: SyncServer, arrive: Callable[..., Visitor],
                                                     images: ImagesOf, job: MainJob) -> None:
    image = images().create("by keyboard", b"k" * 1000)
    job.wait_for(image["id"])
    eventually(lambda: _stays_changed(images, image["id"]), 60, what="no comparison runs that mends it at once")
    visitor = arrive(sync_server)
    page, keyboard = visitor.page, visitor.page.keyboard
    _tab_to(visitor, "Sync")
    keyboard.press("Enter")
    page.get_by_role("heading", level=1, name="Sync").wait_for()
    assert page.get_by_role("button", name="Sync now").is_disabled(), "first the plan"
    _tab_to(visitor, "Images")
    keyboard.type(image["id"])
    _tab_to(visitor, "Show what would be done")
    keyboard.press("Enter")
    plan = page.get_by_role("table", name="The plan")
    plan.wait_for()
    assert "UpdateReplica" in plan.inner_text()
    assert page.evaluate("document.activeElement.id") == "plan", "who listens is taken to the plan"
    visitor.picture("plan")
    assert job.states(image["id"])["RegionTwo"]["state"] == "in_sync", "a dry run changes nothing"
    page.get_by_role("textbox", name="Images").focus()
    _tab_to(visitor, "Sync now")
    keyboard.press("Enter")
    page.get_by_text("tasks were started").first.wait_for()
    eventually(lambda: images("admin", "RegionTwo").get(image["id"])["name"] == "by keyboard", 60)
    visitor.assert_content()


def test_a_filter_chooses_what_is_planned(sync_server: SyncServer, arrive: Callable[..., Visitor], images: ImagesOf,
                                          job: MainJob) -> None:
    name = _name("by filter")
    mine, other = (str(images().create(each, b"f" * 1000)["id"]) for each in (name, "another"))
    for image_id in (mine, other):
        job.wait_for(image_id)
        eventually(lambda chosen=image_id: _stays_changed(images, chosen), 60, what="no comparison mends it at once")
    visitor = arrive(sync_server)
    visitor.open("sync")
    page = visitor.page
    chosen, show = page.get_by_label("Filter"), page.get_by_role("button", name="Show what would be done")
    chosen.fill("nome=x")
    show.click()
    page.get_by_text("'nome=x' is no condition; allowed are rules").wait_for()
    assert ["400" in each for each in visitor.complaints] == [True], "what Chromium says of that answer, and no more"
    visitor.complaints.clear()
    chosen.fill(f'"name={name}" size<1MiB')
    show.click()
    plan = page.get_by_role("table", name="The plan")
    plan.wait_for()
    visitor.picture("filtered plan")
    assert (mine in plan.inner_text(), other in plan.inner_text()) == (True, False)
    page.get_by_role("button", name="Sync now").click()
    page.get_by_text("tasks were started").first.wait_for()
    eventually(lambda: images("admin", "RegionTwo").get(mine)["name"] == name, 60)
    visitor.assert_content()


def _tab_to(visitor: Visitor, name: str) -> None:
    """Press Tab until something of that name has the focus."""
    named = ("(document.activeElement.labels && document.activeElement.labels[0] "
             "? document.activeElement.labels[0].firstChild.textContent : document.activeElement.textContent).trim()")
    for _ in range(60):
        visitor.page.keyboard.press("Tab")
        if visitor.page.evaluate(named) == name:
            outline = visitor.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"the focus on {name} is seen"
            return
    raise AssertionError(f"{name} is not reached by Tab")


def test_a_region_goes_down_and_comes_back(sync_server: SyncServer, arrive: Callable[..., Visitor], lab: Lab,
                                           images: ImagesOf, job: MainJob) -> None:
    visitor = arrive(sync_server, color_scheme="dark")
    visitor.open("overview")
    card = visitor.page.locator('[data-region="RegionThree"]')
    card.locator(".top .state.good", has_text="well").wait_for()
    glance = next(service for service in lab.services if service.name == "RegionThree")
    glance.stop()
    made = [images().create(f"while away {number}", b"w" * 10) for number in range(3)]
    card.locator(".top .state.bad", has_text="left alone").wait_for(timeout=120000)
    visitor.picture("region-down", whole=True)
    visitor.open("tasks?region=RegionThree&state=waiting")
    visitor.page.get_by_text("region_paused").first.wait_for()
    visitor.picture("tasks-waiting")
    visitor.open("overview")
    lab.revive()
    card.locator(".top .state.good", has_text="well").wait_for(timeout=120000)
    for image in made:
        job.wait_for(image["id"])
    visitor.picture("region-back", whole=True)
    complaints = [each for each in visitor.complaints if "Failed to load" not in each]
    assert complaints == []


def test_a_member_on_a_phone(sync_server: SyncServer, arrive: Callable[..., Visitor], images: ImagesOf,
                             job: MainJob) -> None:
    mine = _name("<b>mine</b>")
    image = images().create(mine, b"m" * 10)
    foreign = images("rival").create("a rival's", b"r" * 10)
    job.wait_for(image["id"])
    job.wait_for(foreign["id"])
    visitor = arrive(sync_server, "demo", viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page = visitor.page
    page.get_by_role("heading", level=1, name="Images").wait_for()
    page.get_by_role("link", name=mine).wait_for()
    assert page.get_by_role("link", name="a rival's").count() == 0
    assert page.get_by_role("navigation", name="Pages").get_by_role("link").all_inner_texts() == ["Images"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    visitor.picture("phone-images")
    page.get_by_role("link", name=mine).tap()
    page.get_by_text(image["id"]).first.wait_for()
    assert page.get_by_role("button", name=re.compile("Retry")).count() == 0
    assert page.get_by_text(re.compile("^(null|undefined|NaN)|object Object")).count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    visitor.picture("phone-image", whole=True)
    visitor.assert_content()


def test_who_logs_out_is_out(sync_server: SyncServer, arrive: Callable[..., Visitor]) -> None:
    visitor = arrive(sync_server)
    visitor.page.get_by_role("button", name="Log out").click()
    visitor.page.get_by_text("You are logged out.").wait_for()
    visitor.page.goto(f"{visitor.url}/web/#/tasks")
    visitor.page.reload()
    visitor.page.get_by_role("button", name="Log in").wait_for()
    visitor.picture("login")
    visitor.assert_content()
