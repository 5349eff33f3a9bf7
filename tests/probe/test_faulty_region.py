# SPDX-License-Identifier: Apache-2.0
"""A real cascaded Glance behind a proxy that fails by script, under the real server: what the API says meanwhile, who
is hurt, what is left. The whole table, before Glances in memory, is tests/contract/test_faulty_region.py."""
from __future__ import annotations

import secrets
from dataclasses import dataclass

import pytest

from glancesync.lab.cloud import Lab
from tests.fixtures.faults import Answer, Delay, Endless, Fault, Flip, Hang, Reset, Truncate
from tests.fixtures.faulty_lab import region_of
from tests.fixtures.faulty_proxy import FaultyProxy
from tests.fixtures.images import ImagesOf
from tests.fixtures.main_job import MIB, MainJob, View
from tests.fixtures.polling import eventually

pytestmark = pytest.mark.lab
TWO, THREE = "RegionTwo", "RegionThree"
PATH = {"POST": r"/v2/images$", "PUT": r"/file$", "PATCH": r"/v2/images/[^/]+$", "DELETE": r"/v2/images/[^/]+$"}
ELSEWHERE = {"Location": "http://127.0.0.1:9/v2/images"}
PATIENCE = {"Retry-After": "2"}


@dataclass
class Row:
    """A fault at a call, and what the API is to say."""

    method: str
    fault: Fault
    code: str
    id_reason: str | None = None
    heals: bool = False  # the next try finds it done


ROWS = {
    "create done, answer lost": Row("POST", Reset(after=True), "region_unavailable", heals=True),
    "create done, answer cut off": Row("POST", Truncate(9), "region_unavailable", heals=True),
    "create forbidden": Row("POST", Answer(403), "region_forbidden"),
    "create comes too soon": Row("POST", Answer(429, PATIENCE), "region_busy"),
    "create not served": Row("POST", Answer(503), "region_unavailable"),
    "create hangs": Row("POST", Hang(), "region_unavailable"),
    "create led elsewhere": Row("POST", Answer(307, ELSEWHERE), "region_bad_answer"),
    "create never ends": Row("POST", Endless(), "region_bad_answer"),
    "upload over quota": Row("PUT", Answer(413), "region_quota"),
    "upload comes too soon": Row("PUT", Answer(503, PATIENCE), "region_busy"),
    "upload not served": Row("PUT", Answer(503), "region_unavailable"),
    "upload reset": Row("PUT", Reset(), "transfer_failed"),
    "upload stalls": Row("PUT", Hang(), "transfer_stalled"),
    "upload led elsewhere": Row("PUT", Answer(302, ELSEWHERE), "region_bad_answer"),
    "upload done, answer lost": Row("PUT", Answer(502, after=True), "region_unavailable", heals=True),
    "another byte arrives": Row("PUT", Flip(MIB, upload=True), "verification_failed", "bytes_differ"),
    "update answered by a page": Row("PATCH", Answer(200), "region_bad_answer"),
    "update comes too soon": Row("PATCH", Answer(429, PATIENCE), "region_busy"),
    "update not served": Row("PATCH", Answer(503), "region_unavailable"),
    "update led elsewhere": Row("PATCH", Answer(301, ELSEWHERE), "region_bad_answer"),
    "update never ends": Row("PATCH", Endless(), "region_bad_answer"),
    "update hangs": Row("PATCH", Hang(), "region_unavailable"),
}
REMOVALS = {
    "removal refused": Row("DELETE", Answer(403), "region_forbidden"),
    "removal comes too soon": Row("DELETE", Answer(429, PATIENCE), "region_busy"),
    "removal not served": Row("DELETE", Answer(503), "region_unavailable"),
    "removal hangs": Row("DELETE", Hang(), "region_unavailable"),
    "removal led elsewhere": Row("DELETE", Answer(307, ELSEWHERE), "region_bad_answer"),
    "removal never ends": Row("DELETE", Endless(), "region_bad_answer"),
    "removal done, answer lost": Row("DELETE", Reset(after=True), "region_unavailable", heals=True),
}
USUAL = {"create done, answer lost", "another byte arrives"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in USUAL else pytest.mark.full) for name in ROWS])
def test_one_fault(faulty: FaultyProxy, job: MainJob, images: ImagesOf, name: str) -> None:
    row, logged = ROWS[name], log_size(job)
    rule = faulty.add(row.method, PATH[row.method], row.fault)
    image_id = images("demo").create(name, secrets.token_bytes(3 * MIB))["id"]
    job.wait_for(image_id, "failed", code=row.code, regions=[TWO])
    assert_told(job, logged, image_id, row.code)
    job.wait_for(image_id, regions=[THREE])
    assert rule.met
    assert row.heals or images("demo", TWO).find(image_id) is None, "its owner sees nothing of it yet"
    faulty.clear()
    job.sync(image_id)
    assert job.wait_for(image_id)[TWO]["id_reason"] == row.id_reason
    job.converge()


