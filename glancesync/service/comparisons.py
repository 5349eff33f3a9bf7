# SPDX-License-Identifier: Apache-2.0
"""Looking at everything: comparisons, their dry runs, and the scrub. Used by the core, for API, timers and commands."""
from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import islice
from typing import Any

import sqlalchemy as sa

from glancesync.conf.image_rules import ImageRules
from glancesync.exceptions import RunStoppedError
from glancesync.model.chore import Turn
from glancesync.model.task import Pair, Submission, Task, Trigger
from glancesync.service.door import Door
from glancesync.service.filling import Filling
from glancesync.service.plans import PlanPage, plan_images, plan_view, read_page
from glancesync.sync.context import SyncContext
from glancesync.sync.converge import Converger
from glancesync.sync.findings import Finding, PassReport
from glancesync.sync.reconcile import Reconciler
from glancesync.sync.rotation import Turns
from glancesync.sync.two_passes import new_pass_id
from glancesync.tasks.chores import confirm

LOG = logging.getLogger(__name__)
_BATCH = 500
_SCRUB_PRIORITY = -10
#: Of so many tasks a comparison tells the ids; a first one may make millions.
_TASKS_TOLD = 10000


class Comparisons:
    """Regions that are named are known to be there."""

    def __init__(self, *, context: SyncContext, converger: Converger, door: Door, filling: Filling) -> None:
        self._filling = filling
        self._context = context
        self._converger = converger
        self._door = door
        self._reconciler = Reconciler(context)

    def reconcile(self, report: PassReport, *, regions: Collection[str] | None = None, turns: Turns | None = None,  # noqa: PLR0913
                  trigger: Trigger = Trigger.RECONCILE, request_id: str | None = None,
                  only: ImageRules | None = None, in_turn: bool = False,
                  turn: Turn | None = None) -> list[Task]:
        """One comparison of everything; `report` is filled. Submits in batches while it goes, and at its end what two
        comparisons missed or found where it does not belong, if the source can be believed. Returns the first tasks,
        `report` counts them all. `turns`: whose members are asked for though nothing stands out, None: everybody's.
        `only`: images that meet a rule; then nothing is concluded of what was not listed. `in_turn`: what a region
        lacks fills it in its turn (`Filling`), newest images first. `turn`: it goes no further, and concludes nothing,
        once that is another server's; RunStoppedError then."""
        self._context.trust.prepare()
        self._context.chooser.renew()
        report.id = new_pass_id(self._context.clock.now())
        submission = Submission(trigger=trigger, request_id=request_id)
        tasks: list[Task] = []
        with self._filling.gather() if in_turn else nullcontext():
            for batch in _batches(self._reconciler.compare(report, regions=regions, turns=turns, only=only)):
                _go_on(turn)
                self._note(batch, report, whole=only is None)
                found = self._door.submit_pairs(self._due(batch, report, in_turn=in_turn), submission)
                report.tasks += len(found)
                tasks += found[:_TASKS_TOLD - len(tasks)]
        _go_on(turn)
        found = self._door.submit_pairs(self._settle_missing(report, turn) if only is None else [], submission)
        report.tasks += len(found)
        return tasks + found[:_TASKS_TOLD - len(tasks)]

    def _note(self, batch: Sequence[Finding], report: PassReport, *, whole: bool) -> None:
        missing = [(finding.image_id, finding.region) for finding in batch if finding.missing]
        if missing:
            self._context.records.missing.mark(report.id, missing)
        disallowed = [(finding.image_id, finding.region) for finding in batch if finding.disallowed]
        if disallowed and whole:
            self._context.records.disallowed.mark(report.id, disallowed)

    def _due(self, batch: Sequence[Finding], report: PassReport, *, in_turn: bool) -> list[Pair]:
        """What is to be submitted now; the rest is written down."""
        lacking = [each for each in batch if each.run and each.lacks is not None] if in_turn else []
        again = set(self._filling.add(lacking))
        report.lacking += len(lacking) - len(again)
        later = {Pair(each.image_id, each.region) for each in lacking} - again
        return [pair for each in batch if each.run and (pair := Pair(each.image_id, each.region)) not in later]

    def scrub(self, fraction: float) -> list[Task]:
        """Have that part of the verified replicas read again, after everything else that is to be done."""
        names = [each.name for each in self._context.directory.cascaded()]
        pairs = [Pair(*pair) for pair in self._context.records.pick_for_scrub(fraction, names)]
        return self._door.submit_pairs(pairs, Submission(trigger=Trigger.TIMER, priority=_SCRUB_PRIORITY), wanted=False)

    def plan(self, *, image_ids: Sequence[str], regions: Sequence[str] | None) -> PlanPage:
        """What a submit of these images would do now, image by image and region by region, and which regions could not
        be asked. Changes nothing. Raises what the cascading region's client raises."""
        self._door.refuse_canaries(image_ids)
        names = sorted(regions) if regions is not None else [each.name for each in self._context.directory.cascaded()]
        return plan_images(self._converger.plan, image_ids, names)

    def plan_all(self, *, regions: Sequence[str] | None, report: PassReport,
                 only: ImageRules | None = None) -> Iterator[dict[str, Any]]:
        """What comparing everything would find, lazily. Changes nothing."""
        return (plan_view(each.image_id, each.region, each.plan)
                for each in self._reconciler.compare(report, regions=regions, dry=True, only=only))

    def plan_page(self, *, regions: Sequence[str] | None, limit: int, marker: str | None,
                  only: ImageRules | None = None) -> PlanPage:
        """As `plan_all`, at most `limit` of it. Each page lists the regions from their beginning, and compares from the
        marker on. Raises InvalidInputError for no marker of ours."""
        return read_page(self._reconciler, regions=regions, limit=limit, marker=marker, only=only)

    def _settle_missing(self, report: PassReport, turn: Turn | None) -> list[Pair]:
        trust = self._context.trust
        if report.complete:
            trust.note_count(report.images)
        problem = trust.look().problem
        if problem is not None or not report.complete:
            LOG.error("ALARM: what this comparison missed in the cascading region is not taken for deleted: %s",
                      problem or "it did not see the canary image")
            return []
        trust.mark()
        records, regions = self._context.records, report.compared_regions()
        first = _nothing if turn is None else partial(confirm, turn=turn)
        return [Pair(*pair) for each in (records.missing, records.disallowed) for pair in each.settle(
            report.id, regions, confirm_seconds=trust.confirm_seconds, first=first)]


def _go_on(turn: Turn | None) -> None:
    if turn is not None and turn.lost:
        raise RunStoppedError("another server compares: this one gave no sign of life for too long")


def _nothing(_connection: sa.Connection) -> None:
    """Whoever compares outside of a turn has nobody to ask."""


def _batches(findings: Iterable[Finding]) -> Iterator[list[Finding]]:
    rows = iter(findings)
    while batch := list(islice(rows, _BATCH)):
        yield batch
