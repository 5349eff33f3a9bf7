# SPDX-License-Identifier: Apache-2.0
"""Who is told of bytes that were moved and of replicas that came in sync: metrics, where there are any."""
from __future__ import annotations

from typing import Protocol


class Meter(Protocol):
    """Must raise nothing and wait for nothing."""

    def copied(self, *, driver: str, source: str, target: str, size: int, seconds: float) -> None:
        """An image's bytes went from one region to another and were verified; `seconds` from the first to the last."""

    def attempted(self, *, driver: str, source: str, target: str, code: str) -> None:
        """A try to copy an image's bytes ended: `ok`, or an error's code."""

    def came_in_sync(self, region: str, lag_seconds: float) -> None:
        """What was wanted in the region is there, so long after it was."""


class NoMeter:
    """Nobody counts."""

    def copied(self, *, driver: str, source: str, target: str, size: int, seconds: float) -> None:
        """Nothing."""

    def attempted(self, *, driver: str, source: str, target: str, code: str) -> None:
        """Nothing."""

    def came_in_sync(self, region: str, lag_seconds: float) -> None:
        """Nothing."""
