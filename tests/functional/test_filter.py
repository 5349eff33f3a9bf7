# SPDX-License-Identifier: Apache-2.0
"""What loads inside the cascading Glance, in a real one: users' requests become events at a twin of the sync server."""
from __future__ import annotations

import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from keystoneauth1.session import Session

from glancesync.lab.cloud import Lab
from glancesync.lab.glance import Glance
from tests.fixtures.images import ImagesOf
from tests.fixtures.polling import eventually
from tests.fixtures.twin import DELIVERED_SECONDS, Twin

pytest_plugins = ["tests.fixtures.twin"]
pytestmark = [pytest.mark.lab, pytest.mark.every_glance]


def test_create_and_upload(twin: Twin, images: ImagesOf) -> None:
    queued = images().create()["id"]
    twin.wait_for(queued, "add")
    images().upload(queued, b"x" * 100_000)
    twin.wait_for(queued, "add", "save")


SAVES: dict[str, Callable[[Any, str], object]] = {
    "rename": lambda demo, image_id: demo.set(image_id, name="new"),
    "property": lambda demo, image_id: demo.set(image_id, colour="blue"),
    "unset": lambda demo, image_id: demo.unset(image_id, "kept"),
    "no difference": lambda demo, image_id: demo.set(image_id, name="image"),
    "tag": lambda demo, image_id: demo.add_tag(image_id, "a"),
    "protect": lambda demo, image_id: demo.set(image_id, protected=True),
    "hide": lambda demo, image_id: demo.set(image_id, os_hidden=True),
}


@pytest.mark.parametrize("change", SAVES)
def test_each_change_of_metadata(twin: Twin, images: ImagesOf, image_id: str, change: str) -> None:
    seen = len(twin.of(image_id))
    SAVES[change](images(), image_id)
    twin.wait_for(image_id, "save", seen=seen)


def test_members(twin: Twin, images: ImagesOf, image_id: str, project_ids: dict[str, str],
                 session_of: Callable[[str], Session]) -> None:
    rival = project_ids["rival"]
    steps: list[tuple[str, Callable[[], None]]] = [
        ("demo", lambda: images().add_member(image_id, rival)),
        ("rival", lambda: images("rival").set_member_status(image_id, rival, "accepted")),
        ("demo", lambda: images().remove_member(image_id, rival)),
    ]
    for user, step in steps:
        seen = len(twin.events)
        step()
        eventually(lambda seen=seen: len(twin.events) > seen, DELIVERED_SECONDS)
        event = twin.events[-1]
        assert (event["image_id"], event["operation"]) == (image_id, "members")
        assert event["user_id"] == session_of(user).get_user_id()


def test_deactivate_reactivate_and_delete(twin: Twin, images: ImagesOf, image_id: str) -> None:
    for change in (images("admin").deactivate, images("admin").reactivate):
        seen = len(twin.of(image_id))
        change(image_id)
        twin.wait_for(image_id, "save", seen=seen)
    images().delete(image_id)
    eventually(lambda: twin.of(image_id)[-1] == "remove", DELIVERED_SECONDS)
    assert twin.of(image_id).count("remove") == 1


def test_an_event_tells_who_did_what(twin: Twin, image_id: str, lab: Lab, session_of: Callable[[str], Session]) -> None:
    session = session_of("demo")
    start = time.time()
    answer = session.request(f"{lab.endpoint(lab.cascading_region)}/v2/images/{image_id}/tags/t", "PUT")
    eventually(lambda: twin.events[-1]["at"] >= start, DELIVERED_SECONDS)
    event = twin.events[-1]
    assert event["request_id"] == answer.headers["x-openstack-request-id"]
    assert (event["user_id"], event["project_id"]) == (session.get_user_id(), session.get_project_id())
    assert "member" in event["roles"]
    assert "admin" not in event["roles"]
    assert start <= event["at"] <= time.time()
    assert event["host"]


def test_a_request_id_that_a_caller_made_up_does_no_harm(twin: Twin, image_id: str, lab: Lab,
                                                         session_of: Callable[[str], Session]) -> None:
    session_of("demo").request(f"{lab.endpoint(lab.cascading_region)}/v2/images/{image_id}/tags/t", "PUT",
                               headers={"X-Openstack-Request-ID": "a b\t<c>"})
    eventually(lambda: twin.events[-1]["request_id"] == "req-a?b?<c>", DELIVERED_SECONDS)


@pytest.mark.parametrize("method", ["glance-direct", "web-download"])
def test_the_end_of_an_import_is_seen(twin: Twin, images: ImagesOf, web_files: tuple[Path, str], method: str) -> None:
    demo = images()
    made = demo.create()["id"]
    if method == "glance-direct":
        demo.stage(made, b"y" * 300_000)
        demo.start_import(made, method)
    else:
        (web_files[0] / "image").write_bytes(b"z" * 300_000)
        demo.start_import(made, method, uri=f"{web_files[1]}/image")
    not_active_at = time.time()
    while demo.get(made)["status"] != "active":
        assert time.time() - not_active_at < DELIVERED_SECONDS
        not_active_at = time.time()
    eventually(lambda: [event for event in twin.events
                        if event["image_id"] == made and event["at"] >= not_active_at], DELIVERED_SECONDS)


def test_refused_requests_are_not_reported(twin: Twin, images: ImagesOf, image_id: str) -> None:
    seen = len(twin.of(image_id))
    for refused in (lambda: images("rival").set(image_id, name="theirs"), lambda: images("rival").delete(image_id),
                    lambda: images().set(image_id, status="queued"), lambda: images().remove_tag(image_id, "none")):
        with pytest.raises(Exception, match="HTTP 40"):
            refused()
    images().add_tag(image_id, "last")
    twin.wait_for(image_id, "save", seen=seen)


def test_the_outbox_is_private_and_empties(twin: Twin, image_id: str, glance: Glance) -> None:
    assert stat.S_IMODE(glance.outbox_path.stat().st_mode) == 0o700
    files = list(glance.outbox_path.iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert len([path for path in files if path.suffix == ".log"]) <= 2


def test_no_secret_in_glances_log_or_outbox(twin: Twin, image_id: str, glance: Glance, lab: Lab) -> None:
    secrets = [lab.state.passwords["glance-sync-events"], "gAAAA"]
    for path in [glance.log_path, *glance.outbox_path.iterdir()]:
        text = path.read_text("utf-8", "replace")
        assert not [secret for secret in secrets if secret in text], path
