# SPDX-License-Identifier: Apache-2.0
"""What glancesync.stores.driver promises, held against every way that an image's bytes can take."""
from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from glancesync.exceptions import GlanceSyncError, TaskCancelledError
from glancesync.regions.glance import GlanceRegion
from glancesync.stores.driver import STREAM, Carrier, CopyDriver
from glancesync.stores.loading import load_drivers
from tests.contract.store_worlds import (
    FilesystemWorld,
    HttpWorld,
    ImportWorld,
    RealHttpWorld,
    RealImportWorld,
    StoreWorld,
    StreamWorld,
    Watch,
    options,
)
from tests.fixtures.polling import eventually
from tests.functional.test_glance_download import restarted

DATA = secrets.token_bytes(300_000)
HOSTILE = ("../../etc/passwd", "-rf", "$(touch x)", "a;id", "a\nb", "/", "", "é" * 200)


REAL = [pytest.param(name, marks=[pytest.mark.lab, pytest.mark.full]) for name in ("real glance-download", "real http")]


@pytest.fixture(params=["filesystem", "stream", "glance-download", "http", *REAL])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreWorld]:
    with ExitStack() as stack:
        if request.param == "filesystem":
            yield FilesystemWorld(stack, tmp_path)
        elif request.param == "stream":
            yield StreamWorld()
        elif request.param == "glance-download":
            yield ImportWorld()
        elif request.param == "http":
            yield HttpWorld()
        else:
            netloc = request.getfixturevalue("web") if request.param == "real http" else None
            yield _real_world(request, stack, netloc)


@pytest.fixture(scope="module")
def web(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where a web server gives out the files of the cascading region's store; the first cascaded region's Glance takes
    such locations meanwhile."""
    lab = request.getfixturevalue("lab")
    handler = partial(_Files, directory=str(lab.glances[lab.cascading_region].store_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, restarted(
            lab, lab.cascaded_regions[0], "glance-api.conf", _with_web_store):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_given: Any) -> None:
        """Nobody reads it."""


def _with_web_store(text: str) -> str:
    assert "enabled_backends = local:file" in text
    return text.replace("enabled_backends = local:file", "enabled_backends = local:file,web:http") + (
        "\n[web]\nstore_description = the source's files\n")


def _real_world(request: pytest.FixtureRequest, stack: ExitStack, netloc: str | None) -> RealImportWorld:
    lab, session_of = request.getfixturevalue("lab"), request.getfixturevalue("session_of")
    one, two = (GlanceRegion(region_name=name, endpoint=lab.endpoint(name), session=session_of("glance-sync"),
                             connect_timeout_seconds=5, read_timeout_seconds=30, idle_timeout_seconds=30)
                for name in (lab.cascading_region, lab.cascaded_regions[0]))
    source, target = lab.glances[one.region_name], lab.glances[two.region_name]

    def rot(image_id: str, data: bytes) -> None:
        (source.store_path / image_id).write_bytes(data)

    def lying() -> list[str]:
        return sorted(path.name for path in target.staging_path.iterdir())

    made = RealImportWorld(one, two, rot, lying) if netloc is None else RealHttpWorld(one, two, rot, lying, netloc)
    stack.callback(made.clean)
    return made


def test_the_right_bytes_arrive_and_progress_is_true(world: StoreWorld) -> None:
    copy, watch = world.put(DATA), Watch()
    world.copy(copy, watch)
    assert (world.bytes_of(copy), world.remains(copy)) == (DATA, [])
    assert watch.seen == sorted(watch.seen)
    assert (watch.seen[0], watch.seen[-1]) == (0, len(DATA))


@pytest.mark.parametrize("given", [DATA[:-1] + bytes([DATA[-1] ^ 1]), DATA[:-1], DATA + b"x", b""])
def test_other_bytes_are_refused_and_nothing_can_be_booted(world: StoreWorld, given: bytes) -> None:
    if isinstance(world, RealImportWorld) and not isinstance(world, RealHttpWorld) and len(given) != len(DATA):
        pytest.skip("a Glance whose file is longer gives as much as it announced, and one whose file is shorter lets "
                    "the other wait for the rest")
    copy = world.put(DATA, given=given)
    with pytest.raises(GlanceSyncError):
        world.copy(copy, Watch())
    assert (world.bytes_of(copy), world.remains(copy)) == (None, [])


def test_cancelled_in_the_middle_nothing_is_left(world: StoreWorld) -> None:
    copy, looks = world.put_big(), []

    def look() -> None:
        looks.append(1)
        if len(looks) > 1:
            raise TaskCancelledError("cancelled")

    with pytest.raises(TaskCancelledError):
        world.copy(copy, Watch(look))
    eventually(lambda: world.remains(copy) == [], 10, what="it came to rest")
    # What a Glance fetches by itself it brings to its end, where nobody can reach it.
    assert world.bytes_of(copy) is None or isinstance(world, ImportWorld)


def test_what_an_earlier_try_left_is_cleared_away(world: StoreWorld) -> None:
    copy = world.put(DATA)
    world.litter(copy)
    world.copy(copy, Watch())
    assert (world.bytes_of(copy), world.remains(copy)) == (DATA, [])


@pytest.mark.parametrize("end", ["image_id", "replica_id"])
def test_hostile_ids_are_inert(world: StoreWorld, end: str) -> None:
    good = world.put(DATA)
    for hostile in HOSTILE:
        with pytest.raises(GlanceSyncError):
            world.copy(replace(good, **{end: hostile}), Watch())
    assert (world.bytes_of(good), world.remains(good)) == (None, [])
    world.copy(good, Watch())
    assert world.bytes_of(good) == DATA


def test_close_ends_everything_and_a_later_copy_opens_its_own(world: StoreWorld) -> None:
    world.copy(world.put(DATA), Watch())
    world.close()
    eventually(lambda: world.still_open() == [], 10, what="nothing is open")
    copy = world.put(DATA)
    world.copy(copy, Watch())
    assert world.bytes_of(copy) == DATA


@pytest.mark.parametrize("driver", load_drivers(options()).values(), ids=lambda driver: driver.name)
def test_capabilities_go_together(driver: CopyDriver) -> None:
    wanted = driver.capabilities
    assert driver.name != STREAM
    assert (wanted.carrier is Carrier.TARGET) == bool(wanted.import_methods or not wanted.verifies_first)
    assert wanted.registers or wanted.import_methods
    assert wanted.target_stores or not wanted.registers
