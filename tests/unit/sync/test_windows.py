# SPDX-License-Identifier: Apache-2.0
"""Listings side by side: every row once, in its part, and no part larger than a page."""
from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glancesync.sync.windows import Cursor, in_parts
from tests.fixtures.memory_cloud import PAGE_SIZE, MemoryCloud

IDS = st.sets(st.text("abc", min_size=1, max_size=4), max_size=30)


def windows(ids: set[str], size: int) -> list[tuple[list[str], str | None]]:
    """As the source's pages give them: the last one is open-ended."""
    pages = [sorted(ids)[first:first + size] for first in range(0, len(ids), size)]
    full = [page for page in pages if len(page) == size]
    return [(page, page[-1]) for page in full] + [([each for page in pages[len(full):] for each in page], None)]


@given(source=IDS, region=IDS, records=IDS, size=st.integers(1, 5))
def test_every_row_once_beside_its_like_and_never_more_than_a_page(source: set[str], region: set[str],
                                                                   records: set[str], size: int) -> None:
    images, noted = (Cursor(iter(sorted(ids)), str) for ids in (region, records))
    seen: list[tuple[list[str], list[str], list[str]]] = []
    for page, last in windows(source, size):
        for part in in_parts(dict.fromkeys(page), images, noted, last, size):  # type: ignore[arg-type]
            seen.append(tuple(list(each) for each in part))  # type: ignore[arg-type]
    for number, ids in enumerate((source, region, records)):
        assert [each for parts in seen for each in parts[number]] == sorted(ids)
        assert all(len(parts[number]) <= size for parts in seen)
    ends = [max((each for rows in parts for each in rows), default="") for parts in seen]
    begins = [min((each for rows in parts for each in rows), default="") for parts in seen]
    told = [(begin, end) for begin, end in zip(begins, ends, strict=True) if end]
    assert all(before[1] < after[0] for before, after in itertools.pairwise(told))


def test_a_region_full_of_what_is_not_in_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = MemoryCloud(tmp_path)
    cloud.upload(b"the only one")
    cloud.compare()
    for number in range(100):
        cloud.upload(b"%d" % number, region=cloud.two)
    sizes: list[int] = []
    take_until = Cursor.take_until

    def measure(cursor: Cursor[object], last: str | None) -> dict[str, object]:
        found = take_until(cursor, last)
        sizes.append(len(found))
        return found

    monkeypatch.setattr(Cursor, "take_until", measure)
    assert cloud.compare().regions["Two"].foreign == 100
    assert max(sizes) == PAGE_SIZE
