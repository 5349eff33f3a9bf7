# SPDX-License-Identifier: Apache-2.0
"""Fills a replica from the best source by the best way: past this server's own reading and writing where a driver and
the target's Glance allow it, else through the Glances. Called by execute.

    create out of reach (as ever) -> copy to the target's store, hashed there -> POST /locations with the hash
                                     or: its Glance fetches the bytes itself, and hashes them on receipt
    -> its Glance has taken it: active, still out of reach -> compared, handed over (as ever)

Whatever goes wrong on the way is written down, what it left is removed, and the next way is tried in the same run:
another source, another driver, at last the stream, where the region's order of drivers has it.
"""
from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from glancesync.clock import Clock
from glancesync.exceptions import (
    GlanceSyncError,
    NotFoundError,
    NoWayError,
    RegionAnswerError,
    RegionError,
    RegionForbiddenError,
    ReplicaSavingError,
    SourceCorruptError,
    SourceReadError,
    SourcesBusyError,
    StoreCopyError,
    StoreCorruptCopyError,
    StoreImportError,
    StoreImportRefusedError,
    StoreSourceMissingError,
    TransferError,
    VerificationError,
)
from glancesync.model.facts import GlanceFacts
from glancesync.model.image import Image
from glancesync.model.region import Region
from glancesync.model.store import GlanceStores
from glancesync.regions.client import RegionClient
from glancesync.stores.driver import STREAM, CopyDriver, StoreCopy
from glancesync.stores.select import DEFAULT_ORDER, Site, Way, find_scheme, next_way, select_ways
from glancesync.sync.asides import Asides
from glancesync.sync.attempts import AttemptWatch
from glancesync.sync.base import Savings
from glancesync.sync.placed import PlacedFiles, UntakenError
from glancesync.sync.run import Run
from glancesync.sync.sources import Sources
from glancesync.sync.tee import CopyResult
from glancesync.sync.verify import check_copy

