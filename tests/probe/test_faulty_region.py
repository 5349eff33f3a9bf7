# SPDX-License-Identifier: Apache-2.0
"""A real cascaded Glance behind a proxy that fails by script, under the real server: what the API says meanwhile, who
is hurt, what is left. The whole table, before Glances in memory, is tests/contract/test_faulty_region.py."""
from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.server import SyncServer
from tests.fixtures.faults import Answer, Endless, Fault, Flip, Hang, Reset
from tests.fixtures.faulty_proxy import FaultyProxy, proxying
from tests.fixtures.images import ImagesOf
from tests.fixtures.keystone_admin import KeystoneAdmin
from tests.fixtures.main_job import MIB, MainJob, View
from tests.fixtures.polling import eventually

pytestmark = pytest.mark.lab
OPTIONS = {"DEFAULT": {"catalog_refresh_seconds": 1}, "keystone": {"read_timeout_seconds": 4},
           "transfer": {"idle_timeout_seconds": 4, "tee_stall_seconds": 2},
           "breaker": {"failures": 4, "pause_seconds": 1, "pause_max_seconds": 2}}
PATH = {"POST": r"/v2/images$", "PUT": r"/file$", "PATCH": r"/v2/images/[^/]+$"}


@dataclass
class Row:
    """A fault at a call, and what the API is to say."""

    method: str
    fault: Fault
    state: str
    code: str
    id_reason: str | None = None
    heals: bool = False  # the next try finds it done


ROWS = {
    "create done, answer lost": Row("POST", Reset(after=True), "failed", "region_unavailable", heals=True),
    "create forbidden": Row("POST", Answer(403), "failed", "region_forbidden"),
    "upload over quota": Row("PUT", Answer(413), "failed", "region_quota"),
    "upload reset": Row("PUT", Reset(), "failed", "transfer_failed"),
    "upload done, answer lost": Row("PUT", Answer(502, after=True), "failed", "region_unavailable", heals=True),
    "another byte arrives": Row("PUT", Flip(MIB, upload=True), "failed", "verification_failed", "bytes_differ"),
    "update answered by a page": Row("PATCH", Answer(200), "failed", "region_bad_answer"),
    "update never ends": Row("PATCH", Endless(), "failed", "region_bad_answer"),
    "update hangs": Row("PATCH", Hang(), "failed", "region_unavailable"),
}
USUAL = {"create done, answer lost", "another byte arrives"}


@pytest.fixture(scope="module")
def proxy(lab: Lab) -> Iterator[FaultyProxy]:
    """RegionTwo's Glance in Keystone's catalog is this proxy."""
    with proxying(lab.endpoint("RegionTwo")) as proxy, KeystoneAdmin(lab).endpoints_at("RegionTwo", proxy.url):
        yield proxy


@pytest.fixture
def faulty(proxy: FaultyProxy, job: MainJob, start_server: Callable[..., SyncServer]) -> Iterator[FaultyProxy]:
    """The proxy without faults, and a server that talks through it."""
    start_server(OPTIONS)
    eventually(lambda: region_of(job, "RegionTwo")["endpoint"] == proxy.url, what="the server talks through the proxy")
    job.sync()  # a comparison makes the region's canary, so that the first create is the image's
    yield proxy
    proxy.clear()


def region_of(job: MainJob, name: str) -> View:
    """What GET /v1/regions shows of it."""
    return next(region for region in job.call("GET", "/v1/regions")["regions"] if region["name"] == name)


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in USUAL else pytest.mark.full) for name in ROWS])
def test_one_fault(faulty: FaultyProxy, job: MainJob, images: ImagesOf, name: str) -> None:
    row = ROWS[name]
    rule = faulty.add(row.method, PATH[row.method], row.fault)
    image_id = images("demo").create(name, secrets.token_bytes(3 * MIB))["id"]
    job.wait_for(image_id, row.state, code=row.code, regions=["RegionTwo"])
    job.wait_for(image_id, regions=["RegionThree"])
    assert rule.met
    assert row.heals or images("demo", "RegionTwo").find(image_id) is None, "its owner sees nothing of it yet"
    faulty.clear()
    job.sync(image_id)
    assert job.wait_for(image_id)["RegionTwo"]["id_reason"] == row.id_reason
    job.converge()
