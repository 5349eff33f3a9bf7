# SPDX-License-Identifier: Apache-2.0
"""What a Glance tells of the tasks in which it fetches an image's bytes by itself."""
from __future__ import annotations

from dataclasses import dataclass

#: Glance's words for a task that works, or is to.
_LIVE = frozenset({"pending", "processing"})


@dataclass(frozen=True, kw_only=True)
class ImportTask:
    """`status` is Glance's: pending, processing, success or failure. `message` is its own text. `updated_at` is in
    seconds since the epoch."""

    id: str
    status: str
    message: str | None = None
    updated_at: float | None = None

    @property
    def is_live(self) -> bool:
        return self.status in _LIVE
