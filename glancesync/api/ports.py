# SPDX-License-Identifier: Apache-2.0
"""What the API needs of the core, stated from the API's side; `glancesync.service` fulfils it."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from glancesync.model.birth import BirthClaim
from glancesync.model.event import Event
from glancesync.model.sort import Sort
from glancesync.model.task import Run, Task, TaskFilter, Trigger
from glancesync.service.conflicts import Chosen
from glancesync.service.plans import PlanPage


class SyncService(Protocol):
    """Everything here returns only after what it did is committed, and raises nothing but GlanceSyncError.

    Listings are ordered, begin after `marker` (an id of the same listing) and hold at most `limit` rows.
    `None` for image ids or regions means all of them.
    """

    def submit_events(self, events: Sequence[Event]) -> list[Task]:
        """Queue what the events hint at; an event whose id was seen before changes nothing."""

    def hint(self, image_id: str, *, trigger: Trigger, request_id: str | None) -> list[Task]:
        """Queue a look at one image."""

    def claim_birth(self, claim: BirthClaim) -> list[Task]:
        """Write down where an image is said to have been made, and queue it; raises RegionNotFoundError,
        StateConflictError, InvalidInputError."""

    def mark_located(self, image_id: str, *, request_id: str | None) -> list[Task]:
        """Write down that an image lies at an external URL, and queue it; raises InvalidInputError."""

    def region_of_endpoint(self, url: str) -> str | None:
        """The cascaded region that an image's URL belongs to."""

    def submit(self, *, image_ids: Sequence[str] | None, regions: Sequence[str] | None,
               request_id: str | None) -> list[Task]:
        """Queue images and regions that an operator chose; raises RegionNotFoundError."""

    def plan(self, *, image_ids: Sequence[str], regions: Sequence[str] | None) -> list[dict[str, Any]]:
        """What a run would do, without doing it; one entry per image and region."""

    def plan_page(self, *, regions: Sequence[str] | None, limit: int, marker: str | None) -> PlanPage:
        """A page of what comparing everything would find."""

    def list_images(self, *, limit: int, marker: str | None, owner: str | None, filters: dict[str, str],
                    sort: Sort) -> list[dict[str, Any]]:
        """Images with their state in each region. `owner` None: of every project."""

    def get_image(self, image_id: str) -> dict[str, Any]:
        """One image; raises ImageNotFoundError."""

    def owner_of(self, image_id: str) -> str | None:
        """The project that an image belongs to, None when the image or its owner is not known."""

    def list_tasks(self, task_filter: TaskFilter, limit: int, marker: str | None, sort: Sort) -> list[Task]:
        """Tasks that pass the filter."""

    def get_task(self, task_id: str) -> Task:
        """One task; raises TaskNotFoundError."""

    def list_runs(self, task_id: str) -> list[Run]:
        """What is kept of a task's runs, newest first."""

    def retry_task(self, task_id: str) -> Task:
        """Make a task due now; raises TaskNotFoundError, StateConflictError."""

    def retry_tasks(self, task_filter: TaskFilter, *, request_id: str | None) -> int:
        """Make every task that passes the filter due now; how many."""

    def cancel_task(self, task_id: str) -> Task:
        """Ask a task to end; raises TaskNotFoundError, StateConflictError."""

    def list_conflicts(self, *, limit: int, marker: str | None, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        """Images in a replica's way."""

    def choose(self, image_id: str, region: str, chosen: Chosen) -> Task:
        """Decide a conflict; raises ImageNotFoundError, StateConflictError."""

    def list_deletions(self, *, limit: int, marker: str | None, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        """What was deleted and why, newest first; raises InvalidInputError for an unknown marker."""

    def deletions_held(self) -> str | None:
        """Why no replica is deleted now, None when nothing holds that back."""

    def list_regions(self) -> list[dict[str, Any]]:
        """Every region of the catalog with an image endpoint."""

    def freeze_region(self, name: str, *, by: str | None, reason: str | None) -> None:
        """Write nothing there until it is thawed; raises RegionNotFoundError, InvalidInputError."""

    def thaw_region(self, name: str) -> None:
        """Raises RegionNotFoundError, InvalidInputError."""

    def history(self, *, seconds: float, points: int, region: str | None) -> dict[str, Any]:
        """Bytes, runs and lag over the last `seconds`, in so many steps."""

    def list_ways(self, image_id: str, region: str) -> list[dict[str, Any]]:
        """The ways of an image's bytes to a region; raises ImageNotFoundError, RegionNotFoundError."""

    def cascaded_endpoints(self, region_names: Sequence[str], project_id: str | None) -> list[str]:
        """Image endpoints of the cascaded regions that the project may use, of those named where some are; raises
        RegionNotFoundError, OwnerRegionsUnknownError."""
