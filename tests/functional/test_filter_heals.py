# SPDX-License-Identifier: Apache-2.0
"""The filter with the whole product: two nodes of one Glance, and outboxes that lose what they hold.

Whatever happens to an outbox, users' requests are answered and all regions agree in the end, says the judge.
"""
from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from keystoneauth1.session import Session

from glancesync.filter.files import CHECKPOINT, SENDER_LOCK, SUFFIX, ensure_directory, list_segments, segment_name
from glancesync.filter.records import encode
from glancesync.lab.images import Images
from glancesync.lab.server import SyncServer
from glancesync.model.event import Event, Operation, new_event_id
from tests.fixtures.fronts import Front, NewFront
from tests.fixtures.main_job import MainJob, frozen
from tests.fixtures.polling import eventually
from tests.fixtures.small_disk import fill, remount

pytest_plugins = ["tests.fixtures.twin", "tests.fixtures.fronts", "tests.fixtures.small_disk"]
pytestmark = [pytest.mark.lab, pytest.mark.every_glance]

MIB = 1024 * 1024
CHANGES = 5
# Far more than a request takes on a busy machine, far less than the time after which a delivery gives up (5 s).
SLOW_SECONDS = 3


@pytest.fixture
def demo(session_of: Callable[[str], Session]) -> Session:
    return session_of("demo")


def change(through: Images, image_id: str, word: str) -> None:
    """Requests that must be answered well and soon."""
    for number in range(CHANGES):
        start = time.monotonic()
        through.set(image_id, name=f"{word} {number}")
        assert time.monotonic() - start < SLOW_SECONDS


def test_two_nodes_share_one_sync_server(job: MainJob, new_front: NewFront, demo: Session,
                                         sync_server: SyncServer) -> None:
    """Database and store are the same, the outboxes are not; the order of the two nodes' events does not matter."""
    front = new_front()
    one, two = (Images(demo, url) for url in (job.lab.endpoint(job.lab.cascading_region), front.url))
    made = [node.create(f"image {number}", b"bytes", visibility="shared")["id"]
            for number, node in enumerate((one, two) * 2)]
    for image_id in made:
        job.wait_for(image_id)
    sync_server.kill()
    for number, image_id in enumerate(made[:3]):
        for turn in range(4):
            (one, two)[(turn + number) % 2].set(image_id, **{"name": f"turn {turn}", f"by_{turn}": "x"})
    one.delete(made[3])
    late = str(two.create("late", b"of the second")["id"])
    front.kill()        # with events in its outbox
    assert any(segment.size for segment in list_segments(front.outbox_path))
    sync_server.start()
    sync_server.wait_ready()
    for image_id in made[:3]:
        job.wait_for(image_id)
    job.wait_for(made[3], "deleted")
    front.start()
    job.wait_for(late)
    job.converge()
    for image_id in (*made[:3], late):
        two.delete(image_id)
    job.converge()


