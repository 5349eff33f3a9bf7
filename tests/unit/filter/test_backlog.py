# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from glancesync.filter.backlog import Backlog
from glancesync.filter.files import CHECKPOINT, ProcessLock, list_segments
from glancesync.filter.records import encode
from tests.unit.filter.fakes import MIB, event, outbox_at


@pytest.fixture
def box(tmp_path: Path) -> Path:
    return tmp_path / "box"


def names(backlog: Backlog, limit: int = 1000) -> list[str]:
    return [one.id for one in backlog.read(limit).events]


def write_segment(box: Path, owner: str, number: int, content: bytes) -> Path:
    """A segment whose writer is gone."""
    box.mkdir(exist_ok=True, mode=0o700)
    path = box / f"{owner}.{number:08d}.log"
    path.write_bytes(content)
    return path


def test_no_folder_is_an_empty_backlog(box: Path) -> None:
    backlog = Backlog(box)
    backlog.load()
    assert not backlog.read(10)
    backlog.retire()
    assert backlog.measure().events == 0


def test_what_is_acknowledged_does_not_come_again_after_a_restart_either(box: Path) -> None:
    outbox = outbox_at(box)
    for name in "abcd":
        outbox.append(event(name=name))
    first = Backlog(box)
    first.load()
    batch = first.read(2)
    assert [one.id for one in batch.events] == ["a", "b"]
    assert names(first, 2) == ["a", "b"], "not acknowledged: it comes again"
    first.acknowledge(batch)
    assert names(first) == ["c", "d"]
    second = Backlog(box)
    second.load()
    assert names(second) == ["c", "d"]
    assert stat.S_IMODE((box / CHECKPOINT).stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "{", "[]", '{"segments": 1}', "\0" * 100, '{"%s": -5}', '{"%s": "x"}',
                                     "[" * 100_000])
def test_a_damaged_checkpoint_delivers_all_again(box: Path, content: str) -> None:
    outbox_at(box).append(event(name="a"))
    (box / CHECKPOINT).write_text(content.replace("%s", list_segments(box)[0].name))
    backlog = Backlog(box)
    backlog.load()
    assert names(backlog) == ["a"]


def test_events_of_processes_are_merged_by_time_and_each_ones_order_is_kept(box: Path) -> None:
    clock_went_back = b"".join(encode(event(name=name, at=at)) for name, at in (("b1", 20), ("b2", 5), ("b3", 40)))
    write_segment(box, "b", 1, clock_went_back)
    write_segment(box, "a", 1, encode(event(name="a1", at=10)))
    write_segment(box, "a", 2, encode(event(name="a2", at=30)))
    assert names(Backlog(box)) == ["a1", "b1", "b2", "a2", "b3"]


def test_a_batch_may_end_in_the_middle_of_several_segments(box: Path) -> None:
    for owner in "abc":
        write_segment(box, owner, 1, b"".join(encode(event(name=f"{owner}{n}", at=n)) for n in range(100)))
    backlog = Backlog(box)
    found = []
    while batch := backlog.read(7):
        assert len(batch.events) <= 7
        found += [one.id for one in batch.events]
        backlog.acknowledge(batch)
    assert found == [f"{owner}{n}" for n in range(100) for owner in "abc"]


def test_damaged_lines_are_counted_and_passed(box: Path) -> None:
    path = write_segment(box, "a", 1, encode(event(name="a")) + b"rubbish\n" + encode(event(name="b")) + b"torn")
    backlog = Backlog(box)
    batch = backlog.read(10)
    assert ([one.id for one in batch.events], batch.damaged) == (["a", "b"], 2)
    backlog.acknowledge(batch)
    assert not backlog.read(10)
    backlog.retire()
    assert not path.exists()


