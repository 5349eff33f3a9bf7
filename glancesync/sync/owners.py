# SPDX-License-Identifier: Apache-2.0
"""Keystone's answers about the projects that own images, kept for a while. Called by `choice`. One per process.

What Keystone does not answer is never taken for "no regions" or "all regions": it raises, and for a moment everybody
who asks for the same is told so, for a Keystone that is away would hold up each of a million pairs by a time-out.
"""
from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Protocol

from glancesync.clock import Clock
from glancesync.conf.strategy import StrategySettings
from glancesync.exceptions import GlanceSyncError, OwnerRegionsUnknownError, RegionUnavailableError
from glancesync.model.owner import Owner
from glancesync.sync.looks import SharedLooks
from glancesync.sync.situation import UNDECIDED_SECONDS

LOG = logging.getLogger(__name__)
#: How long a failure stands for an answer.
_FAILURE_SECONDS = 5.0


class ReadsProjects(Protocol):
    """What is needed of regions.projects."""

    def read(self, project_id: str, *, roles: bool, domain: bool) -> Owner:
        """Raises RegionErrors."""


@dataclass(frozen=True, kw_only=True)
class _Known:
    owner: Owner
    asked_at: float


@dataclass(frozen=True, kw_only=True)
class _Failure:
    reason: str
    until: float


class Owners:
    """`projects` asks Keystone. Times are `clock.monotonic()`."""

    def __init__(self, *, projects: ReadsProjects, settings: StrategySettings, clock: Clock) -> None:
        self._projects = projects
        self._settings = settings
        self._clock = clock
        self._known: OrderedDict[Hashable, _Known] = OrderedDict()
        self._failures: dict[Hashable, _Failure] = {}
        self._looks = SharedLooks(clock)
        self._renewed_at = float("-inf")
        self._complained = False

    def get(self, project_id: str, *, fresh: bool = False) -> Owner:
        """What Keystone said within `owner_cache_seconds`; just now where `fresh`. Raises OwnerRegionsUnknownError."""
        roles = self._settings.role_regions is not None
        domain = self._settings.domain_regions is not None
        key, now = (project_id, roles, domain), self._clock.monotonic()
        known = self._known.get(key)
        oldest = now if fresh else max(self._renewed_at, now - self._settings.owner_cache_seconds)
        if known is not None and known.asked_at >= oldest:
            self._known.move_to_end(key)
            return known.owner
        self._raise_failure(key, now)
        owner = self._ask(key, lambda: self._projects.read(project_id, roles=roles, domain=domain), since=now)
        if self._complained:
            LOG.warning("Keystone tells again which regions projects may use")
        self._complained = False
        self._keep(key, _Known(owner=owner, asked_at=now))
        return owner

    def renew(self) -> None:
        """Nothing that was asked before now is used any more."""
        self._renewed_at = self._clock.monotonic()

    def _ask(self, key: Hashable, read: Callable[[], Owner], *, since: float) -> Owner:
        """Those that ask for the same at the same time share one look."""
        try:
            return self._looks.get(key, read, since=since)[0]
        except GlanceSyncError as error:
            # A Keystone that does not answer at all does not answer about other projects either.
            place = None if isinstance(error, RegionUnavailableError) else key
            now = self._clock.monotonic()
            self._failures = {each: failure for each, failure in self._failures.items() if failure.until > now}
            self._failures[place] = _Failure(reason=str(error), until=now + _FAILURE_SECONDS)
            if not self._complained:
                LOG.error("ALARM: Keystone does not tell which regions a project may use, images of those that it does "
                          "not tell of are copied nowhere meanwhile: %s", error)
            self._complained = True
            raise _unknown(str(error)) from error

    def _raise_failure(self, key: Hashable, now: float) -> None:
        for place in (None, key):
            failure = self._failures.get(place)
            if failure is not None and failure.until > now:
                raise _unknown(failure.reason)

    def _keep(self, key: Hashable, known: _Known) -> None:
        self._known[key] = known
        self._known.move_to_end(key)
        while len(self._known) > self._settings.owner_cache_projects:
            self._known.popitem(last=False)


def _unknown(reason: str) -> OwnerRegionsUnknownError:
    return OwnerRegionsUnknownError(f"Keystone does not tell which regions the image's owner may use: {reason}",
                                    retry_after_seconds=UNDECIDED_SECONDS)
