# SPDX-License-Identifier: Apache-2.0
"""Whether the cascading Glance is the one we know and is seen whole, and whether the brake holds.

The canary is an image in the cascading Glance that only an admin can see: private and hidden, without bytes, owned by
a project that does not exist. It tells a service user that lost its admin role, a wrong endpoint, and an emptied or
restored database from a cloud whose images were really deleted. It is made once and never synced.

Called by converge before a deletion, by the timer after each comparison, and by the operator's commands.
"""
from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from glancesync.clock import Clock, isoformat
from glancesync.conf.deletion import DeletionSettings
from glancesync.db.engine import Database
from glancesync.db.schema import deletions
from glancesync.exceptions import DeletionHeldError
from glancesync.model.image import NewImage
from glancesync.regions.directory import RegionDirectory
from glancesync.sync.facts import find_fact, set_fact
from glancesync.sync.guard import Trust, fell_too_far

LOG = logging.getLogger(__name__)
CANARY_NAME = "glancesync canary: do not delete"
_IDENTITY, _CANARY, _LATCH, _COUNT, _FALL = "source_identity", "canary", "deletion_latch", "source_count", "source_fall"
_ACCEPT = "check it, then run `glance-sync-manage source accept`"


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """One deletion for the record: of what, why, on whose word."""

    image_id: str
    region: str
    replica_id: str
    cause: str
    trigger: str
    request_id: str | None


class SourceTrust:
    """Asks the cascading Glance for the canary each time it is asked itself; remembers the rest in the database."""

    def __init__(self, *, database: Database, directory: RegionDirectory, settings: DeletionSettings,
                 clock: Clock) -> None:
        self._database = database
        self._directory = directory
        self._settings = settings
        self._clock = clock

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
        canary = known[_CANARY] or {"id": str(uuid.uuid4()), "made": False}
        if not canary["made"]:
            # Its id is written down first, so that one whose creation was cut off is found again.
            self._set(_CANARY, canary)
            self._ensure_canary(canary["id"])
            self._set(_CANARY, {**canary, "made": True})

    def look(self) -> Trust:
        """How things stand now. Raises what asking the cascading Glance raises."""
        known = self._database.read(_read_facts)
        code, problem = self._problem(known)
        latch = known[_LATCH]
        return Trust(problem_code=code, problem=problem, latch=latch and _latch_sentence(latch))

    def note_count(self, images: int) -> None:
        """A comparison saw so many images; a fall that is too large is remembered until it is accepted."""
        before = self._database.read(find_fact, _COUNT)
        if fell_too_far(before, images, self._settings.max_deletes_percent):
            LOG.error("the cascading region shows %d images, %d at the last comparison: it is not believed and nothing "
                      "is deleted; %s", images, before, _ACCEPT)
            self._set(_FALL, {"before": before, "now": images, "at": self._clock.now()})
        elif self._database.read(find_fact, _FALL) is None:
            self._set(_COUNT, images)

    def reserve(self, deletion: Deletion) -> None:
        """Count one deletion and write down its cause, right before it is done. Raises DeletionHeldError when the
        window is full; that holds until `release`."""
        now = self._clock.now()

        def work(connection: sa.Connection) -> dict[str, Any] | None:
            latch: dict[str, Any] | None = find_fact(connection, _LATCH)
            if latch is None:
                since = now - self._settings.max_deletes_window_seconds
                count = connection.scalar(sa.select(sa.func.count()).select_from(deletions).where(
                    deletions.c.at > since, deletions.c.at > (find_fact(connection, "deletion_released_at") or 0)))
                if (count or 0) < self._settings.max_deletes:
                    connection.execute(sa.insert(deletions).values(id=uuid.uuid4().hex, at=now, **vars(deletion)))
                    return None
                latch = {"at": now, "count": count}
                set_fact(connection, _LATCH, latch, now)
                LOG.error("%s", _latch_sentence(latch))
            return latch

        latch = self._database.run(work)
        if latch is not None:
            raise DeletionHeldError(_latch_sentence(latch))

    def release(self) -> bool:
        """The operator lets deletions go on; the window begins anew. Whether the brake held."""
        now = self._clock.now()

        def work(connection: sa.Connection) -> bool:
            held = find_fact(connection, _LATCH) is not None
            set_fact(connection, _LATCH, None, now)
            set_fact(connection, "deletion_released_at", now, now)
            return held

        return self._database.run(work)

    def accept(self) -> None:
        """The operator says that the cascading Glance is right as it is now: its identity, its number of images, and a
        new canary if the old one is gone."""
        now, identity = self._clock.now(), self._identity()
        canary = self.canary_id()
        keep = canary is not None and self._source().find_image(canary, with_members=False) is not None

        def work(connection: sa.Connection) -> None:
            set_fact(connection, _IDENTITY, identity, now)
            for name in (_COUNT, _FALL) if keep else (_COUNT, _FALL, _CANARY):
                set_fact(connection, name, None, now)

        self._database.run(work)
        self.prepare()

    def _ensure_canary(self, canary_id: str) -> None:
        if self._source().find_image(canary_id, with_members=False) is None:
            self._source().create_image(NewImage(
                id=canary_id, name=CANARY_NAME, owner=uuid.uuid4().hex, visibility="private", protected=True,
                os_hidden=True, disk_format=None, container_format=None, min_disk=0, min_ram=0, tags=frozenset(),
                properties={}))

    def _problem(self, known: dict[str, Any]) -> tuple[str | None, str | None]:
        identity = self._identity()
        if known[_IDENTITY] != identity:
            return "source_changed", (f"the cascading Glance is {identity['endpoint']} in {identity['region']} now, it "
                                      f"was another; {_ACCEPT}")
        canary = known[_CANARY]
        if canary is None or self._source().find_image(canary["id"], with_members=False) is None:
            return "canary_missing", ("the cascading Glance does not show the canary image: the service user lost its "
                                      f"admin role, or this is another or an emptied database; {_ACCEPT}")
        if known[_FALL] is not None:
            return "source_fell", (f"the cascading region showed {known[_FALL]['before']} images, then "
                                   f"{known[_FALL]['now']}; {_ACCEPT}")
        return None, None

    def _identity(self) -> dict[str, str]:
        region = self._directory.cascading()
        return {"region": region.name, "endpoint": region.endpoint}

    def _source(self) -> Any:
        return self._directory.client(self._directory.cascading().name)

    def _set(self, name: str, value: Any) -> None:
        self._database.run(set_fact, name, value, self._clock.now())


def _read_facts(connection: sa.Connection) -> dict[str, Any]:
    return {name: find_fact(connection, name) for name in (_IDENTITY, _CANARY, _LATCH, _FALL)}


def _latch_sentence(latch: dict[str, Any]) -> str:
    return (f"{latch['count']} replicas were deleted within the window, the most that max_deletes allows: deletions "
            f"are held since {isoformat(latch['at'])}; if they are right run `glance-sync-manage deletion release`")
