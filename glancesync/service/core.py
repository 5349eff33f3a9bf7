# SPDX-License-Identifier: Apache-2.0
"""What can be asked of a sync server. Called by the API's handlers, the commands and the timers."""
from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa

from glancesync.clock import isoformat
from glancesync.db.engine import Database
from glancesync.exceptions import InvalidInputError, RegionNotFoundError
from glancesync.model.birth import BirthClaim
from glancesync.model.event import Event, Operation
from glancesync.model.notification import Heard
from glancesync.model.sort import BY_ID, NEWEST_FIRST, Sort
from glancesync.model.task import Pair, Run, Submission, Task, TaskFilter, Trigger
from glancesync.model.text import inert
from glancesync.regions.breaker import Breaker
from glancesync.regions.endpoints import find_region_of
from glancesync.regions.health import RegionHealth
from glancesync.service.conflicts import Chosen, Conflicts
from glancesync.service.deletions import list_deletions
from glancesync.service.events import store_events
from glancesync.service.freezing import FrozenRegions
from glancesync.service.live import LiveViews
from glancesync.service.plans import plan_view, read_page
from glancesync.service.statistics import Statistics, count_tasks
from glancesync.service.views import ImageViews
from glancesync.sync.births import write_claim
from glancesync.sync.context import SyncContext
from glancesync.sync.converge import Converger
from glancesync.sync.findings import Finding, PassReport
from glancesync.sync.locations import mark_located
from glancesync.sync.new_ids import region_problems
from glancesync.sync.reconcile import Reconciler
from glancesync.sync.records import new_pass_id
from glancesync.sync.rotation import Turns
from glancesync.sync.rows import ensure_rows, regions_with_rows
from glancesync.sync.strategy import select_region_names
from glancesync.tasks.queue import TaskQueue

LOG = logging.getLogger(__name__)
_BATCH = 500
_SCRUB_PRIORITY = -10
#: Of so many tasks a comparison tells the ids; a first one may make millions.
_TASKS_TOLD = 10000


