# SPDX-License-Identifier: Apache-2.0
"""Who is told of each run that ended: metrics, where there are any. Told by the runner, in the run's thread."""
from __future__ import annotations

from typing import Protocol

from glancesync.model.task import Task


class RunWatch(Protocol):
    """Must raise nothing and wait for nothing."""

    def ended(self, task: Task, *, state: str, code: str, failed: bool, seconds: float) -> None:
        """A run ended: the task's state then (or `dropped`, where it is not this server's any more), the reason code,
        whether that is an error which is no mere waiting, and how long the run took."""


class NoWatch:
    """Nobody counts."""

    def ended(self, task: Task, *, state: str, code: str, failed: bool, seconds: float) -> None:
        """Nothing."""
