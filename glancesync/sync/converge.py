# SPDX-License-Identifier: Apache-2.0
"""Makes one image in one region what it should be: read, plan, execute, until the plan is empty, then record.

Called by the worker for each claimed task, and by the service for a dry run.
"""
from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace

from glancesync.exceptions import GlanceSyncError, IdBurnedError, RegionConflictError, ReplicaTakenError, Verdict
from glancesync.model.image import Image
from glancesync.model.replica import ConflictChoice, Origin, ReplicaRecord, ReplicaState
from glancesync.regions.client import RegionClient
from glancesync.sync.actions import CopyBytes
from glancesync.sync.codes import Code
from glancesync.sync.context import SyncContext
from glancesync.sync.execute import Executor
from glancesync.sync.looks import SharedLooks
from glancesync.sync.plan import IN_MAKING, plan_replica
from glancesync.sync.records import PairRecord
from glancesync.sync.run import Run, RunHandle
from glancesync.sync.situation import Plan, Situation, is_ours
from glancesync.sync.source import SourceReader

LOG = logging.getLogger(__name__)
#: create and fill, reveal, see that nothing differs; more only when somebody changes things meanwhile.
MAX_ROUNDS = 8
#: A removal that was reported this long before the image was seen is no race between the two.
_REMOVAL_RACE_SECONDS = 60.0


#: Where every pair of a region stands that left the catalog; its record is kept as it was.
PARKED = Plan(state=ReplicaState.PARKED, code=Code.REGION_GONE, reason=Code.REGION_GONE.meaning.what)


@dataclass(frozen=True, kw_only=True)
class Converged:
    """Where the pair stands at the end of a run, the bytes that it moved, and when to look again by itself."""

    plan: Plan
    bytes_moved: int


