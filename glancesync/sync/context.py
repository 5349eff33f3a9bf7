# SPDX-License-Identifier: Apache-2.0
"""What converge and reconcile both rest on, and how a situation is put together from it."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from glancesync.clock import Clock
from glancesync.conf.sync import SyncSettings
from glancesync.model.image import Image
from glancesync.model.replica import Removal, ReplicaRecord
from glancesync.regions.client import RegionClient
from glancesync.regions.directory import RegionDirectory
from glancesync.sync.plan import Situation
from glancesync.sync.records import ReplicaRecords
from glancesync.sync.strategy import select_region_names


@dataclass(frozen=True, kw_only=True)
class SyncContext:
    """`service_project_id` asks Keystone (once) which project the service user works in; `wait_seconds` is the delay
    before something that is merely too early is looked at again; `page_size` that of listings."""

    directory: RegionDirectory
    records: ReplicaRecords
    settings: SyncSettings
    clock: Clock
    service_project_id: Callable[[], str]
    wait_seconds: float = 5
    page_size: int = 200

    def source_client(self) -> RegionClient:
        return self.directory.client(self.directory.cascading().name)

    def situation(self, image_id: str, region: str, *, source: Image | None, replica: Image | None,
                  record: ReplicaRecord | None, removal: Removal | None = None) -> Situation:
        """All that a plan is made from."""
        cascaded = [each.name for each in self.directory.cascaded()]
        return Situation(
            image_id=image_id, region=region, source=source, replica=replica, record=record, removal=removal,
            wanted=region in select_region_names(self.settings.sync_strategy, cascaded), now=self.clock.now(),
            service_project_id=self.service_project_id(), transient_property=self.settings.transient_property,
            saving_timeout_seconds=self.settings.replica_saving_timeout_seconds,
            source_poll_seconds=self.settings.source_poll_seconds, wait_seconds=self.wait_seconds)
