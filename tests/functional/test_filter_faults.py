# SPDX-License-Identifier: Apache-2.0
"""The filter in a real Glance while the sync server, Keystone, the outbox or Glance itself is in trouble."""
from __future__ import annotations

import shutil
import time

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.glance import Glance
from tests.fixtures.images import ImagesOf
from tests.fixtures.polling import eventually
from tests.fixtures.twin import DELIVERED_SECONDS, Twin

pytest_plugins = ["tests.fixtures.twin"]
pytestmark = [pytest.mark.lab, pytest.mark.every_glance]

CHANGES = 4


@pytest.mark.parametrize("mode", ["down", "hang", "reset", "401", "403", "500", "garbage", "html", "redirect",
                                  "endless", "other-400"])
def test_users_notice_nothing_of_a_server_in_trouble_and_nothing_is_lost(twin: Twin, images: ImagesOf, image_id: str,
                                                                         mode: str) -> None:
    seen = len(twin.of(image_id))
    twin.set_mode(mode)
    took = []
    for number in range(CHANGES):
        start = time.monotonic()
        images().set(image_id, name=f"{mode} {number}")
        took.append(time.monotonic() - start)
    assert max(took) < 2, "a request waited for the sync server"
    if mode != "down":
        eventually(lambda: twin.attempts, DELIVERED_SECONDS)
    doomed = images().create()["id"]
    images().delete(doomed)
    assert twin.of(doomed) == []
    twin.set_mode("accept")
    twin.wait_for(doomed, "add", "remove")
    assert "save" in twin.of(image_id)[seen:]


def test_events_outlive_the_death_of_glance(twin: Twin, images: ImagesOf, image_id: str, glance: Glance) -> None:
    twin.down()
    images().set(image_id, name="before the crash")
    doomed = images().create()["id"]
    images().delete(doomed)
    glance.kill()
    twin.up()
    seen = len(twin.of(image_id))
    glance.start()
    # Nothing but /healthcheck is asked here, which passes by the filter: the new process begins by itself.
    glance.wait_ready()
    twin.wait_for(doomed, "add", "remove")
    twin.wait_for(image_id, "save", seen=seen)


def test_a_keystone_that_is_away_only_delays(twin: Twin, images: ImagesOf, image_id: str, glance: Glance,
                                             lab: Lab) -> None:
    twin.down()
    images().set(image_id, name="before")
    seen = len(twin.of(image_id))
    glance.kill()
    lab.keystone.kill()
    twin.up()
    log_start = glance.log_path.stat().st_size
    glance.start()
    eventually(lambda: "Keystone" in glance.log_path.read_text("utf-8")[log_start:], DELIVERED_SECONDS)
    assert twin.attempts == 0
    lab.keystone.start()
    lab.keystone.wait_ready()
    twin.wait_for(image_id, "save", seen=seen)
    noise = [line for line in glance.log_path.read_text("utf-8")[log_start:].splitlines() if "WARNING" in line]
    assert len([line for line in noise if "glancesync" in line]) <= 2
    assert not [line for line in noise if "keystoneauth" in line]


def test_an_outbox_deleted_under_it_is_made_again(twin: Twin, images: ImagesOf, image_id: str, glance: Glance) -> None:
    twin.down()
    images().set(image_id, name="lost")
    # In one stroke: file by file, the running Glance may put a new one into the folder that is about to go.
    aside = glance.outbox_path.rename(glance.outbox_path.with_name("aside"))
    images().set(image_id, name="kept")
    shutil.rmtree(aside)
    seen = len(twin.events)
    twin.up()
    eventually(lambda: {event["operation"] for event in twin.events[seen:]} >= {"all", "save"}, DELIVERED_SECONDS)


def test_an_outbox_that_cannot_be_used_costs_users_nothing(twin: Twin, images: ImagesOf, image_id: str,
                                                           glance: Glance) -> None:
    aside = glance.outbox_path.with_name("aside")
    glance.outbox_path.rename(aside)
    glance.outbox_path.write_text("a file stands in the way")
    seen = len(twin.events)
    try:
        for number in range(CHANGES):
            images().set(image_id, name=f"unwritable {number}")
        eventually(lambda: "all" in [event["operation"] for event in twin.events[seen:]], DELIVERED_SECONDS)
    finally:
        glance.outbox_path.unlink()
        shutil.rmtree(aside)
    seen = len(twin.of(image_id))
    images().set(image_id, name="written")
    twin.wait_for(image_id, "save", seen=seen)
