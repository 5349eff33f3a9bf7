# SPDX-License-Identifier: Apache-2.0
"""Whose members a periodic comparison asks for (pure). Made by the timer, asked by reconcile.

No listing shows members, so asking for them is a request for each shared image and region, by far the most of a
comparison's cost. Each image has a moment of its own within the interval, told by its id; the comparison that first
passes this moment asks for its members:

    interval   0 h                3 h                6 h          images a and b, comparisons at |
    moments    |    a   |        |        |   b    |        |
    asked           -   a        -        -        b        -     each once in 6 h
"""
from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from glancesync.model.image import Image
from glancesync.model.replica import ReplicaRecord, ReplicaState


@dataclass(frozen=True, kw_only=True)
class Turns:
    """Of a comparison that begins at `now`. `before` is when the last one began that saw all of a region; where there
    was none it is everybody's turn. Moments are those of one monotonic clock. `interval_seconds` 0: always everybody's.
    """

    now: float
    interval_seconds: float
    before: Mapping[str, float] = field(default_factory=dict)

    def is_turn_of(self, image_id: str, region: str) -> bool:
        """Whether the image's moment came since the comparison before."""
        before = self.before.get(region)
        if before is None or self.interval_seconds <= 0:
            return True
        moment = zlib.crc32(image_id.encode()) / 2 ** 32 * self.interval_seconds
        return math.floor((self.now - moment) / self.interval_seconds) > math.floor(
            (before - moment) / self.interval_seconds)


def is_asked(turns: Turns | None, image: Image, record: ReplicaRecord | None, region: str) -> bool:
    """Whether the members of the image and of its replica are asked for now: where it is its turn (`turns` None: of
    all), and where the pair is not known to be in sync with the image as it is."""
    if turns is None or record is None or record.state is not ReplicaState.IN_SYNC:
        return True
    return record.source_updated_at != image.updated_at or turns.is_turn_of(image.id, region)
