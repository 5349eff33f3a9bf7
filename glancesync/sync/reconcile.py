# SPDX-License-Identifier: Apache-2.0
"""Compares everything and names what differs. Called by the service, which submits it as it does with events.

The source is listed once, by ascending id. Each page of it is a window of ids; every region's listing and records are
advanced to the window's end, in parts of a page, so memory holds one page of each whatever the number of images:

    source   a b d | f g h          window 1 ends at d
    RegionTwo  a c d | g h          -> b is missing, c is surplus
    records  a b c d | ...

A region whose listing fails is left out of the rest of the pass; a source whose listing fails ends the pass.
"""
from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from glancesync.conf.image_rules import ImageRules
from glancesync.exceptions import GlanceSyncError, SnapshotRefusedError, SnapshotTimeoutError, SourceCorruptError
from glancesync.model.image import Image
from glancesync.model.replica import Origin, ReplicaRecord, ReplicaState
from glancesync.regions.client import RegionClient
from glancesync.sync.actions import CreateReplica
from glancesync.sync.codes import HELD, Code
from glancesync.sync.context import SyncContext
from glancesync.sync.disallowed import is_removable
from glancesync.sync.findings import FOREIGN_TOLD, Finding, Lack, PassReport, RegionReport
from glancesync.sync.image_rules import find_rule
from glancesync.sync.members import Members, read_members
from glancesync.sync.plan import plan_replica
from glancesync.sync.records import PairRecord
from glancesync.sync.references import References
from glancesync.sync.rotation import Turns, is_asked
from glancesync.sync.situation import Plan
from glancesync.sync.stranger import is_namesake
from glancesync.sync.windows import Cursor, in_parts, list_all

LOG = logging.getLogger(__name__)


@dataclass(kw_only=True)
class _Side:
    """One cascaded region during a pass."""

    client: RegionClient
    canaries: frozenset[str]
    images: Cursor[Image]
    records: Cursor[ReplicaRecord]
    report: RegionReport
    turns: Turns | None
    only: ImageRules | None
    dry: bool  # for whoever reads the plans: a run looks for obstacles itself