class Service:
    """Everything that enters becomes tasks through `_submit_pairs`; answers are given after the commit.

    `ring` wakes the worker, `request_reconcile` asks the timer for a pass soon.
    """

    def __init__(self, *, database: Database, queue: TaskQueue, context: SyncContext, converger: Converger,  # noqa: PLR0913
                 ring: Callable[[], None], request_reconcile: Callable[[], None], health: RegionHealth,
                 frozen: FrozenRegions) -> None:
        self._database = database
        self._queue = queue
        self._context = context
        self._directory = context.directory
        self._converger = converger
        self._reconciler = Reconciler(context)
        self._clock = context.clock
        self._ring = ring
        self._request_reconcile = request_reconcile
        self._health = health
        self._frozen = frozen
        self._views = ImageViews(database)
        self._live = LiveViews(database)
        self._conflicts = Conflicts(database, context.clock)

    # -- in ------------------------------------------------------------------------------------------------------

    def submit_events(self, events: Sequence[Event]) -> list[Task]:
        """Store what the filter reported and submit the images it names, in one transaction. Idempotent by event id:
        an event that was seen before starts nothing again, but its tasks are answered."""
        regions, here, now = self._wanted_regions(), self._cascaded_names(), self._clock.now()
        canary = self._context.trust.canary_id()
        events = [event for event in events if canary is None or event.image_id != canary]

        def work(connection: sa.Connection) -> list[Task]:
            fresh = store_events(connection, events, now)
            tasks: dict[str, Task] = {}
            for event in fresh:
                if event.image_id is not None:
                    found = self._submit_in(connection, [event.image_id], regions, here, wanted_at=min(event.at, now),
                                            submission=Submission(trigger=Trigger.EVENT, request_id=event.request_id))
                    tasks.update((task.id, task) for task in found)
            return list(tasks.values())

        tasks = self._database.run(work)
        if any(event.operation is Operation.ALL for event in events):
            self._request_reconcile()
        self._ring()
        tasks = tasks or self._tasks_of({event.image_id for event in events if event.image_id})
        return sorted(tasks, key=lambda task: task.pair)

    def hear(self, heard: Sequence[Heard]) -> list[Task]:
        """Store and submit what notifications tell of the cascading region, and have the pairs looked at whose replicas
        those of cascaded regions are about. Returns after the commit."""
        tasks = self.submit_events([each.event for each in heard if each.region is None])
        names = self._cascaded_names()
        for region in sorted({each.region for each in heard if each.region is not None} & names):
            tasks += self._look_at_replicas(region, {str(each.event.image_id) for each in heard
                                                     if each.region == region})
        return tasks

    def hint(self, image_id: str, *, trigger: Trigger, request_id: str | None) -> list[Task]:
        """Look at the image again in every region that has or should have it. Raises InvalidInputError for a canary."""
        return self._submit_images([image_id], None, trigger=trigger, request_id=request_id)

    def claim_birth(self, claim: BirthClaim) -> list[Task]:
        """Write down where an image is said to have been born, and submit it everywhere. Raises StateConflictError,
        RegionNotFoundError, and InvalidInputError for a canary and the cascading region."""
        self.check_regions([claim.region])
        self._refuse_canaries([claim.origin_id])
        return self._submit_with(claim.image_id, claim.request_id,
                                 lambda connection, now: write_claim(connection, claim, now))

    def mark_located(self, image_id: str, *, request_id: str | None) -> list[Task]:
        """Somebody says that the image lies at an external URL: where the cascading Glance shows one, regions are given
        it too. Raises InvalidInputError for a canary."""
        return self._submit_with(image_id, request_id,
                                 lambda connection, now: mark_located(connection, image_id, now))

    def region_of_endpoint(self, url: str) -> str | None:
        """The cascaded region that an image's URL belongs to; None where it is none's."""
        return find_region_of(self._directory.cascaded(), url)

    def submit(self, *, image_ids: Sequence[str] | None, regions: Sequence[str] | None,
               request_id: str | None) -> list[Task]:
        """Submit the images named; None compares everything and submits what differs. Raises RegionNotFoundError, and
        InvalidInputError for a canary."""
        self.check_regions(regions)
        if image_ids is not None:
            return self._submit_images(image_ids, regions, trigger=Trigger.API, request_id=request_id)
        return self.reconcile(PassReport(), regions=regions, trigger=Trigger.API, request_id=request_id)

    def reconcile(self, report: PassReport, *, regions: Collection[str] | None = None, turns: Turns | None = None,
                  trigger: Trigger = Trigger.RECONCILE, request_id: str | None = None) -> list[Task]:
        """One comparison of everything; `report` is filled. Submits in batches while it goes, and at its end what two
        comparisons missed, if the source can be believed. Returns the first tasks, `report` counts them all. `turns`:
        whose members are asked for though nothing stands out, None: everybody's."""
        self._context.trust.prepare()
        report.id = new_pass_id(self._clock.now())
        submission = Submission(trigger=trigger, request_id=request_id)
        tasks: list[Task] = []
        for batch in _batches(self._reconciler.compare(report, regions=regions, turns=turns)):
            missing = [(finding.image_id, finding.region) for finding in batch if finding.missing]
            if missing:
                self._context.records.mark_missing(report.id, missing)
            found = self._submit_pairs([Pair(each.image_id, each.region) for each in batch if each.run], submission)
            report.tasks += len(found)
            tasks += found[:_TASKS_TOLD - len(tasks)]
        found = self._submit_pairs(self._settle_missing(report), submission)
        report.tasks += len(found)
        return tasks + found[:_TASKS_TOLD - len(tasks)]

    def scrub(self, fraction: float) -> list[Task]:
        """Have that part of the verified replicas read again, after everything else that is to be done."""
        names = [each.name for each in self._directory.cascaded()]
        pairs = [Pair(*pair) for pair in self._context.records.pick_for_scrub(fraction, names)]
        return self._submit_pairs(pairs, Submission(trigger=Trigger.TIMER, priority=_SCRUB_PRIORITY), wanted=False)

    def plan(self, *, image_ids: Sequence[str], regions: Sequence[str] | None) -> list[dict[str, Any]]:
        """What a submit of these images would do now, image by image and region by region. Changes nothing."""
        self.check_regions(regions)
        self._refuse_canaries(image_ids)
        names = sorted(regions) if regions is not None else [each.name for each in self._directory.cascaded()]
        return [plan_view(image_id, name, self._converger.plan(image_id, name))
                for image_id in image_ids for name in names]

    def plan_all(self, *, regions: Sequence[str] | None) -> Iterator[dict[str, Any]]:
        """What comparing everything would find, lazily. Changes nothing."""
        self.check_regions(regions)
        return (plan_view(each.image_id, each.region, each.plan)
                for each in self._reconciler.compare(PassReport(), regions=regions, dry=True))

    def plan_page(self, *, regions: Sequence[str] | None, limit: int,
                  marker: str | None) -> tuple[list[dict[str, Any]], str | None]:
        """As `plan_all`, at most `limit` of it, and the marker to go on from, None at the end. Each page lists the
        regions from their beginning, and compares from the marker on. Raises InvalidInputError for no marker of ours.
        """
        self.check_regions(regions)
        return read_page(self._reconciler, regions=regions, limit=limit, marker=marker)

    def retry_task(self, task_id: str) -> Task:
        """Also the operator's word that a contested replica may be made again. Raises TaskNotFoundError."""
        task = self._queue.get_task(task_id)
        self._context.records.update(task.image_id, task.region, restores=0)
        task = self._queue.retry(task_id)
        self._ring()
        return task

    def retry_tasks(self, task_filter: TaskFilter, *, request_id: str | None) -> int:
        """Make every task that passes the filter due now; how many."""
        count = self._queue.retry_all(task_filter, request_id)
        self._ring()
        return count

    def cancel_task(self, task_id: str) -> Task:
        return self._queue.cancel(task_id)

    def choose(self, image_id: str, region: str, chosen: Chosen) -> Task:
        """What is to become of a conflict. Raises ImageNotFoundError, StateConflictError."""
        self._conflicts.choose(image_id, region, chosen)
        submission = Submission(trigger=Trigger.API, request_id=chosen.request_id)
        return self._submit_pairs([Pair(image_id, region)], submission)[0]

    def freeze_region(self, name: str, *, by: str | None, reason: str | None) -> None:
        """Nothing is written to the region until it is thawed; what runs there ends soon. Raises RegionNotFoundError,
        and InvalidInputError for the cascading region."""
        self.check_regions([name])
        self._frozen.freeze(name, by=by, reason=reason)
        LOG.warning("region %s is frozen by %s: its tasks wait%s", name, by or "the host's administrator",
                    f" ({inert(reason)})" if reason else "")

    def thaw_region(self, name: str) -> None:
        """Its tasks go on within seconds. Raises as `freeze_region`."""
        self.check_regions([name])
        self._frozen.thaw(name)
        LOG.warning("region %s is thawed: its tasks go on", name)

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

    def list_regions(self) -> list[dict[str, Any]]:
        """The catalog's regions, and those that left it, with the number of replicas by state and their breaker's."""
        counts, gone = self._views.count_states(), self._views.gone_regions()
        here = [self._directory.cascading(), *self._directory.cascaded()]
        found: list[dict[str, Any]] = [{
                 "name": region.name, "endpoint": region.endpoint, "cascading": region.cascading, "gone_at": None,
                 "images": counts.get(region.name, {}), "breaker": _breaker_view(self._health.breaker(region.name))}
                for region in here] + [
                {"name": name, "endpoint": None, "cascading": False, "gone_at": isoformat(at),
                 "images": counts.get(name, {}), "breaker": None} for name, at in sorted(gone.items())]
        problems = self._database.read(region_problems)
        frozen = self._frozen.refresh()
        return [{**region, "problems": problems.get(region["name"], []),
                 "frozen": frozen[region["name"]].to_json() if region["name"] in frozen else None} for region in found]

    def list_changed_images(self, *, since: float | None, limit: int) -> tuple[list[dict[str, Any]], float]:
        """Images that are worked on or were a moment ago, and what to ask for next time."""
        return self._live.list_changed_images(since=since, limit=limit)

    def history(self, *, seconds: float, points: int, region: str | None) -> dict[str, Any]:
        """Bytes, runs and lag over the last `seconds`."""
        return self._live.history(seconds=seconds, points=points, region=region)

    def statistics(self) -> Statistics:
        """How much there is of what."""
        found, due = count_tasks(self._database)
        return Statistics(tasks=found, due=due, replicas=self._views.count_states(),
                          deletions_held=self.deletions_held() is not None)

    def cascaded_endpoints(self, region_names: Sequence[str]) -> list[str]:
        """Image endpoints of the cascaded regions named (all when none is). Raises RegionNotFoundError."""
        self.check_regions(region_names)
        return [region.endpoint for region in self._directory.cascaded()
                if not region_names or region.name in region_names]

    # -- within --------------------------------------------------------------------------------------------------

    def _submit_with(self, image_id: str, request_id: str | None,
                     write: Callable[[sa.Connection, float], None]) -> list[Task]:
        """Write down what was said of the image and submit it everywhere, in one transaction."""
        self._refuse_canaries([image_id])
        wanted, here, now = self._wanted_regions(), self._cascaded_names(), self._clock.now()

        def work(connection: sa.Connection) -> list[Task]:
            write(connection, now)
            return self._submit_in(connection, [image_id], wanted, here, wanted_at=now, submission=Submission(
                trigger=Trigger.ORIGINAL, request_id=request_id))

        tasks = self._database.run(work)
        self._ring()
        return tasks

    def _submit_images(self, image_ids: Sequence[str], regions: Sequence[str] | None, *, trigger: Trigger,
                       request_id: str | None) -> list[Task]:
        self._refuse_canaries(image_ids)
        names = frozenset(regions) if regions is not None else None
        wanted, here, now = self._wanted_regions(), self._cascaded_names(), self._clock.now()
        if names is not None:
            wanted, here = wanted & names, here & names

        def work(connection: sa.Connection) -> list[Task]:
            return self._submit_in(connection, image_ids, wanted, here, wanted_at=now,
                                   submission=Submission(trigger=trigger, request_id=request_id))

        tasks = self._database.run(work)
        self._ring()
        return tasks

    def _refuse_canaries(self, image_ids: Sequence[str]) -> None:
        for image_id in image_ids:
            if image_id == self._context.trust.canary_id() or self._context.sight.is_canary(image_id):
                raise InvalidInputError(f"image {image_id} is a canary of this server, which tells it whether it sees "
                                        "a region whole; it is never copied")

    def _submit_in(self, connection: sa.Connection, image_ids: Sequence[str], wanted: frozenset[str],  # noqa: PLR0913
                   here: frozenset[str], *, submission: Submission, wanted_at: float) -> list[Task]:
        """The regions that should have the image, and those that have a record of it (they may have to lose it). One
        that left the catalog gets nothing: when it comes back it is compared."""
        recorded = {image_id: names & here for image_id, names in regions_with_rows(connection, image_ids).items()}
        pairs = [Pair(image_id, region) for image_id in dict.fromkeys(image_ids)
                 for region in sorted(wanted | recorded.get(image_id, set()))]
        ensure_rows(connection, ((pair.image_id, pair.region) for pair in pairs), wanted_at=wanted_at)
        return self._queue.submit_in(connection, pairs, submission)

    def _submit_pairs(self, pairs: Sequence[Pair], submission: Submission, *, wanted: bool = True) -> list[Task]:
        """`wanted` starts the clock of their lag: something is to change."""
        now = self._clock.now()

        def work(connection: sa.Connection) -> list[Task]:
            if wanted:
                ensure_rows(connection, ((pair.image_id, pair.region) for pair in pairs), wanted_at=now)
            return self._queue.submit_in(connection, pairs, submission)

        tasks = self._database.run(work) if pairs else []
        if tasks:
            self._ring()
        return tasks

    def _settle_missing(self, report: PassReport) -> list[Pair]:
        trust = self._context.trust
        if report.complete:
            trust.note_count(report.images)
        problem = trust.look().problem
        if problem is not None or not report.complete:
            LOG.error("ALARM: what this comparison missed in the cascading region is not taken for deleted: %s",
                      problem or "it did not see the canary image")
            return []
        trust.mark()
        pairs = self._context.records.settle_missing(report.id, report.compared_regions(),
                                                     confirm_seconds=self._context.trust.confirm_seconds)
        return [Pair(image_id, region) for image_id, region in pairs]

    def _look_at_replicas(self, region: str, replica_ids: Collection[str]) -> list[Task]:
        """An image that no pair has a record of is not ours, and comparisons name it."""
        known = self._context.records.find_by_replica(region, replica_ids)
        rows = self._database.read(regions_with_rows, sorted(replica_ids))
        image_ids = {record.image_id for record in known.values()} | {
            image_id for image_id, names in rows.items() if region in names}
        return self._submit_pairs([Pair(image_id, region) for image_id in sorted(image_ids)],
                                  Submission(trigger=Trigger.NOTIFICATION), wanted=False)

    def _tasks_of(self, image_ids: Collection[str]) -> list[Task]:
        return [task for image_id in sorted(image_ids)
                for task in self._queue.list_tasks(TaskFilter(image_id=image_id), 1000, None)]

    def _cascaded_names(self) -> frozenset[str]:
        """Never to be called in a transaction: Keystone may have to be asked."""
        return frozenset(each.name for each in self._directory.cascaded())

    def _wanted_regions(self) -> frozenset[str]:
        return select_region_names(self._context.settings.sync_strategy, self._cascaded_names())

    def check_regions(self, names: Sequence[str] | None) -> None:
        known = {each.name for each in self._directory.cascaded()}
        for name in names or ():
            if name == self._directory.cascading().name:
                raise InvalidInputError(f"{name} is the cascading region; images are copied from it, never to it")
            if name not in known:
                raise RegionNotFoundError(f"there is no cascaded region {name!r}; there are {', '.join(sorted(known))}")


def _batches(findings: Iterable[Finding]) -> Iterator[list[Finding]]:
    rows = iter(findings)
    while batch := list(islice(rows, _BATCH)):
        yield batch


def _breaker_view(breaker: Breaker) -> dict[str, Any]:
    return {"state": breaker.state.value, "since": isoformat(breaker.since), "failures": breaker.failures,
            "next_probe_at": isoformat(breaker.next_probe_at), "reason": breaker.reason}
