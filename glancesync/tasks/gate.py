# SPDX-License-Identifier: Apache-2.0
"""Which regions get tasks now: what the worker asks, and tells, somebody who knows the regions' health."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from glancesync.exceptions import RegionPausedError


class Gate(Protocol):
    """Asked and told in the worker's thread; asks nobody itself."""

    def room(self, region: str) -> int | None:
        """How many tasks may run in the region at once, None: as many as fit."""

    def check(self, region: str) -> None:
        """Raises RegionPausedError while nothing may run in the region."""

    def pauses(self) -> Mapping[str | None, RegionPausedError]:
        """By region, why and for how long its tasks have to wait; under None what holds for all regions."""

    def begun(self, region: str) -> None:
        """A run of a task in the region begins."""

    def ended(self, region: str, error: Exception | None) -> None:
        """It is over, with an error or without."""


class OpenGate:
    """Every region gets as much as fits. For workers whose regions nobody watches."""

    def room(self, _region: str) -> int | None:
        return None

    def check(self, region: str) -> None:
        """Goes on."""

    def pauses(self) -> Mapping[str | None, RegionPausedError]:
        return {}

    def begun(self, region: str) -> None:
        """Nobody counts."""

    def ended(self, region: str, error: Exception | None) -> None:
        """Nobody judges."""
