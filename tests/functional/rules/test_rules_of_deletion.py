# SPDX-License-Identifier: Apache-2.0
"""What must never delete a replica, tried on the real cloud one by one; and what does, with its record."""
from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from keystoneauth1 import exceptions
from keystoneauth1.session import Session

from glancesync.lab.cloud import Lab
from glancesync.lab.server import SyncServer
from tests.fixtures.images import ImagesOf
from tests.fixtures.keystone_admin import KeystoneAdmin
from tests.fixtures.main_job import lose_outbox
from tests.fixtures.polling import eventually
from tests.fixtures.trusting import OPTIONS, Trusting, change_row, forget_row, manage, put_database, save_database

pytestmark = pytest.mark.lab


def made(trusting: Trusting, images: ImagesOf, count: int = 2, **fields: object) -> list[str]:
    """Images that are in every region."""
    with ThreadPoolExecutor(4) as pool:
        image_ids = [record["id"] for record in pool.map(
            lambda number: images("demo").create(f"kept {number}", bytes([number]) * 1000, **fields), range(count))]
    for image_id in image_ids:
        trusting.wait_for(image_id)
    return image_ids


def assert_kept(trusting: Trusting, images: ImagesOf, image_ids: list[str]) -> None:
    assert trusting.replicas(images, *image_ids) == {each: list(trusting.regions) for each in image_ids}
    assert trusting.deletions() == []


def test_a_service_user_without_its_admin_role(trusting: Trusting, images: ImagesOf, keystone: KeystoneAdmin,
                                               lab: Lab) -> None:
    """Glance answers it 404 for every private image. A removal that is reported meanwhile waits."""
    image_ids = made(trusting, images, visibility="private")
    lab.server.stop()  # a Glance remembers for minutes what it was told of a token
    with keystone.without_role("glance-sync", "admin"):
        images("demo").delete(image_ids[0])
        try:
            lab.server.bring_up()
            views = trusting.wait_for(image_ids[0], "waiting", code="region_not_seen_whole")
            assert "the service user is no admin there any more" in views["RegionTwo"]["reason"]
            trusting.compare(2, may_fail=True)
            assert_kept(trusting, images, image_ids)
            assert "RegionTwo does not show its canary image" in trusting.alarms()
        finally:
            lab.server.stop()
    lab.server.bring_up()
    trusting.wait_for(image_ids[1])
    trusting.compare()
    trusting.wait_for(image_ids[0], "deleted")
    assert {row["image_id"] for row in trusting.deletions()} == {image_ids[0]}


def test_another_glance_under_the_cascading_regions_name(trusting: Trusting, images: ImagesOf, lab: Lab,
                                                         keystone: KeystoneAdmin) -> None:
    """The catalog's endpoint of the cascading region leads to a cascaded Glance."""
    image_ids = made(trusting, images)
    with keystone.endpoints_at("RegionOne", lab.endpoint("RegionTwo")):
        eventually(lambda: "it was another" in trusting.alarms(), 60, what="the change was noticed")
        images("demo").delete(image_ids[0])
        trusting.compare(2)
        assert_kept(trusting, images, image_ids)
    trusting.wait_gone(images, image_ids[0])
    trusting.wait_for(image_ids[1])


def test_another_cascading_region_in_the_configuration(trusting: Trusting, images: ImagesOf,
                                                       start_server: Callable[..., SyncServer]) -> None:
    image_ids = made(trusting, images)
    start_server({**OPTIONS, "DEFAULT": {**OPTIONS["DEFAULT"], "cascading_region": "RegionTwo"}})
    trusting.compare(2)
    assert "it was another" in trusting.alarms()
    start_server(OPTIONS)
    assert_kept(trusting, images, image_ids)
    for image_id in image_ids:
        trusting.wait_for(image_id)


def test_an_emptied_database(trusting: Trusting, images: ImagesOf, lab: Lab, tmp_path: Path) -> None:
    image_ids = made(trusting, images)
    glance = lab.glances["RegionOne"]
    saved = save_database(glance, tmp_path / "saved")
    put_database(glance, None)
    try:
        trusting.compare(2)
        assert_kept(trusting, images, image_ids)
        assert "emptied database" in trusting.alarms()
    finally:
        put_database(glance, saved)
    trusting.compare(2)
    trusting.wait_for(image_ids[0])
    assert_kept(trusting, images, image_ids)