class Converger:
    """Holds what a run needs; keeps nothing of a run."""

    def __init__(self, context: SyncContext, executor: Executor) -> None:
        self._context = context
        self._records = context.records
        self._executor = executor
        self._source = SourceReader(context)
        self._clock = context.clock
        self._looks = SharedLooks(context.clock)

    def converge(self, image_id: str, region: str, handle: RunHandle) -> Converged:
        """Raises GlanceSyncErrors after noting them in the pair's record; LeaseLostError and TaskCancelledError are
        raised without writing anything."""
        try:
            return self._converge(image_id, region, handle)
        except GlanceSyncError as error:
            if error.verdict is not Verdict.DROP:
                self._note_error(image_id, region, error)
            raise

    def plan(self, image_id: str, region: str) -> Plan:
        """What a run would do now. Changes nothing anywhere."""
        if self._is_gone(region):
            return PARKED
        source = self._context.source_client().find_image(image_id)
        return plan_replica(self._look(image_id, region, source))

    def _converge(self, image_id: str, region: str, handle: RunHandle) -> Converged:
        moved, seen, kept, since = 0, None, None, handle.begun_at
        if self._is_gone(region):
            return Converged(plan=PARKED, bytes_moved=0)
        for _ in range(MAX_ROUNDS):
            handle.check()
            source, seen_at = self._look_at_source(image_id, since)
            situation = self._look(image_id, region, source, since=handle.begun_at, seen=seen)
            self._keep(situation, is_new=source is not kept)
            kept = source
            plan = plan_replica(situation)
            if not plan.actions:
                self._note_end(situation, plan)
                return Converged(plan=_look_at_removal_again(plan, situation), bytes_moved=moved)
            run = Run(image_id=image_id, region=region, source=source, handle=handle, seen_at=seen_at,
                      reader=self._context.source_client(), target=self._context.directory.client(region),
                      members=situation.replica.members if situation.replica is not None else None,
                      believes_answers=_believes_answers(situation))
            try:
                self._execute(plan, run)
            except (IdBurnedError, ReplicaTakenError) as error:
                LOG.info("image %s in %s is looked at again: %s", image_id, region, error)
            moved, seen = moved + run.bytes_moved, run.replica
            since = self._clock.monotonic() if run.changed_source else since
        raise RegionConflictError(f"image {image_id} in {region} did not settle in {MAX_ROUNDS} rounds; somebody else "
                                  "changes it at the same time")

    def _execute(self, plan: Plan, run: Run) -> None:
        copies = run.source is not None and any(isinstance(each, CopyBytes) for each in plan.actions)
        take_back = self._context.let_pass(run.source, run.region) if run.source is not None and copies else None
        try:
            self._executor.execute(plan.actions, run)
        except BaseException:
            if take_back is not None:
                take_back()
            raise

    def _look_at_source(self, image_id: str, since: float) -> tuple[Image | None, float]:
        """The image, and the moment at which the look at it had ended. Runs for other regions may share it: it began
        after all that this run was asked for, and is young. Only Glance's own 404 makes it None."""
        client = self._context.source_client()
        return self._looks.get((client, image_id), lambda: client.find_image(image_id), since=since)

    def _look(self, image_id: str, region: str, source: Image | None, *, since: float | None = None,
              seen: Image | None = None) -> Situation:
        """Read the replica and the record. Only Glance's own 404 makes an image None. `since` None: change nothing;
        else looks of others that began after that moment may be shared. `seen`: the replica, when it was seen a moment
        ago."""
        known = self._records.read(image_id, region)
        target = self._context.directory.client(region)
        found = self._source.read(source, region, known)
        source, known = found.image, replace(known, located=found.located)
        choice = self._context.choose(source, region, fresh=_is_to_be_removed(known.replica))
        replica = _find_replica(target, image_id, known.replica, seen)
        stranger = self._context.find_replaced(target, replica, known.replica)
        if source is not None and replica is None and choice.selected and _is_to_be_made(source, known):
            stranger = stranger or self._context.find_namesake(target, source)
        unseen = self._context.find_unseen(region, source, replica, known.replica, since=since,
                                            wanted=choice.selected)
        obstacle = self._context.find_obstacle(source, region, replica) if choice.selected and unseen is None else None
        return self._context.situation(image_id, region, source=source, replica=replica, known=known, choice=choice,
                                       stranger=stranger, unseen=unseen, awaits=found.awaits, obstacle=obstacle)

    def _is_gone(self, region: str) -> bool:
        return region not in {each.name for each in self._context.directory.cascaded()}

    def _keep(self, situation: Situation, *, is_new: bool) -> None:
        """Write down what was seen and later decisions rest on. `is_new`: the source was looked at since the last."""
        if situation.source is not None:
            if is_new:
                self._records.note_image(situation.source, now=situation.now)
            if situation.removal is not None:
                self._records.forget_removal(situation.image_id, before=situation.now - _REMOVAL_RACE_SECONDS)
            if situation.record is not None and situation.record.missing_since is not None:
                self._records.update(situation.image_id, situation.region, missing_pass=None, missing_since=None,
                                     missing_confirmed_at=None)
            if situation.selected and situation.record is not None and situation.record.disallowed_since is not None:
                self._records.update(situation.image_id, situation.region, **self._records.disallowed.ended)
        if situation.record is not None and situation.record.origin is Origin.INTENDED and is_ours(situation):
            # The create request's answer was lost. It is told by its looks, which it will not keep.
            self._records.update(situation.image_id, situation.region, origin=Origin.CREATED)
        if situation.unseen is None:
            self._context.trust.brake.note_done(situation.region, _gone_ids(situation))
        self._keep_birth(situation)
        since = _saving_since(situation.replica, situation.record, situation.now)
        if since != (situation.record.saving_since if situation.record else None):
            self._records.update(situation.image_id, situation.region, saving_since=since)

    def _keep_birth(self, situation: Situation) -> None:
        birth, source = situation.birth, situation.source
        if birth is None or birth.region != situation.region or source is None or birth.filled_at is not None:
            return
        if source.status == "queued" and birth.waiting_since is None:
            self._records.births.note(situation.image_id, waiting_since=situation.now)
        if source.status == "queued" and birth.filling_since is not None:  # nothing of what was sent is there
            self._records.births.note(situation.image_id, filling_since=None)

    def _note_end(self, situation: Situation, plan: Plan) -> None:
        columns: dict[str, object] = {"state": plan.state, "reason_code": plan.code, "reason": plan.reason,
                                      **_conflict_columns(plan, situation.record)}
        if plan.state in (ReplicaState.IN_SYNC, ReplicaState.DELETED):
            now = self._clock.now()
            columns.update(synced_at=now, source_updated_at=situation.source and situation.source.updated_at)
            record, replica = situation.record, situation.replica
            changed_at = _changed_at(situation)
            if changed_at is not None:
                lag_seconds = max(0.0, now - changed_at)
                columns.update(wanted_at=None, lag_seconds=lag_seconds)
                self._context.meter.came_in_sync(situation.region, lag_seconds)
            if replica is not None:
                columns.update(replica_id=replica.id, size=replica.size, digest=(record and record.digest)
                               or replica.digest)
                if (record is None or record.verified_at is None) and plan.code != Code.BORN_HERE:
                    columns.update(verified_at=now)
        elif plan.code == Code.SOURCE_NOT_READY or plan.state is ReplicaState.UNWANTED:
            # How long its user takes to upload it is no lag of the replica, nor is how long it does not belong here.
            columns.update(wanted_at=None)
        self._records.update(situation.image_id, situation.region, **columns)
        if plan.code == Code.BORN_HERE and situation.birth is not None and situation.birth.filled_at is None:
            self._records.births.note(situation.image_id, filled_at=self._clock.now())

    def _note_error(self, image_id: str, region: str, error: GlanceSyncError) -> None:
        state = ReplicaState.WAITING if error.verdict is Verdict.WAIT else ReplicaState.FAILED
        record = self._records.read(image_id, region).replica
        if record is not None and record.unverified_since is not None:  # users have it, whatever went wrong since
            state = ReplicaState.USABLE_UNVERIFIED
        self._records.update(image_id, region, state=state, reason_code=error.code, reason=str(error))


