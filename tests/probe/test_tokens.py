# SPDX-License-Identifier: Apache-2.0
"""The server's tokens end in the midst of a copy, in a real Keystone: they are renewed, and the copy ends verified.

A Glance remembers for minutes what Keystone told it of a token; here the one that is filled asks anew each time.
"""
from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from glancesync.lab.cloud import Lab
from glancesync.lab.server import SyncServer
from glancesync.lab.service import Service
from tests.fixtures.images import ImagesOf
from tests.fixtures.keystone_listener import KeystoneListener
from tests.fixtures.main_job import MIB, MainJob, frozen
from tests.fixtures.polling import eventually

pytestmark = [pytest.mark.lab, pytest.mark.full]
SIZE = 64 * MIB
#: So long that a request of the copy begins with a token that is good.
LIFE_SECONDS = 8


@contextmanager
def configured(service: Service, path: Path, pattern: str, replacement: str) -> Iterator[None]:
    """The service runs with another line in its configuration."""
    before = path.read_text("utf-8")
    changed = re.sub(pattern, replacement, before, count=1)
    assert changed != before
    try:
        restart(service, path, changed)
        yield
    finally:
        restart(service, path, before)


def restart(service: Service, path: Path, text: str) -> None:
    service.stop()
    path.write_text(text, "utf-8")
    service.start()
    service.wait_ready()


@pytest.fixture
def attentive(lab: Lab, job: MainJob) -> Iterator[Lab]:
    """RegionTwo's Glance asks Keystone at each request whether its token is good."""
    glance = lab.glances["RegionTwo"]
    with configured(glance, glance.directory / "glance-api.conf", r"\[keystone_authtoken\]",
                    "[keystone_authtoken]\ntoken_cache_time = -1"):
        yield lab


@pytest.fixture
def keystone(lab: Lab) -> Iterator[KeystoneListener]:
    listener = KeystoneListener(lab.keystone_url)
    listener.start()
    yield listener
    listener.stop()


def is_valid(job: MainJob, token: str) -> bool:
    answer = requests.get(f"{job.lab.keystone_url}/auth/tokens", timeout=30,
                          headers={"X-Auth-Token": str(job.admin.get_token()), "X-Subject-Token": token})
    assert answer.status_code in (200, 404), answer.text
    return answer.status_code == 200


def assert_one_verified_copy(job: MainJob, image_id: str) -> None:
    views = job.wait_for(image_id, deadline_seconds=120)
    assert {(view["replica_id"], view["id_reason"]) for view in views.values()} == {(image_id, None)}
    assert all(view["verified_at"] for view in views.values())
    moved = {region: sum(run["bytes_moved"] for run in job.runs(image_id, region)) for region in job.regions}
    assert set(moved.values()) == {SIZE}, f"it was copied once: {moved}"
    job.converge()


def test_revoked_in_the_midst_of_a_copy(attentive: Lab, job: MainJob, images: ImagesOf, keystone: KeystoneListener,
                                        start_server: Callable[..., SyncServer]) -> None:
    start_server({"keystone": {"auth_url": keystone.url}})
    image_id = images("demo").create("large", secrets.token_bytes(SIZE))["id"]
    job.wait_stored("RegionTwo", image_id, SIZE // 8)
    with frozen(attentive.glances["RegionTwo"]):
        revoked = set(keystone.issued)
        assert revoked, "the server logged in through the listener"
        for token in revoked:
            revoke(job, token)
        assert job.stored_bytes("RegionTwo", image_id) < SIZE, "the copy is under way"
    assert_one_verified_copy(job, image_id)
    assert keystone.issued - revoked, "it logged in anew"


def revoke(job: MainJob, token: str) -> None:
    requests.delete(f"{job.lab.keystone_url}/auth/tokens", timeout=30,
                    headers={"X-Auth-Token": str(job.admin.get_token()),
                             "X-Subject-Token": token}).raise_for_status()
    assert not is_valid(job, token)


def test_expired_in_the_midst_of_a_copy(attentive: Lab, job: MainJob, images: ImagesOf, keystone: KeystoneListener,
                                        start_server: Callable[..., SyncServer]) -> None:
    path = attentive.keystone.directory / "keystone.conf"
    with configured(attentive.keystone, path, r"(?m)^expiration = .*", f"expiration = {LIFE_SECONDS}"):
        start_server({"keystone": {"auth_url": keystone.url}})
        image_id = images("demo").create("large", secrets.token_bytes(SIZE))["id"]
        job.wait_stored("RegionTwo", image_id, SIZE // 8)
        begun = time.monotonic()
        with frozen(attentive.glances["RegionTwo"]):
            used = set(keystone.issued)
            assert job.stored_bytes("RegionTwo", image_id) < SIZE, "the copy is under way"
            eventually(lambda: not any(is_valid(job, token) for token in used), 60, what="its tokens expire")
        assert time.monotonic() - begun < 18, "the target is not given up as one that stands still"
        assert_one_verified_copy(job, image_id)
        assert keystone.issued - used, "it logged in anew"
