# SPDX-License-Identifier: Apache-2.0
"""What is written down of images and their replicas. Called by converge, reconcile and the service.

Rows are per (image, region); only the run that holds the pair's task writes its replica row, so a row needs no lock.
"""
from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from glancesync.clock import Clock
from glancesync.db.engine import Database
from glancesync.db.errors import DuplicateError
from glancesync.db.schema import images, replicas
from glancesync.exceptions import ReplicaTakenError
from glancesync.model.birth import Birth
from glancesync.model.image import Digest, Image
from glancesync.model.location import Located
from glancesync.model.replica import (
    Removal,
    ReplicaRecord,
    ReplicaState,
)
from glancesync.model.text import storable
from glancesync.sync.attempts import Attempts
from glancesync.sync.births import Births, find_birth
from glancesync.sync.locations import Locations, find_located
from glancesync.sync.rows import pair_is, to_columns, to_record, to_removal
from glancesync.sync.sources import Held
from glancesync.sync.two_passes import TwoPasses

_NAME_CHARACTERS = 255


@dataclass(frozen=True, kw_only=True)
class PairRecord:
    """What is known before a run looks: the replica's row, the proof of removal, where the image was born, and whether
    it lies at external URLs."""

    replica: ReplicaRecord | None
    removal: Removal | None
    birth: Birth | None = None
    located: Located | None = None


class ReplicaRecords:
    """Reads and writes the tables `replicas` and `images`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.births = Births(database, clock)
        self.locations = Locations(database, clock)
        self.attempts = Attempts(database)
        self.missing = TwoPasses(database, clock, "missing", spares_deleted=True)
        self.disallowed = TwoPasses(database, clock, "disallowed")

    def read(self, image_id: str, region: str) -> PairRecord:
        def work(connection: sa.Connection) -> PairRecord:
            row = connection.execute(sa.select(replicas).where(pair_is(image_id, region))).mappings().first()
            image = connection.execute(sa.select(images).where(images.c.image_id == image_id)).mappings().first()
            return PairRecord(replica=to_record(row) if row else None, removal=to_removal(image) if image else None,
                              birth=find_birth(connection, image_id),
                              located=find_located(connection, image_id, region))

        return self._database.read(work)

    def update(self, image_id: str, region: str, **columns: Any) -> None:
        """Set columns of the pair's row (by their names in ReplicaRecord); the row is made when there is none. Raises
        ReplicaTakenError for a replica_id that another image of the region has."""
        values = {**to_columns(columns), "updated_at": self._clock.now()}

        def work(connection: sa.Connection) -> None:
            _ensure_free(connection, image_id, region, values.get("replica_id"))
            changed = connection.execute(sa.update(replicas).where(pair_is(image_id, region)).values(**values))
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
            connection.execute(sa.update(replicas).where(pair_is(image_id, region)).values(
                restores=replicas.c.restores + 1))

        self._database.run(work)

    def note_image(self, image: Image, *, now: float) -> None:
        """Keep what the API shows of an image; written only when it changed."""
        shown = {"name": image.name and storable(image.name)[:_NAME_CHARACTERS], "owner": image.owner,
                 "visibility": image.visibility, "status": image.status, "size": image.size,
                 "updated_at": image.updated_at}

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
                connection.execute(sa.update(replicas).where(pair_is(image_id, region)).values(scrub_wanted=True))
            return pairs

        return self._database.run(work)

    def list_held(self, image_id: str) -> list[Held]:
        """The image's replicas whose bytes were verified and are not known to have changed since, by region."""
        query = sa.select(replicas.c.region, replicas.c.replica_id, replicas.c.size, replicas.c.digest_algorithm,
                          replicas.c.digest_value).where(
            replicas.c.image_id == image_id, replicas.c.verified_at.is_not(None), replicas.c.replica_id.is_not(None),
            replicas.c.digest_value.is_not(None), replicas.c.rotten_at.is_(None),
            replicas.c.unverified_since.is_(None), replicas.c.state != ReplicaState.DELETED.value).order_by(
                replicas.c.region)

        def work(connection: sa.Connection) -> list[Held]:
            return [Held(region=row.region, replica_id=row.replica_id, size=row.size, digest=Digest(
                algorithm=row.digest_algorithm, value=row.digest_value)) for row in connection.execute(query)]

        return self._database.read(work)

    def want_scrub(self, image_id: str, region: str) -> None:
        """Have the replica's stored bytes read again by its next run."""
        self.update(image_id, region, scrub_wanted=True)

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
                found.update((row["replica_id"], to_record(row)) for row in rows)
            return found

        return self._database.read(work) if wanted else {}

    def _page(self, region: str, after: str, limit: int) -> Sequence[ReplicaRecord]:
        def work(connection: sa.Connection) -> Sequence[ReplicaRecord]:
            found = connection.execute(
                sa.select(replicas).where(replicas.c.region == region, replicas.c.image_id > after)
                .order_by(replicas.c.image_id).limit(limit)).mappings().all()
            return [to_record(row) for row in found]

        return self._database.read(work)


def _ensure_free(connection: sa.Connection, image_id: str, region: str, replica_id: str | None) -> None:
    """Nothing is the replica of two images."""
    if replica_id is None:
        return
    other = connection.scalar(sa.select(replicas.c.image_id).where(
        replicas.c.region == region, replicas.c.replica_id == replica_id, replicas.c.image_id != image_id))
    if other is not None:
        raise ReplicaTakenError(f"{replica_id} in {region} is the replica of image {other}, not of {image_id}")