@pytest.mark.full
@pytest.mark.parametrize("name", REMOVALS)
def test_one_fault_at_a_removal(faulty: FaultyProxy, job: MainJob, images: ImagesOf, name: str) -> None:
    """The replica is not forgotten, whatever the region answers; the other region's is gone meanwhile."""
    row, logged = REMOVALS[name], log_size(job)
    image_id = images("demo").create(name, secrets.token_bytes(MIB))["id"]
    job.wait_for(image_id)
    rule = faulty.add(row.method, PATH[row.method], row.fault)
    images("demo").delete(image_id)
    job.wait_for(image_id, "failed", code=row.code, regions=[TWO])
    assert_told(job, logged, image_id, row.code)
    job.wait_for(image_id, "deleted", regions=[THREE])
    assert rule.met
    assert row.heals or images("admin", TWO).find(image_id), "nothing was deleted"
    faulty.clear()
    job.sync(image_id)
    job.wait_for(image_id, "deleted")
    assert images("admin", TWO).find(image_id) is None
    job.converge()


def log_size(job: MainJob) -> int:
    return job.lab.server.log_path.stat().st_size


def assert_told(job: MainJob, logged: int, image_id: str, code: str) -> None:
    """The log has a line for the outcome, with the ids of task, image, region and the request that caused it."""
    task_id = job.tasks(image_id)[TWO]["id"]
    ids = f" task {task_id} image {image_id} region {TWO} request req-"

    def told() -> list[str]:
        lines = job.lab.server.log_path.read_bytes()[logged:].decode().splitlines()
        return [line for line in lines if " INFO " in line and ids in line and f", {code} (" in line]

    eventually(told, 5, what=f"{ids} {code}")


def test_the_breaker_opens_is_half_open_and_closes(faulty: FaultyProxy, job: MainJob, lab: Lab,
                                                   images: ImagesOf) -> None:
    """What an operator sees of a region that is ill: in the API, in the log, at each image. The other one works on."""
    logged = log_size(job)
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        faulty.add(method, "", Answer(503))
    made = [images("demo").create(f"image {number}", secrets.token_bytes(1000))["id"] for number in range(3)]
    opened = eventually(lambda: breaker(job, TWO, "open"), what="the breaker opens")
    assert opened["failures"] >= 4
    assert opened["next_probe_at"] > opened["since"]
    assert "503" in opened["reason"]
    late = images("demo").create("comes while it is open", secrets.token_bytes(1000))["id"]
    view = job.wait_for(late, "waiting", code="region_paused", regions=[TWO])[TWO]
    assert f"{TWO} is left alone after" in view["reason"]
    assert job.tasks(late)[TWO]["reason_code"] == "region_paused"
    for image_id in (*made, late):
        job.wait_for(image_id, regions=[THREE])
    assert breaker(job, THREE, "closed"), "the other region is well"
    asked = len(faulty.requests)
    eventually(lambda: len(faulty.requests) > asked, what="a probe")
    assert all(method == "GET" and "limit=1" in path for method, path, _ in faulty.requests[asked:]), "probes only"

    faulty.clear()
    faulty.add("POST", PATH["POST"], Delay(1.5), times=1)  # so that it is seen half open
    eventually(lambda: breaker(job, TWO, "half_open"), every_seconds=0.02, what="the breaker is half open")
    closed = eventually(lambda: breaker(job, TWO, "closed"), what="the breaker closes")
    assert (closed["failures"], closed["reason"]) == (0, None)
    for image_id in (*made, late):
        job.wait_for(image_id)
    told = [line.partition(f"region {TWO}: its breaker ")[2][:10]
            for line in lab.server.log_path.read_bytes()[logged:].decode().splitlines()
            if f"region {TWO}: its breaker " in line]
    assert told == ["opens afte", "is half op", "is closed,"]
    job.converge()


def breaker(job: MainJob, region: str, state: str) -> View:
    """The region's breaker as GET /v1/regions shows it; empty if it is not in this state."""
    shown: View = region_of(job, region)["breaker"]
    return shown if shown["state"] == state else {}