def _is_to_be_made(source: Image, known: PairRecord) -> bool:
    """Whether a new replica may meet an image of the same name, and nobody settled that yet."""
    settled = known.replica is not None and known.replica.choice is not None
    born = known.replica is not None and known.replica.origin is Origin.BORN
    return source.has_bytes and bool(source.name) and not settled and not born


def _is_to_be_removed(record: ReplicaRecord | None) -> bool:
    """Nothing is removed on an old answer of Keystone's."""
    return record is not None and record.disallowed_confirmed_at is not None


def _believes_answers(situation: Situation) -> bool:
    """Whether what the region answers to a change is taken for how the replica is now. Where a replica differs though
    its image is as it was when both were the same, somebody changes it, or the region keeps other values than it
    answers: that is looked at again."""
    source, record = situation.source, situation.record
    return source is not None and (record is None or record.source_updated_at != source.updated_at)


def _look_at_removal_again(plan: Plan, situation: Situation) -> Plan:
    """An image is there though its removal was reported a moment ago. Unless it goes now, that is no proof: it must not
    wait for a day when the image is not shown for another reason."""
    if situation.source is None or situation.removal is None or plan.delay_seconds is not None:
        return plan
    rest = situation.removal.removed_at + _REMOVAL_RACE_SECONDS - situation.now
    return plan if rest < 0 else replace(plan, delay_seconds=rest + 1)


def _find_replica(target: RegionClient, image_id: str, record: ReplicaRecord | None,
                  seen: Image | None = None) -> Image | None:
    """The image that is, or stands for, the replica: under the mapped id, or else (in a region that came back older
    than the mapping) under the image's own."""
    if seen is not None and record is not None and record.replica_id == seen.id and (
            seen.visibility != "shared" or seen.members is not None):
        return seen
    if record is None or record.replica_id is None or record.replica_id == image_id:
        return target.find_image(image_id)
    found = target.find_image(record.replica_id)
    mapped_only = record.origin in (Origin.INTENDED, Origin.BORN)
    return target.find_image(image_id) if found is None and not mapped_only else found


def _conflict_columns(plan: Plan, record: ReplicaRecord | None) -> dict[str, object]:
    """What is listed of a conflict. A choice that was made about another image does not hold for this one."""
    if plan.conflict is None:
        return {}
    columns: dict[str, object] = {"stranger_id": plan.conflict.stranger_id,
                                  "differences": json.dumps([vars(each) for each in plan.conflict.differences])}
    if record is not None and record.stranger_id != plan.conflict.stranger_id:
        columns.update(choice=None, stranger_bytes=None)
    return columns


def _gone_ids(situation: Situation) -> list[str]:
    """What was looked for in the region and is not there. A server that ended between Glance's answer to a deletion and
    writing it down left that to the next look."""
    record, replica = situation.record, situation.replica
    if record is None:
        return []
    gone = [record.replica_id] if replica is None or replica.id != record.replica_id else []
    if record.choice is ConflictChoice.REPLACE and situation.stranger is None and (
            replica is None or replica.id != record.stranger_id):
        gone.append(record.stranger_id)
    return [each for each in gone if each is not None]


def _changed_at(situation: Situation) -> float | None:
    """When the change was made that the replica now shows, None when there was none. Glance's own time, in whole
    seconds, stands in where no report set the clock."""
    record, source = situation.record, situation.source
    if record is not None and record.wanted_at is not None:
        return record.wanted_at
    if source is None or record is None or record.source_updated_at == source.updated_at:
        return None
    return source.updated_at


def _saving_since(replica: Image | None, record: ReplicaRecord | None, now: float) -> float | None:
    if replica is None or replica.status not in IN_MAKING or (replica.status == "queued" and not replica.locked):
        return None
    return record.saving_since if record and record.saving_since is not None else now
