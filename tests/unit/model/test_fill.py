# SPDX-License-Identifier: Apache-2.0
"""How long a fill will take: said only where something tells."""
from __future__ import annotations

from dataclasses import replace

import pytest

from glancesync.model.fill import RATE_SECONDS, FillProgress

GIB = 1 << 30
HALF = FillProgress(images=100, done=50, failed=0, bytes_total=100 * GIB, bytes_done=50 * GIB, since=0, at=100,
                    recent_images=50, recent_bytes=50 * GIB)


@pytest.mark.parametrize(("changes", "expected"), [
    ({}, 100),
    ({"bytes_total": 150 * GIB}, 200),                       # the rest is larger than what is done
    ({"images": 250}, 400),                                  # many small ones are left
    ({"recent_images": 2, "recent_bytes": GIB}, None),       # too few ended lately
    ({"at": 4}, None),                                       # it has just begun
    ({"at": 10000}, RATE_SECONDS),                           # only the last minutes count
    ({"recent_bytes": 0, "bytes_total": 0, "bytes_done": 0}, 100),
    ({"bytes_done": 101 * GIB}, 100),                        # a size that changed meanwhile takes no negative time
])
def test_estimate(changes: dict[str, int], expected: float | None) -> None:
    assert replace(HALF, **changes).eta_seconds() == expected


@pytest.mark.parametrize(("changes", "expected"), [
    ({}, "50 of 100 images, 51200 of 102400 MiB; about 2 min left"),
    ({"failed": 2, "recent_images": 0}, "50 of 100 images, 2 of them failed, 51200 of 102400 MiB"),
    ({"images": 50 * 200}, "50 of 10000 images, 51200 of 102400 MiB; about 5.5 h left"),
    ({"images": 60, "bytes_total": 51 * GIB}, "50 of 60 images, 51200 of 52224 MiB; about 20 s left"),
    ({"done": 100}, "100 of 100 images, 51200 of 102400 MiB"),
])
def test_sentence(changes: dict[str, int], expected: str) -> None:
    assert replace(HALF, **changes).sentence() == expected
