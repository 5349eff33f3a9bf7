# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glancesync.filter.records import CHUNK_BYTES, decode, encode, read_records
from glancesync.model.event import Event, Operation
from tests.unit.filter.fakes import event, image_id


def records(path: Path, offset: int = 0, *, ended: bool = False) -> list[tuple[str | None, int]]:
    return [(record.event.id if record.event else None, record.end)
            for record in read_records(path, offset, ended=ended)]


def test_an_event_comes_back_as_it_was() -> None:
    full = Event(id="e", operation=Operation.REMOVE, image_id=image_id(7), at=12.5, request_id="req-é\u2028\n",
                 user_id="u", project_id="p", roles=("member", "Üser"), host="h")
    line = encode(full)
    assert line.count(b"\n") == 1
    assert decode(line[:-1]) == full


@given(st.binary(max_size=300))
def test_rubbish_is_never_an_event_and_never_an_error(line: bytes) -> None:
    assert decode(line) is None


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_every_changed_byte_is_found(position: int, change: int) -> None:
    line = bytearray(encode(event())[:-1])
    line[position % len(line)] ^= change
    assert decode(bytes(line)) is None


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_a_torn_last_line_waits_while_its_writer_lives_and_is_damage_when_it_ended(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "segment"
    first, second = encode(event(name="a")), encode(event(name="b"))
    path.write_bytes(first + second[:-cut])
    assert records(path) == [("a", len(first))]
    assert records(path, ended=True) == [("a", len(first)), (None, len(first + second) - cut)]


def test_damage_in_the_middle_costs_only_its_own_lines(tmp_path: Path) -> None:
    path = tmp_path / "segment"
    good = [encode(event(name=name)) for name in "abc"]
    path.write_bytes(good[0] + b"\0" * 40 + b"\n" + good[1] + good[2][:30] + b"\n" + good[2])
    assert [name for name, _ in records(path)] == ["a", None, "b", None, "c"]


def test_rubbish_without_line_feeds_is_passed_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "segment"
    path.write_bytes(b"\xff" * (3 * CHUNK_BYTES) + b"\n" + encode(event(name="a")))
    found = records(path)
    assert found[-1] == ("a", path.stat().st_size)
    assert [name for name, _ in found[:-1]] == [None] * 4


def test_a_file_shorter_than_what_was_acknowledged_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "segment"
    path.write_bytes(encode(event()))
    size = path.stat().st_size
    assert records(path, offset=size + 1) == [(None, size)]
    assert records(path, offset=size) == []


def test_reading_goes_on_at_any_record_over_many_chunks(tmp_path: Path) -> None:
    path = tmp_path / "segment"
    names = [f"e{number}" for number in range(2000)]
    path.write_bytes(b"".join(encode(event(name=name)) for name in names))
    assert path.stat().st_size > 2 * CHUNK_BYTES
    found = records(path)
    assert [name for name, _ in found] == names
    middle = found[999][1]
    assert records(path, offset=middle) == found[1000:]


def test_a_link_in_place_of_a_segment_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(encode(event()))
    (tmp_path / "segment").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        records(tmp_path / "segment")
