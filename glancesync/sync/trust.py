# SPDX-License-Identifier: Apache-2.0
"""Whether the cascading Glance is the one we know and is seen whole.

The canary is an image in the cascading Glance that only an admin can see: private and hidden, without bytes, owned by
a project that does not exist. It tells a service user that lost its admin role, a wrong endpoint and an emptied
database from a cloud whose images were really deleted. After each comparison it gets a new mark; a canary with an
older mark than the last one tells a database that was restored. It is made once and never synced.

Called by converge before a deletion, by the service around each comparison, and by the operator's commands.
"""
from __future__ import annotations

import logging
import uuid
from typing import Any

import sqlalchemy as sa

from glancesync.clock import Clock
from glancesync.conf.deletion import DeletionSettings
from glancesync.db.engine import Database
from glancesync.exceptions import GlanceSyncError, RegionConflictError
from glancesync.model.image import Image, ImageChanges, NewImage
from glancesync.regions.client import RegionClient
from glancesync.regions.directory import RegionDirectory
from glancesync.sync.brake import Brake
from glancesync.sync.codes import Code
from glancesync.sync.facts import find_fact, set_fact
from glancesync.sync.guard import Trust, fell_too_far
from glancesync.sync.looks import SharedLooks

LOG = logging.getLogger(__name__)
CANARY_NAME = "glancesync canary: do not delete"
MARK_PROPERTY = "glancesync_mark"
_IDENTITY, _CANARY, _MARK, _COUNT, _FALL = (
    "source_identity", "canary", "canary_mark", "source_count", "source_fall")
#: The cascading Glance is not known to be itself: nothing is written on the word of another.
_ANOTHER_SOURCE = frozenset({Code.SOURCE_CHANGED, Code.CANARY_MISSING})
_ACCEPT = "check it, then run `glance-sync-manage source accept`"
#: A server that began to write a mark is given so long before another may.
_MARKING_SECONDS = 60.0


def canary_image(canary_id: str) -> NewImage:
    """An image that nobody but an admin can see: the owner is a project that does not exist."""
    return NewImage(id=canary_id, name=CANARY_NAME, owner=uuid.uuid4().hex, visibility="private", protected=True,
                    os_hidden=True, disk_format=None, container_format=None, min_disk=0, min_ram=0, tags=frozenset(),
                    properties={})