class Reconciler:
    """Reads and submits nothing; all that it may make is a region's canary."""

    def __init__(self, context: SyncContext) -> None:
        self._context = context
        self._directory = context.directory
        self._records = context.records
        self._references = References(context.records)
        self._page_size = context.page_size

    def compare(self, report: PassReport, *, regions: Collection[str] | None = None, dry: bool = False,
                after: str = "", turns: Turns | None = None, only: ImageRules | None = None) -> Iterator[Finding]:
        """What stands out, lazily; `report` is filled on the way. A region that is not seen whole is left out. `dry`:
        nothing may change anywhere. `after`: only the windows that begin after the one that ended with this id.
        `turns`: whose members are asked for though nothing stands out (None: everybody's). `only`: images that meet one
        of these rules; nothing is said then of what has no image. Raises what listing the source raises."""
        source = self._context.source_client()
        names = [each.name for each in self._directory.cascaded() if regions is None or each.name in regions]
        sides = {name: self._open(name, report, dry=dry, after=after, turns=turns, only=only) for name in names}
        begin = after
        for window, last in self._windows(source, report, after):
            members = Members(source)
            for name, side in sides.items():
                if side.report.error is None:
                    for finding in self._compare_window(side, window, last, members, name):
                        yield replace(finding, window=begin)
            begin = last or begin

    def _open(self, name: str, report: PassReport, *, dry: bool, after: str, turns: Turns | None,
              only: ImageRules | None) -> _Side:
        client, sight = self._directory.client(name), self._context.sight
        report.regions[name] = RegionReport()
        try:
            report.regions[name].error = sight.peek(name) if dry else sight.look(name)
        except GlanceSyncError as error:
            report.regions[name].error = str(error)
        if report.regions[name].error is not None:
            LOG.warning("region %s is left out of this comparison: %s", name, report.regions[name].error)
        return _Side(client=client, report=report.regions[name], canaries=sight.canary_ids(name), turns=turns,
                     only=only, dry=dry,
                     images=Cursor(list_all(client, self._page_size), lambda image: image.id, after=after),
                     records=Cursor(self._records.iterate(name, after=after), lambda record: record.image_id))

    def _windows(self, source: RegionClient, report: PassReport,
                 after: str) -> Iterator[tuple[Mapping[str, Image], str | None]]:
        """(images, last id) page by page; the last window is open-ended."""
        canary, canary_seen = self._context.trust.canary_id(), False
        window: dict[str, Image] = {}
        for image in list_all(source, self._page_size):
            if image.id == canary:
                canary_seen = True
                continue
            if image.id <= after:
                continue
            report.images += 1
            window[image.id] = image
            if len(window) >= self._page_size:
                yield window, image.id
                window = {}
        report.complete = canary_seen
        yield window, None

    def _compare_window(self, side: _Side, window: Mapping[str, Image], last: str | None, members: Members,
                        region: str) -> Iterator[Finding]:
        try:
            for part, images, records in in_parts(window, side.images, side.records, last, self._page_size):
                for canary in side.canaries & set(images):
                    del images[canary]
                side.report.images += len(images)
                found = [*self._check_images(side, _chosen(part, side.only), images, records, members, region)]
                if side.only is None:
                    found += self._check_surplus(side, part, images, records, region)
                side.report.findings += sum(finding.run for finding in found)
                yield from found
        except GlanceSyncError as error:
            LOG.warning("region %s is left out of this comparison: %s", region, error)
            side.report.error = str(error)

    def _check_images(self, side: _Side, window: Mapping[str, Image], images: Mapping[str, Image],
                      records: Mapping[str, ReplicaRecord], members: Members, region: str) -> Iterator[Finding]:
        replica_members = Members(side.client)
        asked = {image_id: image for image_id, image in window.items()
                 if is_asked(side.turns, image, records.get(image_id), region)}
        read_members(members, asked, replica_members, images)
        births = self._records.births.find_all(window)
        for image_id, image in window.items():
            record = records.get(image_id)
            replica = images.get(image_id)
            if record and record.replica_id and record.replica_id != image_id:
                mapped = side.client.find_image(record.replica_id, with_members=False)
                mapped_only = record.origin in (Origin.INTENDED, Origin.BORN)
                replica = replica if mapped is None and not mapped_only else mapped
            source = image
            if image_id in asked and replica is not None and replica.visibility == "shared":
                replica = replace(replica, members=replica_members.get(replica.id))
            if image_id in asked and image.visibility == "shared":
                source = replace(image, members=members.get(image.id))
            known = PairRecord(replica=record, removal=None, birth=births.get(image_id))
            referred = self._references.resolve(source, region, known.birth)
            choice = self._context.choose(image, region)
            obstacle = self._context.find_obstacle(image, region, replica) if side.dry and choice.selected else None
            situation = self._context.situation(
                image_id, region, source=referred.image, replica=replica, known=known, awaits=referred.awaits,
                choice=choice, obstacle=obstacle,
                stranger=self._find_stranger(side.client, image, replica, record))
            plan = plan_replica(situation)
            disallowed = plan.code != Code.TRANSIENT and is_removable(situation)
            run = needs_run(plan, record, image, again=_is_read_again(side.turns, image_id, region))
            if run or disallowed or obstacle is not None or plan.code == Code.OWNER_REGIONS_UNKNOWN:
                yield Finding(image_id=image_id, region=region, plan=plan, run=run, disallowed=disallowed,
                              lacks=_lack(image, plan))

    def _find_stranger(self, client: RegionClient, source: Image, replica: Image | None,
                       record: ReplicaRecord | None) -> Image | None:
        """Only one that is known already; new namesakes are looked for by a run."""
        known = self._context.find_replaced(client, replica, record)
        if known is not None or replica is not None or record is None or record.stranger_id is None:
            return known
        found = client.find_image(record.stranger_id, with_members=False) if record.choice is None else None
        return found if found is not None and is_namesake(source, found) else None

    def _check_surplus(self, side: _Side, window: Mapping[str, Image], images: Mapping[str, Image],
                       records: Mapping[str, ReplicaRecord], region: str) -> Iterator[Finding]:
        extra = {image_id for image_id in images if image_id not in window}
        owners = self._records.find_by_replica(region, extra)
        foreign = sorted(extra - owners.keys())
        side.report.foreign += len(foreign)
        side.report.foreign_ids += foreign[:FOREIGN_TOLD - len(side.report.foreign_ids)]
        for image_id in foreign:
            yield Finding(image_id=image_id, region=region, plan=_FOREIGN, run=False, foreign=True)
        for record in owners.values():
            # A replica under a new id sorts elsewhere than its image: only one look tells whether that is there.
            if record.replica_id != record.image_id:
                if self._context.source_client().find_image(record.image_id, with_members=False) is not None:
                    continue
            side.report.surplus += 1
            yield _without_image(record, missing=record.origin is not Origin.BORN)
        seen = {record.image_id for record in owners.values()}
        for image_id, record in records.items():
            # Neither an image nor, under its own id, a replica: what was written down of it holds no more. Unless that
            # is that another's image stands there, which was named above.
            known = record.state is ReplicaState.DELETED or (image_id in images and _is_another(record))
            if image_id not in window and image_id not in seen and not known:
                yield _without_image(record, missing=record.origin not in (None, Origin.BORN))


