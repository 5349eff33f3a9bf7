# SPDX-License-Identifier: Apache-2.0
"""What converge and reconcile both rest on, and how a situation is put together from it."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from glancesync.clock import Clock
from glancesync.conf.sync import SyncSettings
from glancesync.model.birth import Birth
from glancesync.model.facts import StoreFact
from glancesync.model.image import Image
from glancesync.model.replica import ConflictChoice, Origin, ReplicaRecord, ReplicaState
from glancesync.regions.client import RegionClient
from glancesync.regions.directory import RegionDirectory
from glancesync.sync.choice import SELECTED, Choice, RegionChooser
from glancesync.sync.guard import Trust
from glancesync.sync.meter import Meter, NoMeter
from glancesync.sync.obstacles import Obstacle
from glancesync.sync.preflight import Preflight
from glancesync.sync.records import PairRecord, ReplicaRecords
from glancesync.sync.sight import RegionSight
from glancesync.sync.situation import Situation
from glancesync.sync.stranger import by_likeness, is_namesake
from glancesync.sync.trust import SourceTrust


@dataclass(frozen=True, kw_only=True)
class SyncContext:
    """`service_project_id` asks Keystone (once) which project the service user works in; `wait_seconds` is the delay
    before something that is merely too early is looked at again; `page_size` that of listings."""

    directory: RegionDirectory
    records: ReplicaRecords
    settings: SyncSettings
    clock: Clock
    service_project_id: Callable[[], str]
    trust: SourceTrust
    sight: RegionSight
    chooser: RegionChooser
    wait_seconds: float = 5
    page_size: int = 200
    meter: Meter = field(default_factory=NoMeter)
    preflight: Preflight | None = None

    def source_client(self) -> RegionClient:
        return self.directory.client(self.directory.cascading().name)

    def choose(self, source: Image | None, region: str, *, fresh: bool = False) -> Choice:
        """What the strategy says; of an image that is not there it says nothing against the region. Keystone may be
        asked."""
        if source is None:
            return SELECTED
        return self.chooser.choose(source, region, [each.name for each in self.directory.cascaded()], fresh=fresh)

    def is_for_snapshots(self, region: str, birth: Birth | None) -> bool:
        """Whether an image of this birth (None: of none) goes to the region, if the strategy lets it."""
        names = self.settings.snapshot_region_names
        return birth is None or not names or region in names

    def find_replaced(self, target: RegionClient, replica: Image | None, record: ReplicaRecord | None) -> Image | None:
        """The stranger that an operator chose to replace, while it is still there beside the replica."""
        if record is None or record.choice is not ConflictChoice.REPLACE or record.stranger_id is None:
            return None
        if replica is not None and replica.id == record.stranger_id:
            return None
        claimed = self.records.find_by_replica(target.region_name, [record.stranger_id]).get(record.stranger_id)
        if claimed is not None and claimed.origin is Origin.BORN:
            return None  # somebody chose before it was known that an image was made from it
        return target.find_image(record.stranger_id, with_members=False)

    def find_unseen(self, region: str, source: Image | None, replica: Image | None, record: ReplicaRecord | None, *,
                    wanted: bool, since: float | None) -> str | None:
        """Why nothing may follow from what the region does not show, None where it shows what is looked for or is seen
        whole. Where a replica is to be made the look may be one that began for another run after `since`: that an id is
        used up is never taken from it. `since` None: nothing may change anywhere. `wanted`: the strategy gives the
        region the image."""
        ours = record is not None and record.origin in (Origin.CREATED, Origin.ADOPTED)
        if record is not None and ours:
            shown = replica is not None and replica.id == record.replica_id
        else:
            shown = replica is not None
        matters = (source.has_bytes and wanted if source is not None
                   else record is not None and ours and record.state is not ReplicaState.DELETED)
        if shown or not matters:
            return None
        if since is None:
            return self.sight.peek(region)
        return self.sight.look(region, since=since if source is not None else None)

    def find_obstacle(self, source: Image | None, region: str, replica: Image | None) -> Obstacle | None:
        """Why the region would not take the image's bytes, where it lacks them. May ask the region, rarely."""
        lacks = replica is None or replica.status == "queued"
        if self.preflight is None or source is None or not source.has_bytes or not lacks:
            return None
        return self.preflight.check(source, region)

    def let_pass(self, source: Image, region: str) -> Callable[[], None]:
        """The image's bytes are about to go there; the result takes it back."""
        return self.preflight.let_pass(source, region) if self.preflight is not None else lambda: None

    def find_namesake(self, target: RegionClient, source: Image) -> Image | None:
        """An image that a user of the region would take for this one, and that no image of ours explains."""
        listed = target.list_namesakes(source.name or "", source.owner)
        found = [image for image in listed if is_namesake(source, image)]
        ours = self.records.find_by_replica(target.region_name, [image.id for image in found]) if found else {}
        for image in by_likeness(source, found):
            # One that has the id of another image of the cascading region is that one's replica to be.
            if image.id not in ours and self.source_client().find_image(image.id, with_members=False) is None:
                return image
        return None

    def _stores(self, region: str, record: ReplicaRecord | None) -> tuple[StoreFact, ...]:
        if self.preflight is None or record is None or record.unverified_since is None:
            return ()
        return self.preflight.facts(region).stores or ()

    def _is_of_another(self, image_id: str, region: str, replica: Image, record: ReplicaRecord | None) -> bool:
        if record is not None and record.replica_id == replica.id:
            return False
        owner = self.records.find_by_replica(region, [replica.id]).get(replica.id)
        return owner is not None and owner.image_id != image_id

    def situation(self, image_id: str, region: str, *, source: Image | None, replica: Image | None,  # noqa: PLR0913
                  known: PairRecord, choice: Choice, stranger: Image | None = None, unseen: str | None = None,
                  awaits: str | None = None, obstacle: Obstacle | None = None) -> Situation:
        """All that a plan is made from. The cascading Glance is asked for its canary only where it does not show the
        image."""
        taken = replica is not None and self._is_of_another(image_id, region, replica, known.replica)
        return Situation(
            image_id=image_id, region=region, source=source, replica=replica, record=known.replica, stranger=stranger,
            unseen=unseen, taken=taken,
            birth=known.birth, selected=choice.selected, why_not=choice.reason, undecided=choice.undecided,
            treatment=choice.treatment, awaits=awaits, obstacle=obstacle, stores=self._stores(region, known.replica),
            located=known.located,
            removal=known.removal, trust=self.trust.look() if source is None else Trust(),
            delete_adopted=self.trust.delete_adopted,
            wanted=choice.selected and self.is_for_snapshots(region, known.birth), now=self.clock.now(),
            adopt_by_hash=self.settings.adopt_by_hash,
            service_project_id=self.service_project_id(), transient_property=self.settings.transient_property,
            saving_timeout_seconds=self.settings.replica_saving_timeout_seconds,
            source_poll_seconds=self.settings.source_poll_seconds, wait_seconds=self.wait_seconds,
            max_restores=self.settings.max_restores, leave_alone=self.settings.leave_alone,
            snapshot_timeout_seconds=self.settings.snapshot_timeout_seconds,
            snapshot_poll_seconds=self.settings.snapshot_sleep_interval_seconds)
