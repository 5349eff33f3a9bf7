# SPDX-License-Identifier: Apache-2.0
"""Follows tasks until all of them rest. Called by `run --wait`; what it sees goes to a `progress` view."""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from glancesync.clock import Clock
from glancesync.exceptions import RegionFrozenError, RegionPausedError

Json = dict[str, Any]

#: Tasks that are asked for one by one in a round; the next round goes on where this one ended.
_LOOKS = 50
_ROUND_SECONDS = 1.0
#: So many failures in a row are waited through.
_PATIENCE_ATTEMPTS = 3
#: A task that was due when it was asked for may still tell why it had waited; in so many looks that is over.
_LOOKS_LEFT_ALONE = 5
_LEFT_ALONE = (RegionPausedError.code, RegionFrozenError.code)
_RESTING = ("done", "failed", "cancelled")


@dataclass
class RegionCount:
    """Of one region: how many of its tasks ended, their bytes, and the bytes of what runs now."""

    tasks: int = 0
    ended: int = 0
    ended_bytes: int = 0
    running: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def done_bytes(self) -> int:
        return self.ended_bytes + sum(done for done, _total in self.running.values())

    @property
    def done_share(self) -> float:
        """Ended tasks, and the part of the running ones that is done."""
        return self.ended + sum(done / total for done, total in self.running.values() if total)


class View(Protocol):
    """Who shows the counts."""

    def update(self, regions: dict[str, RegionCount]) -> None:
        """Called once a round."""


class Follower:
    """Asks for `tasks` (their ids and regions) until all rest, or wait for what may take for ever: a region that is
    frozen or left alone, a task that failed again and again. `get` answers a path with a query as SyncClient does.

    A task that is asked for again meanwhile, by an event, is followed until it rests.
    """

    def __init__(self, get: Callable[..., Json], tasks: Iterable[Json], clock: Clock) -> None:
        self._get = get
        self._clock = clock
        self._left = {str(task["id"]): task for task in tasks}
        self._left_alone: Counter[str] = Counter()
        self.ended: list[Json] = []
        self.regions: dict[str, RegionCount] = {}
        for task in self._left.values():
            self.regions.setdefault(task["region"], RegionCount()).tasks += 1

    def follow(self, view: View) -> list[Json]:
        """The tasks as they ended."""
        while self._left:
            self.look()
            view.update(self.regions)
            if self._left:
                self._clock.sleep(_ROUND_SECONDS)
        return self.ended

    def look(self) -> None:
        """One round: what runs, and the next few of what does not."""
        running = {task["id"]: task for task in self._get("/v1/tasks", {"state": "running", "limit": 1000})["tasks"]
                   if task["id"] in self._left}
        for count in self.regions.values():
            count.running.clear()
        for task in running.values():
            self.regions[task["region"]].running[task["id"]] = (task["bytes_done"] or 0, task["bytes_total"] or 0)
        for task_id in [each for each in self._left if each not in running][:_LOOKS]:
            self._look_at(task_id)

    def _look_at(self, task_id: str) -> None:
        answer = self._get(f"/v1/tasks/{task_id}", None)
        task = answer["task"]
        known = self._left.pop(task_id)
        if task["state"] not in _RESTING and not self._is_left_alone(task) and not _gave_up(task):
            self._left[task_id] = known  # behind the others, so that every one has its turn
            return
        count = self.regions[task["region"]]
        count.ended += 1
        count.ended_bytes += answer["runs"][0]["bytes_moved"] if answer["runs"] else 0
        self.ended.append(task)

    def _is_left_alone(self, task: Json) -> bool:
        """Its region gets no work now."""
        if task["state"] != "waiting" or task["reason_code"] not in _LEFT_ALONE:
            self._left_alone.pop(task["id"], None)
            return False
        self._left_alone[task["id"]] += 1
        return self._left_alone[task["id"]] >= _LOOKS_LEFT_ALONE


def _gave_up(task: Json) -> bool:
    """It ran and waits for something, or failed again and again: the server goes on trying, which may take for ever."""
    return (task["state"] == "waiting" and not task["run_again"]
            and (task["attempts"] == 0 or task["attempts"] >= _PATIENCE_ATTEMPTS))