LOG = logging.getLogger(__name__)
#: What changes the bytes of an image once does so each time; each time costs an id.
_CHANGED_SECONDS = 86400.0
_REFUSED_SECONDS = 600.0
_FAILED_SECONDS = 60.0
_WRONG_BYTES = (SourceCorruptError, StoreCorruptCopyError)
#: Whoever raises these, it is the source that did not give the bytes.
_OF_SOURCES = (*_WRONG_BYTES, StoreSourceMissingError, SourceReadError)
_FIRST_BYTES = 512
#: When a pair is looked at again for which there is no way.
_NO_WAY_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What arrived, by which driver and from where."""

    driver: str
    source_region: str
    result: CopyResult


#: Reads the image of that id by that client into the replica, through this server.
Stream = Callable[[RegionClient, str], CopyResult]


def _no_client(region: str) -> RegionClient:
    raise NoWayError(f"there is no client for {region}", region=region)


class StoreShortcut:
    """Holds the drivers, and which of them are set aside for which region. `find_stores`: what the file says; `order`:
    the drivers that may fill a region of which the file does not say that; `gathers`: the tee's; `client`: of another
    region that holds the image; `suspect` is told of a replica (image id, region) that gave wrong bytes; `read_facts`:
    what a region's Glance tells of itself, of which a few minutes' age does not matter; `savings`: what a
    copy may leave out."""

    def __init__(self, *, clock: Clock, drivers: Mapping[str, CopyDriver] | None = None,  # noqa: PLR0913 - by name
                 find_stores: Callable[[Region], GlanceStores | None] = lambda _region: None,
                 regions: Callable[[], Sequence[Region]] = tuple, order: Callable[[], tuple[str, ...]] | None = None,
                 sources: Sources | None = None, gathers: Callable[[str, str], bool] = lambda _region, _id: False,
                 client: Callable[[str], RegionClient] = _no_client,
                 suspect: Callable[[str, str], None] = lambda _image_id, _region: None,
                 savings: Savings | None = None,
                 read_facts: Callable[[str], GlanceFacts] = lambda _region: GlanceFacts()) -> None:
        self._drivers = drivers or {}
        self._find_stores = find_stores
        self._regions = regions
        self._clock = clock
        self._order = order or (lambda: DEFAULT_ORDER)
        self._sources = sources or Sources(clock=clock)
        self._gathers = gathers
        self._client = client
        self._suspect = suspect
        self._savings = Savings() if savings is None else savings
        self._read_facts = read_facts
        self._asides = Asides(clock)
        self._placed = PlacedFiles(self._asides, clock)

    def explain(self, image: Image, source: str, target: str) -> list[Way]:
        """Every way for this image from wherever it is, best first, each with why it is not taken. `source` is the
        cascading region; `read_facts` may ask the target."""
        holders = self._sources.list_holders(image, source, target, site=self._site, joins=self._gathers)
        site = replace(self._site(target), facts=self._read_facts(target))
        return select_ways(image, holders, site, self._drivers)

    def find_free_bytes(self, region: str) -> int | None:
        """How much room there is where the region keeps its images; None where nobody can tell, or not now."""
        found = next((each for each in self._regions() if each.name == region), None)
        stores = self._find_stores(found) if found is not None else None
        for scheme in stores.schemes if stores is not None else ():
            for driver in self._drivers.values():
                if driver.capabilities.target_scheme == scheme.name:
                    try:
                        return driver.find_free_bytes(scheme)
                    except StoreCopyError as error:
                        LOG.info("how much room %s has is not known: %s", region, error)
        return None

    def copy(self, source: Image, run: Run, replica_id: str, *, watch: AttemptWatch, stream: Stream) -> Moved:
        """Fill the queued replica by the first way that leads there. `watch` is told of each attempt.

        Raises NoWayError; SourcesBusyError while all sources are read by others; VerificationError for a replica that
        has to be replaced; what the last way failed with; and what the run's handle and the regions' clients raise."""
        failed: dict[tuple[str, str], GlanceSyncError] = {}
        while True:
            way = self._next(source, run, replica_id, failed)
            if way.driver != STREAM and not self._sources.reserve(way.source_region, way.source_id):
                continue  # somebody was faster while the regions were asked
            started = self._clock.monotonic()
            try:
                result = self._try(way, source, run, replica_id, watch, stream)
            except (StoreCopyError, TransferError, RegionError, NotFoundError) as error:
                if not self._goes_on(error, way, source, run, replica_id):
                    raise
                failed[way.driver, way.source_region] = error
                self._set_aside(way, error, source, run, failed)
                LOG.warning("image %s does not come to %s by %s from %s, after %.1f s: %s: %s", source.id, run.region,
                            way.driver, way.source_region, self._clock.monotonic() - started, error.code, error)
                continue
            finally:
                if way.driver != STREAM:
                    self._sources.readers.end(way.source_region, way.source_id)
            seconds = self._clock.monotonic() - started
            if not result.unverified:
                self._sources.measured(source=way.source_region, target=run.region, driver=way.driver,
                                       size=result.size, seconds=seconds)
            LOG.log(logging.DEBUG if way.driver == STREAM else logging.INFO,
                    "image %s went to %s by %s from %s: %d bytes in %.2f s", source.id, run.region, way.driver,
                    way.source_region, result.size, seconds)
            return Moved(driver=way.driver, source_region=way.source_region, result=result)

    def ended(self, image_id: str) -> None:
        """A copy of the image has ended and what came of it is written down."""
        self._sources.ended(image_id)

    def _next(self, source: Image, run: Run, replica_id: str,
              failed: Mapping[tuple[str, str], GlanceSyncError]) -> Way:
        ways = self.explain(source, run.reader.region_name, run.region)
        asides = self._asides.of(run.region)
        if any(each.driver != STREAM and (each.refusal is None or each.busy or each.driver in asides)
               for each in ways) and self._is_taken(replica_id, run):
            ways = [each for each in ways if each.driver == STREAM]
        way = next_way(ways, failed)
        if way is None and failed:
            raise _worst(failed, run.reader.region_name)
        if way is None:
            raise NoWayError(f"no way of the bytes of image {source.id} to {run.region} may be taken",
                             region=run.region, retry_after_seconds=_NO_WAY_SECONDS)
        if way.busy:
            self._sources.waits(source.id)
            raise SourcesBusyError(way.refusal or "")
        return way

    def clear(self, source: Image, run: Run, replica_id: str) -> bool:
        """Remove what a copy that nobody ended (its server died) left where the target's Glance is to write; whether
        something may have been removed. Raises what the target's client raises."""
        target, cleared = self._site(run.region), False
        for driver in self._drivers.values():
            scheme = find_scheme(target, driver.capabilities.target_scheme)
            if driver.capabilities.registers is None or scheme is None or source.digest is None:
                continue
            copy = StoreCopy(image_id=source.id, replica_id=replica_id, size=source.size or 0, digest=source.digest,
                             source=scheme, target=scheme, source_region=run.reader.region_name, glance=run.target)
            run.handle.ensure_lease()
            cleared = self._placed.discard(driver, copy, run) or cleared
        return cleared

    def _is_taken(self, replica_id: str, run: Run) -> bool:
        """Whether a location task of an earlier run still works on the replica: its file must stay where it is. Raises
        ReplicaSavingError where it takes no upload either."""
        replica = run.target.get_image(replica_id, with_members=False)
        if replica.status in ("importing", "saving"):
            raise ReplicaSavingError(f"the replica {replica_id} in {run.region} is {replica.status}")
        if not replica.locked:
            return False
        try:
            tasks = run.target.list_import_tasks(replica_id)
        except (RegionAnswerError, RegionForbiddenError):  # one that tells nothing of its tasks
            return True
        return not tasks or any(each.is_live for each in tasks)  # a lock may outlive the task that took it

    def _try(self, way: Way, source: Image, run: Run, replica_id: str, watch: AttemptWatch,
             stream: Stream) -> CopyResult:
        with watch.attempt(run, driver=way.driver, source_region=way.source_region):
            reader = self._ensure_held(way, source, run)
            if way.driver == STREAM:
                return stream(reader, way.source_id)
            run.handle.gathering.arrive()  # nobody waits for this run to read the source with him
            if self._drivers[way.driver].capabilities.import_methods:
                _ensure_gives(reader, way.source_id)
            return self._drive(way, source, run, replica_id, watch)

    def _ensure_held(self, way: Way, source: Image, run: Run) -> RegionClient:
        """The client of the way's source. Raises SourceReadError for a replica that is not what it was."""
        if way.source_region == run.reader.region_name:
            return run.reader
        client = self._client(way.source_region)
        held = client.find_image(way.source_id, with_members=False)
        if held is None or (held.status, held.size, held.digest) != ("active", source.size, source.digest):
            raise SourceReadError(f"{way.source_region} does not show replica {way.source_id} with the image's size "
                                  "and hash any more", region=way.source_region)
        return client

    def _drive(self, way: Way, source: Image, run: Run, replica_id: str, watch: AttemptWatch) -> CopyResult:
        if source.size is None or source.digest is None:
            raise StoreCopyError(f"image {source.id} has no size or no hash")  # such a way is never taken
        driver = self._drivers[way.driver]
        copy = StoreCopy(image_id=way.source_id, replica_id=replica_id, size=source.size, digest=source.digest,
                         source=way.source, target=way.target, source_region=way.source_region, glance=run.target,
                         base_id=self._savings.find_base(source, run),
                         unhashed=driver.capabilities.verifies_first and not self._savings.hash_on_host()
                         and self._placed.verifies(run.region))
        run.handle.ensure_lease()
        unverified = driver.capabilities.usable_unverified
        if unverified:
            watch.note_unverified(run)
        self._place(driver, copy, run)
        found = CopyResult(size=source.size, digests={source.digest.algorithm: source.digest.value},
                           unverified=unverified)
        self._ensure_same(driver, found, run, replica_id)
        return found

    def distrust(self, region: str, why: str) -> None:
        """What was usable unverified there turned out to be wrong, and had to be replaced."""
        for name, driver in self._drivers.items():
            if driver.capabilities.usable_unverified:
                self._asides.note(region, name, f"a replica that was used unverified was replaced: {why}",
                                  seconds=_CHANGED_SECONDS)

    def _goes_on(self, error: GlanceSyncError, way: Way, source: Image, run: Run, replica_id: str) -> bool:
        """Whether another way may be tried in this run. What the target did wrong ends it, and what the source did
        wrong is remembered."""
        by_source = getattr(error, "region", None) == way.source_region or isinstance(error, _OF_SOURCES)
        if by_source:
            self._sources.failed(source.id, way.source_region, f"{error.code}: {error}")
        if isinstance(error, _WRONG_BYTES) and way.source_region != run.reader.region_name:
            self._suspect(source.id, way.source_region)
        if isinstance(error, StoreCopyError):
            return True
        return by_source and run.target.get_image(replica_id, with_members=False).status == "queued"

    def _set_aside(self, way: Way, error: GlanceSyncError, source: Image, run: Run,
                   failed: Mapping[tuple[str, str], GlanceSyncError]) -> None:
        """Of a driver that fails for the region. An import that fails may be the source's fault, or the image's: it is
        the region's only for a while, and when it failed from everywhere. What is refused is refused for all."""
        if not isinstance(error, StoreImportError) or error.region is None:
            return
        if isinstance(error, StoreImportRefusedError):
            self._asides.note(error.region, way.driver, str(error), seconds=_REFUSED_SECONDS)
            return
        self._sources.failed(source.id, way.source_region, f"{error.code}: {error}")
        following = next_way(self.explain(source, run.reader.region_name, run.region), failed)
        if following is None or following.driver != way.driver:
            self._asides.note(error.region, way.driver, str(error), seconds=_FAILED_SECONDS)

    def _place(self, driver: CopyDriver, copy: StoreCopy, run: Run) -> None:
        url = driver.copy(copy, run.handle)
        if url is None:
            return
        try:
            self._placed.register(driver, copy, url, run)
        except UntakenError as error:
            LOG.info("once more, hashed on the host: %s", error)
            self._place(driver, replace(copy, unhashed=False), run)

    def _ensure_same(self, driver: CopyDriver, found: CopyResult, run: Run, replica_id: str) -> None:
        """What was verified first is compared by who called this, as any copy."""
        if driver.capabilities.verifies_first:
            return
        try:
            check_copy(found, run.target.get_image(replica_id, with_members=False), run.region)
        except VerificationError as error:
            self._asides.note(run.region, driver.name, str(error), seconds=_CHANGED_SECONDS)
            raise

    def _site(self, name: str) -> Site:
        region = next((each for each in self._regions() if each.name == name), None)
        stores = self._find_stores(region) if region is not None else None
        order = stores.drivers if stores is not None and stores.drivers else self._order()
        return Site(region=name, stores=stores, order=order, set_aside=self._asides.of(name))


def _ensure_gives(reader: RegionClient, image_id: str) -> None:
    """A Glance that is given no bytes to fetch may keep its import lock for an hour, so the source is asked for its
    first ones before. Raises what the source's client raises."""
    with reader.open_data(image_id, chunk_bytes=_FIRST_BYTES) as data:
        next(iter(data.chunks), None)


def _worst(failed: Mapping[tuple[str, str], GlanceSyncError], cascading: str) -> GlanceSyncError:
    """What ends the run when every way failed: how the cascading region did, if it did. That a replica's bytes are
    wrong says nothing of the image's."""
    errors = [error for (_driver, region), error in failed.items() if region == cascading] or list(failed.values())
    last = errors[-1]
    wrong = isinstance(last, SourceCorruptError) and last.region != cascading
    if wrong or isinstance(last, NotFoundError):  # the image is there, it was just seen: only its bytes are not
        return SourceReadError(str(last), region=last.region)
    return last
