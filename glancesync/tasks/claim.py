# SPDX-License-Identifier: Apache-2.0
"""Which waiting tasks a server takes next. Used by the queue inside its claiming transaction.

A lane is the waiting tasks of one region with one priority. The lanes are found by jumping from one to the next along
the index, and only the oldest of a lane are read, so a claim costs the same with ten and with a million waiting.
"""
from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from glancesync.db.schema import tasks
from glancesync.model.task import TaskState
from glancesync.tasks import rows, turns

_WAITING = tasks.c.state == TaskState.WAITING.value
_RUNNING = tasks.c.state == TaskState.RUNNING.value


class Lane(NamedTuple):
    region: str
    priority: int
    oldest_run_at: float


class Candidate(NamedTuple):
    id: str
    image_id: str
    region: str


class Chosen(NamedTuple):
    """`overtaken`: others were faster in some region, so another look may find more."""

    ids: list[str]
    overtaken: bool = False


class Allowed(NamedTuple):
    """`most`: how many tasks of a region may run at once, in all servers together; `share`: how many more this one
    takes, None for all that fit."""

    most: Callable[[str], int]
    share: Callable[[str], int] | None = None

    def free(self, region: str, running: int) -> int:
        fits = self.most(region) - running
        return max(fits if self.share is None or fits <= 0 else min(fits, self.share(region)), 0)


class Choice:
    """What is taken so far: `limit` over all, and of a region what is allowed beside the `running` ones."""

    def __init__(self, allowed: Allowed, limit: int, running: Mapping[str, int]) -> None:
        self._allowed = allowed
        self._running = running
        self._free: dict[str, int] = {}
        self.room = limit
        self.taken: dict[str, Candidate] = {}

    def free(self, region: str) -> int:
        if region not in self._free:
            self._free[region] = self._allowed.free(region, self._running.get(region, 0))
        return min(self._free[region], self.room)

    def take(self, candidate: Candidate) -> bool:
        """Whether it was taken now."""
        if candidate.id in self.taken or self.free(candidate.region) <= 0:
            return False
        self.taken[candidate.id] = candidate
        self._free[candidate.region] -= 1
        self.room -= 1
        return True