def _chosen(images: Mapping[str, Image], only: ImageRules | None) -> Mapping[str, Image]:
    return images if only is None else {image_id: image for image_id, image in images.items() if find_rule(image, only)}


def _lack(image: Image, plan: Plan) -> Lack | None:
    """The newest come first, so an image without a time comes last."""
    makes = any(isinstance(action, CreateReplica) for action in plan.actions)
    return Lack(created_at=image.created_at or 0.0, size=image.size or 0) if makes and image.has_bytes else None


_FOREIGN = Plan(state=ReplicaState.SOURCE_MISSING, code=Code.FOREIGN,
                reason="neither an image of the cascading region nor a replica of this server's; it is left alone")


def _without_image(record: ReplicaRecord, *, missing: bool) -> Finding:
    return Finding(image_id=record.image_id, region=record.region, missing=missing,
                   run=(record.state is not ReplicaState.SOURCE_MISSING or record.reason_code in HELD
                        or _is_another(record)),
                   plan=Plan(state=ReplicaState.SOURCE_MISSING, code=Code.SOURCE_MISSING,
                             reason="no image in the cascading region for this replica"))


def _is_another(record: ReplicaRecord) -> bool:
    """The image went, and another's was left under its id."""
    return record.state is ReplicaState.SOURCE_MISSING and record.reason_code == Code.NOT_OURS


_READ_AGAIN_SECONDS = 6 * 3600
_GIVEN_UP = (SnapshotTimeoutError.code, SnapshotRefusedError.code)


def _is_read_again(turns: Turns | None, image_id: str, region: str) -> bool:
    return turns is None or replace(turns, interval_seconds=_READ_AGAIN_SECONDS).is_turn_of(image_id, region)


def needs_run(plan: Plan, record: ReplicaRecord | None, source: Image, *, again: bool) -> bool:
    """Whether a run has something to do or to write down (pure). An image whose bytes were not what its own hash says,
    and that stayed the same, is read once more only where `again`: they may have been changed on the way."""
    if record is not None and record.reason_code == SourceCorruptError.code:
        return again or record.source_updated_at != source.updated_at
    if record is not None and record.reason_code in _GIVEN_UP and plan.code in (record.reason_code,
                                                                                Code.SNAPSHOT_NOT_READY):
        return False  # a new wait is begun by whoever asks for the task
    if plan.actions:
        return True
    if plan.code == Code.OWNER_REGIONS_UNKNOWN:
        return record is None  # what stands there stays as it is until Keystone tells
    if record is None:
        return plan.state not in (ReplicaState.UNWANTED, ReplicaState.WAITING)
    return record.state is not plan.state or (plan.state is ReplicaState.UNWANTED and record.reason_code != plan.code)
