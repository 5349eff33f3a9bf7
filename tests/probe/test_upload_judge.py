# SPDX-License-Identifier: Apache-2.0
"""What judges the uploads of several servers sees one that overlaps, wherever it is planted."""
from __future__ import annotations

import pytest

from tests.fixtures.upload_log import overlaps, with_overlap

_LOG = ["1 begin A i", "2 begin B i", "3 broken A i", "4 begin A i", "5 end A i", "6 end B i"]


def test_uploads_one_after_the_other_are_right() -> None:
    assert overlaps(_LOG) == []


@pytest.mark.parametrize("which", range(3))
def test_a_planted_overlap_is_seen(which: int) -> None:
    assert len(overlaps(with_overlap(_LOG, which))) == 1


def test_an_end_without_a_begin_is_seen() -> None:
    assert len(overlaps(_LOG[1:])) == 1
