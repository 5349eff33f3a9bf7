# SPDX-License-Identifier: Apache-2.0
"""Carries out the actions of a plan, one by one, with a look at the lease before each. Called by converge."""
from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import singledispatchmethod

from glancesync.clock import Clock
from glancesync.exceptions import (
    MemberNotFoundError,
    RegionConflictError,
    RegionUnavailableError,
    SourceCorruptError,
    SourcesBusyError,
    SourceUntrustedError,
)
from glancesync.model.deletion import DeletionCause
from glancesync.model.image import Digest, Image
from glancesync.model.replica import Origin, ReplicaState
from glancesync.regions.client import RegionClient
from glancesync.sync import actions as act
from glancesync.sync.attempts import AttemptWatch
from glancesync.sync.brake import HELD_SECONDS
from glancesync.sync.codes import Code
from glancesync.sync.delete import Deleter
from glancesync.sync.fill import SourceFiller
from glancesync.sync.hashing import is_known_algorithm
from glancesync.sync.homecoming import Homecoming
from glancesync.sync.identity import ReplicaIdentity
from glancesync.sync.meter import Meter, NoMeter
from glancesync.sync.records import ReplicaRecords
from glancesync.sync.register import Registrar
from glancesync.sync.run import Run
from glancesync.sync.scrub import compare_stranger, scrub_replica
from glancesync.sync.shortcut import Moved, StoreShortcut
from glancesync.sync.sight import RegionSight
from glancesync.sync.tee import CopyResult, Tee
from glancesync.sync.trust import SourceTrust
from glancesync.sync.verify import check_copy, read_digest

LOG = logging.getLogger(__name__)
DEFAULT_ALGORITHM = "sha512"
#: What a record holds of an image in the way; all of it goes when the image does.
NO_STRANGER = dict.fromkeys(("stranger_id", "stranger_bytes", "differences", "choice"))


