# SPDX-License-Identifier: Apache-2.0
"""Notices when regions come, go, move and are renamed. Run by its timer; the views read what it wrote.

A region that left the catalog keeps its records: its replicas are shown as parked, nothing is queued for it, and when
it comes back everything in it is compared. A region that came under a new name at the endpoint of one that left is
that one renamed: its records follow.
"""
from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from glancesync.clock import Clock
from glancesync.db.engine import Database
from glancesync.db.schema import fills, new_ids, region_guards, regions, replicas
from glancesync.model.chore import RECONCILE
from glancesync.model.region import Region
from glancesync.regions.directory import RegionDirectory
from glancesync.tasks.chores import ask, lock

LOG = logging.getLogger(__name__)
_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class KnownRegion:
    """A region as it was seen last; `endpoint` is None where only records tell of it."""

    endpoint: str | None
    cascading: bool
    gone: bool


@dataclass(frozen=True, kw_only=True)
class RegionChanges:
    """Names; `renamed` is old to new."""

    new: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    renamed: Mapping[str, str] | None = None

    @property
    def need_comparison(self) -> bool:
        return bool(self.new or self.back or self.moved or self.renamed)


def compare_regions(known: Mapping[str, KnownRegion], catalog: Sequence[Region]) -> RegionChanges:
    """What changed between what was known and the catalog now (pure)."""
    here = {region.name: region for region in catalog}
    new = {name for name in here if name not in known}
    away = {name for name in known if name not in here}
    renamed = _find_renamed(known, here, away, new)
    new -= set(renamed.values())
    return RegionChanges(
        new=tuple(sorted(new)), renamed=renamed,
        back=tuple(sorted(name for name, each in known.items() if each.gone and name in here)),
        gone=tuple(sorted(name for name in away - set(renamed) if not known[name].gone)),
        moved=tuple(sorted(name for name, each in known.items() if name in here and not each.gone
                           and each.endpoint not in (None, here[name].endpoint))))


def _find_renamed(known: Mapping[str, KnownRegion], here: Mapping[str, Region], away: Iterable[str],
                  new: Iterable[str]) -> dict[str, str]:
    """One that left and one that came, both cascaded, at the same endpoint, and no doubt about which."""
    found: dict[str, str] = {}
    for name in sorted(new):
        before = [each for each in away if known[each].endpoint == here[name].endpoint
                  and not known[each].cascading and not here[name].cascading]
        same = [each for each in here if here[each].endpoint == here[name].endpoint]
        if len(before) == 1 and same == [name]:
            found[before[0]] = name
    return found


class RegionWatch:
    """`request_reconcile` is called when something came, moved or was renamed, and a comparison has been asked for."""

    def __init__(self, *, database: Database, directory: RegionDirectory, clock: Clock,
                 request_reconcile: Callable[[], None]) -> None:
        self._database = database
        self._directory = directory
        self._clock = clock
        self._request_reconcile = request_reconcile

    def run_once(self) -> RegionChanges:
        """Compare the catalog with what is known and write it down. It is read now: one that is a minute old would take
        back what another server wrote down meanwhile. Raises what reading it raises."""
        self._directory.load()
        return self.write_down([self._directory.cascading(), *self._directory.cascaded()])

    def write_down(self, catalog: Sequence[Region]) -> RegionChanges:
        """As `run_once`, for regions that are about to come in force: a renamed one has its records before anybody
        compares or copies under its new name, and would take them for those of a stranger."""
        now = self._clock.now()

        def work(connection: sa.Connection) -> RegionChanges:
            lock(connection, RECONCILE)  # of two servers that see it at once the second finds it written down
            changes = compare_regions(_read_known(connection), catalog)
            for old, new in (changes.renamed or {}).items():
                _rename(connection, old, new)
            _write(connection, catalog, changes, now)
            if changes.need_comparison:
                ask(connection, RECONCILE)
            return changes

        changes = self._database.run(work)
        self._tell(changes)
        return changes

    def _tell(self, changes: RegionChanges) -> None:
        for name in changes.gone:
            LOG.error("ALARM: region %s left the catalog: its records are kept and shown as parked, nothing of it is "
                      "deleted, nothing is queued for it until it comes back", name)
        for old, new in (changes.renamed or {}).items():
            LOG.warning("region %s is called %s now (its endpoint is the same): its records follow", old, new)
        for names, what in ((changes.new, "is new"), (changes.back, "came back"), (changes.moved, "moved")):
            for name in names:
                LOG.info("region %s %s: everything in it is compared", name, what)
        if changes.need_comparison:
            self._request_reconcile()


def gone_regions(connection: sa.Connection) -> dict[str, float]:
    """Regions that left the catalog, and when."""
    return {row.name: row.gone_at for row in connection.execute(
        sa.select(regions.c.name, regions.c.gone_at).where(regions.c.gone_at.is_not(None)))}


def _read_known(connection: sa.Connection) -> dict[str, KnownRegion]:
    known = {row.name: KnownRegion(endpoint=row.endpoint, cascading=bool(row.cascading), gone=row.gone_at is not None)
             for row in connection.execute(sa.select(regions))}
    if not known:  # the first look of all: records may tell of more
        known = {name: KnownRegion(endpoint=None, cascading=False, gone=False)
                 for name in connection.scalars(sa.select(replicas.c.region).distinct())}
    return known


def _write(connection: sa.Connection, catalog: Sequence[Region], changes: RegionChanges, now: float) -> None:
    for region in catalog:
        values = {"endpoint": region.endpoint, "cascading": region.cascading, "seen_at": now, "gone_at": None}
        _upsert(connection, region.name, values)
    for name in changes.gone:
        _upsert(connection, name, {"gone_at": now}, defaults={"cascading": False})
    for name in changes.renamed or {}:
        connection.execute(sa.delete(regions).where(regions.c.name == name))


def _upsert(connection: sa.Connection, name: str, values: Mapping[str, object],
            defaults: Mapping[str, object] | None = None) -> None:
    if connection.execute(sa.select(regions.c.name).where(regions.c.name == name)).first() is None:
        connection.execute(sa.insert(regions).values({**(defaults or {}), **values, "name": name}))
    else:
        connection.execute(sa.update(regions).where(regions.c.name == name).values(dict(values)))


def _rename(connection: sa.Connection, old: str, new: str) -> None:
    """Give the new name the old one's records, its canary and what holds it. What was queued under the new one
    meanwhile knows nothing yet."""
    if connection.execute(sa.select(region_guards.c.region).where(region_guards.c.region == new)).first() is None:
        connection.execute(sa.update(region_guards).where(region_guards.c.region == old).values(region=new))
    connection.execute(sa.update(new_ids).where(new_ids.c.region == old).values(region=new))
    connection.execute(sa.delete(fills).where(fills.c.region == old))  # what it lacks is found under the new name
    image_ids = list(connection.scalars(sa.select(replicas.c.image_id).where(replicas.c.region == old)))
    for start in range(0, len(image_ids), _AT_ONCE):
        some = replicas.c.image_id.in_(image_ids[start:start + _AT_ONCE])
        connection.execute(sa.delete(replicas).where(some, replicas.c.region == new, replicas.c.origin.is_(None)))
        taken = list(connection.scalars(sa.select(replicas.c.image_id).where(some, replicas.c.region == new)))
        connection.execute(sa.update(replicas).where(
            some, replicas.c.region == old, replicas.c.image_id.not_in(taken)).values(region=new))