def test_a_restored_database(trusting: Trusting, images: ImagesOf, lab: Lab, tmp_path: Path) -> None:
    """It has the canary and lacks what was made since; the replicas are the only copies left. Only the operator can
    say that this is right."""
    old = made(trusting, images)
    glance = lab.glances["RegionOne"]
    backup = save_database(glance, tmp_path / "backup")
    new = made(trusting, images)
    trusting.compare()
    newest = save_database(glance, tmp_path / "newest")
    put_database(glance, backup)
    try:
        trusting.compare(2)
        assert_kept(trusting, images, [*old, *new])
        assert "database is an older one" in trusting.alarms()
        assert manage(lab, "source", "accept")[0] == 0
        trusting.compare(2)
        trusting.wait_gone(images, *new)
        assert {row["cause"] for row in trusting.deletions()} == {"source_vanished"}
        assert trusting.replicas(images, *old) == {each: list(trusting.regions) for each in old}
    finally:
        put_database(glance, newest)


def test_a_page_of_the_listing_that_fails(trusting: Trusting, images: ImagesOf, lab: Lab) -> None:
    """A record that its Glance cannot show breaks off the listing: what would have followed is not taken for gone."""
    image_ids = sorted(made(trusting, images, 5))
    source = lab.glances["RegionOne"]
    forget_row(source, image_ids[0])
    change_row(source, image_ids[4], "visibility = 'bogus'")
    try:
        for _ in range(2):
            with pytest.raises(exceptions.HttpError):
                trusting.call("POST", "/v1/sync", json={})
        assert_kept(trusting, images, image_ids)
    finally:
        change_row(source, image_ids[4], "visibility = 'shared'")
    trusting.compare(2)
    trusting.wait_gone(images, image_ids[0])
    assert trusting.replicas(images, image_ids[4]) == {image_ids[4]: list(trusting.regions)}


def test_too_many_images_gone_at_once(trusting: Trusting, images: ImagesOf, lab: Lab) -> None:
    image_ids = made(trusting, images, 13)
    trusting.compare()
    for image_id in image_ids[1:]:
        forget_row(lab.glances["RegionOne"], image_id)
    trusting.compare(2)
    assert_kept(trusting, images, image_ids)
    assert "images, then" in trusting.alarms()
    assert manage(lab, "source", "accept")[0] == 0
    trusting.compare(2)
    trusting.wait_gone(images, *image_ids[1:])
    assert trusting.replicas(images, image_ids[0]) == {image_ids[0]: list(trusting.regions)}


def test_two_comparisons_when_the_event_was_lost(trusting: Trusting, images: ImagesOf, lab: Lab) -> None:
    [image_id] = made(trusting, images, 1, protected=True)
    lab.server.stop()
    images("demo").set(image_id, protected=False)
    images("demo").delete(image_id)
    lose_outbox(lab)
    lab.server.bring_up()
    trusting.compare(2)
    trusting.wait_gone(images, image_id)
    rows = trusting.deletions(image_id=image_id)
    assert {(row["cause"], row["region"]) for row in rows} == {
        ("source_vanished", region) for region in trusting.regions}


def test_the_brake_holds_over_triggers_until_it_is_released(trusting: Trusting, images: ImagesOf, lab: Lab,
                                                            start_server: Callable[..., SyncServer]) -> None:
    """Six deletions against a limit of three; a protected replica that is held stays protected."""
    image_ids = made(trusting, images, 3, protected=True)
    start_server({**OPTIONS, "deletion": {**OPTIONS["deletion"], "max_deletes": 3}})
    for image_id in image_ids:
        forget_row(lab.glances["RegionOne"], image_id)
    images("admin").create("not one of them", b"x")
    trusting.compare(3)
    assert trusting.call("GET", "/v1/deletions")["held"]
    assert len(trusting.deletions()) == 3
    held = [record for image_id in image_ids for region in trusting.regions
            if (record := images("admin", region).find(image_id))]
    assert [record["protected"] for record in held] == [True] * 3
    assert trusting.alarms().count("max_deletes allows") == 1

    status, output = manage(lab, "deletion", "status")
    assert (status, "max_deletes" in output) == (1, True)
    assert manage(lab, "deletion", "release")[0] == 0
    trusting.compare()
    trusting.wait_gone(images, *image_ids)
    rows = trusting.deletions()
    assert len(rows) == 6
    for row in rows:
        assert (row["cause"], bool(row["at"]), bool(row["done_at"])) == ("source_vanished", True, True)


def test_the_record_names_the_request_of_whoever_deleted_the_image(trusting: Trusting, images: ImagesOf, lab: Lab,
                                                                   session_of: Callable[[str], Session]) -> None:
    [image_id] = made(trusting, images, 1)
    answer = session_of("demo").delete(f"{lab.endpoint(lab.cascading_region)}/v2/images/{image_id}")
    trusting.wait_for(image_id, "deleted")
    request_id = answer.headers["x-openstack-request-id"]
    assert {(row["cause"], row["trigger"], row["request_id"]) for row in trusting.deletions()} == {
        ("source_removed", "event", request_id)}
    with pytest.raises(exceptions.Forbidden):
        trusting.call("GET", "/v1/deletions", session=session_of("demo"))
