# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

from glancesync.clock import ManualClock
from glancesync.filter.backlog import Backlog
from glancesync.filter.files import list_segments
from tests.unit.filter.fakes import MIB, event, outbox_at


def waiting(directory: Path) -> list[str]:
    """Ids of what waits; an event that the outbox made itself is told by its operation."""
    return [one.operation.value if one.image_id is None else one.id
            for one in Backlog(directory).read(100_000).events]


def used(directory: Path) -> int:
    return sum(segment.size for segment in list_segments(directory))


def test_nothing_is_touched_before_the_first_event(tmp_path: Path) -> None:
    outbox = outbox_at(tmp_path / "box")
    outbox.mend()
    assert not (tmp_path / "box").exists()


def test_folder_and_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert outbox_at(tmp_path / "a" / "box").append(event())
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a" / "box").stat().st_mode) == 0o700
    files = list((tmp_path / "a" / "box").iterdir())
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600]


def test_a_folder_that_others_may_write_to_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "box").mkdir()
    (tmp_path / "box").chmod(0o777)
    outbox = outbox_at(tmp_path / "box")
    assert not outbox.append(event())
    assert outbox.lost == 1
    assert list((tmp_path / "box").iterdir()) == []


def test_events_are_with_the_kernel_when_append_returns_and_in_order(tmp_path: Path) -> None:
    outbox = outbox_at(tmp_path / "box")
    for number in range(50):
        assert outbox.append(event(number, name=f"e{number}"))
    assert waiting(tmp_path / "box") == [f"e{number}" for number in range(50)]
    assert (outbox.recorded_total, outbox.lost) == (50, 0)


def test_threads_tear_nothing_apart(tmp_path: Path) -> None:
    outbox = outbox_at(tmp_path / "box", max_bytes=16 * MIB)

    def write(writer: int) -> None:
        for number in range(300):
            outbox.append(event(number, name=f"{writer}-{number}"))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = waiting(tmp_path / "box")
    assert len(found) == 2400
    assert len(list_segments(tmp_path / "box")) > 1
    for writer in range(8):
        assert [name for name in found if name.startswith(f"{writer}-")] == [f"{writer}-{n}" for n in range(300)]


def test_at_the_bound_one_everything_stands_for_what_follows(tmp_path: Path) -> None:
    clock = ManualClock()
    outbox = outbox_at(tmp_path / "box", clock, max_bytes=MIB)
    taken = [outbox.append(event(number, name=f"e{number}")) for number in range(20_000)]
    kept = taken.index(False)
    assert not any(taken[kept:])
    assert outbox.is_full
    assert used(tmp_path / "box") <= MIB
    assert waiting(tmp_path / "box") == [f"e{number}" for number in range(kept)] + ["all"]


def test_the_bound_holds_for_processes_that_come_and_go(tmp_path: Path) -> None:
    for _ in range(300):
        short_lived = outbox_at(tmp_path / "box", max_bytes=MIB)
        for number in range(100):
            short_lived.append(event(number))
        short_lived.forget()
    assert used(tmp_path / "box") <= MIB
    assert waiting(tmp_path / "box")[-1] == "all"


def test_when_there_is_room_again_everything_comes_before_the_next_event(tmp_path: Path) -> None:
    clock = ManualClock()
    outbox = outbox_at(tmp_path / "box", clock, max_bytes=MIB)
    while outbox.append(event()):
        pass
    for segment in list_segments(tmp_path / "box")[:-1]:
        (tmp_path / "box" / segment.name).unlink()
    assert not outbox.append(event()), "the folder is looked at once a second only"
    clock.advance(1)
    assert outbox.append(event(name="later"))
    assert waiting(tmp_path / "box")[-2:] == ["all", "later"]
    assert outbox.lost == 0


def test_a_deleted_folder_is_made_again_and_everything_is_looked_at(tmp_path: Path) -> None:
    outbox = outbox_at(tmp_path / "box")
    outbox.append(event())
    shutil.rmtree(tmp_path / "box")
    assert outbox.append(event(name="next"))
    assert waiting(tmp_path / "box") == ["all", "next"]


def test_a_deletion_is_noticed_without_a_further_event(tmp_path: Path) -> None:
    outbox = outbox_at(tmp_path / "box")
    outbox.append(event())
    shutil.rmtree(tmp_path / "box")
    outbox.mend()
    assert waiting(tmp_path / "box") == ["all"]


def test_a_folder_that_was_moved_away_is_not_written_to(tmp_path: Path) -> None:
    outbox = outbox_at(tmp_path / "box")
    outbox.append(event(name="first"))
    (tmp_path / "box").rename(tmp_path / "moved")
    outbox.append(event(name="second"))
    assert waiting(tmp_path / "moved") == ["first"]
    assert waiting(tmp_path / "box") == ["all", "second"]


def test_what_cannot_be_written_is_remembered_until_it_can(tmp_path: Path) -> None:
    (tmp_path / "box").write_text("a file stands in the way")
    outbox = outbox_at(tmp_path / "box")
    assert not outbox.append(event())
    assert not outbox.append(event())
    outbox.mend()
    assert (outbox.lost, outbox.lost_total) == (2, 2)
    (tmp_path / "box").unlink()
    outbox.mend()
    assert waiting(tmp_path / "box") == ["all"]
    assert outbox.lost == 0


@pytest.mark.parametrize("taken", [0, 1, 60, 10_000])
def test_a_disk_that_takes_a_part_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    outbox = outbox_at(tmp_path / "box")
    outbox.append(event(name="before"))
    real = os.write

    def full_disk(descriptor: int, data: bytes) -> int:
        if taken > len(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data[:taken])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full_disk)
        assert not outbox.append(event(name="torn"))
        assert not outbox.append(event(name="torn too"))
    assert outbox.append(event(name="after"))
    batch = Backlog(tmp_path / "box").read(100)
    assert [one.id if one.image_id else "all" for one in batch.events] == ["before", "all", "after"]


def test_a_forked_child_writes_a_segment_of_its_own(tmp_path: Path) -> None:
    outbox = outbox_at(tmp_path / "box")
    outbox.append(event(name="parent"))
    before = list_segments(tmp_path / "box")
    outbox.forget()     # what the child does
    outbox.append(event(name="child"))
    after = list_segments(tmp_path / "box")
    assert len(after) == 2
    assert before[0] in after
    assert len({segment.owner for segment in after}) == 2


def test_append_takes_microseconds(tmp_path: Path) -> None:
    clock = ManualClock()
    outbox = outbox_at(tmp_path / "box", clock)
    import time
    took = []
    for number in range(2000):
        one = event(number)
        start = time.perf_counter()
        outbox.append(one)
        took.append(time.perf_counter() - start)
    # The median, generously: machines differ and are busy. It is 15 us on a plain one.
    assert sorted(took)[1000] < 500e-6
