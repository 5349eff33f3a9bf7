# SPDX-License-Identifier: Apache-2.0
"""Whether a cascaded region is seen whole. Called by converge, execute, reconcile and the operator's commands.

Where a service user is no admin, private images answer 404 and their ids 409: that looks as if somebody had deleted
every replica. So each cascaded region has a canary too: an image that only an admin can see and make (private, hidden,
without bytes, owned by no project). It is asked for before anything counts as gone in the region. One that is not
there is made again, at once and under a new id: what a region lets us make for a project of others and shows us
afterwards is proof as good, and a region that was emptied has its canary back. What it refuses or hides proves that we
are no admin there.
"""
from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from glancesync.clock import Clock
from glancesync.conf.sync import SyncSettings
from glancesync.db.engine import Database
from glancesync.db.schema import region_guards
from glancesync.exceptions import (
    GlanceSyncError,
    IdBurnedError,
    ImageNotFoundError,
    RegionConflictError,
    RegionForbiddenError,
    RegionNotSeenWholeError,
)
from glancesync.model.image import ImageChanges
from glancesync.regions.client import RegionClient
from glancesync.regions.directory import RegionDirectory
from glancesync.sync.facts import write_guard
from glancesync.sync.looks import SharedLooks
from glancesync.sync.new_ids import NewIdBrake
from glancesync.sync.situation import UNSEEN_SECONDS
from glancesync.sync.trust import SourceTrust, canary_image

LOG = logging.getLogger(__name__)
#: So long a region is not asked again that was not seen whole.
_BLIND_SECONDS = 20.0
#: A canary that was made and never seen is tried again under another id after so long: each try may leave an image.
_ANOTHER_SECONDS = 6 * 3600.0
_IDS_KEPT = 8
_NOT_SHOWN = "{} does not show its canary image: it was emptied, or the service user is no admin there any more"
_ADVICE = ("nothing is made there and nothing counts as gone; give the service user its admin role back, or mend that "
           "Glance's policy")


@dataclass(frozen=True, kw_only=True)
class _Guard:
    """A region's row. `ids` are its canaries, the newest first; `seen` whether that was ever shown."""

    ids: tuple[str, ...] = ()
    seen: bool = False
    tried_at: float = 0.0
    problem: str | None = None


