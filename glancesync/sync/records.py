# SPDX-License-Identifier: Apache-2.0
"""What is written down of images and their replicas. Called by converge, reconcile and the service.

Rows are per (image, region); only the run that holds the pair's task writes its replica row, so a row needs no lock.
"""
from __future__ import annotations

import enum
import math
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from glancesync.clock import Clock
from glancesync.db.engine import Database
from glancesync.db.errors import DuplicateError
from glancesync.db.schema import images, replicas
from glancesync.exceptions import ReplicaTakenError
from glancesync.model.image import Digest, Image
from glancesync.model.replica import (
    ConflictChoice,
    IdReason,
    Origin,
    Removal,
    ReplicaRecord,
    ReplicaState,
    StrangerBytes,
)

#: Characters of a reason that are kept.
REASON_LIMIT = 1000


def new_pass_id(now: float) -> str:
    """A name for a comparison that begins now; names sort by the time of their beginning."""
    return f"{int(now * 1000):012x}{uuid.uuid4().hex[:20]}"


@dataclass(frozen=True, kw_only=True)
class PairRecord:
    """What is known before a run looks: the replica's row and the proof of removal, where there are any."""

    replica: ReplicaRecord | None
    removal: Removal | None


class ReplicaRecords:
    """Reads and writes the tables `replicas` and `images`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def read(self, image_id: str, region: str) -> PairRecord:
        def work(connection: sa.Connection) -> PairRecord:
            row = connection.execute(sa.select(replicas).where(_pair(image_id, region))).mappings().first()
            image = connection.execute(sa.select(images).where(images.c.image_id == image_id)).mappings().first()
            return PairRecord(replica=_record(row) if row else None, removal=_removal(image) if image else None)

        return self._database.read(work)

    def update(self, image_id: str, region: str, **columns: Any) -> None:
        """Set columns of the pair's row (by their names in ReplicaRecord); the row is made when there is none. Raises
        ReplicaTakenError for a replica_id that another image of the region has."""
        values = {**_columns(columns), "updated_at": self._clock.now()}

        def work(connection: sa.Connection) -> None:
            _ensure_free(connection, image_id, region, values.get("replica_id"))
            changed = connection.execute(sa.update(replicas).where(_pair(image_id, region)).values(**values))
            if not changed.rowcount:
                connection.execute(sa.insert(replicas).values(
                    {"state": ReplicaState.WAITING.value, **values, "image_id": image_id, "region": region}))

        try:
            self._database.run(work)
        except DuplicateError:
            self._database.run(work)  # what came between is seen now

    def count_restore(self, image_id: str, region: str) -> None:
        """The replica is made anew because somebody deleted it in its region."""
        def work(connection: sa.Connection) -> None:
            connection.execute(sa.update(replicas).where(_pair(image_id, region)).values(
                restores=replicas.c.restores + 1))

        self._database.run(work)

    def note_image(self, image: Image, *, now: float) -> None:
        """Keep what the API shows of an image; written only when it changed."""
        shown = {"name": image.name, "owner": image.owner, "visibility": image.visibility, "status": image.status,
                 "size": image.size, "updated_at": image.updated_at}

        def work(connection: sa.Connection) -> None:
            row = connection.execute(sa.select(images).where(images.c.image_id == image.id)).mappings().first()
            if row is None:
                connection.execute(sa.insert(images).values(image_id=image.id, seen_at=now, **shown))
            elif any(row[name] != value for name, value in shown.items()):
                connection.execute(sa.update(images).where(images.c.image_id == image.id).values(seen_at=now, **shown))

        self._database.run(work)

    def forget_removal(self, image_id: str, *, before: float) -> None:
        """The image is there (again): a removal that was reported before that is no proof any more."""
        def work(connection: sa.Connection) -> None:
            connection.execute(
                sa.update(images).where(images.c.image_id == image_id, images.c.removed_at < before)
                .values(removed_at=None, removed_event_id=None, removed_request_id=None, removed_by_user=None))

        self._database.run(work)

    def mark_missing(self, pass_id: str, pairs: Iterable[tuple[str, str]]) -> None:
        """A comparison did not see the image of these (image id, region). Of two at the same time the one that began
        later has the say."""
        def work(connection: sa.Connection) -> None:
            for image_id, region in pairs:
                earlier = sa.func.coalesce(replicas.c.missing_pass, "") < pass_id
                connection.execute(sa.update(replicas).where(_pair(image_id, region), earlier).values(
                    missing_pass=pass_id))

        self._database.run(work)

    def settle_missing(self, pass_id: str, regions: Sequence[str], *, confirm_seconds: float,
                       limit: int = 1000) -> list[tuple[str, str]]:
        """After a comparison that can be believed: begin, confirm or end what is known to be missing in the regions
        that it saw whole. Returns (image id, region) of replicas that two comparisons missed and that are still
        there, at most `limit`: those first that were looked at longest ago, for some stay for ever."""
        now = self._clock.now()
        missed = sa.and_(replicas.c.missing_pass == pass_id, replicas.c.region.in_(regions))

        def work(connection: sa.Connection) -> list[tuple[str, str]]:
            connection.execute(sa.update(replicas).where(
                replicas.c.region.in_(regions), replicas.c.missing_pass < pass_id,
                replicas.c.state != ReplicaState.DELETED.value).values(
                    missing_pass=None, missing_since=None, missing_confirmed_at=None))
            connection.execute(sa.update(replicas).where(missed, replicas.c.missing_since.is_(None)).values(
                missing_since=now))
            connection.execute(sa.update(replicas).where(
                missed, replicas.c.missing_confirmed_at.is_(None), replicas.c.missing_since <= now - confirm_seconds,
                replicas.c.missing_since < now).values(missing_confirmed_at=now))
            return [(row.image_id, row.region) for row in connection.execute(
                sa.select(replicas.c.image_id, replicas.c.region).where(
                    missed, replicas.c.missing_confirmed_at.is_not(None)).order_by(replicas.c.updated_at).limit(limit))]

        return self._database.run(work)

    def pick_for_scrub(self, fraction: float, regions: Sequence[str]) -> list[tuple[str, str]]:
        """Mark that part (at least one) of the verified replicas in these regions to be read again, those first that
        were read longest ago; returns their (image id, region)."""
        verified = sa.and_(replicas.c.state == ReplicaState.IN_SYNC.value, replicas.c.verified_at.is_not(None),
                           replicas.c.digest_value.is_not(None), replicas.c.region.in_(regions))

        def work(connection: sa.Connection) -> list[tuple[str, str]]:
            count = connection.scalar(sa.select(sa.func.count()).select_from(replicas).where(verified)) or 0
            last_read = sa.func.coalesce(replicas.c.scrubbed_at, replicas.c.verified_at)
            pairs = [(row.image_id, row.region) for row in connection.execute(
                sa.select(replicas.c.image_id, replicas.c.region).where(verified).order_by(
                    last_read, replicas.c.image_id).limit(math.ceil(count * fraction)))]
            for image_id, region in pairs:
                connection.execute(sa.update(replicas).where(_pair(image_id, region)).values(scrub_wanted=True))
            return pairs

        return self._database.run(work)

    def iterate(self, region: str, *, after: str = "", page_size: int = 500) -> Iterator[ReplicaRecord]:
        """All rows of a region by ascending image id, those after one id, page by page."""
        last = after
        while rows := self._page(region, last, page_size):
            yield from rows
            last = rows[-1].image_id

    def find_by_replica(self, region: str, replica_ids: Iterable[str]) -> dict[str, ReplicaRecord]:
        """Replica id to the row that claims it, for those that a row claims as ours."""
        wanted = sorted(replica_ids)

        def work(connection: sa.Connection) -> dict[str, ReplicaRecord]:
            found: dict[str, ReplicaRecord] = {}
            for start in range(0, len(wanted), 500):
                rows = connection.execute(sa.select(replicas).where(
                    replicas.c.region == region, replicas.c.origin.is_not(None),
                    replicas.c.replica_id.in_(wanted[start:start + 500]))).mappings()
                found.update((row["replica_id"], _record(row)) for row in rows)
            return found

        return self._database.read(work) if wanted else {}

    def _page(self, region: str, after: str, limit: int) -> Sequence[ReplicaRecord]:
        def work(connection: sa.Connection) -> Sequence[ReplicaRecord]:
            found = connection.execute(
                sa.select(replicas).where(replicas.c.region == region, replicas.c.image_id > after)
                .order_by(replicas.c.image_id).limit(limit)).mappings().all()
            return [_record(row) for row in found]

        return self._database.read(work)


def ensure_rows(connection: sa.Connection, pairs: Iterable[tuple[str, str]], *, wanted_at: float) -> None:
    """Give every (image id, region) a row, and start the clock of its lag where it does not run yet."""
    for image_id, region in pairs:
        found = connection.execute(
            sa.select(replicas.c.wanted_at).where(_pair(image_id, region))).first()
        if found is None:
            connection.execute(sa.insert(replicas).values(
                image_id=image_id, region=region, state=ReplicaState.WAITING.value, wanted_at=wanted_at,
                updated_at=wanted_at))
        elif found.wanted_at is None:
            connection.execute(sa.update(replicas).where(_pair(image_id, region)).values(wanted_at=wanted_at))


def regions_with_rows(connection: sa.Connection, image_ids: Iterable[str]) -> dict[str, set[str]]:
    """Image id to the regions that have a row for it."""
    found: dict[str, set[str]] = {}
    for row in connection.execute(sa.select(replicas.c.image_id, replicas.c.region)
                                  .where(replicas.c.image_id.in_(list(image_ids)))):
        found.setdefault(row.image_id, set()).add(row.region)
    return found


def _pair(image_id: str, region: str) -> sa.ColumnElement[bool]:
    return sa.and_(replicas.c.image_id == image_id, replicas.c.region == region)


def _ensure_free(connection: sa.Connection, image_id: str, region: str, replica_id: str | None) -> None:
    """Nothing is the replica of two images."""
    if replica_id is None:
        return
    other = connection.scalar(sa.select(replicas.c.image_id).where(
        replicas.c.region == region, replicas.c.replica_id == replica_id, replicas.c.image_id != image_id))
    if other is not None:
        raise ReplicaTakenError(f"{replica_id} in {region} is the replica of image {other}, not of {image_id}")


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name == "digest":
            found["digest_algorithm"] = value.algorithm if value else None
            found["digest_value"] = value.value if value else None
        elif isinstance(value, str) and name == "reason":
            found[name] = value[:REASON_LIMIT]
        else:
            found[name] = value.value if isinstance(value, enum.Enum) else value
    return found


def _record(row: Mapping[Any, Any]) -> ReplicaRecord:
    plain = ("image_id", "region", "replica_id", "reason_code", "reason", "size", "verified_at", "source_updated_at",
             "wanted_at", "synced_at", "lag_seconds", "saving_since", "rate_bytes_per_second", "missing_since",
             "missing_confirmed_at", "restores", "stranger_id", "scrubbed_at", "suspect_at",
             "rotten_at")
    digest = (Digest(algorithm=row["digest_algorithm"], value=row["digest_value"]) if row["digest_value"] else None)
    return ReplicaRecord(
        **{name: row[name] for name in plain}, digest=digest, state=ReplicaState(row["state"]),
        id_reason=IdReason(row["id_reason"]) if row["id_reason"] else None,
        origin=Origin(row["origin"]) if row["origin"] else None, scrub_wanted=bool(row["scrub_wanted"]),
        stranger_bytes=StrangerBytes(row["stranger_bytes"]) if row["stranger_bytes"] else None,
        choice=ConflictChoice(row["choice"]) if row["choice"] else None)


def _removal(row: Mapping[Any, Any]) -> Removal | None:
    if row["removed_at"] is None:
        return None
    return Removal(image_id=row["image_id"], removed_at=row["removed_at"], event_id=row["removed_event_id"] or "",
                   request_id=row["removed_request_id"], user_id=row["removed_by_user"])
