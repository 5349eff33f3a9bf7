# SPDX-License-Identifier: Apache-2.0
"""How many copies read an image from a region now, in this process. Told by the tee and by shortcut, asked by sources.
"""
from __future__ import annotations

from collections import Counter


class Readers:
    """By region and the image's id there."""

    def __init__(self) -> None:
        self._now: Counter[tuple[str, str]] = Counter()

    def count(self, region: str, image_id: str) -> int:
        return self._now[region, image_id]

    def begin(self, region: str, image_id: str) -> None:
        self._now[region, image_id] += 1

    def end(self, region: str, image_id: str) -> None:
        self._now[region, image_id] -= 1
        if not self._now[region, image_id]:
            del self._now[region, image_id]