class SourceTrust:
    """Asks the cascading Glance for the canary each time it is asked itself; remembers the rest in the database."""

    def __init__(self, *, database: Database, directory: RegionDirectory, settings: DeletionSettings,
                 clock: Clock) -> None:
        self.brake = Brake(database=database, settings=settings, clock=clock)
        self._database = database
        self._directory = directory
        self._settings = settings
        self._clock = clock
        self._looks = SharedLooks(clock)

    @property
    def delete_adopted(self) -> bool:
        return self._settings.delete_adopted

    @property
    def confirm_seconds(self) -> float:
        return self._settings.delete_confirm_seconds

    def canary_id(self) -> str | None:
        canary = self._database.read(find_fact, _CANARY)
        return str(canary["id"]) if canary else None

    def prepare(self) -> None:
        """Remember who the cascading Glance is and make the canary, where that was not done yet."""
        known = self._database.read(_read_facts)
        if known[_IDENTITY] is None:
            self._set(_IDENTITY, self._identity())
        canary = known[_CANARY] or self._database.run(_choose_canary, self._clock.now())
        if not canary["made"]:
            self._ensure_canary(canary["id"])
            self._set(_CANARY, {**canary, "made": True})

    def look(self) -> Trust:
        """How things stand now. Raises what asking the cascading Glance raises."""
        code, problem = self._problem(self._database.read(_read_facts))
        return Trust(problem_code=code, problem=problem, latch=self.brake.latch())

    def why_another(self, *, since: float | None = None) -> str | None:
        """Why the cascading Glance may be another one than we know, None when it is that one. Until the canary is made,
        by the first comparison, none is known. `since`: a look will do that began for another run after that moment."""
        if since is not None:
            key = (self._source(), *self._identity().values())
            return self._looks.get(key, self.why_another, since=since)[0]
        canary = self._database.read(find_fact, _CANARY)
        if canary is None or not canary["made"]:
            return None
        trust = self.look()
        return trust.problem if trust.problem_code in _ANOTHER_SOURCE else None

    def note_count(self, images: int) -> None:
        """A comparison saw so many images; a fall that is too large is remembered until it is accepted."""
        before = self._database.read(find_fact, _COUNT)
        if fell_too_far(before, images, self._settings.max_deletes_percent):
            LOG.error("ALARM: the cascading region shows %d images, %d at the last comparison: it is not believed and "
                      "nothing is deleted; %s", images, before, _ACCEPT)
            self._set(_FALL, {"before": before, "now": images, "at": self._clock.now()})
        elif self._database.read(find_fact, _FALL) is None:
            self._set(_COUNT, images)

    def mark(self) -> None:
        """Give the canary a new mark. To be called only while there is no problem. A mark that cannot be written is
        logged, and the old one goes on to hold."""
        now = self._clock.now()

        def begin(connection: sa.Connection) -> float | None:
            known: dict[str, Any] = find_fact(connection, _MARK) or {"written": 0.0, "begun_at": None}
            if known["begun_at"] is not None and now - known["begun_at"] < _MARKING_SECONDS:
                return None
            set_fact(connection, _MARK, {**known, "begun_at": now}, now)
            return max(now, float(known["written"]) + 0.001)

        mark, canary = self._database.run(begin), self.canary_id()
        if mark is None or canary is None:
            return
        try:
            self._source().update_image(canary, ImageChanges(set_properties={MARK_PROPERTY: f"{mark:.3f}"}))
        except GlanceSyncError as error:
            LOG.warning("the canary image %s keeps its old mark: %s", canary, error)
            return
        self._set(_MARK, {"written": round(mark, 3), "begun_at": None})

    def accept(self) -> None:
        """The operator says that the cascading Glance is right as it is now: its identity, its number of images, its
        age, and a new canary if the old one is gone."""
        now, identity = self._clock.now(), self._identity()
        canary = self.canary_id()
        keep = canary is not None and self._source().find_image(canary, with_members=False) is not None

        def work(connection: sa.Connection) -> None:
            set_fact(connection, _IDENTITY, identity, now)
            for name in (_COUNT, _FALL, _MARK) if keep else (_COUNT, _FALL, _MARK, _CANARY):
                set_fact(connection, name, None, now)

        self._database.run(work)
        self.prepare()

    def _ensure_canary(self, canary_id: str) -> None:
        if self._source().find_image(canary_id, with_members=False) is not None:
            return
        try:
            self._source().create_image(canary_image(canary_id))
        except RegionConflictError:
            # Another comparison made it at the same moment; else the id is taken by what we do not see.
            if self._source().find_image(canary_id, with_members=False) is None:
                raise

    def _problem(self, known: dict[str, Any]) -> tuple[str | None, str | None]:
        identity = self._identity()
        if known[_IDENTITY] != identity:
            return Code.SOURCE_CHANGED, (f"the cascading Glance is {identity['endpoint']} in {identity['region']} now, "
                                         f"it was another; {_ACCEPT}")
        canary = known[_CANARY]
        image = self._source().find_image(canary["id"], with_members=False) if canary else None
        if image is None:
            return Code.CANARY_MISSING, ("the cascading Glance does not show the canary image: the service user lost "
                                         f"its admin role, or this is another or an emptied database; {_ACCEPT}")
        if known[_MARK] is not None and _mark_of(image) < known[_MARK]["written"]:
            return Code.SOURCE_RESTORED, ("the canary image carries an older mark than was written to it: the "
                                          f"cascading Glance's database is an older one; {_ACCEPT}")
        if known[_FALL] is not None:
            return Code.SOURCE_FELL, (f"the cascading region showed {known[_FALL]['before']} images, then "
                                      f"{known[_FALL]['now']}; {_ACCEPT}")
        return None, None

    def _identity(self) -> dict[str, str]:
        region = self._directory.cascading()
        return {"region": region.name, "endpoint": region.endpoint}

    def _source(self) -> RegionClient:
        return self._directory.client(self._directory.cascading().name)

    def _set(self, name: str, value: Any) -> None:
        self._database.run(set_fact, name, value, self._clock.now())


def _read_facts(connection: sa.Connection) -> dict[str, Any]:
    return {name: find_fact(connection, name) for name in (_IDENTITY, _CANARY, _MARK, _FALL)}


def _choose_canary(connection: sa.Connection, now: float) -> dict[str, Any]:
    """Its id is written down before it is made, so that one whose creation was cut off is found again, and two that
    begin at once make one."""
    chosen: dict[str, Any] | None = find_fact(connection, _CANARY)
    if chosen is None:
        chosen = {"id": str(uuid.uuid4()), "made": False}
        set_fact(connection, _CANARY, chosen, now)
    return chosen


def _mark_of(image: Image) -> float:
    try:
        return float(image.properties.get(MARK_PROPERTY) or 0)
    except ValueError:
        return 0.0