class Claim:
    """One claim in one transaction at one moment. `held` are the tasks that this process still runs; `condition`
    narrows what is due."""

    def __init__(self, connection: sa.Connection, at: float, held: Collection[str],
                 condition: sa.ColumnElement[bool] | None = None) -> None:
        self._connection = connection
        self._due = (tasks.c.run_at <= at) & tasks.c.id.not_in(list(held))
        if condition is not None:
            self._due &= condition
        self._at = at

    def choose(self, allowed: Allowed, limit: int) -> Chosen:
        """At most `limit` tasks: highest priority first, in turns over the regions, oldest first in each; and with
        each image its tasks in other regions that have a free slot, so that they can share one read. Of a region never
        more run than is allowed, however many servers claim at a time."""
        choice = Choice(allowed, limit, self._count_running())
        for _priority, lanes in itertools.groupby(self._lanes(), key=lambda lane: lane.priority):
            for candidate in self._in_turns(list(lanes), choice):
                if choice.take(candidate):
                    self._take_siblings(candidate, choice)
                if not choice.room:
                    return self._confirm(choice, allowed)
        return self._confirm(choice, allowed)

    def choose_one(self, wanted: sa.ColumnElement[bool], siblings: sa.ColumnElement[bool], allowed: Allowed,
                   limit: int) -> list[str]:
        """As `choose`: the one task that is `wanted`, if it is due and fits, and then of its image what is among the
        `siblings`; nothing without the one."""
        choice = Choice(allowed, limit, self._count_running())
        # Waits for whoever merges a request into the row just now, or claims it.
        found = sa.select(tasks.c.id, tasks.c.image_id, tasks.c.region).where(
            _WAITING & self._due & wanted).with_for_update()
        row = self._connection.execute(found).one_or_none()
        if row is None or not choice.take(Candidate(*row)):
            return []
        if choice.room:
            for sibling in self._select(rows.WAITS_AMONG_FEW & (tasks.c.image_id == row.image_id) & siblings):
                choice.take(sibling)
        ids = self._confirm(choice, allowed).ids
        return ids if row.id in ids else []

    def _confirm(self, choice: Choice, allowed: Allowed) -> Chosen:
        """What of it fits beside what other servers took at the same moment."""
        if not choice.taken or not turns.are_needed(self._connection):
            return Chosen(ids=list(choice.taken))
        regions = {candidate.region for candidate in choice.taken.values()}
        turns.take(self._connection, regions)
        # The statement after the wait: it sees what was committed meanwhile, at this level of isolation.
        fitting = Choice(allowed, len(choice.taken), self._count_running(regions))
        for candidate in choice.taken.values():
            fitting.take(candidate)
        return Chosen(ids=list(fitting.taken), overtaken=len(fitting.taken) < len(choice.taken))

    def _count_running(self, regions: Collection[str] | None = None) -> dict[str, int]:
        """By region, of all servers. Few rows, of an index alone."""
        counted = sa.select(tasks.c.region, sa.func.count()).where(_RUNNING).group_by(tasks.c.region)
        if regions is not None:
            counted = counted.where(tasks.c.region.in_(sorted(regions)))
        return {region: int(count) for region, count in self._connection.execute(counted)}

    def _lanes(self) -> list[Lane]:
        select = GROUP_LANES if self._connection.dialect.name in ("mysql", "mariadb") else _SELECT_LANES
        due = [Lane(*row) for row in self._connection.execute(select) if row.oldest_run_at <= self._at]
        return sorted(due, key=lambda lane: (-lane.priority, lane.oldest_run_at))

    def _in_turns(self, lanes: Sequence[Lane], choice: Choice) -> Iterator[Candidate]:
        # As many lanes as can get a slot; one may turn out empty, when what waits in it is held or locked.
        filled = (found for lane in lanes if (free := choice.free(lane.region)) and (found := self._oldest(lane, free)))
        queues = deque(deque(found) for found in itertools.islice(filled, choice.room))
        while queues:
            queue = queues.popleft()
            if queue:
                yield queue.popleft()
                queues.append(queue)

    def _oldest(self, lane: Lane, count: int) -> list[Candidate]:
        in_lane = _WAITING & (tasks.c.region == lane.region) & (tasks.c.priority == lane.priority)
        return self._select(in_lane, count)

    def _take_siblings(self, candidate: Candidate, choice: Choice) -> None:
        if choice.room:
            for sibling in self._select(rows.WAITS_AMONG_FEW & (tasks.c.image_id == candidate.image_id)):
                choice.take(sibling)

    def _select(self, condition: sa.ColumnElement[bool], count: int | None = None) -> list[Candidate]:
        # Two servers must not wait for each other's rows; SQLite has but one writer and ignores the clause.
        found = sa.select(tasks.c.id, tasks.c.image_id, tasks.c.region).where(self._due & condition) \
            .order_by(tasks.c.run_at).limit(count).with_for_update(skip_locked=True)
        return [Candidate(*row) for row in self._connection.execute(found)]


def _select_lanes() -> sa.Select[str, int, float]:
    regions = sa.select(sa.func.min(tasks.c.region).label("region")).where(_WAITING).cte("regions", recursive=True)
    next_region = sa.select(sa.func.min(tasks.c.region)).where(_WAITING & (tasks.c.region > regions.c.region))
    regions = regions.union_all(sa.select(next_region.scalar_subquery()).where(regions.c.region.is_not(None)))

    first = sa.select(sa.func.min(tasks.c.priority)).where(_WAITING & (tasks.c.region == regions.c.region))
    lanes = sa.select(regions.c.region, first.scalar_subquery().label("priority")) \
        .where(regions.c.region.is_not(None)).cte("lanes", recursive=True)
    following = sa.select(sa.func.min(tasks.c.priority)).where(
        _WAITING & (tasks.c.region == lanes.c.region) & (tasks.c.priority > lanes.c.priority))
    lanes = lanes.union_all(sa.select(lanes.c.region, following.scalar_subquery())
                            .where(lanes.c.priority.is_not(None)))

    oldest = sa.select(sa.func.min(tasks.c.run_at)).where(
        _WAITING & (tasks.c.region == lanes.c.region) & (tasks.c.priority == lanes.c.priority))
    return sa.select(lanes.c.region, lanes.c.priority, oldest.scalar_subquery().label("oldest_run_at")) \
        .where(lanes.c.priority.is_not(None))


_SELECT_LANES = _select_lanes()

#: MariaDB jumps by itself where a grouping begins with the index's first column. The recursion it would answer by
#: reading all that waits for each region: 19 s with 90,000 waiting in 1,000 regions.
GROUP_LANES = sa.select(tasks.c.region, tasks.c.priority, sa.func.min(tasks.c.run_at).label("oldest_run_at")) \
    .where(_WAITING).group_by(tasks.c.state, tasks.c.region, tasks.c.priority)