def flip_bytes(outbox: Path) -> None:
    for path in outbox.glob(f"*{SUFFIX}"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xff
        path.write_bytes(data)


def cut_short(outbox: Path) -> None:
    for path in outbox.glob(f"*{SUFFIX}"):
        with path.open("r+b") as stream:
            stream.truncate(max(0, path.stat().st_size - 100))


def fill_with_zeros(outbox: Path) -> None:
    for path in outbox.glob(f"*{SUFFIX}"):
        path.write_bytes(bytes(path.stat().st_size))


def remove_segments(outbox: Path) -> None:
    for path in outbox.glob(f"*{SUFFIX}"):
        path.unlink()


def claim_all_delivered(outbox: Path) -> None:
    """A checkpoint from elsewhere, beyond the ends of the files."""
    sizes = ", ".join(f'"{segment.name}": {segment.size + 100}' for segment in list_segments(outbox))
    (outbox / CHECKPOINT).write_text(f"{{{sizes}}}")


def replace_the_lock(outbox: Path) -> None:
    (outbox / SENDER_LOCK).unlink()
    (outbox / CHECKPOINT).write_bytes(b"\0" * 100)


DAMAGES = {damage.__name__: damage for damage in (flip_bytes, cut_short, fill_with_zeros, remove_segments,
                                                  claim_all_delivered, replace_the_lock)}


@pytest.mark.full
@pytest.mark.parametrize("while_running", [True, False])
def test_damage_is_healed(job: MainJob, new_front: NewFront, demo: Session, sync_server: SyncServer,
                          while_running: bool) -> None:
    """Each kind of damage in turn, to what the server was not told yet.

    A removal whose event is lost takes two comparisons; tests/functional/rules is about those.
    """
    front = new_front()
    images = Images(demo, front.url)
    kept = str(images.create("image", b"bytes")["id"])
    job.wait_for(kept)
    for name, damage in DAMAGES.items():
        sync_server.kill()
        change(images, kept, name)
        if not while_running:
            front.kill()
        damage(front.outbox_path)
        if while_running:
            change(images, kept, f"{name} after")
        else:
            front.start()
        sync_server.start()
        sync_server.wait_ready()
        job.converge()
    assert "glancesync/filter/" not in front.log, "there is a traceback of the filter"


def prefill(outbox: Path, size: int) -> None:
    """As if days without a sync server had passed: what a process that is dead now has left."""
    ensure_directory(outbox)
    with (outbox / segment_name("1-dead", 1)).open("wb") as stream:
        while stream.tell() < size:
            stream.write(encode(Event(id=new_event_id(), operation=Operation.SAVE, at=1.0, host="node",
                                      image_id="00000000-0000-4000-8000-000000000000", request_id="req-" + "x" * 200)))


@pytest.mark.full
def test_days_without_a_server_end_in_one_look_at_everything(job: MainJob, new_front: NewFront, demo: Session,
                                                             sync_server: SyncServer) -> None:
    front = new_front(started=False, outbox_max_bytes=str(MIB))
    sync_server.kill()
    prefill(front.outbox_path, MIB * 3 // 4)
    front.start()
    images = Images(demo, front.url)
    unseen = str(images.create("at the bound", b"bytes")["id"])
    for number in range(4):
        change(images, unseen, f"turn {number}")
    segments = list_segments(front.outbox_path)
    assert sum(segment.size for segment in segments) < MIB
    text = b"".join((front.outbox_path / segment.name).read_bytes() for segment in segments)
    assert 1 <= text.count(b'"operation":"all"') <= 3    # one for each worker
    assert unseen.encode() not in text
    front.assert_quiet()
    sync_server.start()
    sync_server.wait_ready()
    job.wait_for(unseen)
    job.converge()
    eventually(lambda: sum(segment.size for segment in list_segments(front.outbox_path)) < MIB // 10,
               what="the outbox is empty again")
    seen = str(images.create("after", b"bytes")["id"])
    job.wait_for(seen)
    for image_id in (unseen, seen):
        images.delete(image_id)
    job.converge()


@pytest.mark.full
@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_a_disk_that_takes_nothing(job: MainJob, new_front: NewFront, demo: Session, sync_server: SyncServer,
                                   small_disk: Path, trouble: str) -> None:
    front = new_front(outbox_path=str(small_disk / "outbox"))
    images = Images(demo, front.url)
    made = str(images.create("before", b"bytes")["id"])
    job.wait_for(made)
    if trouble == "full":
        (small_disk / "filler").write_bytes(bytes(100 * 1024))
        fill(small_disk / "rest")
    else:
        front.stop()  # what is open for writing keeps a disk from becoming read-only by hand
        remount(small_disk, "ro")
        front.start()
    change(images, made, trouble)
    second = str(images.create("meanwhile", b"bytes")["id"])
    job.wait_for(second)
    job.converge()
    front.assert_quiet()
    if trouble == "full":
        (small_disk / "filler").unlink()
    else:
        remount(small_disk, "rw")
    for image_id in (made, second):
        images.delete(image_id)
    job.converge()
    assert "glancesync/filter/" not in front.log, "there is a traceback of the filter"


@pytest.mark.full
def test_a_server_that_hangs_makes_no_request_slower(job: MainJob, new_front: NewFront, demo: Session,
                                                     sync_server: SyncServer) -> None:
    """Against a Glance without the filter, in turns; the median may differ by half and 20 ms."""
    fronts = {"on": new_front(), "off": new_front(sync_enabled="False")}
    made = str(Images(demo, fronts["on"].url).create("image", b"bytes")["id"])
    job.wait_for(made)
    with frozen(sync_server):
        took = _measure(fronts, demo, made)
    assert took["on"] < took["off"] * 1.5 + 0.02, took
    fronts["on"].assert_quiet()
    job.converge()


def _measure(fronts: dict[str, Front], demo: Session, image_id: str) -> dict[str, float]:
    """Median seconds of a PATCH through each."""
    seconds: dict[str, list[float]] = {name: [] for name in fronts}
    for number in range(30):
        for name, front in fronts.items():
            start = time.monotonic()
            Images(demo, front.url).set(image_id, name=f"{name} {number}")
            seconds[name].append(time.monotonic() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}