class Executor:
    """Knows how each action is done; decides nothing."""

    def __init__(self, *, records: ReplicaRecords, trust: SourceTrust, sight: RegionSight, tee: Tee,  # noqa: PLR0913 - by name
                 clock: Clock, new_id: Callable[[], str], meter: Meter | None = None,
                 shortcut: StoreShortcut | None = None) -> None:
        self._records = records
        self._trust = trust
        self._tee = tee
        self._shortcut = shortcut or StoreShortcut(clock=clock, gathers=tee.gathers)
        self._clock = clock
        self._identity = ReplicaIdentity(records=records, sight=sight, new_id=new_id)
        self._deleter = Deleter(trust)
        self._filler = SourceFiller(records=records, births=records.births, tee=tee, clock=clock)
        self._registrar = Registrar(records.locations)
        self._algorithms: dict[str, str] = {}
        self._meter = meter or NoMeter()
        self._watch = AttemptWatch(attempts=records.attempts, clock=clock, meter=self._meter, update=records.update)
        self._homecoming = Homecoming(update=records.update, clock=clock)

    def execute(self, actions: Iterable[act.Action], run: Run) -> None:
        """Raises what the clients raise, SourceUntrustedError, LeaseLostError and TaskCancelledError; what was done
        until then stays done and the next plan goes on from there."""
        if run.source is not None:
            self._ensure_itself(run)
        for action in actions:
            run.handle.report(step=type(action).__name__)
            run.handle.ensure_lease()
            run.replica = None
            self._do(action, run)

    @singledispatchmethod
    def _do(self, action: object, run: Run) -> None:
        raise TypeError(f"no way to carry out {type(action).__name__}")

    @_do.register
    def _create(self, action: act.CreateReplica, run: Run) -> None:
        self._identity.create(action.new, run)
        run.members = ()  # it never was anything but private

    @_do.register
    def _copy(self, action: act.CopyBytes, run: Run) -> None:
        source = _need(run.source)
        self._note(run, state=ReplicaState.COPYING, reason_code=Code.COPYING, reason=None)
        started = self._clock.monotonic()
        try:
            moved = self._move(source, action.replica_id, run)
            self._note_moved(moved, action.replica_id, run, max(self._clock.monotonic() - started, 1e-6))
        except SourcesBusyError:
            raise
        except Exception as error:
            if isinstance(error, SourceCorruptError):
                self._note(run, source_updated_at=source.updated_at)
            self._shortcut.ended(source.id)
            raise
        self._shortcut.ended(source.id)

    def _note_moved(self, moved: Moved, replica_id: str, run: Run, seconds: float) -> None:
        """Proved, and written down. What is used unverified was not moved yet."""
        result = moved.result
        run.bytes_moved += 0 if result.unverified else result.size
        run.handle.report(step="verifying")
        replica = run.target.get_image(replica_id, with_members=False)
        if replica.digest and is_known_algorithm(replica.digest.algorithm):
            self._algorithms[run.region] = replica.digest.algorithm
        run.replica = replace(replica, members=run.members)
        if result.unverified:
            return
        digest = check_copy(result, replica, run.region)
        self._meter.copied(driver=moved.driver, source=moved.source_region, target=run.region, size=result.size,
                           seconds=seconds)
        self._note(run, digest=digest, size=result.size, rate_bytes_per_second=result.size / seconds,
                   verified_at=self._clock.now() if digest else None, unverified_since=None)

    def _move(self, source: Image, replica_id: str, run: Run) -> Moved:
        """By the best way; through the Glances where there is no other."""
        def stream(reader: RegionClient, source_id: str) -> CopyResult:
            def copy() -> CopyResult:
                return self._tee.copy(replace(source, id=source_id), reader, run.target, replica_id=replica_id,
                                      handle=run.handle, algorithm=self._algorithms.get(run.region, DEFAULT_ALGORITHM))

            try:
                return copy()
            except (RegionConflictError, RegionUnavailableError) as error:
                # So the target answers (500, of some releases 409) where a file lies that nobody registered.
                if error.region not in (None, run.region) or not self._shortcut.clear(run, replica_id):
                    raise
                return copy()

        return self._shortcut.copy(source, run, replica_id, watch=self._watch, stream=stream)

    @_do.register
    def _verify(self, action: act.VerifyByReading, run: Run) -> None:
        source = _need(run.source)
        replica = run.target.get_image(action.replica_id, with_members=False)
        algorithm = (replica.digest or source.digest or Digest(algorithm=DEFAULT_ALGORITHM, value="")).algorithm
        expected = read_digest(run.reader, source, algorithm, run.handle)
        unproved = replica.digest is None or replica.hash_is_claim
        if unproved and read_digest(run.target, replica, algorithm, run.handle) != expected:
            LOG.error("replica %s of image %s in %s has other bytes than the image; it is replaced", replica.id,
                      source.id, run.region)
            self._note(run, rotten_at=self._clock.now())
            self._records.locations.refuse_registered(run.image_id, run.region,
                                                      "other bytes than the image's lay there")
            return
        self._note(run, replica_id=replica.id, digest=expected, size=replica.size, verified_at=self._clock.now())

    @_do.register
    def _compare(self, action: act.CompareStranger, run: Run) -> None:
        stranger = run.target.get_image(action.stranger_id, with_members=False)
        told = compare_stranger(run.reader, _need(run.source), run.target, stranger, run.handle)
        self._note(run, stranger_id=stranger.id, stranger_bytes=told)

    @_do.register
    def _adopt(self, action: act.AdoptReplica, run: Run) -> None:
        replica = run.target.get_image(action.replica_id, with_members=False)
        self._note(run, replica_id=replica.id, id_reason=action.id_reason, origin=Origin.ADOPTED, size=replica.size,
                   digest=replica.digest or _need(run.source).digest, verified_at=self._clock.now(), **NO_STRANGER)
        LOG.info("adopted image %s of %s for image %s", replica.id, run.region, run.image_id)

    @_do.register
    def _scrub(self, action: act.ScrubReplica, run: Run) -> None:
        found = scrub_replica(run.target, action.replica_id, self._records.read(run.image_id, run.region).replica,
                              handle=run.handle, clock=self._clock, confirm_seconds=self._trust.confirm_seconds,
                              note=lambda columns: self._note(run, **columns))
        if found:
            LOG.error("replica %s of image %s in %s is rotten: %s", action.replica_id, run.image_id, run.region, found)

    @_do.register
    def _update(self, action: act.UpdateReplica, run: Run) -> None:
        shown = run.target.update_image(action.replica_id, action.changes)
        if run.believes_answers:
            run.replica = replace(shown, members=run.members)

    @_do.register
    def _remove_member(self, action: act.RemoveMember, run: Run) -> None:
        run.members = None
        run.target.remove_member(action.replica_id, action.member_id)

    @_do.register
    def _set_member(self, action: act.SetMember, run: Run) -> None:
        run.members = None
        if action.add:
            run.target.add_member(action.replica_id, action.member_id)
        if not action.add or action.status != "pending":
            try:
                run.target.set_member_status(action.replica_id, action.member_id, action.status)
            except MemberNotFoundError as error:
                raise RegionConflictError(f"member {action.member_id!r} of image {action.replica_id} in {run.region} "
                                         "was removed meanwhile; it is looked at again") from error

    @_do.register
    def _deactivate(self, action: act.Deactivate, run: Run) -> None:
        run.target.deactivate_image(action.replica_id)

    @_do.register
    def _reactivate(self, action: act.Reactivate, run: Run) -> None:
        run.target.reactivate_image(action.replica_id)

    @_do.register
    def _delete(self, action: act.DeleteReplica, run: Run) -> None:
        self._deleter.delete(action, run)
        if action.empty:
            self._shortcut.clear(run, action.replica_id)
        if action.cause == DeletionCause.CONFLICT_REPLACED:
            self._note(run, **NO_STRANGER)

    @_do.register
    def _take_new_id(self, action: act.TakeNewId, run: Run) -> None:
        record = self._records.read(run.image_id, run.region).replica
        if record is not None and record.unverified_since is not None:
            self._shortcut.distrust(run.region, action.reason.meaning.what)
        self._identity.take_new_id(action.reason, run)

    @_do.register
    def _fill(self, action: act.FillSource, run: Run) -> None:
        self._filler.fill(action, run)

    @_do.register
    def _check_filled(self, action: act.CheckFilled, run: Run) -> None:
        self._filler.check(action, run)

    @_do.register
    def _forget_birth(self, action: act.ForgetBirth, run: Run) -> None:
        self._filler.forget(action, run)

    @_do.register
    def _give_up(self, action: act.GiveUpSnapshot, run: Run) -> None:
        self._filler.give_up(action, run)

    @_do.register
    def _register(self, action: act.RegisterLocation, run: Run) -> None:
        self._registrar.register(action, run)

    @_do.register
    def _bring_home(self, action: act.BringHome, run: Run) -> None:
        self._homecoming.bring(action, run, _need(run.source))

    @_do.register
    def _refuse(self, action: act.RefuseLocation, run: Run) -> None:
        self._registrar.refuse(action, run)

    def _ensure_itself(self, run: Run) -> None:
        """A Glance that stands in the place of the cascading one (a cascaded one, an old copy) has images of
        the same ids: following it would overwrite every replica. It is asked after it showed the image."""
        problem = self._trust.why_another(since=run.seen_at)
        if problem is not None:
            raise SourceUntrustedError(problem, retry_after_seconds=HELD_SECONDS)

    def _note(self, run: Run, **columns: object) -> None:
        self._records.update(run.image_id, run.region, **columns)


def _need(source: Image | None) -> Image:
    if source is None:
        raise RegionConflictError("bytes were to be copied of an image that is not there any more")
    return source
