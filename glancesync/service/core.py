# SPDX-License-Identifier: Apache-2.0
"""What can be asked of a sync server. Called by the API's handlers, the commands and the timers."""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from glancesync.conf.image_rules import ImageRules
from glancesync.db.engine import Database
from glancesync.model.attempt import Attempt
from glancesync.model.birth import BirthClaim
from glancesync.model.chore import RECONCILE, Turn
from glancesync.model.event import Event, Operation
from glancesync.model.notification import Heard
from glancesync.model.sort import BY_ID, NEWEST_FIRST, Sort
from glancesync.model.task import Pair, Run, Submission, Task, TaskFilter, Trigger
from glancesync.regions.endpoints import find_region_of
from glancesync.regions.health import RegionHealth
from glancesync.service.chores import list_chores
from glancesync.service.comparisons import Comparisons
from glancesync.service.conflicts import Chosen, Conflicts
from glancesync.service.deletions import list_deletions
from glancesync.service.door import Door
from glancesync.service.events import store_events
from glancesync.service.filling import Filling
from glancesync.service.freezing import FrozenRegions
from glancesync.service.live import LiveViews
from glancesync.service.plans import PlanPage
from glancesync.service.region_desk import RegionDesk
from glancesync.service.servers import list_servers
from glancesync.service.statistics import Statistics, count_tasks
from glancesync.service.views import ImageViews
from glancesync.service.ways import list_ways
from glancesync.sync.births import write_claim
from glancesync.sync.context import SyncContext
from glancesync.sync.converge import Converger
from glancesync.sync.findings import PassReport
from glancesync.sync.locations import mark_located
from glancesync.sync.rotation import Turns
from glancesync.sync.rows import regions_with_rows
from glancesync.sync.shortcut import StoreShortcut
from glancesync.tasks.chores import ask
from glancesync.tasks.queue import TaskQueue


