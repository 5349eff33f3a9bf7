# SPDX-License-Identifier: Apache-2.0
"""Builders and a twin of the sync server's client for the filter's unit tests."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from glancesync.clock import ManualClock
from glancesync.exceptions import GlanceSyncError
from glancesync.filter.complaints import Complaints
from glancesync.filter.outbox import Outbox
from glancesync.model.event import Event, Operation

MIB = 1024 * 1024


def image_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def event(number: int = 1, operation: Operation = Operation.SAVE, at: float = 1000.0, name: str | None = None) -> Event:
    """An event of image `number`; `name` is its id."""
    return Event(id=name or f"{operation}-{number}-{at:g}", operation=operation, at=at,
                 image_id=None if operation is Operation.ALL else image_id(number))


def outbox_at(directory: Path, clock: ManualClock | None = None, max_bytes: int = 64 * MIB) -> Outbox:
    clock = clock or ManualClock()
    return Outbox(directory=directory, max_bytes=max_bytes, host="node", clock=clock, complaints=Complaints(clock))


class FakeClient:
    """Takes events, or answers with the errors it was given, in turn; `refuses` decides what it calls wrong."""

    def __init__(self) -> None:
        self.batches: list[list[Event]] = []
        self.errors: list[GlanceSyncError] = []
        self.refuses: Callable[[Event], GlanceSyncError | None] = lambda _event: None
        self.calls = 0

    def submit_events(self, events: Sequence[Event]) -> list[str]:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        for one in events:
            if error := self.refuses(one):
                raise error
        self.batches.append(list(events))
        return []

    @property
    def events(self) -> list[Event]:
        return [one for batch in self.batches for one in batch]

    @property
    def names(self) -> list[str]:
        return [one.id for one in self.events]

    @property
    def operations(self) -> list[str]:
        return [one.operation.value for one in self.events]
