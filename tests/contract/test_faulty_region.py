# SPDX-License-Identifier: Apache-2.0
"""Each fault at each call: the code, whether and when it is tried again, and what is left. docs/reliability.md has the
table; this is its proof, with the real client, the real core and its database before Glances in memory."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from glancesync.exceptions import GlanceSyncError
from glancesync.model.image import ImageChanges, Member
from glancesync.regions import glance_http
from glancesync.sync.findings import PassReport
from tests.contract.faulty_cloud import DATA, PATIENCE, FaultyCloud, faulty_cloud
from tests.fixtures.faults import Answer, Body, Delay, Endless, Fault, Flip, Hang, Length, Reset, Truncate
from tests.fixtures.polling import eventually

Prepare = Callable[[FaultyCloud], str]
RETRY_AFTER = {"Retry-After": "77"}
WAITING, FAILED, DONE = "waiting", "failed", "done"

#: Fault -> what a person expects: (reason code, state of the task). Waiting is tried again.
ANSWERS: dict[str, tuple[Fault, str, str]] = {
    "301": (Answer(301, {"Location": "http://127.0.0.1:9/"}), "region_bad_answer", WAITING),
    "307": (Answer(307, {"Location": "http://127.0.0.1:9/"}), "region_bad_answer", WAITING),
    "400": (Answer(400), "region_rejected", FAILED),
    "401": (Answer(401), "region_unauthorized", WAITING),
    "403": (Answer(403), "region_forbidden", FAILED),
    "404 of a proxy": (Answer(404), "region_bad_answer", WAITING),
    "409": (Answer(409), "region_conflict", WAITING),
    "413": (Answer(413), "region_quota", FAILED),
    "429": (Answer(429), "region_busy", WAITING),
    "429 Retry-After": (Answer(429, RETRY_AFTER), "region_busy", WAITING),
    "500": (Answer(500), "region_unavailable", WAITING),
    "502": (Answer(502), "region_unavailable", WAITING),
    "503": (Answer(503), "region_unavailable", WAITING),
    "503 Retry-After": (Answer(503, RETRY_AFTER), "region_busy", WAITING),
    "502, but it was done": (Answer(502, after=True), "region_unavailable", WAITING),
    "reset": (Reset(), "region_unavailable", WAITING),
    "reset, but it was done": (Reset(after=True), "region_unavailable", WAITING),
    "hangs": (Hang(), "region_unavailable", WAITING),
    "hangs, but it was done": (Hang(after=True), "region_unavailable", WAITING),
    "late": (Delay(PATIENCE / 5), "in_sync", DONE),
}
#: What can only be done to an answer with a body.
BODIES: dict[str, tuple[Fault, str, str]] = {
    "cut off": (Truncate(9), "region_unavailable", WAITING),
    "announces too much": (Length(50), "region_unavailable", WAITING),
    "announces too little": (Length(-5), "region_bad_answer", WAITING),
    "a page": (Body(b"<html>hello</html>", "text/html"), "region_bad_answer", WAITING),
    "no JSON": (Body(b'{"id": '), "region_bad_answer", WAITING),
    "other JSON": (Body(b'{"images": 7, "id": [], "members": {}}'), "region_bad_answer", WAITING),
    "endless": (Endless(), "region_bad_answer", WAITING),
    "drips": (Endless(b" ", PATIENCE / 10), "region_unavailable", WAITING),
}


def new(cloud: FaultyCloud) -> str:
    return cloud.new_image(visibility="community")


def in_sync(cloud: FaultyCloud, *members: Member) -> str:
    image_id = cloud.new_image(visibility="shared")
    set_members(cloud, image_id, *members)
    cloud.submit(image_id)
    cloud.work()
    cloud.assert_one_good_replica(image_id, "Two")
    return image_id


def set_members(cloud: FaultyCloud, image_id: str, *members: Member) -> None:
    cloud.one.put_image(replace(cloud.one.get_image(image_id), members=members), DATA)


def renamed(cloud: FaultyCloud) -> str:
    image_id = in_sync(cloud)
    cloud.one.update_image(image_id, ImageChanges(fields={"name": f"renamed {image_id}"}, set_properties={"a": "b"}))
    return image_id


def with_member(cloud: FaultyCloud, before: str | None, after: str | None) -> str:
    image_id = in_sync(cloud, *[Member(member_id="rival", status=before)] if before else [])
    set_members(cloud, image_id, *[Member(member_id="rival", status=after)] if after else [])
    return image_id


def deactivated(cloud: FaultyCloud) -> str:
    image_id = in_sync(cloud)
    cloud.one.deactivate_image(image_id)
    return image_id


def reactivated(cloud: FaultyCloud) -> str:
    image_id = deactivated(cloud)
    cloud.submit(image_id)
    cloud.work()
    assert cloud.two.get_image(image_id).status == "deactivated"
    cloud.one.reactivate_image(image_id)
    return image_id


#: Call -> method, path, what makes the next run do it, whether its answer has a body.
CALLS: dict[str, tuple[str, str, Prepare, bool]] = {
    "get": ("GET", r"/v2/images/[^/?]+$", renamed, True),
    "create": ("POST", r"/v2/images$", new, True),
    "update": ("PATCH", r"/v2/images/[^/]+$", renamed, True),
    "members": ("GET", r"/members$", renamed, True),
    "add member": ("POST", r"/members$", lambda cloud: with_member(cloud, None, "pending"), False),
    "set member": ("PUT", r"/members/rival$", lambda cloud: with_member(cloud, "pending", "accepted"), False),
    "remove member": ("DELETE", r"/members/rival$", lambda cloud: with_member(cloud, "accepted", None), False),
    "deactivate": ("POST", r"/actions/deactivate$", deactivated, False),
    "reactivate": ("POST", r"/actions/reactivate$", reactivated, False),
}
#: Where a call says something else than the others with the same answer.
OTHERWISE: dict[tuple[str, str], tuple[str, str]] = {
    # Glance shows no image with the id and yet refuses it: it was deleted there, and the replica takes a new one.
    ("create", "409"): ("in_sync", DONE),
    # It may be there already; it is looked up, and it is not.
    ("add member", "409"): ("region_conflict", WAITING),
}
#: Of each kind one in the default tests, all with --full.
USUAL = {"403", "409", "429 Retry-After", "502, but it was done", "hangs", "cut off", "a page", "another byte",
         "another byte arrives", "endless", "no room in the store"}
ROWS = [(call, name) for call in CALLS for name in ANSWERS] + [
    (call, name) for call, (*_, has_body) in CALLS.items() if has_body for name in BODIES]


def usual(names: Iterable[str]) -> list[Any]:
    return [pytest.param(name, marks=() if name in USUAL else pytest.mark.full) for name in names]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyCloud]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(glance_http, "JSON_LIMIT_BYTES", 1024 * 1024)
        patch.setattr(glance_http, "_ERROR_BODY_SECONDS", PATIENCE)
        with faulty_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
            cloud.compare()
            yield cloud


@pytest.fixture(autouse=True)
def no_faults(cloud: FaultyCloud) -> Iterator[None]:
    yield
    cloud.clear_faults()


@pytest.mark.parametrize(("call", "name"), [
    pytest.param(*row, id=" - ".join(row), marks=() if row[1] in USUAL else pytest.mark.full) for row in ROWS])
def test_a_call_to_a_target(cloud: FaultyCloud, call: str, name: str) -> None:
    method, path, prepare, _has_body = CALLS[call]
    fault, code, state = {**ANSWERS, **BODIES}[name]
    code, state = OTHERWISE.get((call, name), (code, state))
    image_id = prepare(cloud)
    once = (call, name) == ("create", "409")
    rule = cloud.proxies["Two"].add(method, path, fault, times=1 if once else None)
    cloud.submit(image_id)
    cloud.work()

    assert rule.met
    task = cloud.task(image_id)
    assert (task.reason_code, task.state) == (code, state), task.reason
    if "Retry-After" in name:
        assert task.run_at - task.updated_at >= 77
    cloud.assert_nothing_bad_is_visible(image_id)
    cloud.assert_one_good_replica(image_id, "Three")

    cloud.settle(image_id)
    record = cloud.assert_one_good_replica(image_id, "Two")
    assert (record.replica_id == image_id) != once
    assert record.id_reason == ("id_burned" if once else None)
    cloud.assert_one_good_replica(image_id, "Three")


#: Fault at an upload -> code, state, why the replica has another id then.
UPLOADS: dict[str, tuple[Fault, str, str, str | None]] = {
    "301": (Answer(301, {"Location": "http://127.0.0.1:9/"}), "region_bad_answer", WAITING, None),
    "400": (Answer(400), "region_rejected", FAILED, None),
    "401": (Answer(401), "region_unauthorized", WAITING, None),
    "403": (Answer(403), "region_forbidden", FAILED, None),
    "404 of a proxy": (Answer(404), "region_bad_answer", WAITING, None),
    "409": (Answer(409), "region_conflict", WAITING, None),
    "413": (Answer(413), "region_quota", FAILED, None),
    "no room in the store": (Answer(413, body=b"<h1>413</h1> Image storage media is full: There is not enough disk "
                                    b"space on the image storage media."), "region_full", WAITING, None),
    "429 Retry-After": (Answer(429, RETRY_AFTER), "region_busy", WAITING, None),
    "500": (Answer(500), "region_unavailable", WAITING, None),
    "502": (Answer(502), "region_unavailable", WAITING, None),
    "503": (Answer(503), "region_unavailable", WAITING, None),
    "503 Retry-After": (Answer(503, RETRY_AFTER), "region_busy", WAITING, None),
    "502, but it was done": (Answer(502, after=True), "region_unavailable", WAITING, None),
    "reset": (Reset(), "transfer_failed", WAITING, None),
    "reset, but it was done": (Reset(after=True), "transfer_failed", WAITING, None),
    "hangs": (Hang(), "transfer_stalled", WAITING, None),
    "hangs, but it was done": (Hang(after=True), "transfer_stalled", WAITING, None),
    "late": (Delay(PATIENCE / 5), "in_sync", DONE, None),
    "says it was done": (Answer(204), "verification_failed", WAITING, None),
    "another byte arrives": (Flip(20, upload=True), "verification_failed", WAITING, "bytes_differ"),
}


@pytest.mark.parametrize("name", usual(UPLOADS))
def test_an_upload(cloud: FaultyCloud, name: str) -> None:
    fault, code, state, id_reason = UPLOADS[name]
    image_id = new(cloud)
    rule = cloud.proxies["Two"].add("PUT", "/file$", fault)
    cloud.submit(image_id)
    cloud.work()

    assert rule.met == 1, "an upload is never sent twice"
    task = cloud.task(image_id)
    codes = {code, "transfer_failed"} if name == "says it was done" else {code}  # before the last byte, or after it
    assert task.reason_code in codes, task.reason
    assert task.state == state
    if "Retry-After" in name:
        assert task.run_at - task.updated_at >= 77
    cloud.assert_nothing_bad_is_visible(image_id)
    cloud.assert_one_good_replica(image_id, "Three")

    cloud.settle(image_id)
    assert cloud.assert_one_good_replica(image_id, "Two").id_reason == id_reason


#: Fault at the one read of the source -> code, state.
DOWNLOADS: dict[str, tuple[Fault, str, str]] = {
    "301": (Answer(301, {"Location": "http://127.0.0.1:9/"}), "region_bad_answer", WAITING),
    "401": (Answer(401), "region_unauthorized", WAITING),
    "403": (Answer(403), "region_forbidden", FAILED),
    "404 of a proxy": (Answer(404), "region_bad_answer", WAITING),
    "429 Retry-After": (Answer(429, RETRY_AFTER), "region_busy", WAITING),
    "500": (Answer(500), "region_unavailable", WAITING),
    "503 Retry-After": (Answer(503, RETRY_AFTER), "region_busy", WAITING),
    "reset": (Reset(), "region_unavailable", WAITING),
    "hangs": (Hang(), "region_unavailable", WAITING),
    "late": (Delay(PATIENCE / 5), "in_sync", DONE),
    "a page": (Body(b"<html>hello</html>", "text/html"), "region_bad_answer", WAITING),
    "cut off": (Truncate(30), "source_read_failed", WAITING),
    "cut off before the last byte": (Truncate(len(DATA) - 1), "source_read_failed", WAITING),
    "announces too much": (Length(10), "source_read_failed", WAITING),
    "announces too little": (Length(-10), "source_read_failed", WAITING),
    "other bytes, fewer": (Body(DATA[:-1], "application/octet-stream"), "source_read_failed", WAITING),
    "another byte": (Flip(20), "source_corrupt", FAILED),
    "another last byte": (Flip(len(DATA) - 1), "source_corrupt", FAILED),
    "endless": (Endless(content_type="application/octet-stream"), "source_read_failed", WAITING),
    "drips": (Endless(b"x", PATIENCE / 3, "application/octet-stream"), "source_read_failed", WAITING),
}


@pytest.mark.parametrize("name", usual(DOWNLOADS))
def test_the_read_of_the_source(cloud: FaultyCloud, name: str) -> None:
    fault, code, state = DOWNLOADS[name]
    image_id = new(cloud)
    cloud.proxies["One"].add("GET", "/file$", fault)
    cloud.submit(image_id)
    cloud.work()

    for region in ("Two", "Three"):
        task = cloud.task(image_id, region)
        assert (task.reason_code, task.state) == (code, state), task.reason
    cloud.assert_nothing_bad_is_visible(image_id)
    if state != DONE:
        eventually(lambda: {glance.get_image(image_id).status for glance in (cloud.two, cloud.three)} == {"queued"},
                   2, every_seconds=0.01, what="both Glances noticed that the upload broke off")

    cloud.settle(image_id)
    for region in ("Two", "Three"):
        assert cloud.assert_one_good_replica(image_id, region).id_reason is None


@pytest.mark.parametrize("name", usual(ANSWERS))
def test_a_removal(cloud: FaultyCloud, name: str) -> None:
    """A replica whose removal fails stays known until it is gone; a proxy's 404 is no proof that it is."""
    fault, code, state = ANSWERS[name]
    image_id = in_sync(cloud)
    cloud.one.delete_image(image_id)
    cloud.report_removal(image_id)
    rule = cloud.proxies["Two"].add("DELETE", rf"/v2/images/{image_id}$", fault)
    cloud.work()

    assert rule.met
    task = cloud.task(image_id)
    assert (task.reason_code, task.state) == (("deleted", DONE) if state == DONE else (code, state)), task.reason
    assert cloud.replicas(cloud.three, image_id) == []
    cloud.settle(image_id)
    assert cloud.replicas(cloud.two, image_id) == []
    assert {cloud.record(image_id, region).state for region in ("Two", "Three")} == {"deleted"}




@pytest.mark.parametrize("region", ["One", "Two"])
@pytest.mark.parametrize("name", usual(name for name in (*ANSWERS, *BODIES) if name != "late"))
def test_a_listing(cloud: FaultyCloud, name: str, region: str) -> None:
    """A comparison that does not see a region whole says so and concludes nothing; the other regions are compared."""
    image_id = in_sync(cloud)
    fault, code, _state = {**ANSWERS, **BODIES}[name]
    rule = cloud.proxies[region].add("GET", r"/v2/images\?.*os_hidden=false", fault)
    report = PassReport()
    if region == "One":
        with pytest.raises(GlanceSyncError) as caught:
            cloud.service.reconcile(report)
        assert caught.value.code == code
    else:
        cloud.service.reconcile(report)
        assert report.regions["Two"].error
        assert report.regions["Three"].error is None
    assert rule.met
    cloud.clear_faults()
    cloud.work()
    for each in ("Two", "Three"):
        cloud.assert_one_good_replica(image_id, each)
