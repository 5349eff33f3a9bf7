# SPDX-License-Identifier: Apache-2.0
"""What converge and reconcile both rest on, and how a situation is put together from it."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from glancesync.clock import Clock
from glancesync.conf.sync import SyncSettings
from glancesync.model.image import Image
from glancesync.regions.client import RegionClient
from glancesync.regions.directory import RegionDirectory
from glancesync.sync.guard import Trust
from glancesync.sync.plan import Situation
from glancesync.sync.records import PairRecord, ReplicaRecords
from glancesync.sync.strategy import select_region_names
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
    wait_seconds: float = 5
    page_size: int = 200

    def source_client(self) -> RegionClient:
        return self.directory.client(self.directory.cascading().name)

    def situation(self, image_id: str, region: str, *, source: Image | None, replica: Image | None,
                  known: PairRecord) -> Situation:
        """All that a plan is made from. The cascading Glance is asked for its canary only where a deletion may
        follow."""
        deleting = source is None and replica is not None
        cascaded = [each.name for each in self.directory.cascaded()]
        return Situation(
            image_id=image_id, region=region, source=source, replica=replica, record=known.replica,
            removal=known.removal, trust=self.trust.look() if deleting else Trust(),
            delete_adopted=self.trust.delete_adopted,
            wanted=region in select_region_names(self.settings.sync_strategy, cascaded), now=self.clock.now(),
            service_project_id=self.service_project_id(), transient_property=self.settings.transient_property,
            saving_timeout_seconds=self.settings.replica_saving_timeout_seconds,
            source_poll_seconds=self.settings.source_poll_seconds, wait_seconds=self.wait_seconds,
            max_restores=self.settings.max_restores)
