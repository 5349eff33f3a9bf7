# SPDX-License-Identifier: Apache-2.0
"""Which images the rules of `leave_alone` keep out of a region (pure). Called by plan."""
from __future__ import annotations

from glancesync.conf.image_rules import ImageRule
from glancesync.model.image import Image
from glancesync.sync.image_rules import find_rule
from glancesync.sync.situation import Situation, is_ours


def find_excluding_rule(situation: Situation, source: Image) -> ImageRule | None:
    """The rule that keeps the image out of the region. None where a replica of ours has its bytes: it must still lose
    what the image loses, its members above all."""
    if situation.replica is not None and situation.replica.has_bytes and is_ours(situation):
        return None
    return find_rule(source, situation.leave_alone)
