# SPDX-License-Identifier: Apache-2.0
"""What converge, the tee and the executor see of the task that runs them (the worker's handle fits it)."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from glancesync.model.image import Image, Member
from glancesync.model.task import Task
from glancesync.regions.client import RegionClient


class Barrier(Protocol):
    """Where runs that were claimed together meet."""

    def arrive(self) -> None:
        """This run is ready for the common read."""

    def wait(self, timeout_seconds: float) -> bool:
        """True when all have arrived or ended, False when the time is over."""


class RunHandle(Protocol):
    """One run of one (image, region)."""

    @property
    def task(self) -> Task:
        """The task as it was claimed: who asked, and with which request id."""

    @property
    def begun_at(self) -> float:
        """A moment (`clock.monotonic()`) after every request that this run answers. Runs that were claimed together
        have the same."""

    @property
    def gathering(self) -> Barrier:
        """The runs of the same image that were claimed together."""

    @property
    def bytes_done(self) -> int | None:
        """What was last reported."""

    def check(self) -> None:
        """Cheap; raises LeaseLostError or TaskCancelledError."""

    def ensure_lease(self) -> None:
        """Asks the database; raises LeaseLostError or TaskCancelledError. Called before each outside effect."""

    def report(self, step: str | None = None, bytes_done: int | None = None, bytes_total: int | None = None) -> None:
        """Progress in memory; written down at most once a second."""


@dataclass(kw_only=True)
class Run:
    """One run of one pair: who takes part, and how many bytes it moved. `seen_at` is the moment at which the look at
    the source had ended, `members` are the replica's as far as they are known. `replica` is how the last action itself
    saw it afterwards, None where it did not look; what the region answered to a change counts as a look where
    `believes_answers`; `changed_source`: an action wrote to the source, so that no earlier look at it counts."""

    image_id: str
    region: str
    source: Image | None
    reader: RegionClient
    target: RegionClient
    handle: RunHandle
    seen_at: float
    believes_answers: bool = False
    changed_source: bool = False
    members: tuple[Member, ...] | None = None
    bytes_moved: int = 0
    replica: Image | None = None
