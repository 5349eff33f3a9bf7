# SPDX-License-Identifier: Apache-2.0
"""The outbox under real processes: several write at once, some are killed, one delivers; and on a disk that is full."""
from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from glancesync.clock import SystemClock
from glancesync.filter.complaints import Complaints
from glancesync.filter.outbox import Outbox
from glancesync.filter.sender import Sender
from tests.fixtures.polling import eventually
from tests.fixtures.small_disk import remount
from tests.unit.filter.fakes import MIB, FakeClient, event

pytest_plugins = ["tests.fixtures.small_disk"]

WRITER = """
import sys
from pathlib import Path
from glancesync.clock import SystemClock
from glancesync.filter.complaints import Complaints
from glancesync.filter.outbox import Outbox
from glancesync.model.event import Event, Operation
clock = SystemClock()
outbox = Outbox(directory=Path(sys.argv[1]), max_bytes=64 * 1024 * 1024, host="h", clock=clock,
                complaints=Complaints(clock))
image_id = f"0000000{sys.argv[2][1:]}-0000-4000-8000-%012d"    # nobody else's: equal events would be merged
for number in range(int(sys.argv[3])):
    one = Event(id=f"{sys.argv[2]}-{number}", operation=Operation.SAVE, image_id=image_id % number, at=clock.now())
    if outbox.append(one):
        print(one.id, flush=True)
"""


class Node:
    def __init__(self, directory: Path) -> None:
        clock = SystemClock()
        self.client = FakeClient()
        self.outbox = Outbox(directory=directory, max_bytes=64 * MIB, host="h", clock=clock,
                             complaints=Complaints(clock))
        self.sender = Sender(outbox=self.outbox, connect=lambda: self.client, clock=clock,
                             complaints=Complaints(clock))

    def delivers(self, names: set[str]) -> bool:
        self.sender.run_once()
        return names <= set(self.client.names)


def start_writer(directory: Path, name: str, count: int) -> subprocess.Popen[bytes]:
    with (directory.parent / f"{name}.out").open("wb") as said:
        return subprocess.Popen([sys.executable, "-c", WRITER, str(directory), name, str(count)], stdout=said)


def written(directory: Path, name: str) -> list[str]:
    """What the writer was told to be in the outbox: whole lines only, for it may be dead."""
    return (directory.parent / f"{name}.out").read_text().split("\n")[:-1]


def test_what_append_accepted_arrives_whoever_is_killed_when(tmp_path: Path) -> None:
    box = tmp_path / "box"
    node = Node(box)
    writers = {f"w{number}": start_writer(box, f"w{number}", 1_000_000) for number in range(4)}
    try:
        for name in writers:
            eventually(lambda name=name: len(written(box, name)) > 500, every_seconds=0.02)
            node.sender.run_once()
    finally:
        for writer in writers.values():
            writer.send_signal(signal.SIGKILL)
            writer.wait(10)
    accepted = {one for name in writers for one in written(box, name)}
    assert len(accepted) > 2000
    eventually(lambda: node.delivers(accepted), 60, every_seconds=0, what="all that was accepted is delivered")
    for name in writers:
        mine = [int(one.split("-")[1]) for one in node.client.names if one.startswith(f"{name}-")]
        assert mine == sorted(mine)
    # A process that was killed left whole lines: one write(2) is all of a line or nothing of it.
    assert node.sender.counters.damaged == 0


def test_a_dead_sender_is_succeeded(tmp_path: Path) -> None:
    box = tmp_path / "box"
    holder = subprocess.Popen([sys.executable, "-c", "import sys, pathlib, time\n"
                               "from glancesync.filter.files import ProcessLock\n"
                               f"box = pathlib.Path({str(box)!r}); box.mkdir(0o700)\n"
                               "assert ProcessLock(box / 'sender.lock').acquire()\n"
                               "print('held', flush=True); time.sleep(600)"], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        node = Node(box)
        node.outbox.append(event(name="a"))
        node.sender.run_once()
        assert not node.sender.leading
    finally:
        holder.kill()
        holder.wait(10)
    assert node.delivers({"a"})


def test_a_full_disk(small_disk: Path) -> None:
    node = Node(small_disk / "box")
    accepted = {f"e{number}" for number in range(2000) if node.outbox.append(event(number, name=f"e{number}"))}
    assert 0 < len(accepted) < 2000
    assert node.outbox.lost > 0
    eventually(lambda: node.delivers(accepted), every_seconds=0)
    eventually(lambda: node.sender.run_once() and node.outbox.lost == 0, every_seconds=0.05)
    assert "all" in node.client.operations
    # The part of a line that the full disk took is damage; the lines before and after it are not.
    assert node.sender.counters.damaged <= 2


@pytest.mark.parametrize("delivered_before", [False, True])
def test_a_disk_that_became_read_only_is_told_of(small_disk: Path, delivered_before: bool) -> None:
    node = Node(small_disk / "box")
    if delivered_before:
        node.sender.run_once()
    assert node.outbox.append(event(name="before"))
    node.outbox.forget()
    node.sender.forget()
    remount(small_disk, "ro")
    later = Node(small_disk / "box")
    assert not later.outbox.append(event(2, name="refused"))
    later.sender.run_once()
    # Without a lock from before nobody may deliver what lies there; that something was lost is told all the same.
    assert later.client.operations == (["save", "all"] if delivered_before else ["all"])
    assert later.outbox.lost == 0
    remount(small_disk, "rw")
    eventually(lambda: later.delivers({"before"}))
    assert later.outbox.append(event(3, name="after"))
    eventually(lambda: later.delivers({"after"}))
