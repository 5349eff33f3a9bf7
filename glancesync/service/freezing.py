# SPDX-License-Identifier: Apache-2.0
"""Regions that an operator froze, for maintenance: nothing is written there, its tasks wait, reads go on.

What is frozen lies in the database, so that it outlives the server and any process may say it. The daemon's timer reads
it every second; the worker's gate answers from what was read.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from glancesync.clock import Clock, isoformat
from glancesync.db.engine import Database
from glancesync.db.schema import region_guards
from glancesync.exceptions import RegionFrozenError, RegionPausedError
from glancesync.model.text import inert
from glancesync.sync.facts import write_guard
from glancesync.tasks.gate import Gate

_LOOK_SECONDS = 1.0
_WAIT_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Freeze:
    """Since when (seconds since the epoch), by whom (a user's id, None: the host's administrator), and why."""

    at: float
    by: str | None
    reason: str | None

    def to_json(self) -> dict[str, Any]:
        """As the API shows it."""
        return {"since": isoformat(self.at), "by": self.by, "reason": self.reason}


class FrozenRegions:
    """What is frozen, as it was last read or written here."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[str, Freeze] = {}

    def freeze(self, region: str, *, by: str | None, reason: str | None) -> None:
        """Idempotent: a region that is frozen keeps its moment, and has the new reason where one is given."""
        now = self._clock.now()

        def work(connection: sa.Connection) -> None:
            before = _read(connection).get(region)
            columns = {"frozen_at": before.at if before else now, "frozen_by": by}
            if before is None or reason is not None:
                columns["frozen_reason"] = reason
            write_guard(connection, region, columns)

        self._database.run(work)
        self.refresh()

    def thaw(self, region: str) -> None:
        """Idempotent."""
        self._database.run(write_guard, region, {"frozen_at": None, "frozen_by": None, "frozen_reason": None})
        self.refresh()

    def refresh(self) -> Mapping[str, Freeze]:
        """By region, read now."""
        self._known = self._database.read(_read)
        return dict(self._known)

    def is_frozen(self, region: str) -> bool:
        """As it was last read. Asks nobody."""
        return region in self._known

    def find_pause(self, region: str) -> RegionFrozenError | None:
        """Why nothing runs in the region now, as it was last read. Asks nobody."""
        found = self._known.get(region)
        if found is None:
            return None
        since = f"{region} is frozen since {isoformat(found.at)}"
        return RegionFrozenError(f"{since}: {inert(found.reason)}" if found.reason else since,
                                 retry_after_seconds=_WAIT_SECONDS)

    def pauses(self) -> dict[str | None, RegionPausedError]:
        """Of every frozen region."""
        return {name: paused for name in self._known if (paused := self.find_pause(name)) is not None}


class FreezingGate:
    """The worker's gate: first whether a region is frozen, then what the other gate says."""

    def __init__(self, gate: Gate, frozen: FrozenRegions) -> None:
        self._gate = gate
        self._frozen = frozen

    def room(self, region: str) -> int | None:
        """None of a frozen region's tasks runs."""
        return 0 if self._frozen.is_frozen(region) else self._gate.room(region)

    def check(self, region: str) -> None:
        """Raises RegionFrozenError, RegionPausedError."""
        paused = self._frozen.find_pause(region)
        if paused is not None:
            raise paused
        self._gate.check(region)

    def pauses(self) -> Mapping[str | None, RegionPausedError]:
        """A region that is frozen and failing is shown as frozen: that is what the operator decides."""
        return {**self._gate.pauses(), **self._frozen.pauses()}

    def begun(self, region: str) -> None:
        self._gate.begun(region)

    def ended(self, region: str, error: Exception | None) -> None:
        self._gate.ended(region, error)


class FreezeTimer:
    """Notices what any process froze or thawed. `stop_runs(region, error)` ends what runs in a region, `woken` has the
    worker look for work; `guard` is the worker's, so that no error ends the looking."""

    def __init__(self, *, frozen: FrozenRegions, clock: Clock, stop_runs: Callable[[str, RegionFrozenError], object],
                 woken: Callable[[], object], guard: Callable[..., Any]) -> None:
        self._frozen = frozen
        self._clock = clock
        self._stop_runs = stop_runs
        self._woken = woken
        self._guard = guard
        self._seen: set[str] = set()

    def run_forever(self) -> None:
        while True:
            self._guard("see which regions are frozen", self.run_once)
            self._clock.sleep(_LOOK_SECONDS)

    def run_once(self) -> None:
        """What runs in a frozen region is stopped in each look: it may have been claimed a moment before."""
        before = self._seen
        self._seen = set(self._frozen.refresh())
        for name in self._seen:
            paused = self._frozen.find_pause(name)
            if paused is not None:
                self._stop_runs(name, paused)
        if before - self._seen:
            self._woken()


def _read(connection: sa.Connection) -> dict[str, Freeze]:
    return {row.region: Freeze(at=row.frozen_at, by=row.frozen_by, reason=row.frozen_reason)
            for row in connection.execute(sa.select(region_guards).where(region_guards.c.frozen_at.is_not(None)))}
