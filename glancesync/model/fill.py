# SPDX-License-Identifier: Apache-2.0
"""How far a region's fill has come: the images that it lacks when it is new, or when the server starts for the first
time. Read from the database by sync.fills, shown by the API, the commands and the log."""
from __future__ import annotations

from dataclasses import dataclass

#: Of what ended longer ago an estimate says nothing about what is to come.
RATE_SECONDS = 600.0
_LEAST_IMAGES = 3
_LEAST_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class FillProgress:
    """Counts of images and bytes; `failed` are among `done`: their tasks tell why. `since` and `at` (now) are seconds
    since the epoch, `recent_*` what ended in the last RATE_SECONDS."""

    images: int
    done: int
    failed: int
    bytes_total: int
    bytes_done: int
    since: float
    at: float
    recent_images: int = 0
    recent_bytes: int = 0

    def eta_seconds(self) -> float | None:
        """How long the rest takes at the pace of the last minutes, by images or by bytes, whichever is longer; None
        where too little has ended for an answer."""
        span = min(self.at - self.since, RATE_SECONDS)
        if self.recent_images < _LEAST_IMAGES or span < _LEAST_SECONDS:
            return None
        by_images = (self.images - self.done) * span / self.recent_images
        if self.recent_bytes <= 0:
            return by_images
        return max(by_images, max(self.bytes_total - self.bytes_done, 0) * span / self.recent_bytes)

    def sentence(self) -> str:
        """For the log."""
        eta = self.eta_seconds()
        failed = f", {self.failed} of them failed" if self.failed else ""
        left = "" if eta is None or self.done == self.images else f"; about {_span(eta)} left"
        return (f"{self.done} of {self.images} images{failed}, {self.bytes_done >> 20} of "
                f"{self.bytes_total >> 20} MiB{left}")


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