def test_a_line_that_a_living_process_is_writing_is_waited_for(box: Path) -> None:
    outbox = outbox_at(box)
    outbox.append(event(name="a"))
    line = encode(event(name="b"))
    path = box / list_segments(box)[0].name
    with path.open("ab") as stream:
        stream.write(line[:20])
    backlog = Backlog(box)
    batch = backlog.read(10)
    assert ([one.id for one in batch.events], batch.damaged) == (["a"], 0)
    backlog.acknowledge(batch)
    assert not backlog.read(10)
    with path.open("ab") as stream:
        stream.write(line[20:])
    assert names(backlog) == ["b"]


def test_only_segments_that_are_delivered_and_ended_are_deleted(box: Path) -> None:
    outbox = outbox_at(box, max_bytes=MIB)
    while len(list_segments(box)) < 3:
        outbox.append(event())
    backlog = Backlog(box)
    backlog.acknowledge(backlog.read(10))
    backlog.retire()
    assert len(list_segments(box)) == 3
    while batch := backlog.read(1000):
        backlog.acknowledge(batch)
    backlog.retire()
    assert [segment.number for segment in list_segments(box)] == [3], "the one in use stays"
    outbox.forget()
    backlog.retire()
    assert list_segments(box) == []
    backlog.read(1)
    backlog.acknowledge(backlog.read(1))
    assert json.loads((box / CHECKPOINT).read_text()) == {}


def test_a_segment_that_somebody_deleted_with_events_in_it_is_damage(box: Path) -> None:
    path = write_segment(box, "a", 1, encode(event()))
    backlog = Backlog(box)
    backlog.read(1)
    path.unlink()
    batch = backlog.read(1)
    assert (batch.events, batch.damaged) == ([], 1)
    assert bool(batch)
    assert not backlog.read(1)


def test_a_segment_that_somebody_cut_is_damage(box: Path) -> None:
    path = write_segment(box, "a", 1, encode(event()) * 2)
    backlog = Backlog(box)
    backlog.acknowledge(backlog.read(10))
    os.truncate(path, 10)
    batch = backlog.read(1)
    assert batch.damaged == 1
    backlog.acknowledge(batch)
    assert not backlog.read(1)


def test_depth_is_counted_and_beyond_a_mebibyte_estimated(box: Path) -> None:
    write_segment(box, "a", 1, b"".join(encode(event(n, at=50 + n)) for n in range(10_000)))
    backlog = Backlog(box)
    depth = backlog.measure()
    assert depth.events == pytest.approx(10_000, rel=0.02)
    assert depth.oldest_at == 50
    backlog.acknowledge(backlog.read(9_990))
    assert backlog.measure().events == 10


def test_what_dead_processes_were_writing_is_cleared(box: Path) -> None:
    write_segment(box, "a", 1, encode(event()))
    dead = box / "999999999.checkpoint.json.part"
    alive = box / f"{os.getpid()}.checkpoint.json.part"
    for path in (dead, alive):
        path.write_text("")
    Backlog(box).load()
    assert not dead.exists()
    assert alive.exists()


def test_strange_files_in_the_folder_are_left_alone(box: Path) -> None:
    write_segment(box, "a", 1, encode(event(name="a")))
    strange = [box / name for name in ("notes.txt", "x.log", ".log", "a.1b.log")]
    for path in strange:
        path.write_text("?")
    backlog = Backlog(box)
    assert names(backlog) == ["a"]
    backlog.acknowledge(backlog.read(10))
    backlog.retire()
    assert all(path.exists() for path in strange)


def test_one_holder_of_the_lock_and_it_notices_a_deleted_file(tmp_path: Path) -> None:
    first, second = ProcessLock(tmp_path / "lock"), ProcessLock(tmp_path / "lock")
    assert first.acquire()
    assert first.acquire()
    assert not second.acquire()
    (tmp_path / "lock").unlink()
    assert second.acquire()
    assert not first.acquire()
    second.release()
    assert first.acquire()
    assert (first.turns, second.turns) == (2, 1)