class RegionSight:
    """What it knows lies in the database; only what was just found not to be whole is remembered for a moment."""

    def __init__(self, *, database: Database, trust: SourceTrust, directory: RegionDirectory, settings: SyncSettings,
                 clock: Clock, is_frozen: Callable[[str], bool] = lambda _region: False) -> None:
        self.new_ids = NewIdBrake(database=database, settings=settings, clock=clock)
        self._database = database
        self._trust = trust
        self._directory = directory
        self._clock = clock
        self._is_frozen = is_frozen
        self._blind: dict[str, float] = {}
        self._looks = SharedLooks(clock)

    def look(self, region: str, *, since: float | None = None) -> str | None:
        """Why the region is not seen whole, None when it is. Makes its canary where it has none, unless the catalog may
        have changed regions, or it is frozen: then it is as `peek`. `since`: a look will do that began for another run
        after that moment. Raises what asking the region raises."""
        if since is not None:
            return self._looks.get(self._directory.client(region), lambda: self.look(region), since=since)[0]
        if self._is_frozen(region):
            return self.peek(region)
        guard = self._read(region)
        if guard.problem is not None and self._clock.monotonic() < self._blind.get(region, 0.0):
            return guard.problem
        problem = self._probe(self._directory.client(region), region, guard)
        if problem is not None:
            self._blind[region] = self._clock.monotonic() + _BLIND_SECONDS
        if (problem is None) != (guard.problem is None):
            self._tell(region, problem)
        return problem

    def peek(self, region: str) -> str | None:
        """As `look`, but changes nothing: a region that has no canary yet is taken for whole."""
        guard = self._read(region)
        if not guard.seen or self._directory.client(region).find_image(guard.ids[0], with_members=False) is not None:
            return None
        return _NOT_SHOWN.format(region)

    def ensure_whole(self, region: str) -> None:
        """Raises RegionNotSeenWholeError when it is not."""
        problem = self.look(region)
        if problem is not None:
            raise RegionNotSeenWholeError(problem, retry_after_seconds=UNSEEN_SECONDS)

    def canary_ids(self, region: str) -> frozenset[str]:
        """Images of the region that are canaries, and no one's replica."""
        return frozenset(self._read(region).ids)

    def is_canary(self, image_id: str) -> bool:
        """Whether any region's canary has this id."""
        def work(connection: sa.Connection) -> bool:
            return connection.execute(sa.select(region_guards.c.region).where(
                region_guards.c.canary_ids.contains(f'"{image_id}"', autoescape=True))).first() is not None

        return self._database.read(work)

    def try_again(self, region: str) -> str | None:
        """The operator mended something: look now, and with another canary if need be."""
        self._blind.pop(region, None)
        self._write(region, canary_tried_at=0.0)
        return self.look(region)

    def _probe(self, client: RegionClient, region: str, guard: _Guard) -> str | None:
        if guard.ids and client.find_image(guard.ids[0], with_members=False) is not None:
            self._settle(client, region, guard)
            return None
        if self._trust.why_another() is not None:
            return _NOT_SHOWN.format(region) if guard.seen else None
        if not guard.ids or guard.seen or self._clock.now() - guard.tried_at >= _ANOTHER_SECONDS:
            guard = self._choose_another(region, guard)
        problem = _make(client, guard.ids[0])
        if problem is None:
            self._settle(client, region, guard)
        return problem

    def _choose_another(self, region: str, guard: _Guard) -> _Guard:
        """Written down before it is made, so that one whose creation was cut off is found again; where another look
        has chosen since we read, its choice is ours."""
        ids, now = (str(uuid.uuid4()), *guard.ids)[:_IDS_KEPT], self._clock.now()

        def choose(connection: sa.Connection) -> _Guard:
            found = _read_guard(connection, region)
            if found.ids != guard.ids:
                return found
            write_guard(connection, region, {"canary_ids": json.dumps(ids), "canary_seen": False,
                                             "canary_tried_at": now})
            return _Guard(ids=ids, tried_at=now, problem=guard.problem)

        return self._database.run(choose)

    def _settle(self, client: RegionClient, region: str, guard: _Guard) -> None:
        """The newest is there: the others are not needed any more."""
        left = [each for each in guard.ids[1:] if not _remove(client, each)]
        if not guard.seen or len(left) + 1 != len(guard.ids):
            self._write(region, canary_ids=json.dumps([guard.ids[0], *left]), canary_seen=True)

    def _tell(self, region: str, problem: str | None) -> None:
        self._write(region, problem=problem[:1000] if problem else None,
                    problem_at=self._clock.now() if problem else None)
        if problem is None:
            LOG.warning("region %s is seen whole again", region)
        else:
            LOG.error("ALARM: %s", problem)

    def _read(self, region: str) -> _Guard:
        return self._database.read(_read_guard, region)

    def _write(self, region: str, **columns: Any) -> None:
        self._database.run(write_guard, region, columns)


def _read_guard(connection: sa.Connection, region: str) -> _Guard:
    row = connection.execute(sa.select(region_guards).where(region_guards.c.region == region)).first()
    if row is None:
        return _Guard()
    return _Guard(ids=tuple(json.loads(row.canary_ids or "[]")), seen=bool(row.canary_seen),
                  tried_at=row.canary_tried_at or 0.0, problem=row.problem)


def _make(client: RegionClient, canary_id: str) -> str | None:
    """Make the canary and look whether it is shown; why not, None when it is."""
    name = client.region_name
    try:
        client.create_image(canary_image(canary_id))
    except RegionForbiddenError as error:
        return f"{name} does not let the service user make an image for another project, as an admin may: {_ADVICE} " \
               f"({error})"
    except IdBurnedError:
        return f"{name} does not show its canary image: {_ADVICE}"
    except RegionConflictError:
        pass  # another server made it at the same moment
    if client.find_image(canary_id, with_members=False) is None:
        return f"{name} does not show the canary image that it just let us make: {_ADVICE}"
    return None


def _remove(client: RegionClient, canary_id: str) -> bool:
    """Whether it is gone."""
    try:
        client.update_image(canary_id, ImageChanges(fields={"protected": False}))
        client.delete_image(canary_id)
    except ImageNotFoundError:
        return True
    except GlanceSyncError as error:
        LOG.warning("a canary image that is not needed any more stays in %s for now: %s", client.region_name, error)
        return False
    return True