class Service:
    """Everything that enters becomes tasks through the `Door`; answers are given after the commit.

    `ring` wakes the worker, `request_reconcile` has it see at once that a comparison is asked for.
    """

    def __init__(self, *, database: Database, queue: TaskQueue, context: SyncContext, converger: Converger,  # noqa: PLR0913
                 ring: Callable[[], None], request_reconcile: Callable[[], None], health: RegionHealth,
                 frozen: FrozenRegions, shortcut: StoreShortcut | None = None) -> None:
        self._database = database
        self._queue = queue
        self._context = context
        self._request_reconcile = request_reconcile
        self._shortcut = shortcut
        self._views = ImageViews(database)
        self._live = LiveViews(database)
        self._conflicts = Conflicts(database, context.clock)
        self._door = Door(database=database, queue=queue, context=context, ring=ring)
        self.filling = Filling(database=database, door=self._door, clock=context.clock, is_frozen=frozen.is_frozen,
                               here=lambda: [each.name for each in context.directory.cascaded()])
        self._comparisons = Comparisons(context=context, converger=converger, door=self._door, filling=self.filling)
        self._regions = RegionDesk(database=database, directory=context.directory, health=health, frozen=frozen,
                                   views=self._views, chooser=context.chooser, filling=self.filling)

    # -- in ------------------------------------------------------------------------------------------------------

    def submit_events(self, events: Sequence[Event]) -> list[Task]:
        """Store what the filter reported and submit the images it names, in one transaction. Idempotent by event id:
        an event that was seen before starts nothing again, but its tasks are answered."""
        scope = self._door.look()
        canary = self._context.trust.canary_id()
        events = [event for event in events if canary is None or event.image_id != canary]

        def work(connection: sa.Connection) -> list[Task]:
            fresh = store_events(connection, events, scope.at)
            if any(event.operation is Operation.ALL for event in fresh):
                ask(connection, RECONCILE)
            tasks: dict[str, Task] = {}
            for event in fresh:
                if event.image_id is not None:
                    submission = Submission(trigger=Trigger.EVENT, request_id=event.request_id)
                    found = self._door.submit_in(connection, [event.image_id], scope, submission,
                                                 wanted_at=min(event.at, scope.at))
                    tasks.update((task.id, task) for task in found)
            return list(tasks.values())

        tasks = self._database.run(work)
        if any(event.operation is Operation.ALL for event in events):
            self._request_reconcile()
        self._door.ring()
        tasks = tasks or self._tasks_of({event.image_id for event in events if event.image_id})
        return sorted(tasks, key=lambda task: task.pair)

    def hear(self, heard: Sequence[Heard]) -> list[Task]:
        """Store and submit what notifications tell of the cascading region, and have the pairs looked at whose replicas
        those of cascaded regions are about. Returns after the commit."""
        tasks = self.submit_events([each.event for each in heard if each.region is None])
        names = self._door.look().here
        for region in sorted({each.region for each in heard if each.region is not None} & names):
            tasks += self._look_at_replicas(region, {str(each.event.image_id) for each in heard
                                                     if each.region == region})
        return tasks

    def hint(self, image_id: str, *, trigger: Trigger, request_id: str | None) -> list[Task]:
        """Look at the image again in every region that has or should have it. Raises InvalidInputError for a canary."""
        return self._door.submit_images([image_id], Submission(trigger=trigger, request_id=request_id))

    def claim_birth(self, claim: BirthClaim) -> list[Task]:
        """Write down where an image is said to have been born, and submit it everywhere. Raises StateConflictError,
        RegionNotFoundError, and InvalidInputError for a canary and the cascading region."""
        self._regions.check([claim.region])
        self._door.refuse_canaries([claim.origin_id])
        return self._door.submit_images(
            [claim.image_id], Submission(trigger=Trigger.ORIGINAL, request_id=claim.request_id),
            write=lambda connection, now: write_claim(connection, claim, now))

    def mark_located(self, image_id: str, *, request_id: str | None) -> list[Task]:
        """Somebody says that the image lies at an external URL: where the cascading Glance shows one, regions are given
        it too. Raises InvalidInputError for a canary."""
        return self._door.submit_images(
            [image_id], Submission(trigger=Trigger.ORIGINAL, request_id=request_id),
            write=lambda connection, now: mark_located(connection, image_id, now))

    def region_of_endpoint(self, url: str) -> str | None:
        """The cascaded region that an image's URL belongs to; None where it is none's."""
        return find_region_of(self._context.directory.cascaded(), url)

    def submit(self, *, image_ids: Sequence[str] | None, regions: Sequence[str] | None,
               request_id: str | None, only: ImageRules | None = None) -> list[Task]:
        """Submit the images named; None compares everything (`only`: what meets a rule) and submits what differs.
        Raises RegionNotFoundError, and InvalidInputError for a canary."""
        self._regions.check(regions)
        if image_ids is not None:
            submission = Submission(trigger=Trigger.API, request_id=request_id)
            return self._door.submit_images(image_ids, submission, regions=regions)
        return self._comparisons.reconcile(PassReport(), regions=regions, trigger=Trigger.API, request_id=request_id,
                                           only=only)

    def retry_task(self, task_id: str) -> Task:
        """Also the operator's word that a contested replica may be made again. Raises TaskNotFoundError."""
        task = self._queue.get_task(task_id)
        self._context.records.update(task.image_id, task.region, restores=0)
        task = self._queue.retry(task_id)
        self._door.ring()
        return task

    def retry_tasks(self, task_filter: TaskFilter, *, request_id: str | None) -> int:
        """Make every task that passes the filter due now; how many."""
        count = self._queue.retry_all(task_filter, request_id)
        self._door.ring()
        return count

    def cancel_task(self, task_id: str) -> Task:
        return self._queue.cancel(task_id)

    def choose(self, image_id: str, region: str, chosen: Chosen) -> Task:
        """What is to become of a conflict. Raises ImageNotFoundError, StateConflictError."""
        self._conflicts.choose(image_id, region, chosen)
        submission = Submission(trigger=Trigger.API, request_id=chosen.request_id)
        return self._door.submit_pairs([Pair(image_id, region)], submission)[0]

    def reconcile(self, report: PassReport, *, regions: Collection[str] | None = None, turns: Turns | None = None,
                  only: ImageRules | None = None, in_turn: bool = False,
                  turn: Turn | None = None) -> list[Task]:
        """One comparison of everything (`Comparisons.reconcile`)."""
        return self._comparisons.reconcile(report, regions=regions, turns=turns, only=only, in_turn=in_turn,
                                           turn=turn)

    def scrub(self, fraction: float) -> list[Task]:
        """Have that part of the verified replicas read again, after everything else that is to be done."""
        return self._comparisons.scrub(fraction)

    def plan(self, *, image_ids: Sequence[str], regions: Sequence[str] | None) -> PlanPage:
        """What a submit of these images would do now, image by image and region by region, and which regions could not
        be asked. Changes nothing. Raises as `submit`."""
        self._regions.check(regions)
        return self._comparisons.plan(image_ids=image_ids, regions=regions)

    def plan_all(self, *, regions: Sequence[str] | None,
                 only: ImageRules | None = None, report: PassReport | None = None) -> Iterator[dict[str, Any]]:
        """What comparing everything would find, lazily; `report` gets the figures. Changes nothing. Raises
        RegionNotFoundError."""
        self._regions.check(regions)
        return self._comparisons.plan_all(regions=regions, only=only, report=report or PassReport())

    def plan_page(self, *, regions: Sequence[str] | None, limit: int, marker: str | None,
                  only: ImageRules | None = None) -> PlanPage:
        """As `plan_all`, at most `limit` of it. Raises RegionNotFoundError, and InvalidInputError for no marker of
        ours."""
        self._regions.check(regions)
        return self._comparisons.plan_page(regions=regions, limit=limit, marker=marker, only=only)

    def freeze_region(self, name: str, *, by: str | None, reason: str | None) -> None:
        """Nothing is written to the region until it is thawed; what runs there ends soon. Raises RegionNotFoundError,
        and InvalidInputError for the cascading region."""
        self._regions.freeze(name, by=by, reason=reason)

    def thaw_region(self, name: str) -> None:
        """Its tasks go on within seconds. Raises as `freeze_region`."""
        self._regions.thaw(name)

    # -- out -----------------------------------------------------------------------------------------------------

    def list_images(self, *, limit: int, marker: str | None, owner: str | None, filters: dict[str, Any],
                    sort: Sort = BY_ID) -> list[dict[str, Any]]:
        """Images after `marker`, each with its regions; `owner` narrows to one project."""
        return self._views.list_images(limit=limit, marker=marker, owner=owner, filters=filters, sort=sort)

    def list_conflicts(self, *, limit: int, marker: str | None, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        """Images in a replica's way, with what differs and what can be chosen."""
        return self._conflicts.list(limit=limit, marker=marker, filters=filters)

    def list_deletions(self, *, limit: int, marker: str | None, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        """What was deleted and why, newest first."""
        return list_deletions(self._database, limit=limit, marker=marker, filters=filters)

    def deletions_held(self) -> str | None:
        """Why the brake holds, None when it does not."""
        return self._context.trust.brake.latch()

    def get_image(self, image_id: str) -> dict[str, Any]:
        """By the image's id or by that of a replica. Raises ImageNotFoundError."""
        return self._views.get_image(image_id)

    def owner_of(self, image_id: str) -> str | None:
        """The project that owns the image, None when it has none or is not known."""
        return self._views.owner_of(image_id)

    def list_tasks(self, task_filter: TaskFilter, limit: int, marker: str | None,
                   sort: Sort = NEWEST_FIRST) -> list[Task]:
        return self._queue.list_tasks(task_filter, limit, marker, sort)

    def get_task(self, task_id: str) -> Task:
        return self._queue.get_task(task_id)

    def list_runs(self, task_id: str) -> list[Run]:
        return self._queue.list_runs(task_id)

    def list_attempts(self, task_id: str) -> list[Attempt]:
        """Each try to give the task's replica its bytes, the newest first."""
        return self._context.records.attempts.list(task_id)

    def list_regions(self) -> list[dict[str, Any]]:
        """The catalog's regions, and those that left it, with the number of replicas by state and their breaker's."""
        return self._regions.list_regions()

    def list_servers(self) -> list[dict[str, Any]]:
        """The servers that share the work, with their last sign of life."""
        return list_servers(self._database)

    def list_chores(self) -> list[dict[str, Any]]:
        """What one of the servers does for all, and when it was last done."""
        return list_chores(self._database)

    def cascaded_endpoints(self, region_names: Sequence[str], project_id: str | None) -> list[str]:
        """Image endpoints of the cascaded regions that the project may use, of those named where some are. Raises
        RegionNotFoundError, OwnerRegionsUnknownError."""
        return self._regions.endpoints(region_names, project_id)

    def check_regions(self, names: Sequence[str] | None) -> None:
        """Raises RegionNotFoundError, and InvalidInputError for the cascading region."""
        self._regions.check(names)

    def list_changed_images(self, *, since: float | None, limit: int) -> tuple[list[dict[str, Any]], float]:
        """Images that are worked on or were a moment ago, and what to ask for next time."""
        return self._live.list_changed_images(since=since, limit=limit)

    def history(self, *, seconds: float, points: int, region: str | None) -> dict[str, Any]:
        """Bytes, runs and lag over the last `seconds`."""
        return self._live.history(seconds=seconds, points=points, region=region)

    def list_ways(self, image_id: str, region: str) -> list[dict[str, Any]]:
        """The ways of an image's bytes to a region, best first, each with why it is not taken."""
        return list_ways(self._context, self._shortcut, image_id, region)

    def statistics(self) -> Statistics:
        """How much there is of what."""
        found, due = count_tasks(self._database)
        return Statistics(tasks=found, due=due, replicas=self._views.count_states(),
                          deletions_held=self.deletions_held() is not None)

    # -- within --------------------------------------------------------------------------------------------------

    def _look_at_replicas(self, region: str, replica_ids: Collection[str]) -> list[Task]:
        """An image that no pair has a record of is not ours, and comparisons name it."""
        known = self._context.records.find_by_replica(region, replica_ids)
        rows = self._database.read(regions_with_rows, sorted(replica_ids))
        image_ids = {record.image_id for record in known.values()} | {
            image_id for image_id, names in rows.items() if region in names}
        return self._door.submit_pairs([Pair(image_id, region) for image_id in sorted(image_ids)],
                                  Submission(trigger=Trigger.NOTIFICATION), wanted=False)

    def _tasks_of(self, image_ids: Collection[str]) -> list[Task]:
        return [task for image_id in sorted(image_ids)
                for task in self._queue.list_tasks(TaskFilter(image_id=image_id), 1000, None)]
