# SPDX-License-Identifier: Apache-2.0
"""Eight regions behind links of little bandwidth: every region that has an image gives it to the others, and the loss
of the cascading region's store in the middle does not stop the rest."""
from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from glancesync.lab.cloud import Lab
from glancesync.lab.images import Images
from glancesync.lab.oracle import Oracle
from glancesync.lab.state import LabOptions
from tests.fixtures.cloud import SERVER_OPTIONS
from tests.fixtures.limited_proxy import LimitedProxy, Read, limited_links, reads_of
from tests.fixtures.main_job import MainJob
from tests.fixtures.polling import eventually

pytestmark = [pytest.mark.lab, pytest.mark.full]
MIB = 1024 * 1024
REGIONS = 8
LINK_BYTES_PER_SECOND = 0.75 * MIB
SIZE = 6 * MIB
#: One image over one link that nobody else uses.
ROUND_SECONDS = SIZE / LINK_BYTES_PER_SECOND
ROUNDS = math.ceil(math.log2(REGIONS))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A cloud of eight regions."""
    cloud = Lab(tmp_path_factory.mktemp("many") / "cloud")
    try:
        cloud.up(LabOptions(regions=REGIONS), with_server=False)
        yield cloud
    finally:
        cloud.down(keep=request.session.testsfailed > 0)


@pytest.fixture(scope="module")
def links(many: Lab) -> Iterator[dict[str, LimitedProxy]]:
    with limited_links(many, LINK_BYTES_PER_SECOND) as proxies:
        yield proxies


Begin = Callable[[Mapping[str, Mapping[str, object]]], MainJob]


@pytest.fixture
def begin(many: Lab, links: dict[str, LimitedProxy]) -> Iterator[Begin]:
    """begin(options): the sync server with these options; nothing was read through the links yet."""
    def with_options(given: Mapping[str, Mapping[str, object]]) -> MainJob:
        many.server.overrides = {section: {**SERVER_OPTIONS.get(section, {}), **given.get(section, {})}
                                 for section in SERVER_OPTIONS.keys() | given.keys()}
        many.server.bring_up()
        job = MainJob(many, many.session("admin"), Oracle(many.state))
        job.sync()  # every region has its canary afterwards
        for proxy in links.values():
            proxy.reads.clear()
        return job

    yield with_options
    many.server.stop()


def upload(lab: Lab, name: str) -> str:
    created: list[str] = []
    image = Images(lab.session("demo"), lab.endpoint(lab.cascading_region), created.append).create(
        name, data=secrets.token_bytes(SIZE), visibility="private")
    return str(image["id"])


def most_at_once(reads: list[Read], region: str) -> int:
    moments = sorted([(read.begun, 1) for read in reads if read.region == region]
                     + [(read.ended, -1) for read in reads if read.region == region])
    at, most = 0, 0
    for _moment, change in moments:
        at += change
        most = max(most, at)
    return most


PULL: Mapping[str, Mapping[str, object]] = {
    "stores": {"drivers": "glance-download"}, "transfer": {"max_reads_per_source": 1}}


def test_the_last_region_has_it_after_about_as_many_rounds_as_regions_double(
        many: Lab, links: dict[str, LimitedProxy], begin: Begin) -> None:
    job = begin(PULL)
    image_id = upload(many, "to all")
    started = time.monotonic()
    job.wait_for(image_id, deadline_seconds=REGIONS * ROUND_SECONDS + 60)
    rounds = (time.monotonic() - started) / ROUND_SECONDS
    reads = reads_of(list(links.values()), image_id, size=SIZE)
    by_region = {name: sum(read.region == name for read in reads) for name in many.regions}
    print(f"\n{REGIONS} regions, {SIZE // MIB} MiB over links of {LINK_BYTES_PER_SECOND / MIB:g} MiB/s: "
          f"{rounds:.1f} rounds of {ROUND_SECONDS:.1f} s; reads: {by_region}")
    assert len(reads) == REGIONS - 1, "each region got it once"
    assert by_region[many.cascading_region] <= ROUNDS + 1
    assert all(most_at_once(reads, name) <= 1 for name in many.regions)
    assert rounds < ROUNDS + 2, "one after the other would be seven"
    assert job.judge() == []


def test_the_loss_of_the_cascading_store_in_the_middle_stops_nobody(many: Lab, links: dict[str, LimitedProxy],
                                                                    begin: Begin) -> None:
    job = begin(PULL)
    image_id = upload(many, "survives")
    first = eventually(lambda: _one_in_sync(job, image_id), 4 * ROUND_SECONDS + 30, what="one region has it")
    lost = _lose(many, image_id)
    job.wait_for(image_id, deadline_seconds=REGIONS * ROUND_SECONDS + 120)
    reads = reads_of(list(links.values()), image_id, size=SIZE)
    assert sum(read.region != many.cascading_region for read in reads) >= REGIONS - 3, "replicas gave it to the rest"
    assert first in many.cascaded_regions
    lost.write_bytes((many.glances[first].store_path / image_id).read_bytes())
    assert job.judge() == []


def test_through_this_server_the_source_is_read_once_for_all(many: Lab, links: dict[str, LimitedProxy],
                                                             begin: Begin) -> None:
    job = begin({})
    image_id = upload(many, "read once")
    started = time.monotonic()
    job.wait_for(image_id, deadline_seconds=REGIONS * ROUND_SECONDS + 60)
    rounds = (time.monotonic() - started) / ROUND_SECONDS
    reads = reads_of(list(links.values()), image_id, size=SIZE)
    print(f"\nthe same through one read: {rounds:.1f} rounds; reads: {[read.region for read in reads]}")
    assert [read.region for read in reads] == [many.cascading_region]
    assert rounds < 3


def _one_in_sync(job: MainJob, image_id: str) -> str:
    found = [region for region, view in job.states(image_id).items() if view["state"] == "in_sync"]
    assert found
    return found[0]


def _lose(lab: Lab, image_id: str) -> Path:
    """The file is gone; who reads it already reads on to its end."""
    path: Path = lab.glances[lab.cascading_region].store_path / image_id
    path.unlink()
    return path
